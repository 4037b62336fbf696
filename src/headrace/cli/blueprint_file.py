"""The lock file of a topology: its blueprint as JSON, beside the program, to be kept under version control."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.base.errors import ConfigError, TopologyError
from headrace.log.port import Log
from headrace.plan.blueprint import Blueprint, blueprint_of
from headrace.plan.change import is_own_internal
from headrace.plan.plan import make_plan
from headrace.plan.upgrade import upgrade_changes
from headrace.plan.verdicts import Change, Verdict, worst
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import Topology

__all__ = [
    "EXIT_CODES",
    "blueprint",
    "changes_in_words",
    "default_file",
    "ensure_safe",
    "read_file",
    "write_file",
]

#: What a comparison ends with: 1 and 2 are failures and mistakes, as everywhere.
EXIT_CODES = {Verdict.SAFE: 0, Verdict.ORPHANS: 3, Verdict.REBUILDS: 3, Verdict.NEW_APPLICATION: 4}

_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Document:
    """What the file holds. `generated` are names in it that nobody has chosen, for people to look at."""

    version: int
    generated: tuple[str, ...]
    topology: Blueprint


def default_file(application_id: str) -> Path:
    """Return where the lock file of an application is, in the working directory."""
    return Path(f"{application_id}.topology.lock")


def blueprint(
    topology: Topology, application_id: str, log: Log | None = None, *, locked: Blueprint | None = None
) -> Blueprint:
    """Return what outlives a deployment, with the partitions that inputs have on a log, else those declared.

    With one that was locked, and is to be compared: with partitions from where that one has its own. What topics
    declare says nothing of what a log has, nor the other way round.

    Raises:
        TopologyError: topics that are joined have different partition counts.
        LogError: the log does not answer.
    """
    is_of_log = log is not None if locked is None else locked.is_of_log
    counts = dict(topology.declared_partitions)
    if is_of_log and log is not None:
        counts |= log.partition_counts()
    elif is_of_log and locked is not None:
        counts = dict(locked.read_partitions())
    patterns = any(isinstance(node, SourceNode) and node.pattern for node in topology.nodes.values())
    if patterns:
        # Which topics a pattern matches changes by itself: they are part of no blueprint.
        return blueprint_of(topology, application_id, counts=counts, is_of_log=is_of_log)
    read = {topic for part in topology.subtopologies for topic in part.source_topics}
    known = all(topic in counts for topic in read - topology.repartition_topics.keys())
    own = {name: count for name, count in counts.items() if not is_own_internal(name, application_id)}
    plan = make_plan(topology, own, application_id) if known else None
    return blueprint_of(topology, application_id, plan, counts=counts, is_of_log=is_of_log)


def write_file(path: Path, topology: Blueprint) -> bool:
    """Write a lock file; say whether it is another one than before.

    Raises:
        ConfigError: it cannot be written.
    """
    text = (
        msgspec.json.format(msgspec.json.encode(_Document(_VERSION, topology.generated, topology)), indent=1)
        + b"\n"
    )
    try:
        if path.exists() and path.read_bytes() == text:
            return False
        draft = path.with_name(f"{path.name}-new")
        draft.write_bytes(text)
        draft.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from None
    return True


def read_file(path: Path) -> Blueprint:
    """Return the blueprint in a lock file.

    Raises:
        ConfigError: there is none, it is damaged, or it is of another version.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Document)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no lock file {path}: write it with `headrace topology lock MODULE:NAME`, of what runs now"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigError(f"{path} is no lock file: {error}") from None
    if found.version != _VERSION:
        raise ConfigError(
            f"{path} is a lock file of version {found.version}, and {_VERSION} is understood: write it anew"
        )
    return found.topology


def ensure_safe(topology: Topology, application_id: str) -> None:
    """Accept a topology that can go on with the state of the one in the lock file.

    Raises:
        ConfigError: there is no lock file.
        TopologyError: it cannot; says of each change what it costs.
    """
    path = default_file(application_id)
    locked = read_file(path)
    found = [
        each
        for each in upgrade_changes(locked, blueprint(topology, application_id, locked=locked))
        if each.verdict is not Verdict.SAFE
    ]
    if found:
        told = "; ".join(f"{each.subject} {each.text} ({each.verdict.value})" for each in found)
        raise TopologyError(
            f"cannot run with --locked: the topology is not the one in {path}. {told}. If that is meant, write the "
            f"file anew with `headrace topology lock`"
        )


def changes_in_words(changes: Iterable[Change]) -> Iterable[str]:
    """Say what has changed, the most serious last, and the sum of it."""
    found = list(changes)
    if not found:
        yield "nothing has changed"
        return
    for each in sorted(found, key=lambda each: each.verdict.rank):
        yield f"{each.verdict.value}: {each.subject} {each.text}"
    yield f"in all: {worst(found).value}"
