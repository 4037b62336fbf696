"""What `headrace reset` is going to do: decided before anything is done, and shown as it is by a dry run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace.base.errors import ConfigError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.cli.reset_target import Latest, Moved, Target, moved
from headrace.cli.wording import table
from headrace.log.groups import CommittedOffset, DescribedGroup
from headrace.log.port import Log
from headrace.outside.application_topics import (
    ApplicationTopics,
    namesakes,
    topics_of_group,
    topics_of_topology,
)
from headrace.plan.change import is_own_internal
from headrace.topology.topology import Topology

__all__ = ["NamedTopics", "ResetPlan", "made_plan"]


@dataclass(frozen=True, slots=True)
class NamedTopics:
    """Topics that the command line names; those of its application count where it names none."""

    inputs: tuple[str, ...] = ()
    intermediate: tuple[str, ...] = ()
    internal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset does.

    Attributes:
        moved: partitions of the inputs.
        kept: offsets of other partitions, which stay: they would go with the group.
        topics: internal ones that are deleted.
        left: topics that look like internal ones of the application, and are not touched, each with the reason.
    """

    moved: tuple[Moved, ...]
    kept: Mapping[TopicPartition, CommittedOffset]
    topics: tuple[str, ...]
    left: Mapping[str, str]

    def offsets(self) -> dict[TopicPartition, CommittedOffset]:
        """Return what the group has committed when it is done. What was said of times and stores is not so any more."""
        return {**self.kept, **{each.partition: CommittedOffset(each.after) for each in self.moved}}

    def lines(self) -> Iterable[str]:
        """Say it."""
        if self.moved:
            rows = [
                (each.partition, "-" if each.before is None else each.before, each.after, each.note)
                for each in self.moved
            ]
            yield table(("partition", "committed", "set to", ""), rows)
        else:
            yield "no offsets are set"
        if self.kept:
            yield f"kept as they are: the offsets of {_listed(map(str, self.kept))}"
        yield (
            f"deleted: internal topics {_listed(self.topics)}"
            if self.topics
            else "no internal topics are deleted"
        )
        for topic, reason in self.left.items():
            yield f"left as it is: {topic}, {reason}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def made_plan(
    log: Log,
    application_id: str,
    target: Target,
    named: NamedTopics,
    topology: Topology | None,
    group: DescribedGroup | None,
) -> ResetPlan:
    """Decide what is done; nothing is changed.

    Inputs are those named, else those of the topology, else those that the group knows: by the topology that the
    brokers keep, or by what it has committed.

    Raises:
        ConfigError: nothing tells the inputs, or a topic that is named as internal is none of the application's.
        UnknownTopicError: a topic that is named is not there.
        LogError: the log does not answer.
    """
    committed = log.groups.committed(application_id)
    counts = log.partition_counts()
    known = topics_of_group(group)
    told = topics_of_topology(topology, application_id, counts) if topology is not None else known
    internal, left = _internal(log, application_id, named, counts, told.internal | known.internal, topology)
    inputs = _inputs(application_id, named, counts, told, committed)
    ends = [_checked(topic, counts) for topic in named.intermediate]
    offsets = {place: each.offset for place, each in committed.items()}
    moves = [
        *moved(target, log, _partitions(set(inputs) - set(ends), counts), offsets),
        *moved(Latest(), log, _partitions(ends, counts), offsets),
    ]
    done = {each.partition for each in moves}
    kept = {
        place: each for place, each in committed.items() if place not in done and place.topic not in internal
    }
    return ResetPlan(tuple(moves), kept, internal, left)


def _checked(topic: str, counts: Mapping[str, int]) -> str:
    if topic not in counts:
        raise UnknownTopicError(f"there is no topic {topic!r}; nothing was changed")
    return topic


def _partitions(topics: Iterable[str], counts: Mapping[str, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]


def _inputs(
    application_id: str,
    named: NamedTopics,
    counts: Mapping[str, int],
    told: ApplicationTopics,
    committed: Iterable[TopicPartition],
) -> Sequence[str]:
    if named.inputs or named.intermediate:
        return [_checked(topic, counts) for topic in named.inputs]
    if told.read:
        # One that is not there yet has nothing to be reset.
        return sorted(topic for topic in told.inputs if topic in counts)
    found = sorted({place.topic for place in committed if not is_own_internal(place.topic, application_id)})
    if not found:
        raise ConfigError(
            f"nothing tells what application {application_id!r} reads: its group has committed nothing; give "
            f"MODULE:NAME, or --input-topics"
        )
    return [topic for topic in found if topic in counts]


def _internal(
    log: Log,
    application_id: str,
    named: NamedTopics,
    counts: Mapping[str, int],
    known: frozenset[str],
    topology: Topology | None,
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the internal topics that are deleted, and those that look like it and are left.

    By its name alone, a topic may be another application's, whose id begins with this one and a dash.
    """
    users = {*named.inputs, *named.intermediate}
    alike = [
        topic for topic in sorted(counts) if is_own_internal(topic, application_id) and topic not in users
    ]
    certain = {topic for topic in known if topic in counts} - users
    for topic in named.internal:
        if topic not in alike and topic not in certain:
            raise ConfigError(
                f"--internal-topics names {topic!r}, which is no internal topic of application {application_id!r}; "
                f"it has {_listed(sorted({*alike, *certain})) or 'none'}"
            )
    if named.internal:
        return tuple(sorted(set(named.internal))), {}
    doubtful = [topic for topic in alike if topic not in certain]
    others = namesakes(application_id, doubtful, log.groups)
    left = {topic: f"which is named after application {other!r}" for topic, other in others.items()}
    if topology is not None:
        reason = "which the topology does not have; it goes with --internal-topics"
        left = {topic: left.get(topic, reason) for topic in doubtful}
    return tuple(sorted({*certain, *doubtful} - left.keys())), left
