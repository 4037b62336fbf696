"""By what the results of a node wait for stream time, as it says itself: for who asks why a window does not close."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["HeldInStore", "WindowClock"]


def _none_held() -> tuple[int, int | None]:
    return 0, None


@dataclass(frozen=True, slots=True)
class HeldInStore:
    """Results that are held back as rows of the store that they are made in. Who wants to know them looks there.

    Attributes:
        from_ms: the lowest time (epoch ms) of a row whose result may not have left.
        leaves_after_ms: a row's result leaves when stream time is so far past the row's time.
    """

    store: str
    from_ms: int
    leaves_after_ms: int


def _in_no_store() -> None:
    return None


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
        held_in: tells which rows of a store those are, where the node does not count them itself.
    """

    stream_time: Callable[[], int]
    grace_ms: int
    ends_included: bool
    emits_final: bool
    idle_ms: int | None
    held: Callable[[], tuple[int, int | None]] = _none_held
    held_in: Callable[[], HeldInStore | None] = _in_no_store

    @property
    def closed_until(self) -> int | None:
        """Return the latest end of windows that have closed (epoch ms); None before the first record."""
        stream_time = self.stream_time()
        return None if stream_time < 0 else stream_time - self.grace_ms - self.ends_included
