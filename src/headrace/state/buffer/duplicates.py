"""Window stores that keep every value put: the sides of a join of streams. They have no cache; reads go to memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from headrace.base.columns import Columns
from headrace.base.errors import StateError
from headrace.base.records import Headers
from headrace.state.buffer.live_cells import LiveBudget, LiveCells
from headrace.state.buffer.row import ENCODED, Row
from headrace.state.buffer.segment_layout import segment_prefix
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.buffer.window_layout import DUPLICATES
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

__all__ = ["DuplicatesBuffer"]

_BITS, _SEQUENCE_MAX = DUPLICATES.rest_bits, DUPLICATES.rest_max

#: What a waiting row weighs beside its key and value (CPython 3.11): two bytes objects 66, segment, start and number in
#: its key 20, its part of the dictionary 100.
_WAITING_BYTES = 190


class DuplicatesBuffer(SegmentedBuffer):
    """Windows that keep every value put for their key and start, in the order of the puts. There is no `get`.

    A put adds a row each time, and cannot delete. What a join looks up is kept in memory beside the rows, from the
    first look-up on. Rows that wait for the commit therefore need not be found by key: they wait as they will be
    written, and are put in order when somebody reads them nevertheless.
    """

    __slots__ = (
        "_budget",
        "_is_keyed",
        "_live",
        "_prefix",
        "_segment_end",
        "_segment_start",
        "_waiting",
        "open_value",
    )

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        dropped: Callable[[str, str], None],
        admission: ChangelogAdmission | None,
        budget: LiveBudget,
    ) -> None:
        super().__init__(spec, DUPLICATES, database, log, codec, dropped, admission)
        self._budget = budget
        self._live: LiveCells | None = None
        #: By row key.
        self._waiting: dict[bytes, bytes | None] = {}
        #: Whether `_rows` has them as well, by key and slot.
        self._is_keyed = False
        # Of the segment that was put into last.
        self._segment_start = self._segment_end = -1
        self._prefix = b""
        #: Makes values of what `find` gives; None where these are values already.
        self.open_value: Callable[[bytes], Any] | None = codec.to_value if codec.kept_type is None else None

    def put(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Add a value under the next number, and log it with its headers; None is logged only, as in Kafka Streams."""
        raw: bytes | None = None
        if value is not None:
            try:
                raw = self._encode(value)
            except Exception:
                raw = self._codec.to_bytes(value)  # raises with words
        sequence = (self.sequence + 1) & _SEQUENCE_MAX
        change_key = key + self._suffix(start, sequence)
        if self._log:
            if self._admit is not None:
                self._admit(change_key, raw, timestamp)
            self._log_key(change_key)
            self._log_value(raw)
            self._log_timestamp(timestamp)
            self._log_headers(headers)
        self.sequence = sequence
        if raw is None:
            return
        if start > self.observed_stream_time:
            self.observed_stream_time = start
        elif start <= self.observed_stream_time - self._retention_ms:
            self.drop_expired(start)
            return
        if not self._segment_start <= start < self._segment_end:
            self._enter_segment(start)
        row_key = self._prefix + change_key
        self._waiting[row_key] = raw
        self.buffered_bytes += _WAITING_BYTES + len(key) + len(raw)
        if self._is_keyed:
            _add_keyed(self._rows, row_key, raw)
        live = self._live
        if live is not None:
            if self.open_value is not None:
                value = raw
            elif type(value) is not self._kept_type:
                value = self._found(raw)
            live.add(key, start, value, len(raw))

    def get(self, key: bytes, slot: int) -> NoReturn:
        """There is not one value of a window.

        Raises:
            StateError: always.
        """
        raise StateError(
            f"store {self.spec.name!r} keeps every record of a join, several of one key and time among them: read them "
            "with range(key, start=…, end=…)"
        )

    def committed_row(self, key: bytes, slot: int) -> NoReturn:
        """There is not one value of a window either, as the last commit left it.

        Raises:
            StateError: always.
        """
        self.get(key, slot)

    def find(self, key: bytes, from_ms: int, to_ms: int) -> Sequence[tuple[int, Any]]:
        """Return starts and values of a key with from <= start <= to that have not expired, by start and put.

        Values are as `open_value` says. What is returned may change with the next put.
        """
        # Comparisons instead of `max` and `min`, which take half as long as the look-up.
        observed = self.observed_stream_time
        expired = observed - self._retention_ms
        oldest = expired + 1 if expired >= 0 else 0
        first = from_ms if from_ms > oldest else oldest
        last = to_ms if to_ms < observed else observed
        if first > last:
            return ()
        found = (self._live or self._loaded()).find(key, first, last)
        if found is None:
            rows = self.cells(key, first, last, {}, observed)
            time, value = self._layout.time, self._found
            found = [(time(row_key), value(row)) for row_key, row in rows]
        return found

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
        """Row keys and rows: see `SegmentedBuffer.cells`."""
        if rows is None and not self._is_keyed:
            self._rows, self._is_keyed = _keyed(self._waiting), True
        return super().cells(key, from_ms, to_ms, over, stream_time, reverse=reverse, rows=rows)

    def copied(self) -> Overlay:
        """The rows that wait. From any thread: copying a dictionary of bytes is one step of the interpreter."""
        return _keyed(self._waiting.copy())

    def changes(self) -> Rows:
        """What a commit has to write. What has expired meanwhile is deleted behind it, with its segment."""
        return self._waiting

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        super().committed()
        self._waiting.clear()
        self._is_keyed = False

    def forget(self) -> None:
        """Drop what waits, and what was seen with it."""
        super().forget()
        self._waiting.clear()
        self._is_keyed = False
        if self._live is not None:
            self._live.close()
            self._live = None

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over what the database's rows have seen."""
        super().restored(stream_time, sequence)
        self.forget()

    def _enter_segment(self, start: int) -> None:
        self._segment_start = start - start % self.interval_ms
        self._segment_end = self._segment_start + self.interval_ms
        self._prefix = segment_prefix(self._segment_start)

    def _found(self, row: Row | bytes) -> Any:
        """What `find` gives of a row: a value that may be kept, or the bytes of one."""
        return self._rows_codec.for_cache(row)[0]

    def _loaded(self) -> LiveCells:
        """Fill the memory from the rows, the newest segment first: what is older may not fit."""
        live = self._live = LiveCells(self._retention_ms, self.spec.size_ms or 0, self._budget)
        was_keyed = self._is_keyed
        observed, interval, split = self.observed_stream_time, self.interval_ms, self._layout.split
        first = max(observed - self._retention_ms + 1, 0)
        for segment in reversed(range(first - first % interval, observed + 1, interval)):
            for row_key, row in self.cells(None, segment, segment + interval - 1, {}, observed):
                key, time, _ = split(row_key)
                live.add(key, time, self._found(row), len(row) if isinstance(row, bytes) else len(row[2]))
            if live.since > segment:
                break
        if not was_keyed:
            # Else each put would add to them until the next commit, which may be half a minute away.
            self._rows, self._is_keyed = {}, False
        return live

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        for key, slot, value, timestamp in super()._opened(rows):
            yield key, slot >> _BITS, value, timestamp


def _keyed(waiting: Mapping[bytes, bytes | None]) -> Overlay:
    """Return waiting rows by key and slot."""
    rows: Overlay = {}
    for row_key, raw in waiting.items():
        _add_keyed(rows, row_key, raw)
    return rows


def _add_keyed(rows: Overlay, row_key: bytes, raw: bytes | None) -> None:
    assert raw is not None, "nothing can be deleted here"
    key, start, sequence = DUPLICATES.split(row_key)
    rows.setdefault(key, {})[start << _BITS | sequence] = (ENCODED, -1, raw)
