"""A key-value store without a cache: changes are logged at once, and wait here for the commit."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from headrace.base.columns import Columns
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.buffer.recent_rows import RecentRows
from headrace.state.buffer.row import ENCODED, ROW_BYTES, UNTOUCHED, Row, RowCodec
from headrace.state.buffer.uncached import Uncached
from headrace.state.in_place import InPlace
from headrace.state.merge import after, after_prefix, merge
from headrace.state.order import KeyOrder
from headrace.state.port import (
    ChangelogAdmission,
    Database,
    Family,
    Rows,
)
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec, pack_timestamp

__all__ = ["KeyValueBuffer"]


class KeyValueBuffer(Uncached):
    """The uncommitted rows of a store over its rows in the database. A `KeyValueState`.

    # Invariant: a row leaves the buffer only after the database has it; readers on other threads look here first.

    With a budget for them, rows of the last commits are looked up in memory.
    """

    __slots__ = (
        "_admit",
        "_admits_all",
        "_codec",
        "_database",
        "_encode",
        "_family",
        "_kept_type",
        "_log",
        "_log_all",
        "_log_headers",
        "_log_key",
        "_log_timestamp",
        "_log_value",
        "_logs_headers",
        "_order",
        "_recent",
        "_recent_budget",
        "_recent_rows",
        "_rows",
        "_rows_codec",
        "_timestamped",
        "admission",
        "buffered_bytes",
        "logs_headers_of_deletions",
        "safe_ms",
    )

    #: Rows of this kind have no time of their own, and none of them is a duplicate.
    observed_stream_time = -1
    sequence = 0

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        admission: ChangelogAdmission | None = None,
        *,
        recent: LiveBudget | None = None,
    ) -> None:
        super().__init__(spec)
        self.admission = admission
        #: Up to this timestamp a number that replaces another needs no judging; found anew after each commit.
        self.safe_ms = self._nothing_safe
        self._admit = None if admission is None else admission.check
        self._admits_all = None if admission is None else admission.admits_all
        #: Roughly what waits for the commit.
        self.buffered_bytes = 0
        self._codec = codec
        self._encode = codec.encode
        self._kept_type = codec.kept_type
        self._timestamped = spec.timestamped
        self._logs_headers = spec.logged_headers == "all"
        self.logs_headers_of_deletions = spec.logged_headers != "none"
        self._rows_codec = RowCodec(codec, timestamped=spec.timestamped)
        self._database = database
        self._family: Family = database.family(spec.name)
        self._rows: dict[bytes, Row | None] = {}
        self._recent_budget = recent
        self._recent: RecentRows | None = None
        self._recent_rows: dict[bytes, Row | None] = {}
        self._order = KeyOrder()
        self._log = log is not None
        columns = Columns() if log is None else log
        self._log_all = columns.extend
        self._log_key = columns.keys.append
        self._log_value = columns.values.append
        self._log_timestamp = columns.timestamps.append
        self._log_headers = columns.headers.append

    @property
    def _nothing_safe(self) -> int:
        return TIMESTAMP_MAX if self.admission is None else -2

    def in_place(self) -> InPlace | None:
        """Return how a loop reads and writes rows itself; None where each value is to be judged, or weighed."""
        codec = self._codec
        if codec.kept_type is None or not codec.weighs_alike or not self._timestamped or self._logs_headers:
            return None
        return InPlace.uncached(
            codec,
            logs=self._log,
            encoded=ENCODED,
            find=self._rows.get,
            log_headers=self._log_headers,
            log_key=self._log_key,
            log_timestamp=self._log_timestamp,
            log_value=self._log_value,
            no_headers=NO_HEADERS,
            put_row=self._rows.__setitem__,
            rows=self,
        )

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a key."""
        row = self._rows.get(key, UNTOUCHED)
        if row is UNTOUCHED and (row := self._recent_rows.get(key, UNTOUCHED)) is UNTOUCHED:
            raw = self._family.get(key)
            return None if raw is None else self._rows_codec.opened(raw)
        if row is None:
            return None
        if row[0] is ENCODED:
            return self._codec.to_value(row[2]), row[1]
        return row[0], row[1]

    def peek(self, key: bytes) -> tuple[Any, int] | None:
        """What `get` finds, leaving no trace. From any thread."""
        return KeyValueBuffer.get(self, key)

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """The bytes of a value and its timestamp; see `KeyValueState`."""
        row = self._rows.get(key, UNTOUCHED)
        if row is UNTOUCHED and (row := self._recent_rows.get(key, UNTOUCHED)) is UNTOUCHED:
            raw = self._family.get(key)
            return None if raw is None else self._rows_codec.encoded(raw)
        return None if row is None else (row[2], row[1])

    def get_all_encoded(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        """What `get_encoded` finds for each of the keys."""
        return [self.get_encoded(key) for key in keys]

    def entry_row(self, key: bytes) -> tuple[Any, int] | None:
        """What `get` finds, in the form that a cache keeps."""
        row = self._rows.get(key, UNTOUCHED)
        if row is UNTOUCHED:
            row = self._family.get(key)
        return None if row is None else self._rows_codec.for_cache(row)

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Set or delete, and log it. A deletion is logged even if there is nothing to delete, as in Kafka Streams."""
        if value is None:
            logged = headers if self.logs_headers_of_deletions else NO_HEADERS
            self.put_encoded(key, None, None, timestamp, logged)
            return None
        logged = headers if self._logs_headers else NO_HEADERS
        try:
            raw = self._encode(value)
        except Exception:
            raw = self._codec.to_bytes(value)  # raises with words
        self.put_encoded(key, value if type(value) is self._kept_type else ENCODED, raw, timestamp, logged)
        if timestamp > self.safe_ms and self.admission is not None:
            self.safe_ms = self.admission.horizon()
        return None

    def put_encoded(
        self, key: bytes, value: Any, raw: bytes | None, timestamp: int, logged: Headers = NO_HEADERS
    ) -> None:
        """Put a value whose bytes are known already. None as bytes deletes.

        Changelog records have the `logged` headers: most kinds of store have none, whatever the record had that caused
        them (seen in Kafka Streams 4.3.1), and those in the format with headers have them where they delete.

        Raises:
            ProductionError: the changelog's topic does not take the record; nothing has changed.
        """
        if self._admit is not None:
            self._admit(key, raw, timestamp)
        old = self._rows.get(key, UNTOUCHED)
        if old is UNTOUCHED:
            self._order.add(key)
            self.buffered_bytes += ROW_BYTES + len(key)
        elif old is not None:
            self.buffered_bytes -= len(old[2])
        if raw is None:
            self._rows[key] = None
        else:
            self.buffered_bytes += len(raw)
            self._rows[key] = (value, timestamp if self._timestamped else -1, raw)
        if self._log:
            self._log_key(key)
            self._log_value(raw)
            self._log_timestamp(timestamp)
            self._log_headers(logged)

    def put_all_encoded(
        self,
        keys: Sequence[bytes],
        raws: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers],
    ) -> bool:
        """Put values whose bytes are known, one after the other. None as bytes deletes.

        Says whether that was done: where the changelog's topic may not take one of them, nothing has changed, and
        `put_encoded` of each is to judge.
        """
        if self._admits_all is not None and not self._admits_all(keys, raws, timestamps):
            return False
        rows = self._rows
        times = timestamps if self._timestamped else repeat(-1)
        put: dict[bytes, Row | None] = {
            key: None if raw is None else (ENCODED, timestamp, raw)
            for key, raw, timestamp in zip(keys, raws, times)
        }
        added = 0
        for key, row in put.items():
            old = rows.get(key, UNTOUCHED)
            if old is UNTOUCHED:
                self._order.add(key)
                added += ROW_BYTES + len(key)
            elif old is not None:
                added -= len(old[2])
            if row is not None:
                added += len(row[2])
        rows.update(put)
        self.buffered_bytes += added
        if self._log:
            logged = headers if self._logs_headers else [NO_HEADERS] * len(keys)
            self._log_all(keys, raws, timestamps, logged)
        return True

    def range(
        self, start: bytes | None, end: bytes | None, reverse: bool = False
    ) -> Iterator[tuple[bytes, Any, int]]:
        """Rows with start <= key <= end in byte order, as they are now."""
        return self.view(start, None if end is None else after(end), {}, reverse=reverse)

    def prefix(self, prefix: bytes) -> Iterator[tuple[bytes, Any, int]]:
        """Rows whose key begins with `prefix`, as they are now."""
        return self.view(prefix, after_prefix(prefix), {}, reverse=False)

    def view(
        self, start: bytes | None, end: bytes | None, over: dict[bytes, Row | None], *, reverse: bool
    ) -> Iterator[tuple[bytes, Any, int]]:
        """Rows with start <= key < end, with `over` (a cache's rows within these bounds) above all others."""
        if start is not None and end is not None and start >= end:
            return iter(())
        rows = self._rows
        overlay = {key: rows[key] for key in self._order.between(start, end)}
        if over:
            overlay.update(over)
            overlay = {key: overlay[key] for key in sorted(overlay)}
        return self.merged(start, end, list(overlay.items()), reverse=reverse)

    def merged(
        self,
        start: bytes | None,
        end: bytes | None,
        overlay: list[tuple[bytes, Row | None]],
        *,
        reverse: bool,
    ) -> Iterator[tuple[bytes, Any, int]]:
        """Rows of the database with start <= key < end, with the ascending `overlay` above them."""
        if reverse:
            overlay.reverse()
        # The scan is opened here and not at the first `next`: both sides must be of the same moment.
        return self._opened(merge(overlay, self._family.scan(start, end, reverse=reverse), reverse=reverse))

    def encoded(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key as bytes, plain ones without timestamp, as they are now, whatever is put meanwhile."""
        rows = self._rows
        overlay = [(key, rows[key]) for key in self._order.between(start, None)]
        merged = merge(overlay, self._family.scan(start, None), reverse=False)
        return ((key, row if isinstance(row, bytes) else row[2]) for key, row in merged)

    def committed_row(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp as the last commit left them. From any thread."""
        raw = self._family.get(key)
        return None if raw is None else self._rows_codec.opened(raw)

    def copied(self) -> dict[bytes, Row | None]:
        """The rows that wait. From any thread: copying a dictionary of bytes is one step of the interpreter."""
        return self._rows.copy()

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, Any, int]]:
        opened = self._rows_codec.opened
        for key, row in rows:
            value, timestamp = opened(row)
            yield key, value, timestamp

    def approximate_count(self) -> int:
        """Roughly how many rows there are, without those that wait for the commit."""
        return self._database.approximate_count(self.spec.name)

    def changes(self) -> Rows:
        """What a commit has to write."""
        if self._timestamped:
            pack = pack_timestamp
            return {key: None if row is None else pack(row[1]) + row[2] for key, row in self._rows.items()}
        return {key: None if row is None else row[2] for key, row in self._rows.items()}

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        if self._rows and self._recent_budget is not None:
            if self._recent is None:
                self._recent = RecentRows(self._recent_budget)
                self._recent_rows = self._recent.rows
            self._recent.add(self._rows, self.buffered_bytes)
        self._empty()

    def forget(self) -> None:
        """Drop what waits, and what is known of the database's rows: they may be others now."""
        if self._recent is not None:
            self._recent.close()
            self._recent = None
        self._empty()

    def _empty(self) -> None:
        self._rows.clear()
        self._order.clear()
        self.buffered_bytes = 0
        self.safe_ms = self._nothing_safe

    def restored(self, stream_time: int, sequence: int) -> None:
        """There is nothing to take over."""

    def expired(self) -> tuple[bytes, bytes] | None:
        """No row expires: None."""
        return None
