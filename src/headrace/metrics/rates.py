"""Rates of what is only counted: taken where metrics are read, so that counting costs an addition and no more."""

import threading
from collections.abc import Hashable

__all__ = ["Rates"]

#: As a meter's.
_SAMPLE_SECONDS = 30.0


class Rates:
    """Remembers what counters said when they were read before. From any thread.

    A rate is that of the last minute, or of the time since a counter was read last before that, or since the beginning.
    Counters that are gone are forgotten.
    """

    def __init__(self, now: float) -> None:
        self._since = self._began = now
        self._lock = threading.Lock()
        self._past: dict[Hashable, tuple[float, float]] = {}
        self._present: dict[Hashable, tuple[float, float]] = {}
        self._next = now + _SAMPLE_SECONDS

    def begin(self, now: float) -> None:
        """Begin to read all counters (seconds of a monotonic clock)."""
        with self._lock:
            if now >= self._next:
                self._next = now + _SAMPLE_SECONDS
                self._since, self._began = self._began, now
                self._past, self._present = self._present, {}

    def rate(self, counter: Hashable, total: float, now: float) -> float:
        """Return how much a counter, which stands at `total`, has gone up a second."""
        with self._lock:
            self._present.setdefault(counter, (now, total))
            began, before = self._past.get(counter, (self._since, 0.0))
        # One that has begun anew is below what it said before.
        return (total - (before if total >= before else 0.0)) / max(1.0, now - began)
