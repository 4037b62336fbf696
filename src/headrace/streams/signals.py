"""Stop signals of a program that does nothing else: the first asks, the second abandons. Used by `run` and the CLI."""

import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from headrace.base.errors import StateError

__all__ = ["StopSignals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Turns SIGTERM and SIGINT into something to wait for, while inside a `with`.

    The second signal ends the process at once, with 128 and the signal's number: what was not committed is read again
    at the next start. `farewell` is written to the error stream then, to leave a terminal as it was found.

    Raises:
        StateError: entered outside of the main thread, where Python allows no signal handlers.
    """

    def __init__(self, *, farewell: bytes = b"") -> None:
        self._farewell = farewell
        # Handlers run between two bytecodes of the main thread, which may hold any lock; only this queue may be
        # used from there (an Event deadlocks when its own wait is interrupted).
        self._arrived: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._count = 0
        self._previous: list[Any] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise StateError(
                "run() installs signal handlers, so it belongs into the main thread; use `with streams:` elsewhere"
            )
        self._previous = [signal.signal(each, self._on_signal) for each in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each, previous in zip(_SIGNALS, self._previous):
            signal.signal(each, previous)

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._arrived.put(None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until a signal, a `wake`, or the timeout; return whether a signal has come so far."""
        with suppress(queue.Empty):
            self._arrived.get(timeout=timeout_s)
        return self._count > 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            # The standard streams may be in use by the code that was interrupted, so they are not flushed.
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, self._farewell + b"abandoned\n")
            os._exit(128 + number)
        self._arrived.put(None)
