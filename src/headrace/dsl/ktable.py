"""Tables: the last value of each key. Source: `KTableImpl`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, KeyPartitioner, Name, Predicate, TableStore
from headrace.dsl.foreign_key_joins import joined_by_foreign_key
from headrace.dsl.functions import WithKey, pair_of, plain, result_annotation
from headrace.dsl.global_tables import GlobalKTable
from headrace.dsl.kgrouped_table import KGroupedTable
from headrace.dsl.mappings import with_new_key
from headrace.dsl.serdes import of_annotation
from headrace.dsl.stream_state import TableState
from headrace.dsl.suppressed import Suppressed
from headrace.dsl.suppressing import suppressed_table
from headrace.dsl.table_grouping import TableGrouping
from headrace.dsl.table_table_joins import joined_tables
from headrace.dsl.table_views import filtered_table, mapped_table, transformed_table
from headrace.expressions.expression import Expression
from headrace.operators.grouped_table import TableSelect
from headrace.operators.table import ToStream
from headrace.processor.api import FixedKeyProcessorSupplier
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.state.declaration import Store
from headrace.topology.arguments import given
from headrace.topology.locations import caller

if TYPE_CHECKING:
    from headrace.dsl.kstream import KStream

__all__ = ["KTable"]

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)
K2 = TypeVar("K2")
V2 = TypeVar("V2")
KG = TypeVar("KG")
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
        self, predicate: Predicate[K, V_co], *, store: TableStore[K, V_co] = None, name: Name = None
    ) -> "KTable[K, V_co]":
        """Keep rows for which the predicate is true; a row that no longer passes is deleted."""
        return KTable(filtered_table(self._state, predicate, store, name, caller(), negate=False))

    def filter_not(
        self, predicate: Predicate[K, V_co], *, store: TableStore[K, V_co] = None, name: Name = None
    ) -> "KTable[K, V_co]":
        """Keep rows for which the predicate is not true; a row that no longer is so is deleted."""
        return KTable(filtered_table(self._state, predicate, store, name, caller(), negate=True))

    @overload
    def map_values(
        self,
        mapper: Expression[Any] | Mapping[str, object],
        *,
        value: SerdeLike[V2],
        store: TableStore[K, V2] = None,
        name: Name = None,
    ) -> "KTable[K, V2]": ...
    @overload
    def map_values(
        self,
        mapper: Mapping[str, object],
        *,
        value: None = None,
        store: TableStore[K, dict[str, Any]] = None,
        name: Name = None,
    ) -> "KTable[K, dict[str, Any]]": ...
    @overload
    def map_values(
        self,
        mapper: Callable[[V_co], V2] | WithKey[K, [V_co], V2] | Expression[V2],
        *,
        value: SerdeOf[V2] = None,
        store: TableStore[K, V2] = None,
        name: Name = None,
    ) -> "KTable[K, V2]": ...
    def map_values(
        self, mapper: object, *, value: Any = None, store: Any = None, name: Name = None
    ) -> "KTable[K, Any]":
        """Replace the values. A dictionary of expressions makes one of their results."""
        return KTable(mapped_table(self._state, mapper, value, store, name, caller()))

    def transform_values(
        self,
        processor: FixedKeyProcessorSupplier[K, V_co, V2],
        *stores: str | Store[Any],
        value: SerdeOf[V2] = None,
        store: TableStore[K, V2] = None,
        name: Name = None,
    ) -> "KTable[K, V2]":
        """Replace the values by what a processor gives, which may use stores and punctuation.

        It is a class, or a function that makes a new one each time; `stores` are added and connected, or only
        connected where they are named. It gives one value for each record, or none: that is a deletion. Deletions are
        records too, with None for the value. It forwards nothing. Where the result has no store, it is also asked for
        the values of old rows, and what looks the table up asks one of its own.

        Raises:
            TopologyError: the processor is none, or `stores` names something else than stores.
        """
        return KTable(transformed_table(self._state, processor, stores, value, store, name, caller()))

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

    def suppress(self, suppressed: Suppressed) -> "KTable[K, V_co]":
        """Hold updates back: of each key only the last one goes on, when `suppressed` says.

        That is `hr.until_window_closes()`, for the final result of each window, or `hr.until_time_limit("5m")`. Time is
        that of the records which come here. What is held back is kept by the application's state, and goes on as the
        record that caused it. In a join, the result is the table as it was last sent on.

        Raises:
            TopologyError: it is not said how, or windows are to close and this is no table of windows.
        """
        return KTable(suppressed_table(self._state, suppressed, caller()))

    @overload
    def join(
        self,
        other: "KTable[K, VO]",
        joiner: Callable[[V_co, VO], R],
        *,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]": ...
    @overload
    def join(
        self,
        other: "KTable[KG, VO]",
        joiner: Callable[[V_co, VO], R],
        *,
        on: Callable[[V_co], KG | None] | WithKey[K, [V_co], KG | None] | Expression[KG],
        partitioner: KeyPartitioner[K] = None,
        other_partitioner: KeyPartitioner[KG] = None,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]": ...
    def join(
        self,
        other: Any,
        joiner: Callable[..., Any],
        *,
        on: object = None,
        partitioner: KeyPartitioner[Any] = None,
        other_partitioner: KeyPartitioner[Any] = None,
        value: object = None,
        store: AnyStore = None,
        name: Name = None,
    ) -> "KTable[Any, Any]":
        """Join with the other table's row of the same key, or of the key that `on` takes from a row's value.

        There is a row for each key of this table that has a match. An update of either side updates the result; a row
        that goes deletes it, and so does a joiner's None.

        By the same key: the result's time is the higher one of both rows. It is kept only with `store=`; where
        something below needs it, it is joined again. The topics on both sides need equal partition counts, as the
        start checks.

        By a foreign key, `on`: any number of rows may have the same match; one whose key is None has none. The tables
        may be partitioned as they like: a row asks for its match through an internal topic, and the answer comes
        through another one. An answer about a row that has changed meanwhile is let go, since that has asked anew.
        `partitioner` says where answers go instead of to who asked, `other_partitioner` where the other table's keys
        are, if not where Kafka's default partitioner puts them; both are given None for the value.

        Raises:
            TopologyError: what is joined is no table, its keys are of another type, or `joiner` or `on` take other
                arguments.
        """
        return self._join(
            other,
            joiner,
            on,
            (partitioner, other_partitioner),
            value=value,
            store=store,
            name=name,
            where=caller(),
            keeps_this=False,
        )

    @overload
    def left_join(
        self,
        other: "KTable[K, VO]",
        joiner: Callable[[V_co, VO | None], R],
        *,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]": ...
    @overload
    def left_join(
        self,
        other: "KTable[KG, VO]",
        joiner: Callable[[V_co, VO | None], R],
        *,
        on: Callable[[V_co], KG | None] | WithKey[K, [V_co], KG | None] | Expression[KG],
        partitioner: KeyPartitioner[K] = None,
        other_partitioner: KeyPartitioner[KG] = None,
        value: SerdeOf[R] = None,
        store: TableStore[K, R] = None,
        name: Name = None,
    ) -> "KTable[K, R]": ...
    def left_join(
        self,
        other: Any,
        joiner: Callable[..., Any],
        *,
        on: object = None,
        partitioner: KeyPartitioner[Any] = None,
        other_partitioner: KeyPartitioner[Any] = None,
        value: object = None,
        store: AnyStore = None,
        name: Name = None,
    ) -> "KTable[Any, Any]":
        """Join with the other table's row, or with None: a row for each key that this table has.

        Else as `join`.
        """
        return self._join(
            other,
            joiner,
            on,
            (partitioner, other_partitioner),
            value=value,
            store=store,
            name=name,
            where=caller(),
            keeps_this=True,
        )

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
        return KTable(
            joined_tables(
                self._state,
                self._joined_with(other, caller()),
                joiner,
                value,
                store,
                name=name,
                where=caller(),
                keeps_this=True,
                keeps_other=True,
            )
        )

    def _join(
        self,
        other: object,
        joiner: object,
        on: object,
        partitioners: tuple[Callable[..., Any] | None, Callable[..., Any] | None],
        *,
        value: object,
        store: AnyStore,
        name: Name,
        where: Location,
        keeps_this: bool,
    ) -> "KTable[Any, Any]":
        other_state = self._joined_with(other, where)
        if on is None:
            if partitioners != (None, None):
                raise TopologyError(
                    f"{where}: partitioners are for a join by a foreign key: write on=, or leave them out"
                )
            return KTable(
                joined_tables(
                    self._state,
                    other_state,
                    joiner,
                    value,
                    store,
                    name=name,
                    where=where,
                    keeps_this=keeps_this,
                    keeps_other=False,
                )
            )
        partitioner, other_partitioner = partitioners
        return KTable(
            joined_by_foreign_key(
                self._state,
                other_state,
                joiner,
                on,
                partitioner=partitioner,
                other_partitioner=other_partitioner,
                value=value,
                store=store,
                name=name,
                where=where,
                keeps_this=keeps_this,
            )
        )

    def _joined_with(self, other: object, where: Location) -> TableState:
        if isinstance(other, KTable):
            return other._state
        hint = "builder.table(...) makes one"
        if isinstance(other, self._state.flow.building.stream):
            hint = "to_table() makes one of a stream"
        elif isinstance(other, GlobalKTable):
            hint = "a global table is joined by streams: to_stream().join(global_table, joiner, on=…)"
        raise TopologyError(f"{where}: a table is joined with a table, found {other!r}; {hint}")

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
