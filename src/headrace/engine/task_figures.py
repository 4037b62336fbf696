"""What a task records of its own work, and of the records that go through it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from headrace.base.records import Headers
from headrace.engine.timed_stores import StoreFigures, TimedStore
from headrace.metrics.declaration import Level
from headrace.metrics.meter import Meter
from headrace.state.task_state import TaskState
from headrace.state.task_store import TaskStore
from headrace.topology.wiring import Forward

__all__ = ["TaskFigures"]

#: Records of a stretch whose times are looked at, at most: to look at all costs 3 % of what the cheapest topology does.
_SAMPLED_RECORDS = 8

#: Stretches below this are looked at once a millisecond: tasks that take turns have thousands of them a second.
_SHORT_RECORDS = 64


#: Stores whose calls are timed. Suppression is measured at commits, and what a user's own store does is its own.
_TIMED_KINDS = frozenset({"key_value", "window", "session", "versioned"})


class TaskFigures:
    """Written by the task's thread, read by any. Amounts are ms.

    Attributes:
        level: what is recorded.
        turns: of processing; a turn counts as many as it has records.
        punctuations: rounds by the wall clock.
        dropped: records dropped (nulls, late ones, resumed failures).
        drops: the same by node and reason.
        ages: by source, how old records are when they have been processed. Its meters go by the wall clock, in seconds.
        lateness: how far records are behind stream time; goes by the wall clock too.
        nodes: by name, the time of a record in a node and all below it; at level debug.
        stores: by name, what is done to them; at level debug, but what suppression holds back.
    """

    __slots__ = (
        "_looked",
        "_now_ms",
        "ages",
        "dropped",
        "drops",
        "lateness",
        "level",
        "nodes",
        "punctuations",
        "seconds",
        "stores",
        "turns",
    )

    def __init__(self, seconds: Callable[[], float], now_ms: Callable[[], int], level: Level) -> None:
        self.seconds = seconds
        self._now_ms = now_ms
        # By source: when it was looked at last, and how many records it had given then.
        self._looked: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (-1, 0))
        self.level = level
        now = seconds()
        self.turns = Meter(now)
        self.punctuations = Meter(now)
        self.dropped = 0
        self.drops: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.ages: dict[str, Meter] = {}
        self.lateness = Meter(now_ms() / 1000)
        self.nodes: dict[str, Meter] = {}
        self.stores: dict[str, StoreFigures] = {}

    def drop(self, node: str, reason: str) -> None:
        """Count a record that a node drops."""
        self.dropped += 1
        self.drops[node, reason] += 1

    def processed(
        self, source: str, timestamps: Sequence[int], first: int, end: int, time_before: int
    ) -> None:
        """Look at some of the records from `first` to before `end`, which a source's task has processed, if any.

        `time_before` is the highest timestamp of their partition before them.
        """
        now_ms = self._now_ms()
        if first == end or (end - first < _SHORT_RECORDS and now_ms == self._looked[source][0]):
            return
        self._looked[source] = now_ms, 0
        step = -(-(end - first) // _SAMPLED_RECORDS)
        looked_at = timestamps[first:end:step]
        self._ages_of(source, now_ms).record_each([now_ms - each for each in looked_at], now_ms / 1000)
        if self.level >= Level.DEBUG:
            highest = list(accumulate(timestamps[first:end], max, initial=time_before))[1::step]
            late = [float(high - each) for high, each in zip(highest, looked_at)]
            self.lateness.record_each(late, now_ms / 1000)

    def processed_one(self, source: str, timestamp: int, taken: int) -> None:
        """Look at the last record that a source has given, of `taken` in all, unless it was looked at before."""
        now_ms = self._now_ms()
        looked_ms, taken_then = self._looked[source]
        if now_ms != looked_ms and taken != taken_then:
            self._looked[source] = now_ms, taken
            self._ages_of(source, now_ms).record(now_ms - timestamp, now_ms / 1000)

    def _ages_of(self, source: str, now_ms: int) -> Meter:
        ages = self.ages.get(source)
        if ages is None:
            ages = self.ages[source] = Meter(now_ms / 1000)
        return ages

    # ── level debug ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def times_calls(self) -> bool:
        """Whether each call of a node and of a store is timed."""
        return self.level >= Level.DEBUG

    def timed(self, node: str, run: Forward) -> Forward:
        """Make a node's closure that notes how long each record takes there, and below."""
        seconds, meter = self.seconds, self.nodes.setdefault(node, Meter(self.seconds()))

        def run_timed(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            began = seconds()
            try:
                run(key, value, timestamp, headers)
            finally:
                now = seconds()
                meter.record((now - began) * 1000, now)

        return run_timed

    def measured(self, state: TaskState) -> Callable[[str], Any]:
        """Return what gives nodes the stores behind their names: those whose calls are timed, where they are to be."""
        if not self.times_calls:
            return state.state
        return lambda name: self._timed_store(name, state.state(name))

    def _timed_store(self, name: str, store: Any) -> Any:
        return TimedStore(store, self._of_store(name)) if store.spec.kind in _TIMED_KINDS else store

    def _of_store(self, name: str) -> StoreFigures:
        figures = self.stores.get(name)
        if figures is None:
            figures = self.stores[name] = StoreFigures(self.seconds, self._now_ms, self.level)
        return figures

    # ── now and then ─────────────────────────────────────────────────────────────────────────────────────────────

    def flush(self, state: TaskState) -> None:
        """Flush a task's stores, as a commit does, and note what they are like then."""
        state.flush(self._timed_flush) if self.times_calls else state.flush()
        for buffer in state.held:
            self._of_store(buffer.spec.name).held(len(buffer), buffer.size_bytes, self.seconds())
        if self.times_calls:
            for store in list(self.stores.values()):
                store.flushed(self.seconds())

    def _timed_flush(self, store: TaskStore) -> bool:
        if store.cache is None:
            return False
        began = self.seconds()
        flushed = store.flush()
        now = self.seconds()
        if flushed:
            self._of_store(store.name).operation("flush").record((now - began) * 1000, now)
        return flushed

    def punctuated(self, run_due: Callable[[int], bool], now_ms: int) -> bool:
        """Run the punctuations by the wall clock that are due, and note how long that takes."""
        began = self.seconds()
        ran = run_due(now_ms)
        now = self.seconds()
        self.punctuations.record((now - began) * 1000, now)
        return ran
