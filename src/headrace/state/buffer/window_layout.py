"""Layouts of window stores. A cell's time is its window's start, its rest the number of a duplicate, 0 without these.

Source: `WindowKeySchema`.
"""

from struct import Struct

from headrace.state.buffer.segment_layout import SegmentLayout

__all__ = ["DUPLICATES", "WINDOWS"]

_START_AND_SEQUENCE = Struct(">qi")


def _is_window(start: int, sequence: int) -> bool:
    return start >= 0 and sequence == 0


def _is_duplicate(start: int, sequence: int) -> bool:
    return start >= 0


#: One value for each key and start: a slot is the start itself.
WINDOWS = SegmentLayout("window", _START_AND_SEQUENCE, 0, _is_window)

#: Every value that was put for a key and start.
DUPLICATES = SegmentLayout("window", _START_AND_SEQUENCE, 31, _is_duplicate, is_numbered=True)
