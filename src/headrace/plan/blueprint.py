"""What of a topology outlives a deployment: stores, topics and their names, as plain values that a file can hold. Pure.

`headrace topology lock` writes it, and `plan.upgrade` judges by it what becomes of the state under another topology.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headrace.plan.internal_topics import changelog_config
from headrace.plan.placement import Placement, placements
from headrace.plan.plan import Plan
from headrace.plan.schema import schema_of
from headrace.serde.serde import CodecSerde, Serde
from headrace.state.spec import StoreSpec
from headrace.topology.nodes import Node, ProcessorNode, SinkNode, SourceNode
from headrace.topology.topology import SubTopology, Topology
from headrace.topology.wiring import Rekeying, Windowing

__all__ = [
    "AS_READ",
    "Blueprint",
    "Form",
    "NodePrint",
    "StorePrint",
    "TopicPrint",
    "blueprint_of",
    "is_generated",
]

#: Kafka Streams numbers what nobody has named with ten digits.
_GENERATED = re.compile(r"-\d{10}(?:-|$)")

#: Stands for a function where records have the keys that they were read with.
AS_READ = "what is read"

Role = Literal["input", "output", "repartition", "changelog", "global"]


@dataclass(frozen=True, slots=True)
class Form:
    """How keys or values become bytes.

    Attributes:
        serde: its name.
        schema: JSON schema of its type, or of the types of its parts, where the serde has one.
    """

    serde: str
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePrint:
    """A store. What is None does not apply to its kind; durations in ms.

    Attributes:
        subtopology: tasks that have it are numbered after it.
        source: what it is restored from: changelog, topic (its source topic), global topic, or nothing.
        topic: that topic, without the application id; empty where there is nothing.
        policy: cleanup.policy of its changelog; empty where it has none.
        by_time: whether rows of windows can be read by time too.
        windows: of an aggregation of windows, which a record falls into.
        origin: topics and functions whose records reach it.
        keyed_by: of these functions, those that have made the keys with which records come; or `AS_READ`.
        placed_by: what says in which partition a key is; empty in files of before this was known.
    """

    name: str
    kind: str
    subtopology: int
    engine: str
    caching: bool
    key: Form
    value: Form
    source: Literal["changelog", "topic", "global", "nothing"]
    topic: str = ""
    policy: str = ""
    timestamped: bool = True
    headers: bool = False
    duplicates: bool = False
    by_time: bool = False
    windows: str = ""
    size_ms: int | None = None
    retention_ms: int | None = None
    history_ms: int | None = None
    ttl_ms: int | None = None
    rows_max: int | None = None
    origin: tuple[str, ...] = ()
    keyed_by: tuple[str, ...] = ()
    placed_by: tuple[Placement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPrint:
    """A topic that is read or written; internal ones without the application id.

    Attributes:
        subtopology: whose tasks read it; None where none do.
        partitions: None where nothing tells.
        key, value: None where several sinks differ, or the topic is a changelog, whose store tells.
    """

    name: str
    role: Role
    subtopology: int | None = None
    partitions: int | None = None
    key: Form | None = None
    value: Form | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePrint:
    """A node, with the names of those above it."""

    name: str
    kind: Literal["source", "processor", "sink"]
    subtopology: int
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A topology, and the application id that its topics are named after.

    Attributes:
        is_of_log: whether partitions follow from those that inputs have on a log; else from those that topics declare.
    """

    application_id: str
    is_of_log: bool = False
    stores: Mapping[str, StorePrint] = field(default_factory=dict)
    topics: Mapping[str, TopicPrint] = field(default_factory=dict)
    nodes: Mapping[str, NodePrint] = field(default_factory=dict)

    @property
    def generated(self) -> tuple[str, ...]:
        """Names of stores and internal topics that nobody has chosen: with an operator more or less they are others."""
        return tuple(name for name in (*self.stores, *self.topics) if is_generated(name))

    def internal(self) -> Mapping[str, TopicPrint]:
        """Return the topics that the application has for itself."""
        return {name: each for name, each in self.topics.items() if each.role in ("repartition", "changelog")}

    def read_partitions(self) -> Mapping[str, int]:
        """Return how many partitions the topics of others have that are read, as far as that is known."""
        return {
            name: each.partitions
            for name, each in self.topics.items()
            if each.role in ("input", "global") and each.partitions is not None
        }


def is_generated(name: str) -> bool:
    """Whether a name has a number of the topology in it.

    >>> is_generated("KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog"), is_generated("counts-2026")
    (True, False)
    """
    return _GENERATED.search(name) is not None


def blueprint_of(
    topology: Topology,
    application_id: str,
    plan: Plan | None = None,
    *,
    counts: Mapping[str, int] | None = None,
    is_of_log: bool = False,
) -> Blueprint:
    """Return what outlives a deployment.

    Partitions are those of the plan. Without one they are in `counts`, by default those that topics declare.
    """
    stores = {
        spec.name: _store(topology, part, spec) for part in topology.subtopologies for spec in part.stores
    }
    return Blueprint(
        application_id=application_id,
        is_of_log=is_of_log,
        stores=dict(sorted(stores.items())),
        topics=dict(
            sorted(
                _topics(
                    topology,
                    stores,
                    application_id,
                    plan,
                    topology.declared_partitions if counts is None else counts,
                ).items()
            )
        ),
        nodes={
            name: NodePrint(
                name=name,
                kind=_kind(topology.nodes[name]),
                subtopology=part.id,
                parents=tuple(topology.parents[name]),
            )
            for part in topology.subtopologies
            for name in part.nodes
        },
    )


def _kind(node: Node) -> Literal["source", "processor", "sink"]:
    return "source" if isinstance(node, SourceNode) else "sink" if isinstance(node, SinkNode) else "processor"


def _store(topology: Topology, part: SubTopology, spec: StoreSpec) -> StorePrint:
    source: Literal["changelog", "topic", "global", "nothing"] = "nothing"
    topic = ""
    if spec.global_topic is not None:
        source, topic = "global", spec.global_topic
    elif spec.source_topic is not None:
        source, topic = "topic", spec.source_topic
    elif spec.logging:
        source, topic = "changelog", spec.changelog_topic
    users = [name for name in part.nodes if spec.name in _stores_of(topology.nodes[name])]
    windows = [
        node.operator.windows
        for node in map(topology.nodes.__getitem__, users)
        if isinstance(node, ProcessorNode) and isinstance(node.operator, Windowing)
    ]
    return StorePrint(
        name=spec.name,
        kind=spec.kind,
        subtopology=part.id,
        engine=spec.engine,
        caching=spec.caching,
        key=_form(spec.key),
        value=_form(spec.value),
        source=source,
        topic=topic,
        policy=changelog_config(spec)["cleanup.policy"] if source == "changelog" else "",
        timestamped=spec.timestamped,
        headers=spec.stamped,
        duplicates=spec.retain_duplicates,
        by_time=spec.time_ordered,
        windows=", ".join(dict.fromkeys(windows)),
        size_ms=spec.size_ms,
        retention_ms=spec.retention_ms,
        history_ms=spec.history_ms,
        ttl_ms=spec.ttl_ms,
        rows_max=spec.rows_max,
        origin=tuple(dict.fromkeys(each for user in users for each in _origin(topology, user, set()))),
        keyed_by=tuple(dict.fromkeys(each for user in users for each in _keyed_by(topology, user, set()))),
        placed_by=() if part.is_global else placements(topology, users),
    )


def _stores_of(node: Node) -> tuple[str, ...]:
    return node.stores if isinstance(node, ProcessorNode) else ()


def _origin(topology: Topology, name: str, seen: set[str]) -> Iterator[str]:
    """Yield the topics and functions above a node, the nearest first, across repartition topics."""
    if name in seen:
        return
    seen.add(name)
    node = topology.nodes[name]
    if isinstance(node, SourceNode):
        for topic in node.topics or (node.pattern or "",):
            if topic not in topology.repartition_topics:
                yield topic
    elif isinstance(node, ProcessorNode) and node.outline:
        yield f"{type(node.operator).__name__}: {node.outline}"
    for parent in _above(topology, name):
        yield from _origin(topology, parent, seen)


def _keyed_by(topology: Topology, name: str, seen: set[str]) -> Iterator[str]:
    """Yield the nearest functions above a node that make keys."""
    if name in seen:
        return
    seen.add(name)
    node, above = topology.nodes[name], _above(topology, name)
    if isinstance(node, ProcessorNode) and isinstance(node.operator, Rekeying):
        yield node.outline
        return
    if not above:
        yield AS_READ
    for parent in above:
        yield from _keyed_by(topology, parent, seen)


def _above(topology: Topology, name: str) -> list[str]:
    """Return the names of the nodes above one, across repartition topics."""
    node, above = topology.nodes[name], list(topology.parents[name])
    if isinstance(node, SourceNode):
        above += [
            other
            for other, sink in topology.nodes.items()
            if isinstance(sink, SinkNode)
            and sink.topic in topology.repartition_topics
            and sink.topic in node.topics
        ]
    return above


def _topics(
    topology: Topology,
    stores: Mapping[str, StorePrint],
    application_id: str,
    plan: Plan | None,
    counts: Mapping[str, int],
) -> dict[str, TopicPrint]:
    found: dict[str, TopicPrint] = {}

    def partitions(name: str, *, internal: bool = False) -> int | None:
        if plan is not None:
            full = f"{application_id}-{name}" if internal else name
            return plan.partitions.get(full, counts.get(name))
        repartition = topology.repartition_topics.get(name)
        return repartition.partitions if repartition is not None else counts.get(name)

    globals_ = {store.topic for store in stores.values() if store.source == "global"}
    for part in topology.subtopologies:
        for node in part.sources:
            for topic in node.topics:
                role: Role = "repartition" if topic in topology.repartition_topics else "input"
                found[topic] = TopicPrint(
                    name=topic,
                    role="global" if topic in globals_ else role,
                    subtopology=None if part.is_global else part.id,
                    partitions=partitions(topic, internal=role == "repartition"),
                    key=_form(node.key),
                    value=_form(node.value),
                )
    for sink in topology.nodes.values():
        if isinstance(sink, SinkNode) and isinstance(sink.topic, str) and sink.topic not in found:
            found[sink.topic] = TopicPrint(
                name=sink.topic,
                role="output",
                partitions=sink.partitions,
                key=_form(sink.key),
                value=_form(sink.value),
            )
    for store in stores.values():
        if store.source == "changelog":
            found[store.topic] = TopicPrint(
                name=store.topic, role="changelog", partitions=partitions(store.topic, internal=True)
            )
    return found


def _form(serde: Serde[Any]) -> Form:
    if isinstance(serde, CodecSerde):
        return Form(serde.name, schema_of(serde))
    text = repr(serde)
    # What says nothing of itself shows its place in memory.
    name = f"{type(serde).__module__}.{type(serde).__qualname__}" if " at 0x" in text else text
    return Form(name, schema_of(serde))
