"""What aggregations of a grouped table share: the way there, which is always a repartition topic, and the store."""

from dataclasses import dataclass, field

from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.folds import DescribedFold
from headrace.dsl.graph import GraphNode
from headrace.dsl.grouping import Unwindowed, aggregate_store, aggregate_table
from headrace.dsl.repartitioning import repartition_topic
from headrace.dsl.serdes import Typed, first_known, required
from headrace.dsl.stream_state import Flow, TableState
from headrace.operators.grouped_table import TableAggregate
from headrace.serde.change import ChangeSerde
from headrace.state.spec import Engine
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import RepartitionTopic, SinkNode, SourceNode

__all__ = ["TableGrouping"]

_STORE = "KTABLE-AGGREGATE-"

_ROWS = Unwindowed(TableAggregate, count_burns_one=False)


class _TableRepartition(GraphNode):
    """A grouped table's way through an internal topic: sink, source. Its own name is the source's.

    Source: `GroupedTableOperationRepartitionNode`. The optimiser leaves it alone.
    """

    def __init__(
        self, name: str, where: Location, *, sink: str, topic: str, key: Typed, value: Typed
    ) -> None:
        super().__init__(name, where)
        self.sink = sink
        self.topic = topic
        self.key = key
        self.value = value

    def learn(self, *, key: Typed, value: Typed) -> None:
        """Take serdes from below where none has come from above, nor from an earlier call."""
        self.key = first_known(self.key, key)
        self.value = first_known(self.value, value)

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add topic, sink and source."""
        out.add_repartition_topic(RepartitionTopic(self.topic, None))
        key = required(self.key, self.sink, self.where)
        change = ChangeSerde(required(self.value, self.sink, self.where))
        out.add_sink(SinkNode(self.sink, self.topic, key, change, self.where, None), self.parent_names)
        out.add_source(SourceNode(self.name, (self.topic,), key, change, self.where))


@dataclass(slots=True)
class TableGrouping:
    """A grouped table's place, and the repartition that its aggregations share if the user named it."""

    flow: Flow
    name: str | None
    repartition: _TableRepartition | None = field(default=None)

    def table(self, fold: DescribedFold, store: AnyStore, name: Name, where: Location) -> TableState:
        """Fold the groups into a table. Indices are used up in Java's order: store, sink, source, node.

        Source: `KGroupedTableImpl.doAggregate`.
        """
        flow = self.flow
        graph = flow.building.graph
        made = aggregate_store(flow, fold, _ROWS, store, prefix=_STORE, where=where)
        sink = graph.names.suffixed(name, "-sink", "KSTREAM-SINK-", where)
        source = graph.names.suffixed(name, "-source", "KSTREAM-SOURCE-", where)
        node = graph.names.node(name, f"KTABLE-{fold.kind}-", where)
        if self.repartition is None or self.name is None:
            base = self.name if self.name is not None else made.name
            is_named = self.name is not None or made.queryable
            topic = repartition_topic(graph.names, base, is_named=is_named)
            self.repartition = _TableRepartition(
                source, where, sink=sink, topic=topic, key=flow.key, value=flow.value
            )
        self.repartition.learn(key=made.key, value=made.value if fold.keeps_values else flow.value)
        graph.add(self.repartition, flow.node)
        sources = frozenset({self.repartition.name})
        return aggregate_table(
            flow.building, fold, _ROWS, made, node=node, parent=self.repartition, sources=sources, where=where
        )
