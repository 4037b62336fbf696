"""Which sliding windows a record touches: of its key's windows those that hold it, and those that begin with it.

A record at t has a *left* window [t - d, t], and a *right* one [t + 1, t + 1 + d] once a later record falls into it. A
window exists if it is one of these for some record, so that each set of records which lie together has one window. The
highest time in a window is that of its value.

Records earlier than d have no left window, which would begin before 1970: they share one, [0, d].
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from headrace.state.port import SegmentedState

__all__ = ["NONE_YET", "touching"]

#: In place of the aggregate of a window that nothing is in yet.
NONE_YET = object()

#: Start of a window, its aggregate so far, the highest time in it then, and whether it is a copy of another window, as
#: that was before the record: the record itself does not go into it.
Touched: TypeAlias = tuple[int, Any, int, bool]

#: What the store has of a window that is there.
_Get: TypeAlias = Callable[[bytes, int], Any]


def touching(state: SegmentedState, size: int) -> Callable[[bytes, int], Sequence[Touched]]:
    """Make what finds the windows of a key that a record of some time touches, in the order of their results."""
    get, slots = state.get, state.slots

    def touched(key: bytes, timestamp: int) -> Sequence[Touched]:
        starts = slots(key, timestamp - 2 * size)
        later = bisect_right(starts, timestamp)
        has_right = later < len(starts) and starts[later] == timestamp + 1
        del starts[later:]
        return (_early if timestamp < size else _usual)(get, key, starts, timestamp, size, has_right)

    return touched


def _usual(
    get: _Get, key: bytes, starts: Sequence[int], timestamp: int, size: int, has_right: bool
) -> list[Touched]:
    """From the latest window back to the last one that ends before the record."""
    touched: list[Touched] = []
    has_left = False
    like = previous = None  # the window that a right one is a copy of; when the record before this one came
    before: Any = NONE_YET
    for start in reversed(starts):
        aggregate, latest = get(key, start)
        end = start + size
        if end < timestamp:
            before, previous = aggregate, latest
            break
        touched.append((start, aggregate, max(latest, timestamp), False))
        if end > timestamp:
            if like is None:
                like = start, latest
        elif latest >= timestamp:
            return touched  # a record of the same time was here, and has made all windows
        else:
            has_left, previous = True, latest
    if previous is not None and previous + 1 + size >= timestamp and not _has(starts, previous + 1):
        touched.append((previous + 1, NONE_YET, timestamp, False))
    if not has_left:
        if previous is None or previous < timestamp - size:
            before = NONE_YET
        touched.append((timestamp - size, before, timestamp, False))
    if not has_right:
        touched += _right_window(get, key, like, timestamp)
    return touched


def _early(
    get: _Get, key: bytes, starts: Sequence[int], timestamp: int, size: int, has_right: bool
) -> list[Touched]:
    """From the window after the common one on; that is the last."""
    touched: list[Touched] = []
    common: Touched = (0, NONE_YET, timestamp, False)
    like = previous = None
    for start in starts:
        aggregate, latest = get(key, start)
        if start == 0:
            common = (0, aggregate, max(latest, timestamp), False)
            if latest < timestamp:
                previous = latest
        else:
            touched.append((start, aggregate, max(latest, timestamp), False))
        like = start, latest
    if not has_right:
        touched += _right_window(get, key, like, timestamp)
    if previous is not None and not _has(starts, previous + 1):
        touched.append((previous + 1, NONE_YET, timestamp, False))
    touched.append(common)
    return touched


def _right_window(get: _Get, key: bytes, like: tuple[int, int] | None, timestamp: int) -> list[Touched]:
    """Return the window after the record, if there is anything in it: what came later in the last window before."""
    if like is None or like[1] <= timestamp:
        return []
    # Read once more: what the user's function does to the aggregate of that window must not be seen in this one.
    aggregate, latest = get(key, like[0])
    return [(timestamp + 1, aggregate, latest, True)]


def _has(starts: Sequence[int], start: int) -> bool:
    at = bisect_left(starts, start)
    return at < len(starts) and starts[at] == start
