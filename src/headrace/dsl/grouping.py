"""What aggregations of a grouped stream share, with windows or without: the way there, the store, the node."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.folds import DescribedFold
from headrace.dsl.graph import GraphNode, GraphProcessor, Repartition
from headrace.dsl.late import LateSink, LateTopic
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import Typed, UnknownSerde, first_known
from headrace.dsl.stream_state import Building, Flow, TableOperator, TableState
from headrace.operators.fold import Fold
from headrace.operators.getters import Getter, MapGetter, StoreGetter
from headrace.operators.results import ShowingResults
from headrace.operators.silence import Idle
from headrace.state.declaration import Store
from headrace.state.spec import StoreKind

__all__ = ["Grouping", "Unwindowed", "Windowing", "aggregate_store", "aggregate_table"]


class Windowing(Protocol):
    """How a group is cut before it is folded: into which rows of which kind of store."""

    @property
    def kind(self) -> StoreKind:
        """The kind of its stores."""

    @property
    def count_burns_one(self) -> bool:
        """Whether Java's count() uses up one more index where the store is declared without a name.

        That can no longer be changed.
        """

    @property
    def late(self) -> LateTopic | None:
        """Where records go that are late for all windows."""

    def settle(self, store: Materialized, where: Location) -> None:
        """Give the store what it has to know of the windows.

        Raises:
            TopologyError: it is declared with something that does not fit them.
        """

    @property
    def idle_ms(self) -> int | None:
        """After how long a silence of the input windows close; None where they wait for records."""

    def operator(self, fold: Fold, store: str, idle: Idle | None = None) -> TableOperator:
        """Make what folds records into the store."""

    def key(self, inner: Typed) -> Typed:
        """Return the serde of the table's keys, where those of the stream have the inner one."""

    def getter(self, store: str) -> Getter:
        """Return what looks the table up."""


class Unwindowed:
    """One row for each key; `aggregate` makes the operator of a fold and a store."""

    kind: StoreKind = "key_value"
    late: LateTopic | None = None
    idle_ms: int | None = None

    def __init__(
        self, aggregate: Callable[[Fold, str], TableOperator], *, count_burns_one: bool = True
    ) -> None:
        self._aggregate = aggregate
        self.count_burns_one = count_burns_one

    def settle(self, store: Materialized, where: Location) -> None:
        """There is nothing to know."""

    def operator(self, fold: Fold, store: str, idle: Idle | None = None) -> TableOperator:
        """Make what folds records into the store. There is no window to close."""
        return self._aggregate(fold, store)

    def key(self, inner: Typed) -> Typed:
        """Return the same."""
        return inner

    def getter(self, store: str) -> Getter:
        """Return what looks the table up."""
        return StoreGetter(store)


@dataclass(slots=True)
class Grouping:
    """A grouped stream's place, and the repartition that its aggregations share if the user named it."""

    flow: Flow
    name: str | None
    repartition: Repartition | None = field(default=None)

    def table(
        self, fold: DescribedFold, windowing: Windowing, store: AnyStore, name: Name, where: Location
    ) -> TableState:
        """Fold the stream into a table. Indices are used up in Java's order: store, node, repartition."""
        flow, prefix = self.flow, f"KSTREAM-{fold.kind}-"
        made = aggregate_store(flow, fold, windowing, store, prefix=prefix, where=where)
        node = flow.building.graph.names.node(name, prefix, where)
        windowing.settle(made, where)
        parent, sources = self.parent_of(made, where, keeps_values=fold.keeps_values)
        late = self.late_below(node, windowing, made)
        return aggregate_table(
            flow.building,
            fold,
            windowing,
            made,
            node=node,
            parent=parent,
            sources=sources,
            where=where,
            late=late,
        )

    def late_below(self, node: str, windowing: Windowing, store: Materialized) -> LateSink | None:
        """Return the sink of late records below a node that folds this stream into a store."""
        if windowing.late is None:
            return None
        return windowing.late.below(node, first_known(self.flow.key, store.key), self.flow.value)

    def parent_of(
        self, store: Materialized, where: Location, *, keeps_values: bool
    ) -> tuple[GraphNode, frozenset[str]]:
        """Return the node to aggregate below, and the sources above it, leading through a repartition if needed.

        `keeps_values`: the store's values are of the stream's type. Source: `GroupedStreamAggregateBuilder`.
        """
        flow = self.flow
        if not flow.needs_repartition:
            flow.building.graph.keyed |= flow.sources
            return flow.node, flow.sources
        graph = flow.building.graph
        made = new_repartition(
            graph.names,
            self.name if self.name is not None else store.name,
            key=flow.key,
            value=flow.value,
            where=where,
            is_named=self.name is not None or store.queryable,
        )
        if self.repartition is None or self.name is None:
            self.repartition = made
        else:
            graph.stand_ins[made.name] = self.repartition.name
        self.repartition.learn(key=store.key, value=store.value if keeps_values else flow.value)
        graph.add(self.repartition, flow.node)
        return self.repartition, frozenset({made.name})


def aggregate_store(
    flow: Flow, fold: DescribedFold, windowing: Windowing, store: AnyStore, *, prefix: str, where: Location
) -> Materialized:
    """Make the store of a fold's results.

    Raises:
        TopologyError: what is given is no store of this kind, or is declared with another serde.
    """
    names = flow.building.graph.names
    kind = windowing.kind
    declared = declared_store(store, kind, where, versions=kind == "key_value")
    if windowing.count_burns_one and fold.counts and declared is not None and declared.name is None:
        names.generate(prefix)
    _check_value(declared, fold.value, where)
    made = Materialized.of(
        declared, kind=kind, names=names, prefix=prefix, key=flow.key, value=fold.value, where=where
    )
    if fold.rows is not None and made.kind == "versioned":
        raise TopologyError(
            f"{where}: a ready-made aggregation has no versions: give store {made.name!r} another kind, or write "
            "aggregate(init, aggregator)"
        )
    made.rows = fold.rows
    return made


def _check_value(declared: Store[Any] | None, value: Typed, where: Location) -> None:
    if (
        declared is None
        or declared.value is None
        or isinstance(value, UnknownSerde)
        or declared.value == value
    ):
        return
    raise TopologyError(
        f"{where}: the result's values have {value!r}, but store '{declared.name}' is declared with {declared.value!r}"
    )


def aggregate_table(
    building: Building,
    fold: DescribedFold,
    windowing: Windowing,
    store: Materialized,
    *,
    node: str,
    parent: GraphNode,
    sources: frozenset[str],
    where: Location,
    late: LateSink | None = None,
) -> TableState:
    """Add the node that folds into the store; return its table."""
    idle = None if windowing.idle_ms is None else Idle(windowing.idle_ms)
    operator, getter = windowing.operator(fold.fold, store.name, idle), windowing.getter(store.name)
    if fold.rows is not None:
        operator = ShowingResults(operator, fold.rows.result)
        getter = MapGetter(getter, fold.rows.result, with_key=False)
    added = GraphProcessor(node, where, operator, stores=(store,), calls=fold.calls, late=late)
    added.grace_ms, added.idle = store.grace_ms, idle
    building.graph.add(added, parent)
    flow = Flow(building, node, added, windowing.key(store.key), store.value, sources)
    name = store.name if store.queryable else None
    return TableState(flow, operator, lambda: getter, name, history_ms=store.versions_ms)
