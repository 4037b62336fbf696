"""A segmented store with a record cache over its buffer: windows and sessions, whatever their slots mean."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from headrace.base.errors import HeadraceError, ProductionError, SerializationError
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.context import TaskContext
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.buffer.slot_index import SlotIndex
from headrace.state.cache import CacheBudget, CacheEntry, RecordCache
from headrace.state.values import ValueCodec

__all__ = ["CachedSegmented", "Cell"]

#: Key and slot.
Cell: TypeAlias = tuple[bytes, int]

#: A tuple and an int (CPython 3.11), beside what every entry weighs.
_CELL_BYTES = 90


class CachedSegmented(RecordCache[Cell]):
    """A `SegmentedState` that forwards the last update of each cell. A declared extension point.

    We differ from Kafka Streams in that cells expire here by the puts that the cache has seen, and not by those that it
    has let go of: what a read returns must not depend on when flushes fall.

    Source: `CachingWindowStore`, `CachingSessionStore`.
    """

    __slots__ = (
        "_below",
        "_dirty_slots",
        "_index",
        "_layout",
        "_rest_bits",
        "_retention_ms",
        "observed_stream_time",
        "spec",
    )

    caching = True
    _entry_of_cell = "find(({cell})) if {live} else None"

    def __init__(
        self,
        below: SegmentedBuffer,
        layout: SegmentLayout,
        codec: ValueCodec,
        context: TaskContext,
        budget: CacheBudget,
    ) -> None:
        super().__init__(below.spec, codec, context, budget, below.admission)
        self.spec = below.spec
        self.observed_stream_time = below.observed_stream_time
        self._below = below
        self._layout = layout
        self._rest_bits = layout.rest_bits
        self._retention_ms = below.spec.lifetime_ms
        self._index = SlotIndex(self._slots_of)
        #: Dirty entries by key and slot, kept from the first range that needs them until all are flushed.
        self._dirty_slots: dict[bytes, dict[int, CacheEntry[Cell]]] | None = None

    def holds(self, key: bytes, slot: int) -> bool:
        """Whether a look at a cell needs no look below."""
        return (key, slot) in self._entries

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """Value and timestamp of one cell; None if it has expired."""
        if slot >> self._rest_bits <= self.observed_stream_time - self._retention_ms:
            return None
        entry = self._entries.get((key, slot))
        if entry is not None:
            entry.is_used = True
            row = entry.row
            return row if self._kept_type is not None else self._opened(row)
        found = self._below.entry_row(key, slot)
        if found is not None:
            self._remember((key, slot), found)
        return self._opened(found)

    def peek(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """What `get` finds, leaving no trace. From any thread."""
        if slot >> self._rest_bits <= self.observed_stream_time - self._retention_ms:
            return None
        entry = self._entries.get((key, slot))
        return self._below.get(key, slot) if entry is None else self._opened(entry.row)

    def copied(self) -> Overlay:
        """The rows that are here, clean ones too: see `CachedKeyValue.copied`. From any thread."""
        over: Overlay = {}
        for entry in list(self._entries.values()):
            key, slot = entry.key
            over.setdefault(key, {})[slot] = self._over(entry)
        return over

    def put(self, key: bytes, slot: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set or delete a cell, in the cache.

        Whether it has expired is looked at when it leaves, as in Kafka Streams.
        """
        row_timestamp = timestamp if self._timestamped else -1
        row: tuple[Any, int] | None
        if (
            type(value) is self._kept_type
            and (self._admit is None or (timestamp <= self.safe_ms and not self._weighs))
            and self._accepts(value)
        ):
            row = (value, row_timestamp)  # saves two calls, 0.15 µs
        else:
            row, raw = self._row(value, row_timestamp)
            if self._admit is not None:
                self._admit(self._layout.changelog_key(key, slot), raw, timestamp)
                if timestamp > self.safe_ms:
                    self.safe_ms = self._horizon()
        time = slot >> self._rest_bits
        if time > self.observed_stream_time:  # noqa: PLR1730 - a call of max() costs 0.06 µs more
            self.observed_stream_time = time
        if self._index:
            self._set_known(key, slot, row, timestamp, headers)
        else:
            self._set((key, slot), row, timestamp, headers)

    def replace(
        self, key: bytes, replaced: Sequence[int], slot: int, value: Any, timestamp: int, headers: Headers
    ) -> None:
        """Delete cells and set another one; if that is refused, nothing is changed."""
        row, raw = self._row(value, timestamp if self._timestamped else -1)
        if self._admit is not None:
            self._admit(self._layout.changelog_key(key, slot), raw, timestamp)
        time = slot >> self._rest_bits
        if time > self.observed_stream_time:  # noqa: PLR1730 - as in `put`
            self.observed_stream_time = time
        for each in replaced:
            if each != slot:
                self._set_known(key, each, None, timestamp, headers)
        self._set_known(key, slot, row, timestamp, headers)

    def _set_known(
        self, key: bytes, slot: int, row: tuple[Any, int] | None, timestamp: int, headers: Headers
    ) -> None:
        """Put a judged row of a key whose cells may be known."""
        cell = key, slot
        entry = self._entries.get(cell)
        is_new = self._index.put(key, slot, is_there=row is not None) and entry is None
        if row is None and entry is not None and entry.is_unheard:
            self._withdraw(entry)
            return
        self._set(cell, row, timestamp, headers)
        if is_new and (entry := self._entries.get(cell)) is not None:
            entry.is_unheard = entry.is_dirty

    def _withdraw(self, entry: CacheEntry[Cell]) -> None:
        """Take back a cell that was put since the last flush: nobody has heard of it, so that nothing is deleted.

        A session that grows with each record is another cell each time; so the cache holds one of them, not all.
        """
        del self._dirty[entry.key]
        self._cleaned(entry.key)
        self._leave(entry)
        self._budget.used_bytes -= entry.size_bytes

    def slots(self, key: bytes, from_ms: int) -> list[int]:
        """Slots of a key's cells with from <= time that have not expired, ascending: see `SegmentedBuffer.slots`."""
        bits = self._rest_bits
        live_ms = max(self.observed_stream_time - self._retention_ms + 1, 0)
        return self._index.since(key, max(from_ms, 0) << bits, live_ms << bits)

    def _slots_of(self, key: bytes, first: int) -> list[int]:
        slot_of, from_ms = self._layout.slot, first >> self._rest_bits
        cells = self._below.cells(key, from_ms, None, self._waiting(key), self.observed_stream_time)
        return [slot_of(row_key) for row_key, _ in cells]

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells with from <= time <= to that have not expired, as they are now: key, slot, value, timestamp."""
        over, stream_time = self._waiting(key), self.observed_stream_time
        return self._below.view(key, from_ms, to_ms, over, stream_time, reverse=reverse)

    def _waiting(self, key: bytes | None) -> Overlay:
        """Dirty rows of a key, or of all."""
        waiting = self._dirty_slots
        if waiting is None:
            waiting = self._dirty_slots = {}
            for entry in self._dirty.values():
                self._dirtied(entry)
        over: Overlay = {}
        for over_key in waiting if key is None else (key,):
            entries = waiting.get(over_key)
            if entries:
                over[over_key] = {slot: self._over(entry) for slot, entry in entries.items()}
        return over

    def _release(self, entry: CacheEntry[Cell]) -> None:
        key, slot = entry.key
        row, listener, send_old = entry.row, self._listener, self._send_old
        old = None
        try:
            value, raw, forwarded = self._row_below(row, is_forwarded=listener is not None)
            if listener is not None and row is None and self._below.entry_row(key, slot) is None:
                return  # put and deleted between two flushes: nobody has ever heard of it
            if listener is not None and send_old:
                old = self._below.get(key, slot)
            named = key if listener is None else self._opened_key(key)
            deletes = raw is None and self._below.logs_headers_of_deletions
            self._below.put_encoded(
                key, slot, value, raw, entry.timestamp, entry.headers if deletes else NO_HEADERS
            )
        except (SerializationError, ProductionError) as error:
            self._refuse(entry, key, error)
            return
        if listener is not None:
            before = old[0] if send_old and old is not None else None
            listener(named, slot, forwarded, before, entry.timestamp, entry.headers)

    def _refuse(self, entry: CacheEntry[Cell], key: Any, error: HeadraceError) -> None:
        super()._refuse(entry, key, error)
        self._index.forget(entry.key[0])  # what was put is not there after all

    def _key_bytes(self, key: Cell) -> int:
        return _CELL_BYTES + len(key[0])

    def _dirtied(self, entry: CacheEntry[Cell]) -> None:
        if self._dirty_slots is not None:
            key, slot = entry.key
            self._dirty_slots.setdefault(key, {})[slot] = entry

    def _cleaned(self, key: Cell) -> None:
        if self._dirty_slots is not None:
            slots = self._dirty_slots.get(key[0], {})
            slots.pop(key[1], None)
            if not slots:
                self._dirty_slots.pop(key[0], None)

    def flush(self) -> bool:
        """Let go of everything dirty; see `RecordCache.flush`."""
        flushed = super().flush()
        if not self._dirty:
            self._dirty_slots = None
        # Cells put and deleted between two flushes go nowhere, but the time that they have shown stays.
        self._below.advance(self.observed_stream_time)
        return flushed

    def empty(self) -> None:
        """Forget everything, dirty or not, and what was seen with it."""
        super().empty()
        self._index.clear()
        self._dirty_slots = None
        self.observed_stream_time = self._below.observed_stream_time
