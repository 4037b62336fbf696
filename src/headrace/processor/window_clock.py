"""By what the results of a node wait for stream time, as it says itself: for who asks why a window does not close."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["WindowClock"]


def _none_held() -> tuple[int, int | None]:
    return 0, None


@dataclass(frozen=True, slots=True)
class WindowClock:
    """One node in one task. Nothing is recorded for it: the task's thread looks at what it tells where that stands.

    Attributes:
        stream_time: tells the node's own stream time (epoch ms), -1 before its first record since the task began.
        grace_ms: how far behind stream time that ends which has closed; of sessions, with their gap.
        ends_included: whether the end of a window is in it, so that it closes a millisecond later.
        emits_final: whether results leave when windows close, and not with each update.
        idle_ms: the silence after which windows close without a record; None where they wait for one.
        held: tells how many results are held back, and the time of the first (epoch ms), None where none is.
    """

    stream_time: Callable[[], int]
    grace_ms: int
    ends_included: bool
    emits_final: bool
    idle_ms: int | None
    held: Callable[[], tuple[int, int | None]] = _none_held

    @property
    def closed_until(self) -> int | None:
        """Return the latest end of windows that have closed (epoch ms); None before the first record."""
        stream_time = self.stream_time()
        return None if stream_time < 0 else stream_time - self.grace_ms - self.ends_included
