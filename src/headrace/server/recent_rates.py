"""Rates of what is only counted, between the questions of whoever looks: of the last minute at most."""

import threading
from collections import deque
from collections.abc import Mapping

__all__ = ["RecentRates"]

_MINUTE_SECONDS = 60.0

#: Readings that are nearer to each other tell little, and are not kept: there are 60 at most.
_APART_SECONDS = 1.0


class RecentRates:
    """Remembers what counters said in the last minute. From any thread.

    Unlike `metrics.rates`, it takes no counter to begin at 0: who looks at an application for the first time, after an
    hour, knows no rate.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: deque[tuple[float, Mapping[str, float]]] = deque()

    def of(self, totals: Mapping[str, float], now: float) -> Mapping[str, float]:
        """Return how much counters have gone up a second (`now` in seconds); those alone that were read before."""
        with self._lock:
            readings = self._readings
            while readings and now - readings[0][0] > _MINUTE_SECONDS:
                readings.popleft()
            then, before = readings[0] if readings else (now, {})
            if not readings or now - readings[-1][0] >= _APART_SECONDS:
                readings.append((now, totals))
        seconds = now - then
        if seconds < _APART_SECONDS:
            return {}
        # One that has begun anew, with a task that has moved, is below what it was.
        return {
            each: max(0.0, total - before[each]) / seconds for each, total in totals.items() if each in before
        }
