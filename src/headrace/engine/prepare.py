"""Before tasks are made: the topics that an application needs, made or checked."""

import logging

from headrace.log.port import Log, TopicSpec
from headrace.plan.plan import Plan, make_plan
from headrace.topology.nodes import SinkNode, SourceNode
from headrace.topology.topology import Topology

__all__ = ["prepare"]

_log = logging.getLogger("headrace.topics")


def prepare(
    topology: Topology, log: Log, application_id: str, *, partitions: int, dead_letters: str | None
) -> tuple[Topology, Plan]:
    """Make the topics that are missing, and return the topology with its patterns resolved, and its plan.

    User topics are made too, with the partitions that they declare, else `partitions`: a log that is a file has nobody
    else to make them. A pattern is resolved to the topics that there are now.

    Raises:
        TopologyError: topics that must be co-partitioned are not, or a pattern matches nothing.
        LogError: an internal topic exists with another partition count.
    """
    existing = log.topics()
    names = _user_topics(topology)
    if dead_letters is not None:
        names.append(dead_letters)
    missing = [name for name in dict.fromkeys(names) if name not in existing]
    made = [TopicSpec(name, topology.declared_partitions.get(name, partitions)) for name in missing]
    if made:
        log.create_topics(made)
        for topic in made:
            plural = "" if topic.partitions == 1 else "s"
            _log.info("made topic '%s' with %d partition%s", topic.name, topic.partitions, plural)
    existing = log.topics()
    resolved = topology.with_topics(existing)
    plan = make_plan(resolved, {name: info.partitions for name, info in existing.items()}, application_id)
    log.create_topics(plan.internal_topics)
    return resolved, plan


def _user_topics(topology: Topology) -> list[str]:
    names: list[str] = []
    for node in topology.nodes.values():
        if isinstance(node, SourceNode):
            names.extend(node.topics)
        elif isinstance(node, SinkNode) and isinstance(node.topic, str):
            names.append(node.topic)
    return [name for name in names if name not in topology.repartition_topics]
