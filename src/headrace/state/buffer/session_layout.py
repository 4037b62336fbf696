"""The layout of session stores. A cell's time is its session's end, by which it expires; its rest is the start.

Source: `SessionKeySchema`.
"""

from struct import Struct

from headrace.state.buffer.segment_layout import SegmentLayout

__all__ = ["SESSIONS", "session_of", "session_slot"]

_END_AND_START = Struct(">qq")

#: A start fits into 63 bits.
_BITS = 63
_START_MAX = (1 << _BITS) - 1


def session_slot(start: int, end: int) -> int:
    """Slot of the session [start, end] (epoch ms). Slots are in the order of ends."""
    return end << _BITS | start


def session_of(slot: int) -> tuple[int, int]:
    """Start and end of a slot's session (epoch ms)."""
    return slot & _START_MAX, slot >> _BITS


def _is_session(end: int, start: int) -> bool:
    return 0 <= start <= end


SESSIONS = SegmentLayout("session", _END_AND_START, _BITS, _is_session)
