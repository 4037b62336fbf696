"""What aggregations of a grouped stream share: the way there, the store, the serde of the result."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.functions import result_annotation
from headrace.dsl.graph import GraphNode, GraphProcessor, Repartition
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.repartitioning import new_repartition
from headrace.dsl.serdes import Typed, UnknownSerde, first_known, given, of_annotation
from headrace.dsl.stream_state import Flow, TableOperator, TableState
from headrace.operators.getters import Getter
from headrace.state.declaration import Store
from headrace.state.spec import StoreKind

__all__ = ["AGGREGATE", "REDUCE", "Aggregation", "Grouping", "aggregate_serde"]

AGGREGATE = "KSTREAM-AGGREGATE-"
REDUCE = "KSTREAM-REDUCE-"


@dataclass(slots=True)
class Grouping:
    """A grouped stream's place, and the repartition that its aggregations share if the user named it."""

    flow: Flow
    name: str | None
    repartition: Repartition | None = field(default=None)

    def parent_of(
        self, store: Materialized, where: Location, *, keeps_values: bool
    ) -> tuple[GraphNode, frozenset[str]]:
        """Return the node to aggregate below, and the sources above it, leading through a repartition if needed.

        Source: `GroupedStreamAggregateBuilder`.
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
        self.repartition.learn(key=store.key, value=store.value if keeps_values else flow.value)
        graph.add(self.repartition, flow.node)
        return self.repartition, frozenset({made.name})

    def aggregated(
        self,
        name: str,
        where: Location,
        operator: TableOperator,
        store: Materialized,
        key: Typed,
        getter: Getter,
        *,
        keeps_values: bool,
        calls: Callable[..., Any] | None,
    ) -> TableState:
        """Add an aggregation; return its table. `keeps_values`: the store's values are of the stream's type."""
        parent, sources = self.parent_of(store, where, keeps_values=keeps_values)
        graph = self.flow.building.graph
        node = GraphProcessor(name, where, operator, stores=(store,), calls=calls)
        graph.add(node, parent)
        flow = Flow(self.flow.building, name, node, key, store.value, sources)
        return TableState(flow, operator, lambda: getter, store.name if store.queryable else None)


class Aggregation:
    """What an aggregation's call decides before its node is made, in the order in which Java uses up indices."""

    def __init__(
        self,
        grouping: Grouping,
        *,
        prefix: str,
        kind: StoreKind,
        store: AnyStore,
        value: Typed,
        name: Name,
        where: Location,
        burns_one: bool = False,
    ) -> None:
        names = grouping.flow.building.graph.names
        declared = declared_store(store, kind, where)
        if burns_one and declared is not None and declared.name is None:
            # Java's count(Materialized) without a name uses up one more, which can no longer be changed.
            names.generate(prefix)
        _check_value(declared, value, where)
        self.store = Materialized.of(
            declared, kind=kind, names=names, prefix=prefix, key=grouping.flow.key, value=value, where=where
        )
        self.name = names.node(name, prefix, where)
        # A reduction's results are of the type that its values have, an aggregate's are not.
        self.keeps_values = prefix == REDUCE


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


def aggregate_serde(init: object, fn: Callable[..., Any], value: object, where: Location) -> Typed:
    """Return the serde of an aggregate: given, or of the class that makes the first one, or of an annotation."""
    explicit = given(value, "value", where)
    if explicit is not None:
        return explicit
    by_init = init if isinstance(init, type) else result_annotation(init) if callable(init) else None
    # A class that leaves open what it holds, such as dict, may be told by the aggregator.
    sources = [of_annotation(result_annotation(fn), fn, "value")]
    if callable(init):
        sources.insert(0 if isinstance(init, type) else 1, of_annotation(by_init, init, "value"))
    return first_known(*sources)
