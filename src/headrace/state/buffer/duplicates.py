"""Window stores that keep every value put: the sides of a join of streams. They have no cache; reads go to memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headrace.base.columns import Columns
from headrace.base.records import Headers
from headrace.state.buffer.live_cells import LiveBudget, LiveCells
from headrace.state.buffer.row import ENCODED, Row
from headrace.state.buffer.window import WindowBuffer
from headrace.state.buffer.window_layout import DUPLICATES
from headrace.state.port import ChangelogAdmission, Database
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

__all__ = ["DuplicatesBuffer"]


class DuplicatesBuffer(WindowBuffer):
    """Windows that keep every value put for their key and start, in the order of the puts. There is no `get`.

    A put adds a row each time, and cannot delete. What a join looks up is kept in memory beside the rows, from the
    first look-up on.
    """

    __slots__ = ("_budget", "_live", "open_value")

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
        #: Makes values of what `find` gives; None where these are values already.
        self.open_value: Callable[[bytes], Any] | None = codec.to_value if codec.kept_type is None else None

    def put(self, key: bytes, start: int, value: Any, timestamp: int, headers: Headers) -> None:
        """Add a value under the next number, and log it with its headers; None is logged only."""
        if value is None:
            self.put_encoded(key, start, None, None, timestamp, headers)
            return
        try:
            raw = self._encode(value)
        except Exception:
            raw = self._codec.to_bytes(value)  # raises with words
        kept = value if type(value) is self._kept_type else ENCODED
        self.put_encoded(key, start, kept, raw, timestamp, headers)
        live = self._live
        if live is not None and start > self.observed_stream_time - self._retention_ms:
            live.add(key, start, self._found((kept, -1, raw)), len(raw))

    def find(self, key: bytes, from_ms: int, to_ms: int) -> Sequence[tuple[int, Any]]:
        """Return starts and values of a key with from <= start <= to that have not expired, by start and put.

        Values are as `open_value` says. What is returned may change with the next put.
        """
        observed = self.observed_stream_time
        first = max(from_ms, observed - self._retention_ms + 1, 0)
        last = min(to_ms, observed)
        if first > last:
            return ()
        found = (self._live or self._loaded()).find(key, first, last)
        if found is None:
            rows = self.cells(key, first, last, {}, observed, reverse=False)
            time, value = self._layout.time, self._found
            found = [(time(row_key), value(row)) for row_key, row in rows]
        return found

    def forget(self) -> None:
        """Drop what waits, and what was seen with it."""
        super().forget()
        if self._live is not None:
            self._live.close()
            self._live = None

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over what the database's rows have seen."""
        super().restored(stream_time, sequence)
        self.forget()

    def _found(self, row: Row | bytes) -> Any:
        """What `find` gives of a row: a value that may be kept, or the bytes of one."""
        return self._rows_codec.for_cache(row)[0]

    def _loaded(self) -> LiveCells:
        """Fill the memory from the rows, the newest segment first: what is older may not fit."""
        live = self._live = LiveCells(self._retention_ms, self.spec.size_ms or 0, self._budget)
        observed, interval, split = self.observed_stream_time, self._interval_ms, self._layout.split
        first = max(observed - self._retention_ms + 1, 0)
        for segment in reversed(range(first - first % interval, observed + 1, interval)):
            for row_key, row in self.cells(
                None, segment, segment + interval - 1, {}, observed, reverse=False
            ):
                key, time, _ = split(row_key)
                live.add(key, time, self._found(row), len(row) if isinstance(row, bytes) else len(row[2]))
            if live.since > segment:
                break
        return live

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, int, Any, int]]:
        for key, slot, value, timestamp in super()._opened(rows):
            yield key, slot >> DUPLICATES.rest_bits, value, timestamp
