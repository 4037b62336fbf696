"""Before tasks are made: the topics that an application needs, made or checked."""

import logging
from collections.abc import Sequence

from headrace.base.errors import UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.engine.options import EngineOptions
from headrace.log.port import Log, TopicSpec
from headrace.plan.change import is_own_internal
from headrace.plan.internal_topics import check_counts
from headrace.plan.plan import Plan, make_plan
from headrace.topology.nodes import SinkNode, SourceNode
from headrace.topology.topology import Topology

__all__ = ["prepare"]

_log = logging.getLogger("headrace.topics")


def prepare(
    topology: Topology, log: Log, application_id: str, options: EngineOptions, *, partitions: int
) -> tuple[Topology, Plan]:
    """Make the topics that are missing, and return the topology with its patterns resolved, and its plan.

    User topics are made too where the log says so, with the partitions that they declare, else `partitions`. A pattern
    is resolved to the topics that there are now.

    Raises:
        TopologyError: topics that must be co-partitioned are not, or a pattern matches nothing.
        UnknownTopicError: the application's own topics are missing, and the log does not make them.
        LogError: an internal topic exists with another partition count, since the inputs have grown.
    """
    dead_letters = options.errors_dead_letter_queue_topic_name
    names = list(dict.fromkeys([*_user_topics(topology), *([] if dead_letters is None else [dead_letters])]))
    # Patterns are matched against all topics there are; otherwise the log is asked for those that matter.
    asked = None if _has_pattern(topology) else names
    existing = log.topics(asked)
    missing = [name for name in names if name not in existing]
    made = [TopicSpec(name, topology.declared_partitions.get(name, partitions)) for name in missing]
    if made:
        if not log.makes_user_topics:
            raise _missing_topics(made)
        log.create_topics(made)
        for topic in made:
            plural = "" if topic.partitions == 1 else "s"
            _log.info("made topic '%s' with %d partition%s", topic.name, topic.partitions, plural)
        existing = log.topics(asked)
    # A pattern such as ".*" must not feed the application what it writes for itself.
    resolved = topology.with_topics(name for name in existing if not is_own_internal(name, application_id))
    plan = make_plan(
        resolved,
        {name: info.partitions for name, info in existing.items()},
        application_id,
        window_additional_retention_ms=options.windowstore_changelog_additional_retention_ms,
    )
    there = log.partition_counts([topic.name for topic in plan.internal_topics])
    check_counts(plan.internal_topics, there)
    _warn_of_lost(
        [topic.name for topic in plan.internal_topics if topic.name not in there], log, application_id, plan
    )
    log.create_topics(plan.internal_topics)
    return resolved, plan


def _warn_of_lost(missing: Sequence[str], log: Log, application_id: str, plan: Plan) -> None:
    """Say which repartition topics are made though the application has read inputs before.

    Their own offsets tell nothing: brokers delete them with the topic.
    """
    lost = [name for name in missing if name.endswith("-repartition")]
    if not lost:
        return
    inputs = [TopicPartition(topic, each) for topic, count in plan.read.items() for each in range(count)]
    committed = {
        each: at.offset for each, at in log.committed(application_id, inputs).items() if at.offset > 0
    }
    begins = log.beginning_offsets(committed)
    if any(offset > begins[each] for each, offset in committed.items()):
        _log.warning(
            "repartition topic %s is made anew, though inputs were read before. If it was deleted, records in it that "
            "were not processed yet are lost: to have them again, stop, and let `headrace reset` read the inputs "
            "again. If it is new in the topology, or after a reset, nothing is lost",
            ", ".join(f"'{name}'" for name in lost),
        )


def _user_topics(topology: Topology) -> list[str]:
    names: list[str] = []
    for node in topology.nodes.values():
        if isinstance(node, SourceNode):
            names.extend(node.topics)
        elif isinstance(node, SinkNode) and isinstance(node.topic, str):
            names.append(node.topic)
    return [name for name in names if name not in topology.repartition_topics]


def _has_pattern(topology: Topology) -> bool:
    return any(isinstance(node, SourceNode) and node.pattern is not None for node in topology.nodes.values())


def _missing_topics(missing: list[TopicSpec]) -> UnknownTopicError:
    found = ", ".join(f"'{topic.name}'" for topic in missing)
    first = missing[0]
    missed, them = ("are no topics", "them") if len(missing) > 1 else ("is no topic", "it")
    return UnknownTopicError(
        f"there {missed} {found} on the cluster: create {them} first, such as with "
        f"`headrace topics create {first.name} --partitions {first.partitions} --bootstrap-servers …`; only internal "
        "topics are made by the application"
    )
