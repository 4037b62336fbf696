"""Stores as threads that do not own them see them: queries. Reads leave no trace and take no lock of the owner's.

A point read looks where the owner does: cache, buffer, database. A range read copies what waits and merges it with the
database's rows; an update that moves from one to the other meanwhile is seen in one of them.
"""

from collections.abc import Iterator
from typing import Any

from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.row import Row
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.cached_key_value import CachedKeyValue
from headrace.state.cached_segmented import CachedSegmented
from headrace.state.merge import after, after_prefix
from headrace.state.number_stores import KeyValueNumbers, WindowNumbers
from headrace.state.spec import StoreSpec

__all__ = ["KeyValueReader", "SegmentedReader", "VersionedReader"]


class KeyValueReader:
    """Reads a key-value store from any thread; with `committed`, as the last commit left it."""

    __slots__ = ("_buffer", "_cache", "_committed", "spec")

    def __init__(
        self, buffer: KeyValueBuffer, cache: CachedKeyValue | KeyValueNumbers | None, *, committed: bool
    ) -> None:
        self.spec: StoreSpec = buffer.spec
        self._buffer = buffer
        self._cache = cache
        self._committed = committed

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a key."""
        if self._committed:
            return self._buffer.committed_row(key)
        return self._buffer.peek(key) if self._cache is None else self._cache.peek(key)

    def range(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, Any, int]]:
        """Rows with start <= key <= end in byte order."""
        return self._view(start, None if end is None else after(end), reverse=reverse)

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, Any, int]]:
        """Rows whose key begins with `prefix`."""
        return self._view(prefix, after_prefix(prefix), reverse=False)

    def approximate_count(self) -> int:
        """Roughly how many rows there are, without those that wait."""
        return self._buffer.approximate_count()

    def _view(
        self, start: bytes | None, end: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, Any, int]]:
        if start is not None and end is not None and start >= end:
            return iter(())
        waiting: dict[bytes, Row | None] = {}
        if not self._committed:
            # The cache first: what a flush moves meanwhile is then in both, and not in neither.
            over = {} if self._cache is None else self._cache.copied()
            waiting = {**self._buffer.copied(), **over}
        low = b"" if start is None else start
        keys = sorted(key for key in waiting if low <= key and (end is None or key < end))
        return self._buffer.merged(start, end, [(key, waiting[key]) for key in keys], reverse=reverse)


class SegmentedReader:
    """Reads a segmented store from any thread; with `committed`, as the last commit left it."""

    __slots__ = ("_buffer", "_cache", "_committed", "spec")

    def __init__(
        self, buffer: SegmentedBuffer, cache: CachedSegmented | WindowNumbers | None, *, committed: bool
    ) -> None:
        self.spec: StoreSpec = buffer.spec
        self._buffer = buffer
        self._cache = cache
        self._committed = committed

    @property
    def observed_stream_time(self) -> int:
        """Highest time of a cell ever put (epoch ms), -1 if none."""
        return (self._cache or self._buffer).observed_stream_time

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """Value and timestamp of one cell."""
        if self._committed:
            return self._buffer.committed_row(key, slot)
        return self._buffer.get(key, slot) if self._cache is None else self._cache.peek(key, slot)

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells with from <= time <= to that have not expired: key, slot, value, timestamp."""
        over: Overlay = {}
        rows: Overlay = {}
        if not self._committed:
            over = {} if self._cache is None else self._cache.copied()
            rows = self._buffer.copied()
        stream_time = self.observed_stream_time
        return self._buffer.view(key, from_ms, to_ms, over, stream_time, reverse=reverse, rows=rows)


class VersionedReader:
    """Reads a versioned store from any thread; with `committed`, as the last commit left it."""

    __slots__ = ("_buffer", "_committed", "spec")

    def __init__(self, buffer: VersionedBuffer, *, committed: bool) -> None:
        self.spec: StoreSpec = buffer.spec
        self._buffer = buffer
        self._committed = committed

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of the latest version."""
        return self._buffer.get(key, committed=self._committed)

    def as_of(self, key: bytes, time: int) -> tuple[Any, int, int | None] | None:
        """The version that was valid at a time."""
        # The latest is looked for before the others, which a put fills first: copied here, they might lack what it had.
        return self._buffer.as_of(key, time, committed=self._committed, rows=self._buffer.copied)

    def history(
        self, key: bytes, start: int | None, end: int | None
    ) -> Iterator[tuple[Any, int, int | None]]:
        """Versions that were valid at some time from `start` to `end`."""
        return self._buffer.history(key, start, end, committed=self._committed, rows=self._buffer.copied)

    def latest(self, start: bytes | None) -> Iterator[tuple[bytes, Any, int]]:
        """Key, value and timestamp of the latest version of each key from `start` on."""
        return self._buffer.latest(start, committed=self._committed)
