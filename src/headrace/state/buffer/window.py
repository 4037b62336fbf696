"""A window store without a cache: changes are logged at once, and wait here for the commit."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from headrace.base.columns import Columns
from headrace.base.errors import StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.buffer.row import ENCODED, ROW_BYTES, UNTOUCHED, Row, RowCodec
from headrace.state.buffer.window_key import (
    CHANGELOG_SUFFIX_BYTES,
    SEGMENT_BYTES,
    changelog_suffix,
    segment_prefix,
    split_changelog_key,
    window_start,
)
from headrace.state.merge import merge
from headrace.state.port import (
    ChangelogAdmission,
    Counted,
    CountedColumns,
    Database,
    FlushRefused,
    OpenKey,
    Rows,
    StreamTime,
    WindowFlushListener,
)
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.values import ValueCodec

__all__ = ["Overlay", "WindowBuffer"]

#: Rows of a cache by key and window start.
Overlay = dict[bytes, dict[int, Row | None]]

#: Slots of a store that retains duplicates are start * 2**31 + sequence, of any other the start itself.
_SEQUENCE_BITS = 31
_SEQUENCE_MASK = (1 << _SEQUENCE_BITS) - 1

#: A window's own dictionary and its part of the outer one, beside `ROW_BYTES`.
_KEY_BYTES = 200


class WindowBuffer:
    """The uncommitted windows of a store over its rows in the database. A `WindowState`.

    Kept by key and then by window start, since a record asks for the windows of its own key. Windows of all keys come
    in the order of rows: by segment, key and start.
    """

    __slots__ = (
        "_admit",
        "_codec",
        "_committed",
        "_dropped",
        "_encode",
        "_expired_end",
        "_family",
        "_interval_ms",
        "_kept_type",
        "_log",
        "_log_headers",
        "_log_key",
        "_log_timestamp",
        "_log_value",
        "_retains_duplicates",
        "_retention_ms",
        "_rows",
        "_rows_codec",
        "_timestamped",
        "admission",
        "buffered_bytes",
        "observed_stream_time",
        "sequence",
        "spec",
    )

    caching = False

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        dropped: Callable[[str, str], None],
        admission: ChangelogAdmission | None = None,
    ) -> None:
        if spec.retention_ms is None:
            raise StateError(f"window store {spec.name!r} has no retention")
        self.spec = spec
        self.admission = admission
        self._admit = None if admission is None else admission.check
        #: Roughly what waits for the commit.
        self.buffered_bytes = 0
        #: Last number given to a duplicate.
        self.sequence = 0
        self.observed_stream_time = -1
        self._committed = (-1, 0)
        self._expired_end = 0
        self._retention_ms = spec.retention_ms
        self._retains_duplicates = spec.retain_duplicates
        self._interval_ms = segment_interval_ms(spec.retention_ms)
        self._dropped = dropped
        self._codec = codec
        self._encode = codec.encode
        self._kept_type = codec.kept_type
        self._timestamped = spec.timestamped
        self._rows_codec = RowCodec(codec, timestamped=spec.timestamped)
        self._family = database.family(spec.name)
        self._rows: Overlay = {}
        self._log = log is not None
        columns = Columns() if log is None else log
        self._log_key = columns.keys.append
        self._log_value = columns.values.append
        self._log_timestamp = columns.timestamps.append
        self._log_headers = columns.headers.append

    def get(self, key: bytes, start: int) -> tuple[Any, int] | None:
        """Value and timestamp of one window; None if it has expired. Not for stores that retain duplicates."""
        if not self.observed_stream_time - self._retention_ms < start <= self.observed_stream_time:
            return None  # expired, or later than any window: a query may ask for a time that fits into no key
        times = self._rows.get(key)
        row = UNTOUCHED if times is None else times.get(start, UNTOUCHED)
        if row is UNTOUCHED:
            raw = self._family.get(self._row_key(key, start, 0))
            return None if raw is None else self._rows_codec.opened(raw)
        if row is None:
            return None
        if row[0] is ENCODED:
            return self._codec.to_value(row[2]), row[1]
        return row[0], row[1]

    def entry_row(self, key: bytes, start: int) -> tuple[Any, int] | None:
        """What `get` finds, in the form that a cache keeps."""
        if not self.observed_stream_time - self._retention_ms < start <= self.observed_stream_time:
            return None  # expired, or later than any window: the first record of each key in a new one asks
        times = self._rows.get(key)
        row = UNTOUCHED if times is None else times.get(start, UNTOUCHED)
        if row is UNTOUCHED:
            row = self._family.get(self._row_key(key, start, 0))
        return None if row is None else self._rows_codec.for_cache(row)

    def put(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Set or delete a window, and log it; an expired one is logged too, as in Kafka Streams, but not kept.

        A store that retains duplicates adds a row each time and cannot delete.
        """
        if value is None:
            self.put_encoded(key, start, None, None, timestamp)
            return
        try:
            raw = self._encode(value)
        except Exception:
            raw = self._codec.to_bytes(value)  # raises with words
        kept = value if type(value) is self._kept_type else ENCODED
        self.put_encoded(key, start, kept, raw, timestamp)

    def put_encoded(self, key: bytes, start: int, value: Any, raw: bytes | None, timestamp: int) -> None:
        """Put a value whose bytes are known already. None as bytes deletes. See `KeyValueBuffer.put_encoded`."""
        slot = start
        sequence = 0
        if self._retains_duplicates:
            if raw is None:
                return
            sequence = (self.sequence + 1) & _SEQUENCE_MASK
            slot = start << _SEQUENCE_BITS | sequence
        if self._log:
            change_key = key + changelog_suffix(start, sequence)
            if self._admit is not None:
                self._admit(change_key, raw, timestamp)
            self._log_key(change_key)
            self._log_value(raw)
            self._log_timestamp(timestamp)
            self._log_headers(NO_HEADERS)
        self.sequence = sequence or self.sequence
        if start > self.observed_stream_time:
            self.observed_stream_time = start
        elif start <= self.observed_stream_time - self._retention_ms:
            self._drop_expired(start)
            return
        times = self._rows.get(key)
        if times is None:
            times = self._rows[key] = {}
            self.buffered_bytes += _KEY_BYTES + len(key)
        old = times.get(slot, UNTOUCHED)
        if old is UNTOUCHED:
            self.buffered_bytes += ROW_BYTES
        elif old is not None:
            self.buffered_bytes -= len(old[2])
        if raw is None:
            times[slot] = None
        else:
            self.buffered_bytes += len(raw)
            times[slot] = (value, timestamp if self._timestamped else -1, raw)

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
        """Windows as `range`, with `over` (a cache's windows) above all others, at the cache's stream time.

        `rows` are looked at in place of those that wait now: a copy, or nothing.
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
        scan = self._scan_all(first, last, reverse) if key is None else self._scan(key, first, last, reverse)
        return self._opened(merge(overlay, scan, reverse=reverse))

    def _over(
        self,
        key: bytes,
        times: dict[int, Row | None] | None,
        first: int,
        last: int,
        over: dict[int, Row | None] | None,
    ) -> list[tuple[bytes, Row | None]]:
        if times is None:
            times = over or {}
        elif over:
            times = {**times, **over}
        if self._retains_duplicates:
            first, last = first << _SEQUENCE_BITS, last << _SEQUENCE_BITS | _SEQUENCE_MASK
        slots = sorted([slot for slot in times if first <= slot <= last])
        return [(self._slot_key(key, slot), times[slot]) for slot in slots]

    def _all_over(
        self, rows: Overlay, first: int, last: int, over: Overlay
    ) -> list[tuple[bytes, Row | None]]:
        keys = dict.fromkeys(chain(rows, over))
        overlay = [
            pair for key in keys for pair in self._over(key, rows.get(key), first, last, over.get(key))
        ]
        overlay.sort(key=lambda pair: pair[0])
        return overlay

    def _scan(self, key: bytes, first: int, last: int, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Rows of one key. No more than four segments live at a time, so no more scans are opened."""
        interval = self._interval_ms
        segments = range(first - first % interval, last + 1, interval)
        scans = []
        for segment in reversed(segments) if reverse else segments:
            prefix = segment_prefix(segment) + key
            low, high = max(first, segment), min(last, segment + interval - 1)
            lowest, highest = changelog_suffix(low, 0), changelog_suffix(high, _SEQUENCE_MASK)
            scans.append(self._family.scan(prefix + lowest, prefix + highest + b"\x00", reverse=reverse))
        # A longer key that begins with this one may have rows between its rows.
        length = SEGMENT_BYTES + len(key) + CHANGELOG_SUFFIX_BYTES
        return (pair for pair in chain.from_iterable(scans) if len(pair[0]) == length)

    def _scan_all(self, first: int, last: int, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        interval = self._interval_ms
        low, high = segment_prefix(first - first % interval), last - last % interval + interval
        scan = self._family.scan(
            low, segment_prefix(high) if high <= TIMESTAMP_MAX else None, reverse=reverse
        )
        return (pair for pair in scan if first <= window_start(pair[0]) <= last)

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        opened = self._rows_codec.opened
        for row_key, row in rows:
            key, start, _ = split_changelog_key(row_key[SEGMENT_BYTES:])
            value, timestamp = opened(row)
            yield key, start, value, timestamp

    def committed_row(self, key: bytes, start: int) -> tuple[Any, int] | None:
        """Value and timestamp as the last commit left them; None if the window has expired. From any thread."""
        if not self.observed_stream_time - self._retention_ms < start <= self.observed_stream_time:
            return None
        raw = self._family.get(self._row_key(key, start, 0))
        return None if raw is None else self._rows_codec.opened(raw)

    def copied(self) -> Overlay:
        """The rows that wait. From any thread: copying a dictionary of bytes is one step of the interpreter."""
        return {key: times.copy() for key, times in self._rows.copy().items()}

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

    def changes(self) -> Rows:
        """What a commit has to write: windows that have expired meanwhile are left out."""
        first = self.observed_stream_time - self._retention_ms + 1
        stored = self._rows_codec.stored
        if self._retains_duplicates:
            slot_key, first_slot = self._slot_key, first << _SEQUENCE_BITS
            return {
                slot_key(key, slot): stored(row)
                for key, times in self._rows.items()
                for slot, row in times.items()
                if slot >= first_slot
            }
        changes: dict[bytes, bytes | None] = {}
        interval_ms, around = self._interval_ms, -1
        prefix = suffix = b""
        for key, times in self._rows.items():
            for start, row in times.items():
                if start < first:
                    continue
                if start != around:  # neighbours are mostly of one window
                    around = start
                    prefix, suffix = segment_prefix(start - start % interval_ms), changelog_suffix(start, 0)
                changes[prefix + key + suffix] = stored(row)
        return changes

    def expired(self) -> tuple[bytes, bytes] | None:
        """Range of rows whose segments have expired since this was last asked, and None if there are none."""
        oldest = self.observed_stream_time - self._retention_ms
        end = oldest - oldest % self._interval_ms
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
        self._rows.clear()
        self.buffered_bytes = 0

    def advance(self, stream_time: int) -> None:
        """Take notice of a window start that was put above and is not put here."""
        self.observed_stream_time = max(self.observed_stream_time, stream_time)

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over what the database's rows have seen."""
        self.observed_stream_time, self.sequence = self._committed = (stream_time, sequence)

    def _drop_expired(self, start: int) -> None:
        # RocksDB stores of Kafka Streams drop by segment, those in memory by window. What a segment's grace lets in
        # cannot be read any more, so only the count of drops differs.
        oldest = self.observed_stream_time - self._retention_ms
        if self.spec.engine == "memory" or start // self._interval_ms < oldest // self._interval_ms:
            self._dropped(self.spec.name, "window has expired")

    def _row_key(self, key: bytes, start: int, sequence: int) -> bytes:
        return segment_prefix(start - start % self._interval_ms) + key + changelog_suffix(start, sequence)

    def _slot_key(self, key: bytes, slot: int) -> bytes:
        if self._retains_duplicates:
            return self._row_key(key, slot >> _SEQUENCE_BITS, slot & _SEQUENCE_MASK)
        return self._row_key(key, slot, 0)
