"""Window stores without a cache, as operators use them, over the segmented buffer."""

from collections.abc import Callable
from typing import Any

from headrace.state.buffer.segmented import SegmentedBuffer
from headrace.state.port import Counted, CountedColumns, StreamTime

__all__ = ["WindowBuffer"]


class WindowBuffer(SegmentedBuffer):
    """The uncommitted windows of a store. A `WindowState`; a slot is a window's start, where no duplicates are kept."""

    __slots__ = ()

    def counter(
        self,
        size_ms: int,
        grace_ms: int,
        stream_time: StreamTime,
        serialize: Callable[[Any], bytes],
        otherwise: Counted,
    ) -> Counted:
        """Nothing is cached here: no record goes another way."""
        return otherwise

    def column_counter(
        self,
        size_ms: int,
        grace_ms: int,
        stream_time: StreamTime,
        serialize: Callable[[Any], bytes],
        otherwise: Counted,
    ) -> CountedColumns | None:
        """Nothing is cached here: None."""
        return None
