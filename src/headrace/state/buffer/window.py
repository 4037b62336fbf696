"""Window stores without a cache, as operators use them, over the segmented buffer."""

from collections.abc import Callable, Iterator
from typing import Any

from headrace.state.buffer.row import Row
from headrace.state.buffer.segmented import SegmentedBuffer
from headrace.state.buffer.window_layout import DUPLICATES
from headrace.state.port import Counted, CountedColumns, StreamTime

__all__ = ["DuplicatesBuffer", "WindowBuffer"]


class WindowBuffer(SegmentedBuffer):
    """The uncommitted windows of a store. A `WindowState`; a slot is a window's start, but for duplicates."""

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


class DuplicatesBuffer(WindowBuffer):
    """Windows that keep every value put for their key and start, in the order of the puts. There is no `get`.

    A put adds a row each time, and cannot delete.
    """

    __slots__ = ()

    def put_encoded(self, key: bytes, slot: int, value: Any, raw: bytes | None, timestamp: int) -> None:
        """Add a value whose bytes are known already, under the next number; `slot` is the window's start."""
        if raw is None:
            return
        sequence = (self.sequence + 1) & DUPLICATES.rest_max
        super().put_encoded(key, slot << DUPLICATES.rest_bits | sequence, value, raw, timestamp)
        self.sequence = sequence

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        for key, slot, value, timestamp in super()._opened(rows):
            yield key, slot >> DUPLICATES.rest_bits, value, timestamp
