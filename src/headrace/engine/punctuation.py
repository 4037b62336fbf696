"""Punctuations: functions of the user that run by stream time or by the wall clock, between records.

Source: Kafka's PunctuationQueue and PunctuationSchedule. A missed interval is not made up for: the function runs once,
and its next time is the next multiple of the interval after now.
"""

from collections.abc import Callable
from typing import Literal

__all__ = ["NEVER", "PunctuationQueue", "aligned"]

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
    """What is scheduled on one of a task's two clocks, soonest first.

    Equal times come in the order in which Java's PriorityQueue gives them, whose steps these are: processors that are
    called every second see each other's records, and an application that moves here has the results that it had.
    """

    def __init__(self, clock: Literal["stream", "wall"]) -> None:
        self.clock = clock
        #: A binary heap: no place is due before the one at half of its number.
        self._heap: list[_Punctuation] = []

    def schedule(self, interval_ms: int, do: Callable[[int], object], *, first_due: int) -> _Punctuation:
        """Run `do(now)` from `first_due` on, every `interval_ms`."""
        punctuation = _Punctuation(first_due, interval_ms, do)
        self._push(punctuation)
        return punctuation

    def _push(self, added: _Punctuation) -> None:
        heap = self._heap
        heap.append(added)
        place = len(heap) - 1
        while place and added.due < heap[above := (place - 1) // 2].due:
            heap[place] = heap[above]
            place = above
        heap[place] = added

    def _pop(self) -> _Punctuation:
        heap = self._heap
        first, moved = heap[0], heap.pop()
        count, place = len(heap), 0
        if not count:
            return first
        while (below := 2 * place + 1) < count:
            if below + 1 < count and heap[below + 1].due < heap[below].due:
                below += 1
            if moved.due <= heap[below].due:
                break
            heap[place] = heap[below]
            place = below
        heap[place] = moved
        return first

    @property
    def next_due(self) -> int:
        """When the next one is due (epoch ms); `NEVER` if nothing is scheduled."""
        while self._heap and self._heap[0].cancelled:
            self._pop()
        return self._heap[0].due if self._heap else NEVER

    def run_due(self, now: int) -> bool:
        """Run all that is due at `now`; says whether anything ran."""
        ran = False
        while self._heap and self._heap[0].due <= now:
            punctuation = self._pop()
            if punctuation.cancelled:
                continue
            ran = True
            try:
                punctuation.do(now)
            finally:  # one that fails and is resumed by the handler comes again
                missed = (now - punctuation.due) // punctuation.interval_ms
                punctuation.due += (missed + 1) * punctuation.interval_ms
                if not punctuation.cancelled:
                    self._push(punctuation)
        return ran

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()


def aligned(start_ms: int, interval_ms: int, now: int) -> int:
    """Return the first of start, start + interval, start + 2 intervals, … that is not before `now`."""
    if start_ms >= now:
        return start_ms
    return start_ms + -(-(now - start_ms) // interval_ms) * interval_ms
