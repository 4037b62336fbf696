"""A grouped stream in windows of time: counted, reduced, aggregated. Source: `TimeWindowedKStreamImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.ids import Location
from headrace.base.records import Windowed
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Name, WindowedStore
from headrace.dsl.cogrouping import Cogrouping
from headrace.dsl.folds import DescribedFold, counted, reduced
from headrace.dsl.grouping import Grouping
from headrace.dsl.ktable import KTable
from headrace.dsl.ready_made import Aggregation, aggregation_of
from headrace.dsl.time_windowing import TimeWindowing
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.topology.locations import caller

__all__ = ["TimeWindowedCogroupedKStream", "TimeWindowedKStream"]

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class TimeWindowedKStream(Generic[K, V]):
    """A grouped stream, cut into windows of time. Made by `windowed_by`.

    Null keys are dropped. A record that is late for a window (its end is not after stream time minus grace) is dropped
    for that window.
    """

    def __init__(self, grouping: Grouping, windowing: TimeWindowing) -> None:
        self._grouping = grouping
        self._windowing = windowing

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: WindowedStore[K, int] = None, name: Name = None) -> "KTable[Windowed[K], int]":
        """Count the records of each key and window, null values too."""
        return self._table(counted(), store, name, caller())

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: WindowedStore[K, V] = None, name: Name = None
    ) -> "KTable[Windowed[K], V]":
        """Fold the values of each key and window: `reducer(aggregate, value)`; null values reach it too."""
        where = caller()
        return self._table(reduced(reducer, self._grouping.flow.value, where), store, name, where)

    @overload
    def aggregate(
        self,
        aggregation: Aggregation[V, A],
        /,
        *,
        value: SerdeOf[A] = None,
        store: WindowedStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
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
        init: Callable[[], Any] | Aggregation[V, Any],
        aggregator: Callable[[K, V, Any], Any] | None = None,
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], Any]":
        """Fold the records of each key and window: `aggregator(key, value, aggregate)`; null values reach it too.

        `init` makes a window's first aggregate; a class is initialiser, type and serde at once. A result of None
        deletes the window.

        Or `aggregate(agg.mean(of))`, with an aggregation of `headrace.agg`.
        """
        where = caller()
        fold = aggregation_of(init, aggregator, value, self._grouping.flow.value, where)
        return self._table(fold, store, name, where)

    def _table(self, fold: DescribedFold, store: AnyStore, name: Name, where: Location) -> "KTable[Any, Any]":
        return KTable(self._grouping.table(fold, self._windowing, store, name, where))


class TimeWindowedCogroupedKStream(Generic[K, A]):
    """Grouped streams that fill one table of windows together. Made by `CogroupedKStream.windowed_by`.

    Null keys are dropped. What is late is judged for each of the streams by the records of that stream.
    """

    def __init__(self, cogrouping: Cogrouping, windowing: TimeWindowing) -> None:
        self._cogrouping = cogrouping
        self._windowing = windowing

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def aggregate(
        self,
        init: type[A] | Callable[[], A],
        *,
        value: SerdeOf[A] = None,
        store: WindowedStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]":
        """Fold the records of all groups into one value for each key and window; null values reach the aggregators.

        `init` makes a window's first aggregate, whichever group it comes from; a class is initialiser, type and serde
        at once. A result of None deletes the window.
        """
        return KTable(self._cogrouping.table(init, value, self._windowing, store, name, caller()))
