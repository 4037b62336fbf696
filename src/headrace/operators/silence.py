"""Silence of the input: after it, what waits for the time of later records goes on without them.

It is one of the wall clock: no record has reached the node in this task, or any of the nodes that fall silent together,
and none of the task's inputs waits, here or in the log. A punctuation looks for it, which is there only while something
is open. The silence begins anew with a restart.

How far time goes on is for the node to say, by what it keeps and not by the clock, and to commit with the offsets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.base.records import Headers
from headrace.processor.context import Cancellable, TaskContext
from headrace.topology.wiring import Forward, Wiring

__all__ = ["Idle", "Silence", "after_silence", "silence_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """After how long a silence (ms, wall clock) time goes on. Who is told of one silence knows it by this object.

    `is_shared` says that several nodes have it, which fall silent together.
    """

    idle_ms: int
    is_shared: bool = False


class Silence:
    """Looks whether the input is silent, in one task.

    Attributes:
        followers: those below who are told of the stream time that it was moved to.
    """

    def __init__(self, idle_ms: int) -> None:
        self.followers: list[Callable[[int], None]] = []
        self._idle_ms = idle_ms
        self._ends: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self._context: TaskContext | None = None
        self._look: Callable[[int], None] | None = None
        self._scheduled: Cancellable | None = None
        #: When the last record came (epoch ms, wall clock).
        self._last_ms = -1

    def let_close(self, wiring: Wiring, is_any_open: Callable[[], bool], close: Callable[[], None]) -> None:
        """Let a node close what is open, once nothing comes. The first node gives the context."""
        if self._context is None:
            self._context, self._look = wiring.context, wiring.guard(self._look_whether_silent)
            wiring.on_start(self._start)
        self._ends.append((is_any_open, close))

    def _start(self) -> None:
        self._last_ms = self._of_task.now_ms()
        if any(is_any_open() for is_any_open, _ in self._ends):
            self._wait()

    @property
    def _of_task(self) -> TaskContext:
        assert self._context is not None, "a node has given it before anything comes"
        return self._context

    def end(self, now: int) -> None:
        """Begin the silence anew: a record has come."""
        self._last_ms = now
        if self._scheduled is None:
            self._wait()

    def _wait(self) -> None:
        """Look again when the input has been silent for long enough."""
        schedule, look = self._of_task.scheduler, self._look
        assert schedule is not None, "nodes run within a task"
        assert look is not None, "whoever gives the context gives it"
        self._scheduled = schedule(self._idle_ms, look, "wall", self._last_ms + self._idle_ms)

    def _look_whether_silent(self, now: int) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        if self._of_task.has_more_input():
            self._last_ms = now
        if now - self._last_ms < self._idle_ms:
            self._wait()
            return
        for is_any_open, close in self._ends:
            if is_any_open():
                close()


def silence_of(wiring: Wiring, idle: Idle) -> Silence:
    """Return what looks for the silence in this task."""
    return wiring.shared(idle, lambda: Silence(idle.idle_ms))


def after_silence(
    wiring: Wiring,
    run: Forward,
    idle: Idle,
    is_any_open: Callable[[], bool],
    close: Callable[[], None],
) -> Forward:
    """Make the closure of a node that closes what is open when the input is silent: each of its records ends that."""
    silence = silence_of(wiring, idle)
    silence.let_close(wiring, is_any_open, close)
    end, now_ms = silence.end, wiring.context.now_ms

    def run_and_wait(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        end(now_ms())
        run(key, value, timestamp, headers)

    return run_and_wait
