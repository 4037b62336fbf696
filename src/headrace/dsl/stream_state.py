"""What a stream or a table knows of itself while the topology is described."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from headrace.base.ids import Location
from headrace.dsl.graph import Graph, GraphNode, GraphProcessor, Repartition
from headrace.dsl.materialized import Materialized
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import Typed, first_known
from headrace.operators.getters import Getter, StoreGetter
from headrace.operators.table import TableSource
from headrace.state.spec import Engine
from headrace.topology.wiring import Operator

__all__ = ["Building", "Flow", "TableOperator", "TableState", "source_table"]


class TableOperator(Operator, Protocol):
    """What a table's node does: it may have a store, and sends old values if it is asked to."""

    store: str | None
    send_old: bool


@dataclass(frozen=True, slots=True)
class Building:
    """A builder's graph and its choices.

    Attributes:
        stream: the class of streams, which tables and branches make too; they know it from here alone, since a stream
            makes tables and branches.
    """

    graph: Graph
    engine: Engine
    stream: type[Any]


@dataclass(slots=True)
class Flow:
    """A stream's or table's place in the graph.

    Attributes:
        name: of its node; a repartition for a join is named after it.
        sources: source nodes of its sub-topology, whose topics must agree with those of what it meets.
        needs_repartition: its keys may have changed since they decided the partition.
        repartition: the one made for an earlier join of this stream, which later ones share.
    """

    building: Building
    name: str
    node: GraphNode
    key: Typed
    value: Typed
    sources: frozenset[str]
    needs_repartition: bool = False
    repartition: Repartition | None = None

    def then(self, node: GraphNode, **changes: Any) -> "Flow":
        """Add a node below this one; return the flow out of it."""
        self.building.graph.add(node, self.node)
        return replace(self, name=node.name, node=node, repartition=None, **changes)

    def then_stateless(
        self,
        given: str | None,
        prefix: str,
        where: Location,
        operator: Operator,
        *,
        calls: Callable[..., Any] | None = None,
        **changes: Any,
    ) -> "Flow":
        """Add a processor without stores below this one; `calls` is the user's function."""
        name = self.building.graph.names.node(given, prefix, where)
        return self.then(GraphProcessor(name, where, operator, calls=calls), **changes)

    def repartitioned_for_join(self, given: str | None, other_key: Typed, where: Location) -> "Flow":
        """Lead through a repartition topic if the keys may have changed. Source: `KStreamImpl.repartitionForJoin`.

        `other_key` is the serde of what it will be joined with, which has keys of the same type.
        """
        if not self.needs_repartition:
            return self
        graph = self.building.graph
        base = self.name if given is None else given
        made = new_repartition(
            graph.names, base, key=self.key, value=self.value, where=where, is_named=given is not None
        )
        source = made.name
        if self.repartition is None or self.name != base:
            self.repartition = made
            graph.add(made, self.node)
        else:
            graph.stand_ins[made.name] = self.repartition.name
        self.repartition.learn(key=other_key, value=self.value)
        return replace(
            self,
            name=source,
            node=self.repartition,
            key=first_known(self.key, other_key),
            sources=frozenset({source}),
            needs_repartition=False,
            repartition=None,
        )


@dataclass(slots=True)
class TableState:
    """What a table knows beside its flow.

    Attributes:
        operator: of its node.
        getter: makes what a join looks it up with; a source table keeps its content from then on.
        store_name: of its store if the user named it.
        parent: the table that a filter or a mapping is made of.
        joined: the two tables that a join is made of.
        source_store: name of the store that a source table gets if something needs its content.
        history_ms: how far back its store's versions go; -1 where it has none, None where it has no store and `parent`
            tells.
    """

    flow: Flow
    operator: TableOperator
    getter: Callable[[], Getter]
    store_name: str | None
    parent: "TableState | None" = None
    joined: "tuple[TableState, ...]" = ()
    source_store: str = ""
    history_ms: int | None = -1

    @property
    def versions_ms(self) -> int:
        """How far the table can be looked back in; -1 where it has no versions.

        Source: `InternalStreamsBuilder.enableVersionedSemantics`.
        """
        if self.history_ms is not None or self.parent is None:
            return -1 if self.history_ms is None else self.history_ms
        return self.parent.versions_ms

    @property
    def is_versioned(self) -> bool:
        """Whether an update may be one that is not the latest of its key."""
        return self.versions_ms >= 0

    def send_old_values(self, *, force: bool) -> bool:
        """Ask for old values in the table's updates; return whether they will be there.

        Only `force` makes a source table keep its content for it, or a join, which has looked it up anyway. Source:
        `KTableImpl.enableSendingOldValues`, `KTableKTableJoinMerger.enableSendingOldValues`.
        """
        operator = self.operator
        if operator.send_old:
            return True
        for side in self.joined:
            # Even if it keeps its results: their old values are made of those of both sides.
            side.send_old_values(force=True)
        if operator.store is None and not self.joined:
            if not isinstance(operator, TableSource):
                operator.send_old = self.parent is not None and self.parent.send_old_values(force=force)
                return operator.send_old
            if not force:
                return False
            operator.store = self.source_store
        operator.send_old = True
        return True


def source_table(flow: Flow, operator: TableSource, store: Materialized) -> TableState:
    """Return the state of a table that is read, or made of a stream: it keeps its content once it is looked up."""

    def getter() -> Getter:
        operator.store = store.name
        return StoreGetter(store.name)

    history_ms = store.versions_ms
    return TableState(flow, operator, getter, operator.store, source_store=store.name, history_ms=history_ms)
