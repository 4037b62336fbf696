"""Final results: what leaves when a window closes, once, in place of each update. Source: `EmitStrategy.onWindowClose`.

After each record that its windows take, the node looks whether stream time less grace has passed the end of windows
since it looked last, but not more often than the wall clock allows. Their results leave in the order of their times and
keys, each with the highest time that went into it (a session with its end), and the headers of the record that closed
them.

How far it has emitted is committed beside the offsets, so that a restart emits nothing twice and leaves nothing out.

What has expired when it is looked for is emitted too. In Kafka Streams it is not, unless a cache still holds it: who
reads a backlog there loses most windows that a cache has no room for. And where the wall clock puts a look off, it is
made when its time has come, whether a record comes or not; there it waits for the next one, however long the input
pauses. The test driver does as Kafka Streams in both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from headrace.base.records import NO_HEADERS, Headers, Window, Windowed
from headrace.operators.silence import Idle
from headrace.operators.updates import key_deserializer
from headrace.processor.context import Cancellable
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.processor.window_clock import HeldInStore
from headrace.state.port import TimeOrderedState
from headrace.state.spec import segment_interval_ms
from headrace.topology.wiring import Wiring

__all__ = [
    "NEVER_EMITTED",
    "Closing",
    "ClosingWindows",
    "ResultOf",
    "WindowCloser",
    "results_of_size",
]

#: In place of the close time up to which results have left.
NEVER_EMITTED = -1

#: Tells the window of a cell, and the time of its result, by its slot and the time in its row.
ResultOf: TypeAlias = Callable[[int, int], tuple[Window, int]]


class ClosingWindows(Protocol):
    """Windows of a size and a grace, by which they close."""

    def closed_at(self, time: int, /) -> int:
        """Return the stream time at which all windows that hold a time are closed."""

    def closed_since(self, last: int, closed: int, /) -> tuple[int, int] | None:
        """Tell what to emit, given the close time of before (or `NEVER_EMITTED`) and that of now.

        That is the times between which cells have closed since, both included; None where there are none.
        """


@dataclass(frozen=True, slots=True)
class Closing:
    """How the windows of a node close.

    Attributes:
        grace_ms: how far behind stream time windows end that have closed; a millisecond more where the end is in them.
        result_of: tells the window of a result.
        ends_included: whether a window's end is in it.
        emits_final: whether results leave then, and not with each update.
        idle: the silence after which they close; None where they wait for records.
    """

    windows: ClosingWindows
    grace_ms: int
    result_of: ResultOf
    ends_included: bool
    emits_final: bool
    idle: Idle | None


class WindowCloser:
    """Emits the results of windows that have closed.

    # Invariant: where `emits_expired`, no window leaves the store before its result. Cells stay for the length of a
    # segment after they have expired, and before stream time moves on by as much, `make_room` is called.

    Attributes:
        emits_expired: whether results leave too of windows that have expired; only then is there a `make_room`.
        room_ms: how far stream time may go before results must leave.
    """

    __slots__ = (
        "_closed_since",
        "_context",
        "_emitted",
        "_forward",
        "_headers",
        "_interval_ms",
        "_leaves_after_ms",
        "_look",
        "_next_ms",
        "_now_ms",
        "_open_key",
        "_put_off",
        "_put_off_name",
        "_result_of",
        "_state",
        "_stays_ms",
        "_store",
        "emits_expired",
        "room_ms",
    )

    def __init__(self, wiring: Wiring, state: TimeOrderedState, closing: Closing) -> None:
        self._state = state
        self._store = state.spec.name
        self._stays_ms = segment_interval_ms(state.spec.retention_ms or 0)
        self._closed_since, self._result_of = closing.windows.closed_since, closing.result_of
        self._leaves_after_ms = closing.windows.closed_at(0)
        self._forward, self._open_key = wiring.forward, key_deserializer(wiring, state)
        self._emitted = wiring.context.processor_metadata
        self._context = wiring.context
        self._now_ms, self._interval_ms = wiring.context.now_ms, wiring.context.window_emit_interval_ms
        self._next_ms = 0
        self._look = wiring.guard(self._look_at_what_was_put_off)
        self._put_off: Cancellable | None = None
        self._headers: Headers = NO_HEADERS
        #: Under this name it is committed how far a look goes that was put off.
        self._put_off_name = f"{state.spec.name}-put-off"
        self.emits_expired = wiring.context.emits_expired_windows
        self.room_ms = -1
        if self.emits_expired:
            wiring.on_start(self._start)

    def __call__(self, closed: int, headers: Headers, *, at_once: bool = False) -> None:
        """Take stream time less grace, and the headers of the record that moved it.

        With `at_once`, the wall clock has no say in it.
        """
        now = self._now_ms()
        if now >= self._next_ms or at_once:
            self._next_ms = now + self._interval_ms
            self._emit(closed, headers)
        elif self.emits_expired:
            self._put_look_off(closed, headers)

    def make_room(self, closed: int, headers: Headers) -> None:
        """Emit what a record closes that moves stream time beyond `room_ms`, before it is put."""
        self._emit(closed, headers)
        self.room_ms = self._state.observed_stream_time + self._stays_ms

    def held_in(self) -> HeldInStore:
        """Tell which rows of the store are results that have not left."""
        times = self._closed_since(self._emitted.get(self._store, NEVER_EMITTED), TIMESTAMP_MAX)
        assert times is not None, "windows close before the end of time"
        return HeldInStore(self._store, times[0], self._leaves_after_ms)

    def _put_look_off(self, closed: int, headers: Headers) -> None:
        """Look when the wall clock allows it, unless a record does so before."""
        self._emitted[self._put_off_name] = closed
        self._headers = headers
        if self._put_off is None:
            self._wait()

    def _wait(self) -> None:
        schedule = self._context.scheduler
        assert schedule is not None, "nodes run within a task"
        self._put_off = schedule(self._interval_ms, self._look, "wall", self._next_ms)

    def _look_at_what_was_put_off(self, now: int) -> None:
        if self._put_off is not None:
            self._put_off.cancel()
            self._put_off = None
        closed = self._emitted.pop(self._put_off_name, NEVER_EMITTED)
        self._next_ms = now + self._interval_ms
        self._emit(closed, self._headers)

    def _start(self) -> None:
        """Whoever had the task before may have ended before its look."""
        if self._put_off_name in self._emitted:
            self._next_ms = self._now_ms() + self._interval_ms
            self._wait()

    def _emit(self, closed: int, headers: Headers) -> None:
        last = self._emitted.get(self._store, NEVER_EMITTED)
        if closed <= last:
            return
        times = self._closed_since(last, closed)
        if times is None:
            return
        for key, slot, value, latest in self._state.by_time(*times, expired=self.emits_expired):
            window, timestamp = self._result_of(slot, latest)
            self._forward(Windowed(self._open_key(key), window), (value, None, True), timestamp, headers)
        self._emitted[self._store] = closed


def results_of_size(size_ms: int) -> ResultOf:
    """Tell the windows of a size by their starts."""
    return lambda start, latest: (Window(start, start + size_ms), latest)
