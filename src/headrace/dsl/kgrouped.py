"""A stream grouped by its keys: counted, reduced, aggregated. Source: `KGroupedStreamImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import Name, TableStore
from headrace.dsl.functions import deletions_of, plain
from headrace.dsl.grouping import AGGREGATE, REDUCE, Aggregation, Grouping, aggregate_serde
from headrace.dsl.ktable import KTable
from headrace.dsl.stream_state import TableOperator
from headrace.dsl.time_windowed import TimeWindowedKStream
from headrace.dsl.windows import TimeWindows
from headrace.operators.aggregate import Aggregate, Count, Reduce
from headrace.operators.getters import StoreGetter
from headrace.serde.primitives import int64
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.topology.locations import caller

__all__ = ["KGroupedStream"]

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class KGroupedStream(Generic[K, V]):
    """A stream whose records with equal keys belong together. Made by `group_by_key` and `group_by`.

    Stores are cached unless they say otherwise: of a key's updates the last one goes on with each commit. The test
    driver commits after each record, and shows them all.
    """

    def __init__(self, grouping: Grouping) -> None:
        self._grouping = grouping

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: TableStore[K, int] = None, name: Name = None) -> "KTable[K, int]":
        """Count the records of each key. Null keys and null values are dropped."""
        where = caller()
        step = Aggregation(
            self._grouping,
            prefix=AGGREGATE,
            kind="key_value",
            store=store,
            value=int64,
            name=name,
            where=where,
            burns_one=True,
        )
        return self._table(step, Count(step.store.name), where)

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: TableStore[K, V] = None, name: Name = None
    ) -> "KTable[K, V]":
        """Fold each key's values, all of one type: `reducer(aggregate, value)`; the first value is the first result."""
        where = caller()
        fn, _ = plain(reducer, "reducer", where, "aggregate", "value")
        step = Aggregation(
            self._grouping,
            prefix=REDUCE,
            kind="key_value",
            store=store,
            value=self._grouping.flow.value,
            name=name,
            where=where,
        )
        return self._table(step, Reduce(fn, step.store.name, deletions_of(fn)), where, fn)

    @overload
    def aggregate(
        self,
        init: type[A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeOf[A] = None,
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    @overload
    def aggregate(
        self,
        init: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeLike[A],
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
    def aggregate(
        self,
        init: Callable[[], Any],
        aggregator: Callable[[K, V, Any], Any],
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[K, Any]":
        """Fold each key's records into a value of another type: `aggregator(key, value, aggregate)`.

        `init` makes a key's first aggregate; a class is initialiser, type and serde at once. A result of None deletes
        the key. Null keys and null values are dropped.
        """
        where = caller()
        make, _ = plain(init, "initialiser", where)
        fn, _ = plain(aggregator, "aggregator", where, "key", "value", "aggregate")
        step = Aggregation(
            self._grouping,
            prefix=AGGREGATE,
            kind="key_value",
            store=store,
            value=aggregate_serde(init, fn, value, where),
            name=name,
            where=where,
        )
        return self._table(step, Aggregate(make, fn, step.store.name, deletions_of(fn)), where, fn)

    def windowed_by(self, windows: TimeWindows) -> "TimeWindowedKStream[K, V]":
        """Aggregate by windows of time; a result leaves with each update.

        Raises:
            TopologyError: `windows` are none.
        """
        where = caller()
        if not isinstance(windows, TimeWindows):
            raise TopologyError(
                f"{where}: windowed_by() takes windows such as TimeWindows('5m', grace='1m'), found {windows!r}"
            )
        return TimeWindowedKStream(self._grouping, windows)

    def _table(
        self, step: Aggregation, operator: TableOperator, where: Location, calls: Any = None
    ) -> "KTable[Any, Any]":
        store = step.store
        return KTable(
            self._grouping.aggregated(
                step.name,
                where,
                operator,
                store,
                store.key,
                StoreGetter(store.name),
                keeps_values=step.keeps_values,
                calls=calls,
            )
        )
