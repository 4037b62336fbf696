"""Windows over time, as users write them."""

from typing import TypeAlias

from headrace.base.durations import Duration, milliseconds
from headrace.operators.session import SessionShape
from headrace.operators.sliding import SlidingShape
from headrace.operators.stream_stream_join import JoinSpan
from headrace.operators.windowed import WindowShape
from headrace.processor.parts import TIMESTAMP_MAX

__all__ = [
    "AnyTimeWindows",
    "JoinWindows",
    "SessionWindows",
    "SlidingWindows",
    "TimeWindows",
    "UnlimitedWindows",
]


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


class JoinWindows:
    """How far records of two streams may lie apart to be joined: `within=` of a join.

    A record of this stream meets those of the other whose timestamp is at most `before` lower and at most `after`
    higher than its own, both included. `difference` stands for the two, or for the one that is not given. One of them
    may be negative, which leaves the records around the same time out, as long as their sum is not. `grace` is how long
    after its window (in stream time) a record may still come; what has no match waits for it in a left or outer join.

    >>> JoinWindows(before="5m", after="0s", grace="1m")
    JoinWindows(before='300000ms', after='0ms', grace='60000ms')
    """

    __slots__ = ("after_ms", "before_ms", "grace_ms")

    def __init__(
        self,
        difference: Duration | None = None,
        *,
        grace: Duration,
        before: Duration | None = None,
        after: Duration | None = None,
    ) -> None:
        if difference is None and (before is None or after is None):
            raise ValueError(
                "how far may records lie apart? Write JoinWindows('5m', grace=…), or both before= and after="
            )
        both = 0 if difference is None else milliseconds(difference, name="difference")
        self.before_ms, self.after_ms = (
            both if given is None else milliseconds(given, name=name, negative_allowed=True)
            for name, given in (("before", before), ("after", after))
        )
        self.grace_ms = milliseconds(grace, name="grace")
        if self.before_ms + self.after_ms < 0:
            raise ValueError(
                f"before={self.before_ms} ms and after={self.after_ms} ms leave no moment in which a record could be "
                "met: their sum must be 0 or more"
            )

    @property
    def span(self) -> JoinSpan:
        """What the operators need."""
        return JoinSpan(self.before_ms, self.after_ms, self.grace_ms)

    def __eq__(self, other: object) -> bool:
        return self.span == other.span if isinstance(other, JoinWindows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.span)

    def __repr__(self) -> str:
        return (
            f"JoinWindows(before='{self.before_ms}ms', after='{self.after_ms}ms', grace='{self.grace_ms}ms')"
        )


class SlidingWindows:
    """Windows of records that are at most `difference` apart, both ends included: `[start, start + difference]`.

    They are not aligned: there is one for each set of a key's records that lie together, so a record that comes makes
    up to two new ones. `grace` is how long after its end (in stream time) a window still takes records. The store keeps
    windows for twice the difference and the grace together, unless it is declared with a longer `retention`.
    """

    __slots__ = ("difference_ms", "grace_ms")

    def __init__(self, difference: Duration, *, grace: Duration) -> None:
        self.difference_ms = milliseconds(difference, name="difference")
        self.grace_ms = milliseconds(grace, name="grace")
        if self.difference_ms == 0:
            raise ValueError(
                f"difference={difference!r} makes windows of one moment: a duration of more than 0 is wanted"
            )

    @property
    def shape(self) -> SlidingShape:
        """What the operators need."""
        return SlidingShape(self.difference_ms, self.grace_ms)

    def __eq__(self, other: object) -> bool:
        return self.shape == other.shape if isinstance(other, SlidingWindows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.shape)

    def __repr__(self) -> str:
        return f"SlidingWindows('{self.difference_ms}ms', grace='{self.grace_ms}ms')"


class UnlimitedWindows:
    """One window for each key, which begins at `start` and never ends.

    `start` is in epoch ms. Records before it are left out, without being counted as dropped. No window expires or is
    ever closed: the store grows with the number of keys.
    """

    __slots__ = ("start_ms",)

    def __init__(self, start: int = 0) -> None:
        if isinstance(start, bool | float) or not hasattr(start, "__index__"):
            raise TypeError(
                f"start={start!r} is no moment: epoch ms are wanted, as an int; int(moment.timestamp() * 1000) of a "
                f"datetime"
            )
        self.start_ms = start.__index__()
        if not 0 <= self.start_ms < TIMESTAMP_MAX:
            raise ValueError(
                f"start={start!r} is before 1970, or beyond 64 bits: epoch ms are wanted, 0 or more"
            )

    def __eq__(self, other: object) -> bool:
        return self.start_ms == other.start_ms if isinstance(other, UnlimitedWindows) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.start_ms)

    def __repr__(self) -> str:
        return f"UnlimitedWindows({self.start_ms})"


#: Windows whose rows go by their start.
AnyTimeWindows: TypeAlias = TimeWindows | SlidingWindows | UnlimitedWindows
