"""When the windows of a time are all closed: what a silent input moves stream time to."""

from typing import Any

import pytest

from headrace.operators.session import SessionShape
from headrace.operators.sliding import SlidingShape
from headrace.operators.window_close import NEVER_EMITTED
from headrace.operators.windowed import WindowShape


@pytest.mark.parametrize(
    ("shape", "newest", "closed_at", "grace_ms"),
    [
        (WindowShape(10, 10, 3), 40, 53, 3),
        (WindowShape(10, 10, 3), 49, 53, 3),
        (WindowShape(10, 4, 3), 41, 53, 3),
        (WindowShape(10, 4, 0), 0, 10, 0),
        (SlidingShape(10, 3), 40, 54, 3),
        (SessionShape(10, 3), 40, 54, 13),
    ],
)
def test_all_windows_of_a_time_are_closed_then_and_not_a_moment_before(
    shape: Any, newest: int, closed_at: int, grace_ms: int
) -> None:
    assert shape.closed_at(newest) == closed_at
    last = newest - newest % shape.advance_ms if isinstance(shape, WindowShape) else newest
    times = shape.closed_since(NEVER_EMITTED, closed_at - grace_ms)
    assert times is not None
    assert times[1] >= last
    before = shape.closed_since(NEVER_EMITTED, closed_at - grace_ms - 1)
    assert before is None or before[1] < last
