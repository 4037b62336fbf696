"""Windows that close although nothing comes: after a silence of the input, their stream time goes on without it.

The silence is one of the wall clock: no record has reached the node in this task, and none of the task's inputs waits,
here or in the log. Then stream time becomes that at which all windows that have records are closed. It follows from
the records alone, not from how long it was silent. It is committed with the offsets, as is what has left by it: after
a restart the same records are late, and nothing leaves twice. So it is for such nodes where a record moves stream time;
others begin with none after a restart, as in Kafka Streams. The silence begins anew with a restart.

Suppression below is told, once it has the updates that a cache held back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.base.records import NO_HEADERS, Headers
from headrace.operators.stream_time import StreamTime
from headrace.operators.window_close import Emit
from headrace.processor.context import Cancellable
from headrace.topology.wiring import Forward, Wiring

__all__ = ["Followers", "Idle", "closing_when_idle", "followers_of"]

#: Those below who are told of the stream time at which windows have closed.
Followers = list[Callable[[int], None]]


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """After how long a silence (ms, wall clock) the windows of one node close. What is below knows the node by it."""

    idle_ms: int


def followers_of(wiring: Wiring, idle: Idle) -> Followers:
    """Return those who are told in this task; who is below adds itself."""
    made: Followers = wiring.shared(idle, list)
    return made


class _Closing:
    """Closes the windows of one node in one task.

    `closed_at` tells the stream time at which the windows are closed that a store has up to a time; `grace_ms` is how
    far behind that the windows end which it closes, or a millisecond more where these are `ends_included`.
    """

    def __init__(
        self,
        wiring: Wiring,
        state: Any,
        idle: Idle,
        stream_time: StreamTime,
        closed_at: Callable[[int], int],
        grace_ms: int,
        emit: Emit | None,
        ends_included: bool,
    ) -> None:
        self._context = wiring.context
        self._state = state
        self._idle_ms = idle.idle_ms
        self._stream_time = stream_time
        self._closed_at = closed_at
        self._grace_ms = grace_ms
        self._emit = emit
        self._ends_included = ends_included
        self._followers = followers_of(wiring, idle)
        self._look = wiring.guard(self._look_whether_idle)
        self._scheduled: Cancellable | None = None
        #: Under this name it is committed how far stream time has gone on.
        self._name = f"{state.spec.name}-idle"
        self._metadata = wiring.context.processor_metadata
        stream_time.ms = self._metadata.get(self._name, -1)
        #: When the last record came (epoch ms, wall clock).
        self.last_ms = -1

    def start(self) -> None:
        """Wait for a silence from now on, if there may be a window to close."""
        self.last_ms = self._context.now_ms()
        if self._is_any_open:
            self.wait()

    @property
    def _is_any_open(self) -> bool:
        # What the store has seen, not the records: those that are late open no window.
        newest = self._state.observed_stream_time
        return newest >= 0 and self._closed_at(newest) > self._stream_time.ms

    def note_time(self) -> None:
        """Let the node's stream time be committed."""
        self._metadata[self._name] = self._stream_time.ms

    @property
    def is_waiting(self) -> bool:
        """Whether it is looked whether the input is silent."""
        return self._scheduled is not None

    def wait(self) -> None:
        """Look again when the input has been silent for long enough."""
        schedule = self._context.scheduler
        assert schedule is not None, "nodes run within a task"
        self._scheduled = schedule(self._idle_ms, self._look, "wall", self.last_ms + self._idle_ms)

    def _look_whether_idle(self, now: int) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        if self._context.has_more_input():
            self.last_ms = now
        if now - self.last_ms < self._idle_ms:
            self.wait()
        else:
            self._close()

    def _close(self) -> None:
        stream_time = self._stream_time
        if not self._is_any_open:
            return
        stream_time.ms = self._closed_at(self._state.observed_stream_time)
        self.note_time()
        if self._emit is not None:
            self._emit(stream_time.ms - self._grace_ms, NO_HEADERS, at_once=True)
        elif self._state.caching:
            self._state.flush()
        # Suppression takes a window for closed when stream time is at its end and grace, whether that is in it or not.
        for follow in self._followers:
            follow(stream_time.ms - self._ends_included)


def closing_when_idle(
    wiring: Wiring,
    run: Forward,
    state: Any,
    idle: Idle | None,
    *,
    stream_time: StreamTime,
    closed_at: Callable[[int], int],
    grace_ms: int,
    emit: Emit | None,
    ends_included: bool = False,
) -> Forward:
    """Make the closure of a windowed node whose windows close when the input is silent; without `idle`, it is `run`.

    To be called before anything comes: it says how far stream time has gone.
    """
    if idle is None:
        return run
    closing = _Closing(wiring, state, idle, stream_time, closed_at, grace_ms, emit, ends_included)
    wiring.on_start(closing.start)
    now_ms = wiring.context.now_ms

    def run_and_wait(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        closing.last_ms = now_ms()
        if not closing.is_waiting:
            closing.wait()
        run(key, value, timestamp, headers)
        closing.note_time()

    return run_and_wait
