"""Window stores without a cache, as operators use them, over the segmented buffer."""

from collections.abc import Callable, Iterator
from typing import Any

from headrace.base.errors import StateError
from headrace.base.records import Headers
from headrace.state.buffer.row import ENCODED, Row
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.buffer.window_layout import DUPLICATES
from headrace.state.port import (
    Counted,
    CountedColumns,
    FlushRefused,
    OpenKey,
    StreamTime,
    WindowFlushListener,
)

__all__ = ["DuplicatesBuffer", "WindowBuffer"]


class WindowBuffer(SegmentedBuffer):
    """The uncommitted windows of a store. A `WindowState`; a slot is a window's start."""

    __slots__ = ()

    caching = False

    def put(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set or delete a window, and log it."""
        if value is None:
            self.put_encoded(key, start, None, None, timestamp)
            return
        try:
            raw = self._encode(value)
        except Exception:
            raw = self._codec.to_bytes(value)  # raises with words
        kept = value if type(value) is self._kept_type else ENCODED
        self.put_encoded(key, start, kept, raw, timestamp)

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Windows with from <= start <= to that have not expired, as they are now."""
        return self.view(key, from_ms, to_ms, {}, self.observed_stream_time, reverse=reverse)

    def view(
        self,
        key: bytes | None,
        from_ms: int | None,
        to_ms: int | None,
        over: Overlay,
        stream_time: int,
        *,
        reverse: bool,
        rows: Overlay | None = None,
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Windows as `range`, with what lies over them; see `SegmentedBuffer.cells`."""
        return self._opened(self.cells(key, from_ms, to_ms, over, stream_time, reverse=reverse, rows=rows))

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        split, opened = self._layout.split, self._rows_codec.opened
        for row_key, row in rows:
            key, start, _ = split(row_key)
            value, timestamp = opened(row)
            yield key, start, value, timestamp

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

    def on_flush(
        self,
        listener: WindowFlushListener,
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """There is no cache to listen to.

        Raises:
            StateError: always. Ask `caching` first.
        """
        raise StateError(f"store {self.spec.name!r} has no cache: forward each update yourself")


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
