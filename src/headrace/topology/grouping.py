"""Cuts a topology into sub-topologies: what is linked, or shares a store, runs in one task."""

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.base.ids import GLOBAL_TASK
from headrace.state.spec import StoreSpec
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import SinkNode, SourceNode

__all__ = ["SubTopology", "copartition_groups", "global_part", "keyed_topics", "subtopologies"]


@dataclass(frozen=True, slots=True, eq=False)
class SubTopology:
    """Nodes that run together: one task for each partition, or for a global store one in each instance.

    Attributes:
        id: its number; tasks are named after it.
        nodes: names, parents before children.
        sources, sinks: its nodes of those kinds, in that order.
        stores: in the order in which records reach them.
        source_topics: names without the application id, each once.
    """

    id: int
    nodes: tuple[str, ...]
    sources: tuple[SourceNode, ...]
    sinks: tuple[SinkNode, ...]
    stores: tuple[StoreSpec, ...]
    source_topics: tuple[str, ...]

    @property
    def is_global(self) -> bool:
        """Whether it fills a global store; tasks have no part of it."""
        return any(spec.global_topic is not None for spec in self.stores)


def global_part(parts: Iterable[SubTopology]) -> SubTopology | None:
    """Return all sub-topologies of global stores as one, since each instance runs them together; None without any."""
    found = [part for part in parts if part.is_global]
    if not found:
        return None
    return SubTopology(
        id=GLOBAL_TASK.subtopology,
        nodes=tuple(name for part in found for name in part.nodes),
        sources=tuple(source for part in found for source in part.sources),
        sinks=(),
        stores=tuple(spec for part in found for spec in part.stores),
        source_topics=tuple(topic for part in found for topic in part.source_topics),
    )


def subtopologies(assembly: Assembly) -> tuple[SubTopology, ...]:
    """Return the sub-topologies, numbered by the first of their nodes that was added.

    Source: `InternalTopologyBuilder.makeNodeGroups`.
    """
    roots: dict[str, str] = {name: name for name in assembly.nodes}

    def root(name: str) -> str:
        while roots[name] != name:
            roots[name] = roots[roots[name]]
            name = roots[name]
        return name

    def unite(one: str, other: str) -> None:
        roots[root(other)] = root(one)

    for name, parents in assembly.parents.items():
        for parent in parents:
            unite(parent, name)
    for users in assembly.users.values():
        for user in users[1:]:
            unite(users[0], user)
    groups: dict[str, list[str]] = {}
    for name in assembly.nodes:
        groups.setdefault(root(name), []).append(name)
    return tuple(_subtopology(assembly, number, names) for number, names in enumerate(groups.values()))


def _subtopology(assembly: Assembly, number: int, names: list[str]) -> SubTopology:
    nodes = [assembly.nodes[name] for name in names]
    sources = tuple(node for node in nodes if isinstance(node, SourceNode))
    stores: dict[str, StoreSpec] = {}
    for node in nodes:
        for store in () if isinstance(node, SourceNode | SinkNode) else node.stores:
            stores.setdefault(store, assembly.stores[store])
    return SubTopology(
        id=number,
        nodes=tuple(names),
        sources=sources,
        sinks=tuple(node for node in nodes if isinstance(node, SinkNode)),
        stores=tuple(stores.values()),
        source_topics=tuple(dict.fromkeys(topic for source in sources for topic in source.topics)),
    )


def copartition_groups(assembly: Assembly) -> tuple[frozenset[str], ...]:
    """Return sets of topics that need equal partition counts; sets that share a topic are one.

    Kafka joins each set with the first one that shares a topic; the closure here is complete, which is what its own
    comment asks for. And where a second join uses the first one's repartition, Kafka forgets that topic.
    """
    groups: list[set[str]] = []
    for sources in assembly.copartitioned:
        there = sorted(assembly.stand_ins.get(name, name) for name in sources)
        merged = {topic for name in there for topic in _topics(assembly, name)}
        apart = []
        for group in groups:
            if group & merged:
                merged |= group
            else:
                apart.append(group)
        groups = [*apart, merged]
    return tuple(frozenset(group) for group in groups if len(group) > 1)


def keyed_topics(assembly: Assembly) -> frozenset[str]:
    """Return the topics of others whose keys have to lie where Kafka's default partitioner puts them.

    They are joined, or aggregated without a repartition between. Those that this topology itself writes with a
    partitioner of its own are left out.
    """
    topics = {topic for name in assembly.keyed for topic in _topics(assembly, name)}
    placed = {
        node.topic for node in assembly.nodes.values() if isinstance(node, SinkNode) and node.partitioner
    }
    if any(callable(topic) for topic in placed):
        return frozenset()  # any topic may be written so
    return frozenset(topics - placed - assembly.partitioned_otherwise - assembly.repartition_topics.keys())


def _topics(assembly: Assembly, name: str) -> tuple[str, ...]:
    node = assembly.nodes.get(name)
    return node.topics if isinstance(node, SourceNode) else ()
