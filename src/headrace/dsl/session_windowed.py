"""A grouped stream in sessions: counted, reduced, aggregated. Source: `SessionWindowedKStreamImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.records import Windowed
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Name, SessionsStore
from headrace.dsl.cogrouping import Cogrouping
from headrace.dsl.folds import DescribedFold, counted, reduced
from headrace.dsl.grouping import Grouping
from headrace.dsl.ktable import KTable
from headrace.dsl.late import LateTopic
from headrace.dsl.materialized import Materialized
from headrace.dsl.ready_made import Aggregation, aggregation_of
from headrace.dsl.serdes import Typed, UnknownSerde
from headrace.dsl.stream_state import TableOperator
from headrace.dsl.windows import SessionWindows
from headrace.operators.fold import Fold
from headrace.operators.getters import Getter, SessionStoreGetter
from headrace.operators.session import SessionAggregate
from headrace.operators.silence import Idle
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.serde.windowed import SessionWindowedSerde
from headrace.state.spec import StoreKind
from headrace.topology.locations import caller

__all__ = ["SessionWindowedCogroupedKStream", "SessionWindowedKStream"]

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


class SessionWindowedKStream(Generic[K, V]):
    """A grouped stream, cut into sessions by silence. Made by `windowed_by`.

    A record that lies between two sessions makes one of them: the table deletes both and has the new one. Null keys are
    dropped, and so is a record whose session would end before stream time minus grace and gap.
    """

    def __init__(
        self,
        grouping: Grouping,
        windows: SessionWindows,
        *,
        emits_final: bool = False,
        late: LateTopic | None = None,
        idle_ms: int | None = None,
    ) -> None:
        self._grouping = grouping
        self._windowing = _SessionWindowing(windows, emits_final=emits_final, late=late, idle_ms=idle_ms)

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def count(self, *, store: SessionsStore[K, int] = None, name: Name = None) -> "KTable[Windowed[K], int]":
        """Count the records of each key and session, null values too."""
        return self._table(counted(), store, name, caller())

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: SessionsStore[K, V] = None, name: Name = None
    ) -> "KTable[Windowed[K], V]":
        """Fold the values of each key and session: `reducer(aggregate, value)`; null values reach it too.

        Sessions that meet are reduced to one by it as well.
        """
        where = caller()
        return self._table(reduced(reducer, self._grouping.flow.value, where), store, name, where)

    @overload
    def aggregate(
        self,
        aggregation: Aggregation[V, A],
        /,
        *,
        value: SerdeOf[A] = None,
        store: SessionsStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    @overload
    def aggregate(
        self,
        init: type[A],
        aggregator: Callable[[K, V, A], A | None],
        merge: Callable[[K, A, A], A],
        *,
        value: SerdeOf[A] = None,
        store: SessionsStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    @overload
    def aggregate(
        self,
        init: Callable[[], A],
        aggregator: Callable[[K, V, A], A | None],
        merge: Callable[[K, A, A], A],
        *,
        value: SerdeLike[A],
        store: SessionsStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]": ...
    def aggregate(
        self,
        init: Callable[[], Any] | Aggregation[V, Any],
        aggregator: Callable[[K, V, Any], Any] | None = None,
        merge: Callable[[K, Any, Any], Any] | None = None,
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], Any]":
        """Fold the records of each key and session: `aggregator(key, value, aggregate)`; null values reach it too.

        `init` makes a session's first aggregate; a class is initialiser, type and serde at once. `merge(key, aggregate,
        other)` makes one aggregate of those of two sessions that meet: of the first aggregate and each session, in the
        order of their ends. A result of None deletes the session.

        Or `aggregate(agg.mean(of))`, with an aggregation of `headrace.agg`, which needs no `merge`.
        """
        where = caller()
        fold = aggregation_of(
            init, aggregator, value, self._grouping.flow.value, where, merge=merge, merges=True
        )
        return self._table(fold, store, name, where)

    def _table(self, fold: DescribedFold, store: AnyStore, name: Name, where: Location) -> "KTable[Any, Any]":
        return KTable(self._grouping.table(fold, self._windowing, store, name, where))


class SessionWindowedCogroupedKStream(Generic[K, A]):
    """Grouped streams that fill one table of sessions together. Made by `CogroupedKStream.windowed_by`.

    Null keys are dropped. What is late is judged for each of the streams by the records of that stream.
    """

    def __init__(
        self,
        cogrouping: Cogrouping,
        windows: SessionWindows,
        *,
        late: LateTopic | None = None,
        idle_ms: int | None = None,
    ) -> None:
        self._cogrouping = cogrouping
        self._windowing = _SessionWindowing(windows, late=late, idle_ms=idle_ms)

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def aggregate(
        self,
        init: type[A] | Callable[[], A],
        merge: Callable[[K, A, A], A],
        *,
        value: SerdeOf[A] = None,
        store: SessionsStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[Windowed[K], A]":
        """Fold the records of all groups into one value for each key and session; null values reach the aggregators.

        `init` makes a session's first aggregate, whichever group it comes from; a class is initialiser, type and serde
        at once. `merge(key, aggregate, other)` makes one aggregate of two. A result of None deletes the session.
        """
        return KTable(
            self._cogrouping.table(init, value, self._windowing, store, name, caller(), merge=merge)
        )


class _SessionWindowing:
    """One row for each key and session."""

    kind: StoreKind = "session"
    count_burns_one = True

    def __init__(
        self,
        windows: SessionWindows,
        *,
        emits_final: bool = False,
        late: LateTopic | None = None,
        idle_ms: int | None = None,
    ) -> None:
        self._windows = windows
        self.late = late
        self.idle_ms = idle_ms
        self._emits_final = emits_final

    def settle(self, store: Materialized, where: Location) -> None:
        """Give the store grace and retention of the sessions."""
        windows = self._windows
        needed = windows.gap_ms + windows.grace_ms
        if store.retention_ms is not None and store.retention_ms < needed:
            raise TopologyError(
                f"{where}: store '{store.name}' keeps sessions for {store.retention_ms} ms, less than gap and grace "
                f"together, {needed} ms: write retention='{needed}ms' or more"
            )
        store.grace_ms = needed
        store.time_ordered, store.may_cache = self._emits_final, not self._emits_final
        store.retention_ms = needed if store.retention_ms is None else store.retention_ms

    def operator(self, fold: Fold, store: str, idle: Idle | None = None) -> TableOperator:
        """Make what folds records into the store."""
        shape = self._windows.shape
        return SessionAggregate(shape, fold, store, emits_final=self._emits_final, idle=idle)

    def key(self, inner: Typed) -> Typed:
        """Return the serde of keys in sessions."""
        return inner if isinstance(inner, UnknownSerde) else SessionWindowedSerde(inner)

    def getter(self, store: str) -> Getter:
        """Return what looks the table up."""
        return SessionStoreGetter(store)
