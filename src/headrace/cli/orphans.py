"""`headrace topics orphans`: internal topics that earlier topologies of an application have left behind."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from headrace.base.errors import ConfigError
from headrace.base.ids import TopicPartition
from headrace.cli.blueprint_file import default_file, read_file
from headrace.cli.group_change import ChangedApplication, emptied_group
from headrace.cli.settings import property_options, settings_of
from headrace.cli.target import load
from headrace.cli.wording import table
from headrace.log.port import Log
from headrace.outside.application_topics import namesakes, topics_of_topology
from headrace.plan.change import is_own_internal
from headrace.topology.topology import Topology

__all__ = ["Orphan", "orphans", "orphans_of"]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A topic that nobody reads any more.

    Attributes:
        offsets: how many there are from its beginning to its end.
        unread: of a repartition topic, how many lie behind what was committed: records that nobody has processed.
        locked: whether a lock file of the application has it. Of another only the name tells whose it is, and an
            application whose id goes on with a dash may have it, which the log shows no group of.
    """

    topic: str
    partitions: int
    offsets: int
    unread: int
    locked: bool


def orphans_of(
    log: Log, application_id: str, topology: Topology, locked: Collection[str] = ()
) -> tuple[list[Orphan], dict[str, str]]:
    """Return the internal topics of an application that a topology has not; and those that may be another's, with it.

    `locked` are internal topics that it had by a lock file, by their full names.

    Raises:
        LogError: the log does not answer.
    """
    counts = log.partition_counts()
    known = topics_of_topology(topology, application_id, counts).internal
    doubtful = [
        topic for topic in sorted(counts) if is_own_internal(topic, application_id) and topic not in known
    ]
    others = dict(namesakes(application_id, doubtful, log.groups))
    committed = log.groups.committed(application_id, waits=False)
    found = []
    for topic in doubtful:
        if topic in others:
            continue
        places = [TopicPartition(topic, number) for number in range(counts[topic])]
        begins, ends = log.beginning_offsets(places), log.end_offsets(places)
        read = {
            place: max(committed[place].offset, begins[place]) if place in committed else ends[place]
            for place in places
        }
        unread = sum(ends[place] - read[place] for place in places)
        held = sum(ends[each] - begins[each] for each in places)
        found.append(Orphan(topic, counts[topic], held, unread, topic in locked))
    return found, others


@click.command("orphans")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--delete", is_flag=True, help="Delete those that the lock file has, after a question.")
@click.option("--yes", is_flag=True, help="Delete them without a question.")
@click.option("--topic", "named", metavar="TOPIC", multiple=True, help="Delete this one instead; repeatable.")
@click.option("--against", metavar="FILE", help="A lock file; by default APPLICATION-ID.topology.lock.")
@click.option("--force", is_flag=True, help="Take members out of the group, who must be dead.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@property_options
def orphans(
    target: str,
    delete: bool,
    yes: bool,
    named: tuple[str, ...],
    against: str | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """List the internal topics of an application that its topology does not have; delete them where that is asked for.

    Stores and operators that were renamed or removed leave them. They are deleted only where nobody runs the
    application, since an instance with the topology before may still use them; and only those that its lock file has,
    or that --topic names: a name alone may also be that of an application whose id goes on with a dash.
    """
    found = load(target)
    application = ChangedApplication.of(settings_of(options), found.module)
    locked = _locked(application.id, against)
    log = application.open()
    try:
        left, others = orphans_of(log, application.id, found.topology, locked)
        _show(left, others, as_json=as_json)
        if not (delete or yes):
            return
        names = _chosen(left, named, application.id)
        if not names:
            return
        lock = application.lock()
        lock.acquire()
        try:
            emptied_group(
                log, application.id, lambda line: click.echo(line, err=True), by_force=force, is_real=True
            )
            if not yes:
                told = f"delete {', '.join(names)}, with all that is in them?"
                click.confirm(told, abort=True, err=True)
            log.delete_topics(names)
        finally:
            lock.release()
        click.echo(f"deleted {', '.join(names)}", err=True)
    finally:
        log.close()


def _locked(application_id: str, against: str | None) -> frozenset[str]:
    """Return the internal topics that an application had when it was locked; none where it was not."""
    file = Path(against) if against else default_file(application_id)
    if not (against or file.exists()):
        return frozenset()
    before = read_file(file)
    if before.application_id != application_id:
        raise ConfigError(f"{file} is of application {before.application_id!r}, not of {application_id!r}")
    return frozenset(
        f"{application_id}-{topic.name}"
        for topic in before.topics.values()
        if topic.role in ("repartition", "changelog")
    )


def _chosen(left: Sequence[Orphan], named: Sequence[str], application_id: str) -> list[str]:
    """Return which are to be deleted: those that are named, else those of the lock file; and say which stay."""
    if unknown := sorted(set(named) - {each.topic for each in left}):
        raise ConfigError(f"{', '.join(unknown)} is no orphan of application {application_id!r}")
    if named:
        return [each.topic for each in left if each.topic in named]
    for each in left:
        if not each.locked:
            click.echo(
                f"left as it is: {each.topic}, which no lock file has and an application may have whose id begins with "
                f"'{application_id}-'; if none does, --topic {each.topic} deletes it",
                err=True,
            )
    return [each.topic for each in left if each.locked]


def _show(left: Sequence[Orphan], others: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        for each in left:
            click.echo(msgspec.json.encode(each).decode())
    elif left:
        rows = [
            (each.topic, each.partitions, each.offsets, each.unread, "yes" if each.locked else "no")
            for each in left
        ]
        click.echo(table(("topic", "partitions", "offsets", "not processed", "in the lock file"), rows))
    else:
        click.echo("there are none")
    for topic, other in others.items():
        click.echo(f"left as it is: {topic}, which is named after application {other!r}", err=True)
