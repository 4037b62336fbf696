"""Key-value and window stores of whole numbers, whose cache and buffer are compiled."""

from collections.abc import Iterator, Sequence
from typing import Any

from headrace.base.columns import Columns
from headrace.base.records import Headers
from headrace.processor.context import TaskContext
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.row import Row
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.buffer.slot_index import SlotIndex
from headrace.state.cache import CacheBudget
from headrace.state.in_place import InPlace
from headrace.state.merge import after, after_prefix
from headrace.state.number_cache import Below, NumbersCache, Released
from headrace.state.port import Rows
from headrace.state.values import ValueCodec

__all__ = ["KeyValueNumbers", "WindowNumbers"]


class KeyValueNumbers(NumbersCache):
    """A `KeyValueState` that forwards the last update of each key; its twin is `CachedKeyValue`."""

    __slots__ = ("_below",)

    #: Rows of this kind have no time of their own, and none of them is a duplicate.
    observed_stream_time = -1
    sequence = 0

    def __init__(
        self,
        below: KeyValueBuffer,
        codec: ValueCodec,
        context: TaskContext,
        budget: CacheBudget,
        log: Columns | None,
    ) -> None:
        super().__init__(below.spec, codec, context, budget, below.admission, log)
        self._below = below

    def in_place(self) -> InPlace:
        """Return how a loop reads and writes entries itself."""
        return self._in_place(", 0")

    def holds(self, key: bytes) -> bool:
        """Whether a look at a key needs no look below."""
        return self._numbers.holds(key, 0)

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a key."""
        return self._found(key, 0)

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """The bytes of a value and its timestamp; see `KeyValueState`."""
        row = self._found(key, 0)
        return None if row is None else (self._codec.encode(row[0]), row[1])

    def get_all_encoded(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        """What `get_encoded` finds for each of the keys."""
        return list(map(self.get_encoded, keys))

    def peek(self, key: bytes) -> tuple[Any, int] | None:
        """What `get` finds, leaving no trace. From any thread."""
        found = self._numbers.get(key, 0, marks=False)
        return self._below.get(key) if found is False else found

    def copied(self) -> dict[bytes, Row | None]:
        """The rows that are here, clean ones too: see `CachedKeyValue.copied`. From any thread."""
        return self._numbers.rows(slotted=False)

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Set or delete, in the cache."""
        self._put(key, 0, value, timestamp, headers)
        return None

    def range(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, Any, int]]:
        """Rows with start <= key <= end in byte order, as they are now."""
        return self._view(start, None if end is None else after(end), reverse=reverse)

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, Any, int]]:
        """Rows whose key begins with `prefix`, as they are now."""
        return self._view(prefix, after_prefix(prefix), reverse=False)

    def _view(
        self, start: bytes | None, end: bytes | None, *, reverse: bool
    ) -> Iterator[tuple[bytes, Any, int]]:
        over = self._numbers.over_between(start, end)
        return self._below.view(start, end, over, reverse=reverse)

    def approximate_count(self) -> int:
        """Roughly how many rows there are, without those that wait in the cache or for the commit."""
        return self._below.approximate_count()

    def _entry_row(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        return self._below.entry_row(key)

    def _changelog_key(self, key: bytes, slot: int) -> bytes:
        return key

    def _tell(self, key: Any, slot: int, value: Any, before: Any, timestamp: int, headers: Headers) -> None:
        if self._listener is not None:
            self._listener(key, value, before, timestamp, headers)

    def changes(self) -> Rows:
        """What a commit has to write."""
        return self._numbers.changes(self._width)

    def committed(self) -> None:
        """Take it that the database has what waited."""
        self._numbers.committed()

    def forget(self) -> None:
        """Drop what waits: `empty` does, of cache and buffer together."""

    def restored(self, stream_time: int, sequence: int) -> None:
        """There is nothing to take over."""

    def expired(self) -> None:
        """No row expires: None."""


class WindowNumbers(NumbersCache):
    """A `SegmentedState` of windows that forwards the last update of each; its twin is `CachedSegmented`."""

    __slots__ = ("_below", "_index", "_layout", "_retention_ms", "observed_stream_time")

    def __init__(
        self,
        below: SegmentedBuffer,
        layout: SegmentLayout,
        codec: ValueCodec,
        context: TaskContext,
        budget: CacheBudget,
        log: Columns | None,
    ) -> None:
        super().__init__(below.spec, codec, context, budget, below.admission, log)
        self.observed_stream_time = below.observed_stream_time
        self._below = below
        self._layout = layout
        self._retention_ms = below.spec.lifetime_ms
        self._index = SlotIndex(self._slots_of)

    def in_place(self) -> InPlace:
        """Return how a loop reads and writes entries itself."""
        return self._in_place("")

    def _may_be_there(self, slot: int) -> bool:
        # Not expired, and not later than any cell: a query may ask for a time that fits into no key.
        return self.observed_stream_time - self._retention_ms < slot <= self.observed_stream_time

    def holds(self, key: bytes, slot: int) -> bool:
        """Whether a look at a cell needs no look below."""
        return self._numbers.holds(key, slot)

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """Value and timestamp of one cell; None if it has expired."""
        return self._found(key, slot) if self._may_be_there(slot) else None

    def peek(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """What `get` finds, leaving no trace. From any thread."""
        if not self._may_be_there(slot):
            return None
        found = self._numbers.get(key, slot, marks=False)
        return self._below.get(key, slot) if found is False else found

    def copied(self) -> Overlay:
        """The rows that are here, clean ones too: see `CachedKeyValue.copied`. From any thread."""
        return self._numbers.rows(slotted=True)

    def put(self, key: bytes, slot: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set or delete a cell, in the cache: see `CachedSegmented.put`."""
        self._put(key, slot, value, timestamp, headers)
        self.observed_stream_time = max(self.observed_stream_time, slot)
        if self._index:
            self._index.put(key, slot, is_there=value is not None)

    def replace(
        self, key: bytes, replaced: Sequence[int], slot: int, value: Any, timestamp: int, headers: Headers
    ) -> None:
        """Delete cells and set another one; if that is refused, nothing is changed."""
        self.put(key, slot, value, timestamp, headers)
        for each in replaced:
            if each != slot:
                self.put(key, each, None, timestamp, headers)

    def slots(self, key: bytes, from_ms: int) -> list[int]:
        """Slots of a key's cells with from <= time that have not expired, ascending: see `SegmentedBuffer.slots`."""
        live_ms = max(self.observed_stream_time - self._retention_ms + 1, 0)
        return self._index.since(key, max(from_ms, 0), live_ms)

    def _slots_of(self, key: bytes, first: int) -> list[int]:
        slot_of, over = self._layout.slot, self._numbers.over_cells(key)
        cells = self._below.cells(key, first, None, over, self.observed_stream_time)
        return [slot_of(row_key) for row_key, _ in cells]

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells with from <= time <= to that have not expired, as they are now: key, slot, value, timestamp."""
        over, stream_time = self._numbers.over_cells(key), self.observed_stream_time
        return self._below.view(key, from_ms, to_ms, over, stream_time, reverse=reverse)

    def flush(self) -> bool:
        """Let go of everything dirty; see `RecordCache.flush`."""
        flushed = super().flush()
        # Cells put and deleted between two flushes go nowhere, but the time that they have shown stays.
        self._below.advance(self.observed_stream_time)
        return flushed

    def empty(self) -> None:
        """Forget everything, dirty or not, and what was seen with it."""
        super().empty()
        self._index.clear()
        self.observed_stream_time = self._below.observed_stream_time

    def _below_for_counts(self) -> Below | None:
        return None if self._index else self._entry_row

    def _entry_row(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        return self._below.entry_row(key, slot)

    def _changelog_key(self, key: bytes, slot: int) -> bytes:
        return self._layout.changelog_key(key, slot)

    def _tell(self, key: Any, slot: int, value: Any, before: Any, timestamp: int, headers: Headers) -> None:
        if self._listener is not None:
            self._listener(key, slot, value, before, timestamp, headers)

    def _fresh(self, released: Released) -> list[int | None]:
        below, slots, before = self._below, released.slots, released.before
        newest = max(slots)
        if min(slots) > max(newest, below.observed_stream_time) - self._retention_ms:
            below.advance(newest)
            return before
        # As a buffer that is given one after the other: what has expired by then is not kept, and was not there.
        for at, slot in enumerate(slots):
            if slot > below.observed_stream_time:
                below.advance(slot)
            elif slot <= below.observed_stream_time - self._retention_ms:
                if released.values[at] is not None or before[at] is not None:
                    below.drop_expired(slot)
                before[at] = None
        return before

    @property
    def sequence(self) -> int:
        """There are no duplicates."""
        return 0

    def changes(self) -> Rows:
        """What a commit has to write: cells that have expired meanwhile are left out."""
        below = self._below
        return self._numbers.changes(self._width, below.oldest_stored, below.interval_ms)

    def committed(self) -> None:
        """Take it that the database has what waited."""
        self._numbers.committed()
        self._below.committed()

    def forget(self) -> None:
        """Drop what was seen with what waits, which `empty` drops."""
        self._below.forget()

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over what the database's rows have seen."""
        self._below.restored(stream_time, sequence)

    def expired(self) -> tuple[bytes, bytes] | None:
        """Range of rows whose segments have left since this was last asked, and None if there are none."""
        return self._below.expired()
