"""Windows over time, as users write them."""

from headrace.base.durations import Duration, milliseconds
from headrace.operators.session import SessionShape
from headrace.operators.windowed import WindowShape

__all__ = ["SessionWindows", "TimeWindows"]


class TimeWindows:
    """Windows of a fixed size, aligned to the epoch: tumbling, or hopping where `advance` is smaller than the size.

    `[start, end)`; a record belongs to each window that holds its timestamp. `grace` is how long after its end (in
    stream time) a window still takes records. The store keeps windows for size and grace together, unless it is
    declared with a longer `retention`.
    """

    __slots__ = ("advance_ms", "grace_ms", "size_ms")

    def __init__(self, size: Duration, *, grace: Duration, advance: Duration | None = None) -> None:
        self.size_ms = milliseconds(size, name="size")
        self.grace_ms = milliseconds(grace, name="grace")
        self.advance_ms = self.size_ms if advance is None else milliseconds(advance, name="advance")
        if self.size_ms == 0:
            raise ValueError(f"size={size!r} is no window: a duration of more than 0 is wanted")
        if not 0 < self.advance_ms <= self.size_ms:
            raise ValueError(
                f"advance={advance!r} would leave time between windows, or never advance: more than 0 and at most the "
                f"size {size!r} is wanted"
            )

    @property
    def shape(self) -> WindowShape:
        """What the operators need."""
        return WindowShape(self.size_ms, self.advance_ms, self.grace_ms)

    def __eq__(self, other: object) -> bool:
        return self.shape == other.shape if isinstance(other, TimeWindows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.shape)

    def __repr__(self) -> str:
        advance = "" if self.advance_ms == self.size_ms else f", advance='{self.advance_ms}ms'"
        return f"TimeWindows('{self.size_ms}ms', grace='{self.grace_ms}ms'{advance})"


class SessionWindows:
    """Sessions: the records of a key between which no silence is longer than `gap`.

    A session is [start, end], both included: the times of its first record and of its last one. `grace` is how long (in
    stream time) a session still takes records after the gap has passed. The store keeps sessions for gap and grace
    together, unless it is declared with a longer `retention`.
    """

    __slots__ = ("gap_ms", "grace_ms")

    def __init__(self, gap: Duration, *, grace: Duration) -> None:
        self.gap_ms = milliseconds(gap, name="gap")
        self.grace_ms = milliseconds(grace, name="grace")
        if self.gap_ms == 0:
            raise ValueError(f"gap={gap!r} is no gap: a duration of more than 0 is wanted")

    @property
    def shape(self) -> SessionShape:
        """What the operators need."""
        return SessionShape(self.gap_ms, self.grace_ms)

    def __eq__(self, other: object) -> bool:
        return self.shape == other.shape if isinstance(other, SessionWindows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.shape)

    def __repr__(self) -> str:
        return f"SessionWindows('{self.gap_ms}ms', grace='{self.grace_ms}ms')"
