"""A key-value store whose rows expire: its rows, and beside each a second one that begins with the row's time.

The store's stream time is the highest timestamp of the records that have reached a node with the store: nothing else
moves it, so that a replay moves it alike. It is committed with the offsets (`engine/commit_metadata.py`), and goes back
with them. A row has expired when stream time is `ttl` ahead of its own timestamp: nobody sees it from then on. It is
deleted, in the changelog too, before the record that has moved stream time goes on; where many expire at once, as many
of them as no record waits for long, and the rest with the next ones.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headrace.base.columns import Columns
from headrace.base.records import NO_HEADERS, Headers
from headrace.processor.context import TaskContext
from headrace.state.buffer.key_value import KeyValueBuffer
from headrace.state.buffer.row import Row, RowCodec
from headrace.state.buffer.stored_times import FIRST_TIME, StoredTimes, time_key
from headrace.state.changelog_rows import KeyValueRows
from headrace.state.expiry_queue import NEVER, ExpiryQueue
from headrace.state.in_place import InPlace
from headrace.state.port import (
    ChangelogAdmission,
    Database,
    Family,
    FlushListener,
    FlushRefused,
    OpenKey,
    Rows,
)
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec, unpack_timestamp

__all__ = ["ExpiringBuffer", "ExpiringRows", "RowsAlone"]

#: Keys of rows begin with this byte, keys of second rows with a higher one.
_ROW = b"\x00"


def _with_times(rows: Rows, family: Family) -> dict[bytes, bytes | None]:
    """Return what a commit writes of timestamped rows: them, their second rows, and no second row of before."""
    changes: dict[bytes, bytes | None] = {}
    for key, row in rows.items():
        row_key = _ROW + key
        before = family.get(row_key)
        if before is not None:
            changes[time_key(key, unpack_timestamp(before))] = None
        changes[row_key] = row
        if row is not None:
            changes[time_key(key, unpack_timestamp(row))] = b""
    return changes


class RowsAlone:
    """The rows of a store without their second ones: a `Family`."""

    __slots__ = ("_family",)

    def __init__(self, family: Family) -> None:
        self._family = family

    def get(self, key: bytes) -> bytes | None:
        """Value of one row."""
        return self._family.get(_ROW + key)

    def scan(
        self, start: bytes | None, end: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end; see `Family`."""
        first = _ROW + (start or b"")
        # Opened here and not at the first `next`: it shows the rows as they are now.
        found = self._family.scan(first, FIRST_TIME if end is None else _ROW + end, reverse=reverse)
        return ((key[1:], row) for key, row in found)


class ExpiringBuffer(KeyValueBuffer):
    """The uncommitted rows of a store over its rows in the database. A `KeyValueState`, of a store with a `ttl`.

    # Invariant: what is in `_rows` is in the queue with its time or an earlier one; what is in the database alone has a
    # second row that `_times` has not given yet, unless it is deleted already. (tests/state: the model of expiry)
    """

    __slots__ = (
        "_committed_time",
        "_context",
        "_dropped",
        "_is_expiring",
        "_listener",
        "_open_key",
        "_queue",
        "_send_old",
        "_stale",
        "_stored",
        "_times",
        "expired_until",
        "observed_stream_time",
        "ttl_ms",
    )

    #: Rows deleted for one record: about 5 ms of work.
    at_once = 1000

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        context: TaskContext,
        dropped: Callable[[str, str], None],
        admission: ChangelogAdmission | None = None,
    ) -> None:
        super().__init__(spec, database, log, codec, admission)
        # Stores of processors too: a row's time is what it expires by.
        self._timestamped = True
        self._rows_codec = RowCodec(codec, timestamped=True)
        self._stored = self._family
        self._family = RowsAlone(self._stored)
        self._context = context
        self._times = StoredTimes(self._stored)
        self._dropped = dropped
        self._queue = ExpiryQueue()
        self._stale: list[bytes] = []
        self._listener: FlushListener | None = None
        self._send_old = False
        self._open_key: OpenKey = bytes
        self._is_expiring = False
        self.ttl_ms = spec.ttl_ms or 0
        self.restored(-1, 0)

    # ── stream time ──────────────────────────────────────────────────────────────────────────────────────────────

    def in_place(self) -> InPlace | None:
        """A row may have expired, and what is put be queued: None."""
        return None

    def advance(self, timestamp: int) -> None:
        """Take notice of a record's time before the record goes on; let go of what has expired by it."""
        self.move_to(timestamp)
        if self.next_due <= self.expired_until and not self._is_expiring:
            self._is_expiring = True
            try:
                for _, key in sorted(self.take_due(self.at_once)):
                    self._expire(key)
            finally:
                self._is_expiring = False

    def resume(self) -> None:
        """Take over the stream time that is committed with the offsets, before a task runs."""
        self.move_to(self._context.processor_metadata.get(self.spec.name, -1))

    def move_to(self, timestamp: int) -> None:
        """Take notice of a record's time."""
        if timestamp > self.observed_stream_time:
            self.observed_stream_time = timestamp
            self.expired_until = timestamp - self.ttl_ms
            self._context.processor_metadata[self.spec.name] = timestamp

    @property
    def next_due(self) -> int:
        """No row that is still to be deleted is older (epoch ms)."""
        return min(self._queue.oldest, self._times.next_ms)

    def take_due(self, most: int) -> list[tuple[int, bytes]]:
        """Times and keys of rows that have expired, not more than `most`. None is named twice, but after an abort."""
        until = self.expired_until
        due = self._queue.take(until, self._time_here, most)
        if self._times.next_ms <= until:
            due += self._take_stored(until, most - len(due))
        return due

    def _time_here(self, key: bytes) -> int | None:
        row = self._rows.get(key)
        return None if row is None else row[1]

    def _take_stored(self, until: int, most: int) -> list[tuple[int, bytes]]:
        """Times and keys of rows that are in the database alone."""
        found: list[tuple[int, bytes]] = []
        while len(found) < most and (taken := self._times.take(until)) is not None:
            time, key = taken
            if key in self._rows:
                continue  # it is queued, if it is there
            row = self._family.get(key)
            if row is None or max(unpack_timestamp(row), 0) != time:
                # The row has another time by now, or a crash within a commit has left this behind.
                self._stale.append(time_key(key, time))
            else:
                found.append(taken)
        return found

    def _expire(self, key: bytes) -> None:
        """Delete a row if it has expired, and tell who forwards it."""
        found = self.kept(key)
        if found is None or found[1] > self.expired_until:
            return
        value, timestamp = found
        at = timestamp + self.ttl_ms
        self.put_encoded(key, None, None, at)
        if self._listener is not None:
            self._listener(self._open_key(key), None, value if self._send_old else None, at, NO_HEADERS)

    def on_flush(
        self,
        listener: FlushListener,
        *,
        send_old: bool,
        refused: FlushRefused | None = None,
        open_key: OpenKey = bytes,
    ) -> None:
        """Name the one who forwards the deletions of what expires. All else it forwards itself: there is no cache."""
        self._listener, self._send_old, self._open_key = listener, send_old, open_key

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def kept(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a row that has not been deleted yet, expired or not."""
        return super().get(key)

    def get(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp of a key."""
        return self._alive(super().get(key))

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """The bytes of a value and its timestamp; see `KeyValueState`."""
        found = super().get_encoded(key)
        return None if found is None or found[1] <= self.expired_until else found

    def committed_row(self, key: bytes) -> tuple[Any, int] | None:
        """Value and timestamp as the last commit left them, if the row has not expired. From any thread."""
        return self._alive(super().committed_row(key))

    def _alive(self, found: tuple[Any, int] | None) -> tuple[Any, int] | None:
        return None if found is None or found[1] <= self.expired_until else found

    def _opened(self, rows: Iterator[tuple[bytes, Row | bytes]]) -> Iterator[tuple[bytes, Any, int]]:
        until = self.expired_until
        return (row for row in super()._opened(rows) if row[2] > until)

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Set or delete, and log it. What would have expired is dropped: then the timestamp is returned, else None."""
        if value is not None and self.refuses(timestamp):
            return timestamp
        if self.next_due <= self.expired_until:
            self._expire(key)  # who hears of it hears of the old row's end first
        return super().put(key, value, timestamp, headers)

    def refuses(self, timestamp: int) -> bool:
        """Whether a row of a time would have expired when it is put; then it is counted as dropped."""
        if timestamp > self.expired_until:
            return False
        self._dropped(self.spec.name, "row has expired")
        return True

    def put_encoded(
        self, key: bytes, value: Any, raw: bytes | None, timestamp: int, logged: Headers = NO_HEADERS
    ) -> None:
        """Put a value whose bytes are known already; see `KeyValueBuffer`."""
        super().put_encoded(key, value, raw, timestamp, logged)
        if raw is not None:
            self._queue.add(key, timestamp)

    def put_all_encoded(
        self,
        keys: Sequence[bytes],
        raws: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers],
    ) -> bool:
        """Each row is queued by its own time: no."""
        return False

    def approximate_count(self) -> int:
        """Roughly how many rows there are, without those that wait for the commit."""
        return super().approximate_count() // 2

    # ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Rows:
        """What a commit has to write: two rows for each key."""
        changes = _with_times(super().changes(), self._stored)
        for stale in self._stale:
            changes.setdefault(stale, None)
        return changes

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        lowest = min((row[1] for row in self._rows.values() if row is not None), default=NEVER)
        if lowest < NEVER:
            self._times.added(lowest)
        self._committed_time = self.observed_stream_time
        self._drop_waiting()

    def forget(self) -> None:
        """Drop what waits, and what was seen with it."""
        self._drop_waiting()
        self.observed_stream_time = self._committed_time
        self.expired_until = self._committed_time - self.ttl_ms
        self._times.begin()

    def restored(self, stream_time: int, sequence: int) -> None:
        """Begin with what was committed."""
        self._committed_time = max(stream_time, self._context.processor_metadata.get(self.spec.name, -1))
        self.forget()

    def _drop_waiting(self) -> None:
        super().forget()
        self._queue.clear()
        self._stale.clear()


class ExpiringRows(KeyValueRows):
    """Restores a store whose rows expire. Its stream time is committed elsewhere, and does not follow from them."""

    __slots__ = ("_family",)

    def __init__(self, spec: StoreSpec, family: Family) -> None:
        super().__init__(spec)
        self._timestamped = True
        self._family = family

    def take(self) -> Rows:
        """Hand over what was gathered, and begin again."""
        return _with_times(super().take(), self._family)
