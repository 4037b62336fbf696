"""A segmented store without a cache: changes are logged at once, and wait here for the commit.

Cells of a segmented store expire by their time, a segment of rows after the other. What a cell is, its layout says.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from headrace.base.columns import Columns
from headrace.base.errors import StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.state.buffer.row import ENCODED, ROW_BYTES, UNTOUCHED, Row, RowCodec
from headrace.state.buffer.segment_layout import SegmentLayout, segment_prefix
from headrace.state.buffer.segment_scans import SegmentScans
from headrace.state.buffer.slot_index import SlotIndex
from headrace.state.buffer.uncached import Uncached
from headrace.state.merge import merge
from headrace.state.port import (
    ChangelogAdmission,
    Database,
    Rows,
)
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.values import ValueCodec

__all__ = ["Overlay", "SegmentedBuffer"]

#: Rows by key and slot.
Overlay = dict[bytes, dict[int, Row | None]]

#: A key's own dictionary and its part of the outer one, beside `ROW_BYTES`.
_KEY_BYTES = 200


class SegmentedBuffer(Uncached):
    """The uncommitted cells of a store over its rows in the database: a `SegmentedState`. A declared extension point.

    Kept by key and then by slot, since a record asks for the cells of its own key. Cells of all keys come in the order
    of rows: by segment, key and slot.
    """

    __slots__ = (
        "_admit",
        "_codec",
        "_committed",
        "_dropped",
        "_encode",
        "_expired_end",
        "_family",
        "_index",
        "_is_numbered",
        "_kept_type",
        "_layout",
        "_log",
        "_log_headers",
        "_log_key",
        "_log_timestamp",
        "_log_value",
        "_rest_bits",
        "_rest_max",
        "_retention_ms",
        "_rows",
        "_rows_codec",
        "_scans",
        "_stored_ms",
        "_suffix",
        "_timestamped",
        "admission",
        "buffered_bytes",
        "interval_ms",
        "logs_headers_of_deletions",
        "observed_stream_time",
        "sequence",
    )

    def __init__(
        self,
        spec: StoreSpec,
        layout: SegmentLayout,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        dropped: Callable[[str, str], None],
        admission: ChangelogAdmission | None = None,
    ) -> None:
        if spec.retention_ms is None:
            raise StateError(f"{layout.noun} store {spec.name!r} has no retention")
        super().__init__(spec)
        self.admission = admission
        self._admit = None if admission is None else admission.check
        #: Roughly what waits for the commit.
        self.buffered_bytes = 0
        #: Last number given to a duplicate.
        self.sequence = 0
        self.observed_stream_time = -1
        self._committed = (-1, 0)
        self._expired_end = 0
        self._retention_ms = spec.lifetime_ms
        #: How far behind the highest time a cell is not stored any more; it may be hidden before.
        self._stored_ms = spec.lifetime_ms
        self._layout = layout
        self._rest_bits, self._rest_max = layout.rest_bits, layout.rest_max
        self._is_numbered = layout.is_numbered
        self._suffix = layout.suffix.pack
        self.interval_ms = segment_interval_ms(spec.retention_ms)
        self._dropped = dropped
        self._codec = codec
        self._encode = codec.encode
        self._kept_type = codec.kept_type
        self._timestamped = spec.timestamped
        self.logs_headers_of_deletions = spec.logged_headers != "none"
        self._rows_codec = RowCodec(codec, timestamped=spec.timestamped)
        self._family = database.family(spec.name)
        self._scans = SegmentScans(self._family, layout, self.interval_ms)
        self._rows: Overlay = {}
        self._index = SlotIndex(self._slots_of)
        self._log = log is not None
        columns = Columns() if log is None else log
        self._log_key = columns.keys.append
        self._log_value = columns.values.append
        self._log_timestamp = columns.timestamps.append
        self._log_headers = columns.headers.append

    def get(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """Value and timestamp of one cell; None if it has expired."""
        time = slot >> self._rest_bits
        if not self.observed_stream_time - self._retention_ms < time <= self.observed_stream_time:
            return None  # expired, or later than any cell: a query may ask for a time that fits into no key
        cells = self._rows.get(key)
        row = UNTOUCHED if cells is None else cells.get(slot, UNTOUCHED)
        if row is UNTOUCHED:
            raw = self._family.get(self._layout.row_key(key, slot, self.interval_ms))
            return None if raw is None else self._rows_codec.opened(raw)
        if row is None:
            return None
        if row[0] is ENCODED:
            return self._codec.to_value(row[2]), row[1]
        return row[0], row[1]

    def entry_row(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """What `get` finds, in the form that a cache keeps."""
        time = slot >> self._rest_bits
        if not self.observed_stream_time - self._retention_ms < time <= self.observed_stream_time:
            return None  # expired, or later than any cell: the first record of each key in a new window asks
        cells = self._rows.get(key)
        row = UNTOUCHED if cells is None else cells.get(slot, UNTOUCHED)
        if row is UNTOUCHED:
            row = self._family.get(self._layout.row_key(key, slot, self.interval_ms))
        return None if row is None else self._rows_codec.for_cache(row)

    def put(self, key: bytes, slot: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set or delete a cell, and log it."""
        self.replace(key, (), slot, value, timestamp, headers)

    def replace(
        self, key: bytes, replaced: Sequence[int], slot: int, value: Any, timestamp: int, headers: Headers
    ) -> None:
        """Delete cells and set another one, which may be one of them; if that is refused, nothing is changed."""
        raw = kept = None
        if value is not None:
            try:
                raw = self._encode(value)
            except Exception:
                raw = self._codec.to_bytes(value)  # raises with words
            kept = value if type(value) is self._kept_type else ENCODED
        if replaced and self._admit is not None:
            self._admit(self._layout.changelog_key(key, slot), raw, timestamp)
        if replaced or raw is None:
            of_deletions = headers if self.logs_headers_of_deletions else NO_HEADERS
            for each in replaced:
                self.put_encoded(key, each, None, None, timestamp, of_deletions)
            if raw is None:
                self.put_encoded(key, slot, None, None, timestamp, of_deletions)
                return
        self.put_encoded(key, slot, kept, raw, timestamp)

    def put_encoded(
        self, key: bytes, slot: int, value: Any, raw: bytes | None, timestamp: int, headers: Headers = ()
    ) -> None:
        """Put a value whose bytes are known already. None as bytes deletes. See `KeyValueBuffer.put_encoded`.

        Where cells are numbered, `slot` is the time alone, and the number is the next one: nothing can be deleted then.
        An expired cell is logged too, as in Kafka Streams, but not kept.
        """
        is_numbered = self._is_numbered
        if is_numbered:  # here and not in a method that calls this one: that took 13 % of a put
            sequence = (self.sequence + 1) & self._rest_max
            slot = slot << self._rest_bits | sequence
        time = slot >> self._rest_bits
        if self._log:
            change_key = key + self._suffix(time, slot & self._rest_max)  # the layout's, without a call of it
            if self._admit is not None:
                self._admit(change_key, raw, timestamp)
            self._log_key(change_key)
            self._log_value(raw)
            self._log_timestamp(timestamp)
            self._log_headers(headers)
        if is_numbered:
            self.sequence = sequence
            if raw is None:
                return  # logged under a number of its own, as in Kafka Streams
        if time > self.observed_stream_time:
            self.observed_stream_time = time
        elif time <= self.observed_stream_time - self._stored_ms:
            self.drop_expired(time)
            return
        if self._index:
            self._index.put(key, slot, is_there=raw is not None)
        cells = self._rows.get(key)
        if cells is None:
            cells = self._rows[key] = {}
            self.buffered_bytes += _KEY_BYTES + len(key)
        old = cells.get(slot, UNTOUCHED)
        if old is UNTOUCHED:
            self.buffered_bytes += ROW_BYTES
        elif old is not None:
            self.buffered_bytes -= len(old[2])
        if raw is None:
            cells[slot] = None
        else:
            self.buffered_bytes += len(raw)
            cells[slot] = (value, timestamp if self._timestamped else -1, raw)

    def slots(self, key: bytes, from_ms: int) -> list[int]:
        """Slots of a key's cells with from <= time that have not expired, ascending.

        Costs a scan when the key is asked for the first time.
        """
        bits = self._rest_bits
        live_ms = max(self.observed_stream_time - self._retention_ms + 1, 0)
        return self._index.since(key, max(from_ms, 0) << bits, live_ms << bits)

    def _slots_of(self, key: bytes, first: int) -> list[int]:
        slot_of, from_ms = self._layout.slot, first >> self._rest_bits
        return [
            slot_of(row_key) for row_key, _ in self.cells(key, from_ms, None, {}, self.observed_stream_time)
        ]

    def range(
        self, key: bytes | None, from_ms: int | None, to_ms: int | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells with from <= time <= to that have not expired, as they are now: key, slot, value, timestamp."""
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
        """Cells as `range`, with what lies over them; see `cells`."""
        return self._opened(self.cells(key, from_ms, to_ms, over, stream_time, reverse=reverse, rows=rows))

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        split, opened, bits = self._layout.split, self._rows_codec.opened, self._rest_bits
        for row_key, row in rows:
            key, time, rest = split(row_key)
            value, timestamp = opened(row)
            yield key, time << bits | rest, value, timestamp

    def cells(
        self,
        key: bytes | None,
        from_ms: int | None,
        to_ms: int | None,
        over: Overlay,
        stream_time: int,
        *,
        reverse: bool = False,
        rows: Overlay | None = None,
    ) -> Iterator[tuple[bytes, Row | bytes]]:
        """Row keys and rows of a key, or of all keys, with from <= time <= to that have not expired.

        `over` (a cache's cells) lies above all others, at the cache's stream time. `rows` are looked at in place of
        those that wait now: a copy, or nothing.
        """
        first = max(0 if from_ms is None else from_ms, stream_time - self._retention_ms + 1, 0)
        last = stream_time if to_ms is None else min(to_ms, stream_time)
        if first > last:
            return iter(())
        rows = self._rows if rows is None else rows
        if key is None:
            overlay = self._all_over(rows, first, last, over)
        else:
            overlay = self._over(key, rows.get(key), first, last, over.get(key))
        if reverse:
            overlay.reverse()
        # Opened here and not at the first `next`: both sides must be of the same moment.
        scans = self._scans
        scan = scans.of_all(first, last, reverse) if key is None else scans.of_key(key, first, last, reverse)
        return merge(overlay, scan, reverse=reverse)

    def _over(
        self,
        key: bytes,
        cells: dict[int, Row | None] | None,
        first: int,
        last: int,
        over: dict[int, Row | None] | None,
    ) -> list[tuple[bytes, Row | None]]:
        if cells is None:
            cells = over or {}
        elif over:
            cells = {**cells, **over}
        first, last = first << self._rest_bits, last << self._rest_bits | self._rest_max
        row_key, interval_ms = self._layout.row_key, self.interval_ms
        slots = sorted([slot for slot in cells if first <= slot <= last])
        return [(row_key(key, slot, interval_ms), cells[slot]) for slot in slots]

    def _all_over(
        self, rows: Overlay, first: int, last: int, over: Overlay
    ) -> list[tuple[bytes, Row | None]]:
        keys = dict.fromkeys(chain(rows, over))
        overlay = [
            pair for key in keys for pair in self._over(key, rows.get(key), first, last, over.get(key))
        ]
        overlay.sort(key=lambda pair: pair[0])
        return overlay

    def committed_row(self, key: bytes, slot: int) -> tuple[Any, int] | None:
        """Value and timestamp as the last commit left them; None if the cell has expired. From any thread."""
        time = slot >> self._rest_bits
        if not self.observed_stream_time - self._retention_ms < time <= self.observed_stream_time:
            return None
        raw = self._family.get(self._layout.row_key(key, slot, self.interval_ms))
        return None if raw is None else self._rows_codec.opened(raw)

    def copied(self) -> Overlay:
        """The rows that wait. From any thread: copying a dictionary of bytes is one step of the interpreter."""
        return {key: cells.copy() for key, cells in self._rows.copy().items()}

    def changes(self) -> Rows:
        """What a commit has to write: cells that have expired meanwhile are left out."""
        bits, rest_max, interval_ms = self._rest_bits, self._rest_max, self.interval_ms
        first = self.oldest_stored << bits
        stored, pack = self._rows_codec.stored, self._layout.suffix.pack
        changes: dict[bytes, bytes | None] = {}
        around = -1
        prefix = suffix = b""
        for key, cells in self._rows.items():
            for slot, row in cells.items():
                if slot < first:
                    continue
                if slot != around:  # neighbours are mostly of one window
                    around, time = slot, slot >> bits
                    prefix, suffix = segment_prefix(time - time % interval_ms), pack(time, slot & rest_max)
                changes[prefix + key + suffix] = stored(row)
        return changes

    @property
    def oldest_stored(self) -> int:
        """Time from which on cells are stored."""
        return self.observed_stream_time - self._stored_ms + 1

    def expired(self) -> tuple[bytes, bytes] | None:
        """Range of rows whose segments have left since this was last asked, and None if there are none."""
        oldest = self.observed_stream_time - self._stored_ms
        end = oldest - oldest % self.interval_ms
        if end <= self._expired_end:
            return None
        start, self._expired_end = self._expired_end, end
        return segment_prefix(start), segment_prefix(end)

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        self._committed = (self.observed_stream_time, self.sequence)
        self._rows.clear()
        self.buffered_bytes = 0

    def forget(self) -> None:
        """Drop what waits, and what was seen with it."""
        self.observed_stream_time, self.sequence = self._committed
        self._index.clear()
        self._rows.clear()
        self.buffered_bytes = 0

    def advance(self, stream_time: int) -> None:
        """Take notice of a time that was put above and is not put here."""
        self.observed_stream_time = max(self.observed_stream_time, stream_time)

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over what the database's rows have seen."""
        self.observed_stream_time, self.sequence = self._committed = (stream_time, sequence)
        self._index.clear()

    def drop_expired(self, time: int) -> None:
        """Count a cell as dropped that has expired when it is put."""
        # RocksDB stores of Kafka Streams drop by segment, those in memory by window. What a segment's grace lets in
        # cannot be read any more, so only the count of drops differs.
        oldest = self.observed_stream_time - self._retention_ms
        if self.spec.engine == "memory" or time // self.interval_ms < oldest // self.interval_ms:
            self._dropped(self.spec.name, "window has expired")
