"""A segmented store whose cells can be read by time too, whatever their keys: for results of windows that close.

Each cell has a second row, without a value, in which time and rest stand before the key. Those of a segment lie behind
its cells, under the prefix of a segment that would begin a millisecond later, which none does: so both expire together.
Kafka Streams has its cells by time, and finds them by key in such rows. Here a record's look-ups are what is quick.

Source: `RocksDBTimeOrderedWindowSegmentedBytesStore`, `RocksDBTimeOrderedSessionSegmentedBytesStore`.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from headrace.base.columns import Columns
from headrace.state.buffer.row import Row
from headrace.state.buffer.segment_layout import SEGMENT_BYTES, SegmentLayout, segment_prefix
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.changelog_rows import SegmentedRows
from headrace.state.merge import after_prefix, merge
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.values import ValueCodec

__all__ = ["TimeOrderedBuffer", "TimeOrderedRows"]

#: The value of a second row.
_NOTHING = b""


class TimeOrderedBuffer(SegmentedBuffer):
    """The uncommitted cells of a store over its rows in the database: a `TimeOrderedState`.

    As in Kafka Streams, windows cannot be read by time either when they have expired, but sessions until their segment
    has. Both are there for the length of a segment more: results wait until windows are looked through again.
    """

    __slots__ = ("_ends_with_segment",)

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
        super().__init__(spec, layout, database, log, codec, dropped, admission)
        self._ends_with_segment = spec.kind == "session"
        self._stored_ms += stored_longer_ms(spec)

    def by_time(
        self, from_ms: int, to_ms: int, *, expired: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells with from <= time <= to, by slot and key: key, slot, value, timestamp. See `TimeOrderedState`."""
        return self.view_by_time(from_ms, to_ms, {}, self.observed_stream_time, expired=expired)

    def view_by_time(
        self, from_ms: int, to_ms: int, over: Overlay, stream_time: int, *, expired: bool = False
    ) -> Iterator[tuple[bytes, int, Any, int]]:
        """Cells as `by_time`, with what lies over them at a stream time; of that, nothing is left out."""
        oldest = self.oldest_stored if expired else self._oldest_read(stream_time)
        first, last = max(from_ms, oldest, 0), min(to_ms, stream_time)
        lowest, highest = first << self._rest_bits, last << self._rest_bits | self._rest_max
        row_key, interval_ms, size = self._layout.row_key, self.interval_ms, self._layout.suffix.size
        waiting: dict[bytes, Row | None] = {}
        for key, cells in self._rows.items():
            for slot, row in cells.items():
                if lowest <= slot <= highest:
                    waiting[_time_key(row_key(key, slot, interval_ms), size)] = row
        for key, cells in over.items():
            for slot, row in cells.items():
                waiting[_time_key(row_key(key, slot, interval_ms), size)] = row
        # Opened here and not at the first `next`: both sides must be of the same moment.
        return self._found(merge(sorted(waiting.items()), self._scan_by_time(first, last), reverse=False))

    def _scan_by_time(self, first: int, last: int) -> Iterator[tuple[bytes, bytes]]:
        interval, pack, rest_max = self.interval_ms, self._suffix, self._rest_max
        scans = []
        for segment in range(first - first % interval, last + 1, interval):
            prefix = segment_prefix(segment + 1)
            low, high = max(first, segment), min(last, segment + interval - 1)
            end = after_prefix(prefix + pack(high, rest_max))
            scans.append(self._family.scan(prefix + pack(low, 0), end))
        return chain.from_iterable(scans)

    def _found(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        split, opened, bits = self._layout.split, self._rows_codec.opened, self._rest_bits
        size, get = self._layout.suffix.size, self._family.get
        for time_key, found in rows:
            row_key = _row_key(time_key, size)
            row: Row | bytes | None = get(row_key) if found == _NOTHING else found
            if row is not None:
                key, time, rest = split(row_key)
                value, timestamp = opened(row)
                yield key, time << bits | rest, value, timestamp

    def _oldest_read(self, stream_time: int) -> int:
        oldest = stream_time - self._retention_ms
        return oldest - oldest % self.interval_ms if self._ends_with_segment else oldest + 1

    def changes(self) -> Rows:
        """What a commit has to write: two rows for each cell."""
        return _with_second_rows(super().changes(), self._layout)


class TimeOrderedRows(SegmentedRows):
    """Restores a time-ordered store."""

    __slots__ = ()

    def __init__(self, spec: StoreSpec, layout: SegmentLayout) -> None:
        super().__init__(spec, layout)
        self._retention_ms += stored_longer_ms(spec)

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        return _with_second_rows(super().take(), self._layout)


def stored_longer_ms(spec: StoreSpec) -> int:
    """How long cells are stored when they have expired: a segment's length, sessions from the end of theirs on."""
    return segment_interval_ms(spec.retention_ms or 0) * (2 if spec.kind == "session" else 1)


def _with_second_rows(rows: Rows, layout: SegmentLayout) -> Rows:
    size = layout.suffix.size
    second = {_time_key(key, size): None if row is None else _NOTHING for key, row in rows.items()}
    return {**rows, **second}


def _time_key(row_key: bytes, size: int) -> bytes:
    """Key of a cell's second row; `size` is how long time and rest are."""
    at = len(row_key) - size
    segment = int.from_bytes(row_key[:SEGMENT_BYTES], "big")
    return segment_prefix(segment + 1) + row_key[at:] + row_key[SEGMENT_BYTES:at]


def _row_key(time_key: bytes, size: int) -> bytes:
    """Key of the cell's row that a second row stands for."""
    at = SEGMENT_BYTES + size
    segment = int.from_bytes(time_key[:SEGMENT_BYTES], "big")
    return segment_prefix(segment - 1) + time_key[at:] + time_key[SEGMENT_BYTES:at]
