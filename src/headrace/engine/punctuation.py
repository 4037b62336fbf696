"""Punctuations: functions of the user that run by stream time or by the wall clock, between records.

Source: Kafka's PunctuationQueue and PunctuationSchedule. A missed interval is not made up for: the function runs once,
and its next time is the next multiple of the interval after now.
"""

import heapq
from collections.abc import Callable
from typing import Literal

__all__ = ["NEVER", "PunctuationQueue"]

#: Later than every timestamp.
NEVER = 2**63 - 1


class _Punctuation:
    __slots__ = ("cancelled", "do", "due", "interval_ms")

    def __init__(self, due: int, interval_ms: int, do: Callable[[int], object]) -> None:
        self.due = due
        self.interval_ms = interval_ms
        self.do = do
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class PunctuationQueue:
    """What is scheduled on one of a task's two clocks, soonest first; equal times in the order of scheduling."""

    def __init__(self, clock: Literal["stream", "wall"]) -> None:
        self.clock = clock
        self._heap: list[tuple[int, int, _Punctuation]] = []
        self._added = 0

    def schedule(self, interval_ms: int, do: Callable[[int], object], *, first_due: int) -> _Punctuation:
        """Run `do(now)` from `first_due` on, every `interval_ms`."""
        punctuation = _Punctuation(first_due, interval_ms, do)
        self._push(punctuation)
        return punctuation

    def _push(self, punctuation: _Punctuation) -> None:
        heapq.heappush(self._heap, (punctuation.due, self._added, punctuation))
        self._added += 1

    @property
    def next_due(self) -> int:
        """When the next one is due (epoch ms); `NEVER` if nothing is scheduled."""
        while self._heap and self._heap[0][2].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER

    def run_due(self, now: int) -> bool:
        """Run all that is due at `now`; says whether anything ran."""
        ran = False
        while self._heap and self._heap[0][0] <= now:
            punctuation = heapq.heappop(self._heap)[2]
            if punctuation.cancelled:
                continue
            ran = True
            # Moved on before it runs, so that one that fails and is resumed by the handler comes again.
            missed = (now - punctuation.due) // punctuation.interval_ms
            punctuation.due += (missed + 1) * punctuation.interval_ms
            self._push(punctuation)
            punctuation.do(now)
        return ran

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
