"""From a topology and its plan: what a group has to know of the application, as Kafka Streams would tell it. Pure."""

from collections.abc import Mapping

from headrace.group.application import GroupApplication, InternalTopic, SubtopologyTopics
from headrace.plan.internal_topics import repartition_config
from headrace.plan.plan import Plan
from headrace.plan.told_groups import told_groups
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import SubTopology, Topology

__all__ = ["group_application"]


def group_application(topology: Topology, plan: Plan, application_id: str) -> GroupApplication:
    """Describe an application to its group. `plan` is that of the same topology, patterns replaced by topics.

    Equal topologies give equal descriptions: brokers let nobody with another one into a group, and Kafka Streams is
    among those who may be in it.

    Source: StreamThread.initBrokerTopology of Kafka 4.4.
    """
    configs = {topic.name: topic.config for topic in plan.internal_topics}
    parts = [each for each in topology.subtopologies if not each.is_global]
    described = tuple(_described(topology, part, configs, application_id) for part in parts)
    read = frozenset[str]().union(*(each.topics_read for each in described))
    return GroupApplication(described, plan.tasks, {topic: plan.partitions[topic] for topic in sorted(read)})


def _described(
    topology: Topology, part: SubTopology, configs: Mapping[str, Mapping[str, str]], application_id: str
) -> SubtopologyTopics:
    repartitions = topology.repartition_topics

    def full(topic: str) -> str:
        return topology.decorate(topic, application_id)

    sinks = {sink.topic for sink in part.sinks if isinstance(sink.topic, str) and sink.topic in repartitions}
    changelogs = sorted(f"{application_id}-{spec.changelog_topic}" for spec in part.stores if spec.logging)

    def topics_of(name: str) -> tuple[str, ...]:
        node = topology.nodes.get(name)
        return tuple(map(full, node.topics)) if isinstance(node, SourceNode) else ()

    read = {full(topic) for topic in part.source_topics}
    groups = told_groups(topology.copartitioned_sources, topics_of)
    return SubtopologyTopics(
        id=part.id,
        source_topics=frozenset(part.source_topics) - repartitions.keys(),
        repartition_sources=tuple(
            InternalTopic(
                full(topic), repartition_config(repartitions[topic]), repartitions[topic].partitions or 0
            )
            for topic in sorted(part.source_topics)
            if topic in repartitions
        ),
        repartition_sinks=frozenset(full(topic) for topic in sinks),
        changelogs=tuple(InternalTopic(name, configs[name]) for name in changelogs),
        copartition_groups=tuple(group for group in groups if read & set(group)),
        is_stateful=any(spec.logging or spec.source_topic is not None for spec in part.stores),
    )
