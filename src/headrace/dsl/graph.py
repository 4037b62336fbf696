"""The logical graph: what the builder's calls describe, before it is rewritten and becomes a topology.

Source: `GraphNode` and its kinds, `InternalStreamsBuilder`.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from headrace.base.callables import outline, short_name
from headrace.base.ids import Location
from headrace.dsl.late import LateSink
from headrace.dsl.materialized import Materialized
from headrace.dsl.naming import Names
from headrace.dsl.serdes import Typed, first_known, required
from headrace.operators.silence import Idle
from headrace.operators.stateless import RepartitionFilter
from headrace.operators.table import TableSource
from headrace.state.spec import Engine, StoreSpec
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode, RepartitionTopic, SinkNode, SourceNode
from headrace.topology.partitioners import Partitioner
from headrace.topology.wiring import Operator

__all__ = [
    "Graph",
    "GraphNode",
    "GraphProcessor",
    "GraphSink",
    "GraphStore",
    "Repartition",
    "StreamSource",
    "TableSourceNode",
]


class GraphNode:
    """A call of the builder.

    Attributes:
        priority: nodes are written in this order, once all their parents are.
        changes_key, changes_value: whether what follows may have other keys or values.
        is_merge: joins two streams into one.
        relaxes_null_keys: a left join that has use for null keys (KIP-962).
        grace_ms: how long after its end a window of what this makes may change; None where it makes no windows.
        idle: after how long a silence those windows close; None where they wait for records.
        parents, children: in the order of linking.
    """

    def __init__(self, name: str, where: Location) -> None:
        self.name = name
        self.where = where
        self.priority = -1
        self.changes_key = False
        self.changes_value = False
        self.is_merge = False
        self.relaxes_null_keys = False
        self.grace_ms: int | None = None
        self.idle: Idle | None = None
        self.is_written = False
        self.parents: dict[GraphNode, None] = {}
        self.children: dict[GraphNode, None] = {}

    def add_child(self, child: "GraphNode") -> None:
        """Link; twice is fine."""
        self.children[child] = None
        child.parents[self] = None

    def remove_child(self, child: "GraphNode") -> None:
        """Undo a link."""
        self.children.pop(child, None)
        child.parents.pop(self, None)

    @property
    def parent_names(self) -> tuple[str, ...]:
        """Names of the parents."""
        return tuple(parent.name for parent in self.parents)

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add what this node stands for. The root stands for nothing."""


class GraphProcessor(GraphNode):
    """A processor. Adds and connects stores of its own, and connects others. `late` is the sink of late records."""

    def __init__(
        self,
        name: str,
        where: Location,
        operator: Operator,
        *,
        stores: Sequence[Materialized | StoreSpec] = (),
        uses: Sequence[str] = (),
        calls: Callable[..., Any] | None = None,
        late: LateSink | None = None,
    ) -> None:
        super().__init__(name, where)
        self.operator = operator
        self.stores = stores
        self.uses = uses
        self.calls = "" if calls is None else short_name(calls)
        self.outline = "" if calls is None else outline(calls)
        self.late = late

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add stores, processor, and the sink of late records."""
        specs = [
            store if isinstance(store, StoreSpec) else store.spec(self.name, engine) for store in self.stores
        ]
        for spec in specs:
            out.add_store(spec)
        names = (*(spec.name for spec in specs), *self.uses)
        late = "" if self.late is None else self.late.name
        node = ProcessorNode(self.name, self.operator, self.where, names, self.calls, late, self.outline)
        out.add_processor(node, self.parent_names)
        if self.late is not None:
            out.add_sink(self.late.node(), (self.name,))


class GraphStore(GraphNode):
    """A store that processors will be connected to by its name."""

    def __init__(self, name: str, where: Location, spec: StoreSpec) -> None:
        super().__init__(name, where)
        self.spec = spec

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add the store."""
        out.add_store(self.spec)


class StreamSource(GraphNode):
    """A stream's source."""

    def __init__(
        self,
        name: str,
        where: Location,
        *,
        topics: tuple[str, ...],
        pattern: str | None,
        key: Typed,
        value: Typed,
        timestamp: Callable[[Any, int], int] | None,
        offset_reset: Any,
    ) -> None:
        super().__init__(name, where)
        self.topics = topics
        self.pattern = pattern
        self.key = key
        self.value = value
        self.timestamp = timestamp
        self.offset_reset = offset_reset

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add the source."""
        out.add_source(
            SourceNode(
                self.name,
                self.topics,
                required(self.key, self.name, self.where),
                required(self.value, self.name, self.where),
                self.where,
                self.timestamp,
                self.offset_reset,
                self.pattern,
            )
        )


class TableSourceNode(GraphNode):
    """A table's source and the processor behind it; its store is added only if something needs it."""

    def __init__(
        self,
        name: str,
        where: Location,
        *,
        source: str,
        topic: str,
        key: Typed,
        value: Typed,
        operator: TableSource,
        store: Materialized,
        timestamp: Callable[[Any, int], int] | None,
        offset_reset: Any,
    ) -> None:
        super().__init__(name, where)
        self.source = source
        self.topic = topic
        self.key = key
        self.value = value
        self.operator = operator
        self.store = store
        self.timestamp = timestamp
        self.offset_reset = offset_reset

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add source, store and processor."""
        out.add_source(
            SourceNode(
                self.source,
                (self.topic,),
                required(self.key, self.source, self.where),
                required(self.value, self.source, self.where),
                self.where,
                self.timestamp,
                self.offset_reset,
            )
        )
        stores: tuple[str, ...] = ()
        if self.operator.store is not None:
            out.add_store(self.store.spec(self.name, engine))
            stores = (self.store.name,)
        out.add_processor(ProcessorNode(self.name, self.operator, self.where, stores), (self.source,))


class Repartition(GraphNode):
    """A way through an internal topic: filter, sink, source. Its own name is the source's.

    Attributes:
        key, value: the serdes that travel with the stream.
        key_below, value_below: the same if they are known, else what is declared below.
        optimizable: whether the optimiser may put one in the place of several.
    """

    def __init__(
        self,
        where: Location,
        *,
        source: str,
        sink: str,
        filter: str,
        topic: str,
        key: Typed,
        value: Typed,
        optimizable: bool = True,
        partitioner: Partitioner | None = None,
        partitions: int | None = None,
    ) -> None:
        super().__init__(source, where)
        self.sink = sink
        self.filter = filter
        self.topic = topic
        self.key = self.key_below = key
        self.value = self.value_below = value
        self.optimizable = optimizable
        self.partitioner = partitioner
        self.partitions = partitions
        self.keeps_null_keys = False

    def learn(self, *, key: Typed, value: Typed) -> None:
        """Take serdes from below where none has come from above, nor from an earlier call."""
        self.key_below = first_known(self.key_below, key)
        self.value_below = first_known(self.value_below, value)

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add topic, filter, sink and source."""
        out.add_repartition_topic(RepartitionTopic(self.topic, self.partitions))
        keep = RepartitionFilter(keep_null_keys=self.keeps_null_keys)
        out.add_processor(ProcessorNode(self.filter, keep, self.where), self.parent_names)
        key = required(self.key_below, self.sink, self.where)
        value = required(self.value_below, self.sink, self.where)
        out.add_sink(
            SinkNode(self.sink, self.topic, key, value, self.where, self.partitioner), (self.filter,)
        )
        out.add_source(SourceNode(self.name, (self.topic,), key, value, self.where))


class GraphSink(GraphNode):
    """A sink."""

    def __init__(
        self,
        name: str,
        where: Location,
        *,
        topic: str | Callable[[Any, Any, Any], str],
        key: Typed,
        value: Typed,
        partitioner: Partitioner | None,
        partitions: int | None,
    ) -> None:
        super().__init__(name, where)
        self.topic = topic
        self.key = key
        self.value = value
        self.partitioner = partitioner
        self.partitions = partitions

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add the sink."""
        key, value = required(self.key, self.name, self.where), required(self.value, self.name, self.where)
        out.add_sink(
            SinkNode(self.name, self.topic, key, value, self.where, self.partitioner, self.partitions),
            self.parent_names,
        )


class Graph:
    """All nodes below a root, and what was said beside them.

    Attributes:
        order: every node, in the order of adding.
        copartitioned: sets of source nodes that meet in a join.
        stand_ins: names of sources, with the sources that stand in for them: each join of a stream names
            a repartition's source, and from the second one on it is that of the first.
        keyed: source nodes whose keys are taken as they lie, by a join or an aggregation.
        declared_partitions: of topics that are read, with the place of the call.
        partitioned_otherwise: topics that are read, and whose keys others place in a way of their own.
        global_stores: by name; processors read them without being connected.
    """

    def __init__(self) -> None:
        self.names = Names()
        self.root = GraphNode("root", Location("", 0))
        self.order: list[GraphNode] = []
        self.copartitioned: list[frozenset[str]] = []
        self.stand_ins: dict[str, str] = {}
        self.keyed: set[str] = set()
        self.declared_partitions: list[tuple[str, int, Location]] = []
        self.partitioned_otherwise: set[str] = set()
        self.global_stores: dict[str, StoreSpec] = {}
        self._priority = 0

    def add(self, node: GraphNode, *parents: GraphNode) -> None:
        """Put a node below parents, or below the root. A node that is added again is written later."""
        for parent in parents or (self.root,):
            parent.add_child(node)
            node.priority = self._priority
            self._priority += 1
        if node not in self.order:
            self.order.append(node)

    def copartition(self, *streams: Iterable[str], by_key: bool = True) -> frozenset[str]:
        """Note that these sources' topics need equal partition counts; return all of them.

        `by_key` says that a key decides the partition, so that it has to lie where its bytes put it.
        """
        sources = frozenset(name for names in streams for name in names)
        self.copartitioned.append(sources)
        if by_key:
            self.keyed |= sources
        return sources

    def rename_source(self, old: str, new: str) -> None:
        """Let another node stand for a source wherever partition counts must be equal."""
        self.copartitioned = [
            frozenset(new if name == old else name for name in sources) for sources in self.copartitioned
        ]
        self.stand_ins = {name: new if other == old else other for name, other in self.stand_ins.items()}
        self.keyed = {new if name == old else name for name in self.keyed}

    def write(self, engine: Engine) -> Assembly:
        """Write all nodes, by priority, each after its parents."""
        out = Assembly()
        for topic, partitions, where in self.declared_partitions:
            out.declare_partitions(topic, partitions, where)
        self.root.is_written = True
        count = 0
        waiting: list[tuple[int, int, GraphNode]] = []
        written = self.root
        while True:
            for child in written.children:
                count += 1
                heapq.heappush(waiting, (child.priority, count, child))
            while waiting:
                _, _, node = heapq.heappop(waiting)
                if not node.is_written and all(parent.is_written for parent in node.parents):
                    break
            else:
                break
            node.write(out, engine)
            node.is_written = True
            written = node
        for sources in self.copartitioned:
            out.copartition(sources)
        out.stand_ins |= self.stand_ins
        out.keyed |= self.keyed
        out.partitioned_otherwise |= self.partitioned_otherwise
        return out
