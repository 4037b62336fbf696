"""How windows of time cut a group: the rows of a window store, one for each key and window."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.late import LateTopic
from headrace.dsl.materialized import Materialized
from headrace.dsl.serdes import Typed, UnknownSerde
from headrace.dsl.stream_state import TableOperator
from headrace.dsl.windows import AnyTimeWindows, SlidingWindows, TimeWindows, UnlimitedWindows
from headrace.operators.fold import Fold
from headrace.operators.getters import Getter, WindowStoreGetter
from headrace.operators.silence import Idle
from headrace.operators.sliding import SlidingAggregate
from headrace.operators.unlimited import UnlimitedAggregate
from headrace.operators.windowed import WindowAggregate
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.serde.windowed import TimeWindowedSerde
from headrace.state.spec import StoreKind

__all__ = ["TimeWindowing"]


@dataclass(frozen=True, slots=True)
class TimeWindowing:
    """One row for each key and window.

    Attributes:
        aggregate: makes the operator of a fold and a store.
        size_ms: how long a window is.
        grace_ms: how late a record may be; None where none is ever late.
        kept_ms: how long the store has to keep a window, from its start on.
        kept_for: what that is, in words.
        count_burns_one: see `Windowing`.
        emits_final: whether results leave when windows close.
        may_cache: whether the store is cached unless the user says otherwise.
        late: where records go that are late for all windows.
        idle_ms: after how long a silence of the input windows close; None where they wait for records.
    """

    aggregate: Callable[..., TableOperator]
    size_ms: int
    grace_ms: int | None
    kept_ms: int
    kept_for: str
    count_burns_one: bool = True
    emits_final: bool = False
    may_cache: bool = True
    late: LateTopic | None = None
    idle_ms: int | None = None
    kind: StoreKind = "window"

    @classmethod
    def of(
        cls,
        windows: AnyTimeWindows,
        *,
        emits_final: bool = False,
        late: LateTopic | None = None,
        idle_ms: int | None = None,
    ) -> "TimeWindowing":
        """Return what the user's windows say."""
        return replace(cls._of(windows, emits_final=emits_final), late=late, idle_ms=idle_ms)

    @classmethod
    def _of(cls, windows: AnyTimeWindows, *, emits_final: bool) -> "TimeWindowing":
        match windows:
            case TimeWindows(size_ms=size_ms, grace_ms=grace_ms):
                return cls(
                    partial(WindowAggregate, windows.shape, emits_final=emits_final),
                    size_ms,
                    grace_ms,
                    size_ms + grace_ms,
                    "size and grace together",
                    emits_final=emits_final,
                )
            case SlidingWindows(difference_ms=difference_ms, grace_ms=grace_ms):
                # A record looks for windows that end before the one which ends with it.
                kept_ms = 2 * difference_ms + grace_ms
                return cls(
                    partial(SlidingAggregate, windows.shape, emits_final=emits_final),
                    difference_ms,
                    grace_ms,
                    kept_ms,
                    "twice the difference and the grace together",
                    count_burns_one=False,
                    emits_final=emits_final,
                    may_cache=not emits_final,
                )
            case UnlimitedWindows(start_ms=start_ms):
                # As Kafka Streams has them; what ends later than there are times ends with time.
                return cls(
                    partial(UnlimitedAggregate, start_ms),
                    TIMESTAMP_MAX,
                    None,
                    TIMESTAMP_MAX,
                    "these windows need, which never end",
                )

    def settle(self, store: Materialized, where: Location) -> None:
        """Give the store size, grace and retention of the windows."""
        if store.size_ms is not None and store.size_ms != self.size_ms:
            raise TopologyError(
                f"{where}: the windows have a size of {self.size_ms} ms, but store '{store.name}' is declared with "
                f"{store.size_ms} ms"
            )
        if store.retention_ms is not None and store.retention_ms < self.kept_ms:
            raise TopologyError(
                f"{where}: store '{store.name}' keeps windows for {store.retention_ms} ms, less than {self.kept_for}, "
                f"{self.kept_ms} ms: write retention='{self.kept_ms}ms' or more, or leave it out"
            )
        store.size_ms = self.size_ms
        store.grace_ms = self.grace_ms
        store.time_ordered, store.may_cache = self.emits_final, self.may_cache
        store.retention_ms = self.kept_ms if store.retention_ms is None else store.retention_ms

    def operator(self, fold: Fold, store: str, idle: Idle | None = None) -> TableOperator:
        """Make what folds records into the store."""
        return self.aggregate(fold, store) if idle is None else self.aggregate(fold, store, idle=idle)

    def key(self, inner: Typed) -> Typed:
        """Return the serde of windowed keys."""
        return inner if isinstance(inner, UnknownSerde) else TimeWindowedSerde(inner, self.size_ms)

    def getter(self, store: str) -> Getter:
        """Return what looks the table up."""
        return WindowStoreGetter(store)
