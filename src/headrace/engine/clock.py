"""Time, as the engine gets it: from outside, so that a test owns it."""

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Two clocks: the wall's (epoch ms, may jump) and one that only goes forward (seconds, for measuring)."""

    def wall_ms(self) -> int:
        """Epoch milliseconds."""

    def seconds(self) -> float:
        """Seconds since some fixed moment; never goes back."""


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        """Epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def seconds(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told otherwise (test driver)."""

    def __init__(self, start_ms: int = 0) -> None:
        self._now_ms = start_ms

    def wall_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now_ms

    def seconds(self) -> float:
        """The same time in seconds."""
        return self._now_ms / 1000

    def advance(self, milliseconds: int) -> None:
        """Move forward."""
        self._now_ms += milliseconds
