"""A grouped stream in windows of time: counted, reduced, aggregated. Source: `TimeWindowedKStreamImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.records import Windowed
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Name, WindowedStore
from headrace.dsl.functions import deletions_of, plain
from headrace.dsl.grouping import AGGREGATE, REDUCE, Aggregation, Grouping, aggregate_serde
from headrace.dsl.ktable import KTable
from headrace.dsl.serdes import Typed, UnknownSerde
from headrace.dsl.stream_state import TableOperator
from headrace.dsl.windows import TimeWindows
from headrace.operators.getters import WindowStoreGetter
from headrace.operators.windowed import WindowAggregate, WindowCount, WindowReduce
from headrace.serde.primitives import int64
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.serde.windowed import TimeWindowedSerde
from headrace.topology.locations import caller

__all__ = ["TimeWindowedKStream"]

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class TimeWindowedKStream(Generic[K, V]):
    """A grouped stream, cut into windows of time. Made by `windowed_by`.

    Null keys are dropped. A record that is late for a window (its end is not after stream time minus grace) is dropped
    for that window.
    """

    def __init__(self, grouping: Grouping, windows: TimeWindows) -> None:
        self._grouping = grouping
        self._windows = windows

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: WindowedStore[K, int] = None, name: Name = None) -> "KTable[Windowed[K], int]":
        """Count the records of each key and window, null values too."""
        where = caller()
        step = self._step(AGGREGATE, store, int64, name, where, burns_one=True)
        return self._table(step, WindowCount(self._windows.shape, step.store.name), where)

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: WindowedStore[K, V] = None, name: Name = None
    ) -> "KTable[Windowed[K], V]":
        """Fold the values of each key and window: `reducer(aggregate, value)`; null values reach it too."""
        where = caller()
        fn, _ = plain(reducer, "reducer", where, "aggregate", "value")
        step = self._step(REDUCE, store, self._grouping.flow.value, name, where)
        return self._table(
            step, WindowReduce(self._windows.shape, fn, step.store.name, deletions_of(fn)), where, fn
        )

    @overload
    def aggregate(
        self,
        init: type[A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeOf[A] = None,
        store: WindowedStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    @overload
    def aggregate(
        self,
        init: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        *,
        value: SerdeLike[A],
        store: WindowedStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    def aggregate(
        self,
        init: Callable[[], Any],
        aggregator: Callable[[K, V, Any], Any],
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], Any]":
        """Fold the records of each key and window: `aggregator(key, value, aggregate)`; null values reach it too.

        `init` makes a window's first aggregate; a class is initialiser, type and serde at once. A result of None
        deletes the window.
        """
        where = caller()
        make, _ = plain(init, "initialiser", where)
        fn, _ = plain(aggregator, "aggregator", where, "key", "value", "aggregate")
        step = self._step(AGGREGATE, store, aggregate_serde(init, fn, value, where), name, where)
        return self._table(
            step, WindowAggregate(self._windows.shape, make, fn, step.store.name, deletions_of(fn)), where, fn
        )

    def _step(
        self,
        prefix: str,
        store: AnyStore,
        value: Typed,
        name: Name,
        where: Location,
        *,
        burns_one: bool = False,
    ) -> Aggregation:
        step = Aggregation(
            self._grouping,
            prefix=prefix,
            kind="window",
            store=store,
            value=value,
            name=name,
            where=where,
            burns_one=burns_one,
        )
        windows, made = self._windows, step.store
        if made.size_ms is not None and made.size_ms != windows.size_ms:
            raise TopologyError(
                f"{where}: the windows have a size of {windows.size_ms} ms, but store '{made.name}' is declared with "
                f"{made.size_ms} ms"
            )
        needed = windows.size_ms + windows.grace_ms
        if made.retention_ms is not None and made.retention_ms < needed:
            raise TopologyError(
                f"{where}: store '{made.name}' keeps windows for {made.retention_ms} ms, less than size and grace "
                f"together, {needed} ms: write retention='{needed}ms' or more"
            )
        made.size_ms = windows.size_ms
        made.grace_ms = windows.grace_ms
        made.retention_ms = needed if made.retention_ms is None else made.retention_ms
        return step

    def _table(
        self, step: Aggregation, operator: TableOperator, where: Location, calls: Any = None
    ) -> "KTable[Any, Any]":
        store = step.store
        key = store.key
        windowed = key if isinstance(key, UnknownSerde) else TimeWindowedSerde(key, self._windows.size_ms)
        return KTable(
            self._grouping.aggregated(
                step.name,
                where,
                operator,
                store,
                windowed,
                WindowStoreGetter(store.name),
                keeps_values=step.keeps_values,
                calls=calls,
            )
        )
