"""A stream grouped by its keys: counted, reduced, aggregated. Source: `KGroupedStreamImpl`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.durations import Duration
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.advice import no_operator
from headrace.dsl.aliases import AnyStore, Emit, LateTo, Name, TableStore
from headrace.dsl.cogrouping import Cogrouping
from headrace.dsl.folds import DescribedFold, counted, reduced
from headrace.dsl.grouping import Grouping, Unwindowed
from headrace.dsl.idling import idle_time_ms
from headrace.dsl.ktable import KTable
from headrace.dsl.late import late_topic
from headrace.dsl.ready_made import Aggregation, aggregation_of
from headrace.dsl.session_windowed import SessionWindowedCogroupedKStream, SessionWindowedKStream
from headrace.dsl.time_windowed import TimeWindowedCogroupedKStream, TimeWindowedKStream
from headrace.dsl.time_windowing import TimeWindowing
from headrace.dsl.windows import AnyTimeWindows, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from headrace.operators.aggregate import Aggregate
from headrace.serde.serde import SerdeLike, SerdeOf
from headrace.topology.locations import caller

__all__ = ["CogroupedKStream", "KGroupedStream"]

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
        return self._table(counted(), store, name, caller())

    def reduce(
        self, reducer: Callable[[V, V], V], *, store: TableStore[K, V] = None, name: Name = None
    ) -> "KTable[K, V]":
        """Fold each key's values, all of one type: `reducer(aggregate, value)`; the first value is the first result."""
        where = caller()
        return self._table(reduced(reducer, self._grouping.flow.value, where), store, name, where)

    @overload
    def aggregate(
        self,
        aggregation: Aggregation[V, A],
        /,
        *,
        value: SerdeOf[A] = None,
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]": ...
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
        init: Callable[[], Any] | Aggregation[V, Any],
        aggregator: Callable[[K, V, Any], Any] | None = None,
        *,
        value: Any = None,
        store: Any = None,
        name: Name = None,
    ) -> "KTable[K, Any]":
        """Fold each key's records into a value of another type: `aggregator(key, value, aggregate)`.

        `init` makes a key's first aggregate; a class is initialiser, type and serde at once. A result of None deletes
        the key. Null keys and null values are dropped.

        Or `aggregate(agg.mean(of))`, with an aggregation of `headrace.agg`.
        """
        where = caller()
        fold = aggregation_of(init, aggregator, value, self._grouping.flow.value, where)
        return self._table(fold, store, name, where)

    @overload
    def windowed_by(
        self,
        windows: AnyTimeWindows,
        *,
        emit: Emit = "update",
        idle: Duration | None = None,
        late_to: LateTo[K, V] = None,
    ) -> "TimeWindowedKStream[K, V]": ...
    @overload
    def windowed_by(
        self,
        windows: SessionWindows,
        *,
        emit: Emit = "update",
        idle: Duration | None = None,
        late_to: LateTo[K, V] = None,
    ) -> "SessionWindowedKStream[K, V]": ...
    def windowed_by(
        self,
        windows: AnyTimeWindows | SessionWindows,
        *,
        emit: Emit = "update",
        idle: Duration | None = None,
        late_to: LateTo[K, V] = None,
    ) -> Any:
        """Aggregate by windows of time, or by sessions.

        A result leaves with each update; with `emit="close"` once, when stream time has passed the window's end and its
        grace. That is looked at after each record, once a second at most. Where a stream may be silent for longer than
        windows are kept, give their store a longer `retention`: what has expired by then does not leave.

        Stream time moves with records: the last windows wait for a later one. With `idle`, they close when no record
        has come for so long by the wall clock, in one partition: all windows that have records at once, each with its
        grace, here and in `suppress(until_window_closes())` below. What comes for them afterwards is late, also after a
        restart. Choose it longer than `commit.interval.ms` and than an outage of brokers that is to be sat out: what is
        not seen counts as silence, A restart begins to wait anew.

        A record that no window takes any more, since all of its own have closed, is dropped, and counted as such; with
        `late_to=` it goes to that topic as well: as it came here, and with headers (`__headrace.late.…`) that say which
        node found it late, at which stream time, when its last window closed, and where it was read. With windows
        that never end, it is what comes before their start. A topic given by name has the serdes of this stream.

        Raises:
            TopologyError: `windows` are none, or never close; `late_to` is no topic, or has other serdes; `idle` is no
                time.
            TypeError: `idle` is a bare number.
        """
        where = caller()
        emits_final, late = _emits_final(emit, windows, where), late_topic(late_to, where)
        idle_ms = _idle_ms(idle, windows, where)
        if isinstance(windows, SessionWindows):
            return SessionWindowedKStream(
                self._grouping, windows, emits_final=emits_final, late=late, idle_ms=idle_ms
            )
        windowing = TimeWindowing.of(
            _checked(windows, where), emits_final=emits_final, late=late, idle_ms=idle_ms
        )
        return TimeWindowedKStream(self._grouping, windowing)

    def cogroup(
        self, aggregator: Callable[[K, V, A], A | None], *, value: SerdeOf[A] = None
    ) -> "CogroupedKStream[K, A]":
        """Let this group and others, each with an aggregator of its own, fill one table.

        `aggregator(key, value, aggregate)` as in `aggregate`. `value` is the type of the aggregate, which type checkers
        cannot tell from a lambda.
        """
        return CogroupedKStream(Cogrouping(value).plus(self._grouping, aggregator, caller()))

    def _table(self, fold: DescribedFold, store: AnyStore, name: Name, where: Location) -> "KTable[Any, Any]":
        return KTable(self._grouping.table(fold, Unwindowed(Aggregate), store, name, where))


class CogroupedKStream(Generic[K, A]):
    """Grouped streams that fill one table together. Made by `KGroupedStream.cogroup`.

    Their topics need equal partition counts. Stores are cached unless they say otherwise.
    """

    def __init__(self, cogrouping: Cogrouping) -> None:
        self._cogrouping = cogrouping

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_operator(self, name)

    def cogroup(
        self, grouped: KGroupedStream[K, V], aggregator: Callable[[K, V, A], A | None]
    ) -> "CogroupedKStream[K, A]":
        """Add another group, with its own aggregator: `aggregator(key, value, aggregate)`.

        Raises:
            TopologyError: `grouped` is no grouped stream, is cogrouped already, or has keys of another type.
        """
        where = caller()
        if not isinstance(grouped, KGroupedStream):
            raise TopologyError(
                f"{where}: cogroup() takes a grouped stream, as group_by_key() and group_by(selector) make, and its "
                f"aggregator; found {grouped!r}"
            )
        return CogroupedKStream(self._cogrouping.plus(grouped._grouping, aggregator, where))

    def aggregate(
        self,
        init: type[A] | Callable[[], A],
        *,
        value: SerdeOf[A] = None,
        store: TableStore[K, A] = None,
        name: Name = None,
    ) -> "KTable[K, A]":
        """Fold the records of all groups into one value for each key.

        `init` makes a key's first aggregate, whichever group it comes from; a class is initialiser, type and serde at
        once. A result of None deletes the key. Null keys and null values are dropped.
        """
        windowing = Unwindowed(Aggregate)
        return KTable(self._cogrouping.table(init, value, windowing, store, name, caller()))

    @overload
    def windowed_by(
        self, windows: AnyTimeWindows, *, idle: Duration | None = None, late_to: LateTo[K, Any] = None
    ) -> "TimeWindowedCogroupedKStream[K, A]": ...
    @overload
    def windowed_by(
        self, windows: SessionWindows, *, idle: Duration | None = None, late_to: LateTo[K, Any] = None
    ) -> "SessionWindowedCogroupedKStream[K, A]": ...
    def windowed_by(
        self,
        windows: AnyTimeWindows | SessionWindows,
        *,
        idle: Duration | None = None,
        late_to: LateTo[K, Any] = None,
    ) -> Any:
        """Aggregate by windows of time, or by sessions; a result leaves with each update.

        With `idle`, windows close after that long a silence of all groups too, as in `KGroupedStream.windowed_by`:
        `suppress` below lets their results go.

        `late_to=` is one topic for the late records of all groups, as in `KGroupedStream.windowed_by`; the node in
        their headers tells which group they are of. A topic given by name has the serdes of each.

        Raises:
            TopologyError: `windows` are none, or never close; `late_to` is no topic, or has other serdes; `idle` is no
                time.
            TypeError: `idle` is a bare number.
        """
        where = caller()
        late, idle_ms = late_topic(late_to, where), _idle_ms(idle, windows, where)
        if isinstance(windows, SessionWindows):
            return SessionWindowedCogroupedKStream(self._cogrouping, windows, late=late, idle_ms=idle_ms)
        windowing = TimeWindowing.of(_checked(windows, where), late=late, idle_ms=idle_ms)
        return TimeWindowedCogroupedKStream(self._cogrouping, windowing)


def _emits_final(emit: object, windows: object, where: Location) -> bool:
    if emit != "update" and emit != "close":  # noqa: PLR1714 - it may have no hash
        raise TopologyError(
            f"{where}: emit={emit!r} does not exist: write 'update', for a result with each update, or 'close', for "
            "one when the window closes"
        )
    if emit == "close" and isinstance(windows, UnlimitedWindows):
        raise TopologyError(f"{where}: emit='close' would never emit anything: {windows!r} never close")
    return emit == "close"


def _idle_ms(idle: Duration | None, windows: object, where: Location) -> int | None:
    idle_ms = idle_time_ms(idle, where)
    if idle_ms is not None and isinstance(windows, UnlimitedWindows):
        raise TopologyError(f"{where}: idle= would never close anything: {windows!r} never close")
    return idle_ms


def _checked(windows: object, where: Location) -> AnyTimeWindows:
    if not isinstance(windows, TimeWindows | SlidingWindows | UnlimitedWindows):
        raise TopologyError(
            f"{where}: windowed_by() takes windows such as TimeWindows('5m', grace='1m'), "
            f"SlidingWindows('5m', grace='1m'), or SessionWindows('30m', grace='5m'), found {windows!r}"
        )
    return windows
