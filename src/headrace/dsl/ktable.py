"""Tables: the last value of each key. Source: `KTableImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Name, TableStore
from headrace.dsl.functions import WithKey, pair_of, plain, result_annotation
from headrace.dsl.global_tables import GlobalKTable
from headrace.dsl.graph import GraphNode, GraphProcessor
from headrace.dsl.kgrouped_table import KGroupedTable
from headrace.dsl.mappings import with_new_key
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.serdes import Typed, given, of_annotation, of_result
from headrace.dsl.stream_state import Flow, TableState, source_table
from headrace.dsl.table_grouping import TableGrouping
from headrace.dsl.table_table_joins import joined_tables
from headrace.operators.getters import FilterGetter, Getter, MapGetter, StoreGetter
from headrace.operators.grouped_table import TableSelect
from headrace.operators.table import TableFilter, TableMapValues, TableSource, ToStream
from headrace.serde.serde import SerdeOf
from headrace.state.spec import Engine
from headrace.topology.assembly import Assembly
from headrace.topology.locations import caller
from headrace.topology.nodes import ProcessorNode

if TYPE_CHECKING:
    from headrace.dsl.kstream import KStream

__all__ = ["KTable", "TableNode", "made_of_stream"]

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)
K2 = TypeVar("K2")
V2 = TypeVar("V2")
VO = TypeVar("VO")
R = TypeVar("R")


class KTable(Generic[K, V_co]):
    """A table that changes. Each method adds a node and returns what comes out of it; nothing runs yet.

    Predicates and mappers are never called with a null: a deletion stays one.
    """

    def __init__(self, state: TableState) -> None:
        self._state = state

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    @property
    def store_name(self) -> str | None:
        """Name of its store, if you gave it one."""
        return self._state.store_name

    def filter(
        self, predicate: Callable[[K, V_co], object], *, store: TableStore[K, V_co] = None, name: Name = None
    ) -> "KTable[K, V_co]":
        """Keep rows for which the predicate is true; a row that no longer passes is deleted."""
        return self._filter(predicate, store, name, caller(), negate=False)

    def filter_not(
        self, predicate: Callable[[K, V_co], object], *, store: TableStore[K, V_co] = None, name: Name = None
    ) -> "KTable[K, V_co]":
        """Keep rows for which the predicate is not true; a row that no longer is so is deleted."""
        return self._filter(predicate, store, name, caller(), negate=True)

    def _filter(
        self, predicate: object, store: AnyStore, name: Name, where: Location, *, negate: bool
    ) -> "KTable[Any, Any]":
        fn, _ = plain(predicate, "predicate", where, "key", "value")
        above = self._state.getter
        made = self._materialized(store, "KTABLE-FILTER-", self._state.flow.value, where)
        operator = TableFilter(
            fn, negate=negate, store=None if made is None or not made.queryable else made.name
        )
        # Where old values cost nothing, they tell which deletions nobody below has to hear of.
        operator.send_old = self._state.send_old_values(force=False)
        return self._then(
            name, "KTABLE-FILTER-", where, operator, made, lambda: FilterGetter(above(), fn, negate=negate)
        )

    def map_values(
        self,
        mapper: Callable[[V_co], V2] | WithKey[K, [V_co], V2],
        *,
        value: SerdeOf[V2] = None,
        store: TableStore[K, V2] = None,
        name: Name = None,
    ) -> "KTable[K, V2]":
        """Replace the values."""
        where = caller()
        fn, with_key = plain(mapper, "mapper", where, "value", keyed=True)
        above = self._state.getter
        serde = of_result(fn, value, "value", where)
        made = self._materialized(store, "KTABLE-MAPVALUES-", serde, where)
        operator = TableMapValues(
            fn, with_key=with_key, store=None if made is None or not made.queryable else made.name
        )
        return self._then(
            name,
            "KTABLE-MAPVALUES-",
            where,
            operator,
            made,
            lambda: MapGetter(above(), fn, with_key=with_key),
            value=serde,
        )

    def _materialized(
        self, store: AnyStore, prefix: str, value: Typed, where: Location
    ) -> Materialized | None:
        """Return what `store=` makes. Without a name it makes no store, but uses an index up, as in Java."""
        flow = self._state.flow
        declared = declared_store(store, "key_value", where)
        if declared is None:
            return None
        names = flow.building.graph.names
        return Materialized.of(declared, names=names, prefix=prefix, key=flow.key, value=value, where=where)

    def _then(
        self,
        given: str | None,
        prefix: str,
        where: Location,
        operator: TableFilter | TableMapValues,
        made: Materialized | None,
        getter: Callable[[], Getter],
        *,
        value: Typed | None = None,
    ) -> "KTable[Any, Any]":
        flow = self._state.flow
        name = flow.building.graph.names.node(given, prefix, where)
        key = flow.key if made is None else made.key
        value = (flow.value if value is None else value) if made is None else made.value
        calls = operator.predicate if isinstance(operator, TableFilter) else operator.fn
        if made is None or not made.queryable:
            node = GraphProcessor(name, where, operator, calls=calls)
            out = flow.then(node, key=key, value=value)
            return KTable(TableState(out, operator, getter, None, parent=self._state))
        node = GraphProcessor(name, where, operator, stores=(made,), calls=calls)
        kept = StoreGetter(made.name)
        out = flow.then(node, key=key, value=value)
        return KTable(TableState(out, operator, lambda: kept, made.name, parent=self._state))

    def group_by(
        self,
        selector: Callable[[K, V_co], tuple[K2, V2]],
        *,
        key: SerdeOf[K2] = None,
        value: SerdeOf[V2] = None,
        name: Name = None,
    ) -> "KGroupedTable[K2, V2]":
        """Put each row into the group that the selector gives, as `(group, value)`; None is no group.

        A row that changes leaves the group it was in: aggregations subtract what they have added. `key` and `value` are
        the serdes of the pair.
        """
        where = caller()
        fn, _ = plain(selector, "selector", where, "key", "value")
        key_annotation, value_annotation = pair_of(result_annotation(fn))
        grouped = self._state.flow.then_stateless(
            name,
            "KTABLE-SELECT-",
            where,
            TableSelect(fn),
            calls=fn,
            key=given(key, "key", where) or of_annotation(key_annotation, fn, "key"),
            value=given(value, "value", where) or of_annotation(value_annotation, fn, "value"),
        )
        # Without its old value, nobody would know what to subtract.
        self._state.send_old_values(force=True)
        return KGroupedTable(TableGrouping(grouped, name), KTable)

    def join(
        self,
        other: "KTable[K, VO]",
        joiner: Callable[[V_co, VO], R],
        *,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]":
        """Join with the other table's row of the same key: a row for each key that both tables have.

        An update of either side updates the result, with the higher time of both rows; a row that goes deletes it. The
        result is kept only with `store=`; where something below needs it, it is joined again. A joiner's None deletes.
        The topics on both sides need equal partition counts, which the start checks.

        Raises:
            TopologyError: what is joined is no table, its keys are of another type, or the joiner does not take
                `(value, other)`.
        """
        return self._join(other, joiner, value, store, name, caller(), keeps_this=False, keeps_other=False)

    def left_join(
        self,
        other: "KTable[K, VO]",
        joiner: Callable[[V_co, VO | None], R],
        *,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]":
        """Join with the other table's row of the same key, or with None: a row for each key that this table has.

        Else as `join`.
        """
        return self._join(other, joiner, value, store, name, caller(), keeps_this=True, keeps_other=False)

    def outer_join(
        self,
        other: "KTable[K, VO]",
        joiner: Callable[[V_co | None, VO | None], R],
        *,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]":
        """Join rows of the same key, with None for the one that is missing: a row for each key that either table has.

        Else as `join`.
        """
        return self._join(other, joiner, value, store, name, caller(), keeps_this=True, keeps_other=True)

    def _join(
        self,
        other: object,
        joiner: object,
        value: object,
        store: AnyStore,
        name: Name,
        where: Location,
        *,
        keeps_this: bool,
        keeps_other: bool,
    ) -> "KTable[Any, Any]":
        if not isinstance(other, KTable):
            hint = "builder.table(...) makes one"
            if isinstance(other, self._state.flow.building.stream):
                hint = "to_table() makes one of a stream"
            elif isinstance(other, GlobalKTable):
                hint = "a global table is joined by streams: to_stream().join(global_table, joiner, on=…)"
            raise TopologyError(f"{where}: a table is joined with a table, found {other!r}; {hint}")
        return KTable(
            joined_tables(
                self._state,
                other._state,
                joiner,
                value,
                store,
                name=name,
                where=where,
                keeps_this=keeps_this,
                keeps_other=keeps_other,
            )
        )

    @overload
    def to_stream(self, *, name: Name = None) -> "KStream[K, V_co]": ...
    @overload
    def to_stream(
        self, selector: Callable[[K, V_co], K2], *, key: SerdeOf[K2] = None, name: Name = None
    ) -> "KStream[K2, V_co]": ...
    def to_stream(self, selector: Any = None, *, key: Any = None, name: Name = None) -> "KStream[Any, Any]":
        """Take each update as a record; a deletion has the value None. `selector` then replaces the key."""
        where = caller()
        flow = self._state.flow.then_stateless(
            name, "KTABLE-TOSTREAM-", where, ToStream(), needs_repartition=False
        )
        if selector is not None:
            flow = with_new_key(flow, selector, key=key, name=None, where=where)
        stream: KStream[Any, Any] = flow.building.stream(flow)
        return stream


class TableNode(GraphNode):
    """A stream's end as a table; its store is added only if something needs it."""

    def __init__(self, name: str, where: Location, operator: TableSource, store: Materialized) -> None:
        super().__init__(name, where)
        self.operator = operator
        self.store = store

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add store and processor."""
        stores: tuple[str, ...] = ()
        if self.operator.store is not None:
            out.add_store(self.store.spec(self.name, engine))
            stores = (self.store.name,)
        out.add_processor(ProcessorNode(self.name, self.operator, self.where, stores), self.parent_names)


def made_of_stream(flow: Flow, name: str, store: Materialized, where: Location) -> TableState:
    """Add the node of `to_table`; return the table."""
    operator = TableSource(store.name if store.queryable else None)
    return source_table(flow.then(TableNode(name, where, operator, store)), operator, store.name)
