"""From a topology and the partition counts of existing topics: the tasks, and the internal topics to make. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrace.base.errors import TopologyError, UnknownTopicError
from headrace.base.ids import TaskId
from headrace.base.topic_names import topic_name_problem
from headrace.log.port import TopicSpec
from headrace.plan.internal_topics import WINDOW_ADDITIONAL_RETENTION_MS, changelog_config, repartition_config
from headrace.topology.nodes import SinkNode, SourceNode
from headrace.topology.topology import SubTopology, Topology

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an application needs before it can run.

    Attributes:
        tasks: all of them, in order. What fills global stores is none.
        internal_topics: repartition topics, then changelogs, by their full names.
        partitions: of every topic that is read, and of the internal ones, by full name.
        read: partition counts of the user topics that are read.
    """

    tasks: tuple[TaskId, ...]
    internal_topics: tuple[TopicSpec, ...]
    partitions: Mapping[str, int]
    read: Mapping[str, int]


def make_plan(
    topology: Topology,
    existing: Mapping[str, int],
    application_id: str,
    *,
    window_additional_retention_ms: int = WINDOW_ADDITIONAL_RETENTION_MS,
) -> Plan:
    """Decide tasks, internal topics and their partition counts.

    `existing` holds the partition counts of all topics there are; internal ones among them are not looked at: whoever
    creates topics compares. A topology with patterns goes through `Topology.with_topics` before.

    Raises:
        UnknownTopicError: topics that are read do not exist; lists them.
        TopologyError: topics that are joined have different partition counts, nothing says how many an internal
            topic has, or the name of one is too long.

    Source: `RepartitionTopics`, `CopartitionedTopicsEnforcer`.
    """
    topology.validate()
    _check_existing(topology, existing)
    counts = {topic: existing[topic] for topic in _external(topology)}
    _count_repartition_topics(topology, counts)
    for group in topology.copartition_groups:
        _level(topology, group, counts)
    tasks: list[TaskId] = []
    changelogs: list[TopicSpec] = []
    for subtopology in topology.subtopologies:
        if subtopology.is_global:
            continue
        partitions = max(counts[topic] for topic in subtopology.source_topics)
        tasks.extend(TaskId(subtopology.id, partition) for partition in range(partitions))
        changelogs.extend(
            TopicSpec(
                _checked(f"{application_id}-{spec.changelog_topic}", f"the changelog of store '{spec.name}'"),
                partitions,
                changelog_config(spec, window_additional_retention_ms),
            )
            for spec in subtopology.stores
            if spec.logging
        )
    repartitions = [
        TopicSpec(
            _checked(topology.decorate(name, application_id), f"the repartition topic '{name}'"),
            counts[name],
            repartition_config(topic),
        )
        for name, topic in topology.repartition_topics.items()
    ]
    internal = (*repartitions, *changelogs)
    return Plan(
        tasks=tuple(tasks),
        internal_topics=internal,
        partitions={
            **{topology.decorate(topic, application_id): count for topic, count in counts.items()},
            **{topic.name: topic.partitions for topic in internal},
        },
        read={topic: existing[topic] for topic in _external(topology)},
    )


def _checked(name: str, what: str) -> str:
    if (problem := topic_name_problem(name)) is not None:
        raise TopologyError(
            f"{what} cannot be made: its name, {name!r}, {problem}; choose a shorter one, or a shorter application.id"
        )
    return name


def _external(topology: Topology) -> Iterable[str]:
    for subtopology in topology.subtopologies:
        for topic in subtopology.source_topics:
            if topic not in topology.repartition_topics:
                yield topic


def _check_existing(topology: Topology, existing: Mapping[str, int]) -> None:
    missing: list[str] = []
    for node in topology.nodes.values():
        if isinstance(node, SourceNode):
            missing.extend(
                f"'{topic}' (read by {node.name}, {node.where})"
                for topic in node.topics
                if topic not in existing and topic not in topology.repartition_topics
            )
    if missing:
        raise UnknownTopicError(
            f"there is no topic {', '.join(missing)}; create it before the application starts"
        )


def _count_repartition_topics(topology: Topology, counts: dict[str, int]) -> None:
    """Give each repartition topic its own count, else the largest one among the topics upstream of it."""
    writers: dict[str, list[SubTopology]] = {name: [] for name in topology.repartition_topics}
    for subtopology in topology.subtopologies:
        for sink in subtopology.sinks:
            if isinstance(sink.topic, str) and sink.topic in writers:
                writers[sink.topic].append(subtopology)
    waiting = []
    for name, topic in topology.repartition_topics.items():
        if topic.partitions is None:
            waiting.append(name)
        else:
            counts[name] = topic.partitions
    # As in Kafka, what is known upstream decides at once, even if another topic upstream is not known yet.
    while waiting:
        left = []
        for name in waiting:
            upstream = [topic for subtopology in writers[name] for topic in subtopology.source_topics]
            known = [counts[topic] for topic in upstream if topic in counts]
            if known:
                counts[name] = max(known)
            else:
                left.append(name)
        if len(left) == len(waiting):
            raise TopologyError(
                f"nothing says how many partitions {', '.join(repr(name) for name in left)} should have, since "
                "only their own records feed them; write repartition(partitions=...)"
            )
        waiting = left


def _level(topology: Topology, group: frozenset[str], counts: dict[str, int]) -> None:
    """Give the repartition topics of a group the count that its other topics have, or refuse."""
    topics = sorted(topic for topic in group if topic in counts)
    internal = [topic for topic in topics if topic in topology.repartition_topics]
    external = [topic for topic in topics if topic not in topology.repartition_topics]
    enforced = [topic for topic in internal if topology.repartition_topics[topic].partitions is not None]
    fixed = external or enforced
    for topic in fixed[1:]:
        _check_equal(topology, fixed[0], topic, counts)
    count = counts[fixed[0]] if fixed else max((counts[topic] for topic in internal), default=0)
    for topic in internal:
        if topic in enforced:
            _check_equal(topology, fixed[0], topic, counts)
        else:
            counts[topic] = count


def _check_equal(topology: Topology, one: str, other: str, counts: Mapping[str, int]) -> None:
    if counts[one] == counts[other]:
        return
    advice = (
        "change the partitions= of repartition() there"
        if other in topology.repartition_topics
        else "call repartition() on one of them, a table by to_stream().repartition(...).to_table()"
    )
    raise TopologyError(
        f"cannot join '{one}' ({counts[one]} partitions, {_reader(topology, one)}) with '{other}' ({counts[other]}, "
        f"{_reader(topology, other)}): co-partitioned topics need equal counts; {advice}"
    )


def _reader(topology: Topology, topic: str) -> str:
    for node in topology.nodes.values():
        if isinstance(node, SourceNode) and topic in node.topics:
            return f"read by {node.name} at {node.where}"
        if isinstance(node, SinkNode) and node.topic == topic:
            return f"written by {node.name} at {node.where}"
    return "internal"
