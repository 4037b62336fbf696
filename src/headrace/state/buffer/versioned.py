"""A store of versions: of each key its latest value, and those before it as far back as the history goes.

A version is valid from its own time until the next one's. The latest one of a key is a row of its own and never
expires; it is missing where the last version is a deletion. The others are cells that expire by the time until which
they were valid. Source: `RocksDBVersionedStore`, whose rows are others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from struct import Struct
from typing import Any, TypeAlias

from headrace.base.columns import Columns
from headrace.base.errors import StateError
from headrace.base.records import NO_HEADERS, Headers
from headrace.serde.primitives import raw as raw_bytes
from headrace.state.buffer.row import ENCODED, ROW_BYTES, UNTOUCHED, Row
from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.segmented import Overlay, SegmentedBuffer
from headrace.state.merge import merge
from headrace.state.port import ChangelogAdmission, Database, Rows
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.values import TIMESTAMP_BYTES, ValueCodec, pack_timestamp, unpack_timestamp

__all__ = ["VersionedBuffer"]

#: What precedes the key in the row of a latest version: no segment begins so.
_LATEST = b"\xff" * 8

#: What precedes the value in a cell; a deletion has nothing behind it.
_DELETED, _PRESENT = b"\x00", b"\x01"

#: A version that has been replaced; its time is the one until which it was valid.
_VERSIONS = SegmentLayout("version", Struct(">qB"), 0, lambda time, rest: time >= 0 and rest == 0)


#: What one store keeps in memory at most of the versions that look-ups have found.
_FOUND_BYTES_MAX = 1 << 20

#: Copies what waits, at the moment when it is called.
Copied: TypeAlias = Callable[[], Overlay]


class VersionedBuffer:
    """The uncommitted versions of a store over its rows in the database. A `VersionedState`.

    # Invariant: a version is among the replaced ones before another one is the latest: readers on other threads look
    for the latest first, and find either.
    """

    __slots__ = (
        "_admit",
        "_codec",
        "_dropped",
        "_encode",
        "_family",
        "_found",
        "_found_bytes",
        "_history_ms",
        "_interval_ms",
        "_latest",
        "_log",
        "_replaced",
        "_waiting_bytes",
        "spec",
    )

    caching = False
    sequence = 0

    def __init__(
        self,
        spec: StoreSpec,
        database: Database,
        log: Columns | None,
        codec: ValueCodec,
        dropped: Callable[[str, str], None],
        admission: ChangelogAdmission | None = None,
    ) -> None:
        if spec.history_ms is None:
            raise StateError(f"versioned store {spec.name!r} has no history")
        self.spec = spec
        self._admit = None if admission is None else admission.check
        self._codec = codec
        self._encode = codec.encode
        self._dropped = dropped
        self._history_ms = spec.history_ms
        self._log = log
        self._family = database.family(spec.name)
        self._latest: dict[bytes, bytes | None] = {}
        self._found: dict[bytes, tuple[int, int | None, bytes]] = {}
        self._found_bytes = 0
        self._waiting_bytes = 0
        # A cell that ends exactly as far back as the history goes is still asked for.
        cells = replace(spec, retention_ms=spec.history_ms + 1, timestamped=True)
        self._interval_ms = segment_interval_ms(spec.history_ms + 1)
        bytes_as_they_are = ValueCodec(raw_bytes, spec.changelog_topic, spec.name)
        self._replaced = SegmentedBuffer(cells, _VERSIONS, database, None, bytes_as_they_are, dropped)

    @property
    def observed_stream_time(self) -> int:
        """Highest timestamp ever put (epoch ms), -1 if none."""
        return self._replaced.observed_stream_time

    @property
    def buffered_bytes(self) -> int:
        """Roughly what waits for the commit."""
        return self._waiting_bytes + self._replaced.buffered_bytes

    def in_place(self) -> None:
        """A put finds its place among versions: None."""

    def get(self, key: bytes, *, committed: bool = False) -> tuple[Any, int] | None:
        """Value and timestamp of a key's latest version; None if that is a deletion."""
        row = self._latest_row(key, committed=committed)
        return None if row is None else (self._codec.to_value(row[TIMESTAMP_BYTES:]), unpack_timestamp(row))

    def get_encoded(self, key: bytes) -> tuple[bytes, int] | None:
        """What `get` finds, with the bytes of the value."""
        row = self._latest_row(key)
        return None if row is None else (row[TIMESTAMP_BYTES:], unpack_timestamp(row))

    def get_all_encoded(self, keys: Sequence[bytes]) -> list[tuple[bytes, int] | None]:
        """What `get_encoded` finds for each of the keys."""
        return [self.get_encoded(key) for key in keys]

    def as_of(
        self, key: bytes, time: int, *, committed: bool = False, rows: Copied | None = None
    ) -> tuple[Any, int, int | None] | None:
        """The version that was valid at a time: value, since when, until when (None: it is the latest).

        None where there was none then, and where it is further back than the history, unless it is the latest still.
        `rows` copies those that wait, for other threads, once it is known what is the latest.
        """
        if committed or rows is not None:
            found = self._look_up(key, time, committed=committed, rows=rows)
        else:
            found = self._found.get(key)
            if found is None or not self._is_valid(found, time):
                found = self._look_up(key, time)
                if found is not None:
                    self._remember(key, found)
        return None if found is None else (self._codec.to_value(found[2]), found[0], found[1])

    def _is_valid(self, version: tuple[int, int | None, bytes], time: int) -> bool:
        since, until, _ = version
        return since <= time and (
            until is None or self.observed_stream_time - self._history_ms <= time < until
        )

    def _look_up(
        self, key: bytes, time: int, *, committed: bool = False, rows: Copied | None = None
    ) -> tuple[int, int | None, bytes] | None:
        """Since when, until when, and bytes of the version that was valid at a time; see `as_of`."""
        latest = self._latest_row(key, committed=committed)
        if latest is not None and unpack_timestamp(latest) <= time:
            return unpack_timestamp(latest), None, latest[TIMESTAMP_BYTES:]
        if time < self.observed_stream_time - self._history_ms:
            return None
        copied = _rows(rows, committed=committed)
        if copied is None:
            cell = self._first_cell(key, time + 1)
        else:
            cell = next(self._cells(key, time + 1, copied), None)
        if cell is None or cell[0] > time or cell[2] is None:
            return None
        return cell[0], cell[1], cell[2]

    def _remember(self, key: bytes, version: tuple[int, int | None, bytes]) -> None:
        self._found_bytes += ROW_BYTES + len(key) + len(version[2])
        if self._found_bytes > _FOUND_BYTES_MAX:
            self._forget_found()
        else:
            self._found[key] = version

    def _forget_found(self) -> None:
        self._found.clear()
        self._found_bytes = 0

    def history(
        self,
        key: bytes,
        start: int | None,
        end: int | None,
        *,
        committed: bool = False,
        rows: Copied | None = None,
    ) -> Iterator[tuple[Any, int, int | None]]:
        """Versions that were valid at some time from `start` to `end`, both included: as `as_of`, oldest first."""
        decode = self._codec.to_value
        latest = self._latest_row(key, committed=committed)
        first = 0 if start is None else start + 1
        for since, until, raw in self._cells(key, first, _rows(rows, committed=committed)):
            if end is not None and since > end:
                return
            if raw is not None:
                yield decode(raw), since, until
        if latest is not None and (end is None or unpack_timestamp(latest) <= end):
            yield decode(latest[TIMESTAMP_BYTES:]), unpack_timestamp(latest), None

    def latest(self, start: bytes | None, *, committed: bool = False) -> Iterator[tuple[bytes, Any, int]]:
        """Key, value and timestamp of the latest version of each key from `start` on. From any thread."""
        first = _LATEST + (start or b"")
        # What waits first: what a commit moves meanwhile is then in both, and not in neither.
        waiting = {} if committed else self._latest.copy()
        over = sorted((_LATEST + key, row) for key, row in waiting.items() if _LATEST + key >= first)
        return self._opened(merge(over, self._family.scan(first, None), reverse=False))

    def _opened(self, rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, Any, int]]:
        decode = self._codec.to_value
        for row_key, row in rows:
            yield row_key[len(_LATEST) :], decode(row[TIMESTAMP_BYTES:]), unpack_timestamp(row)

    def put(self, key: bytes, value: Any, timestamp: int, headers: Headers) -> int | None:
        """Add a version, or one that deletes; log it. Return until when it is valid; None: it is the latest.

        What is older than the history is dropped: it is valid until its own time, which is never. It is logged all the
        same, as in Kafka Streams.

        Raises:
            SerializationError: the serde refuses the value.
            ProductionError: the changelog's topic does not take the record; nothing has changed.
        """
        raw = None
        if value is not None:
            try:
                raw = self._encode(value)
            except Exception:
                raw = self._codec.to_bytes(value)  # raises with words
        if self._admit is not None:
            self._admit(key, raw, timestamp)
        until = self.put_encoded(key, raw, timestamp)
        if self._log is not None:
            self._log.append(key, raw, timestamp, NO_HEADERS)
        return until

    def put_encoded(self, key: bytes, raw: bytes | None, timestamp: int) -> int | None:
        """Put a version whose bytes are known, without logging it; None as bytes deletes."""
        if timestamp < self.observed_stream_time - self._history_ms:
            self._dropped(self.spec.name, "version is older than the history")
            return timestamp
        self._found.pop(key, None)
        replaced = self._replaced
        replaced.advance(timestamp)
        latest = self._latest_row(key)
        until: int | None = None
        if latest is not None:
            since = unpack_timestamp(latest)
            if since <= timestamp:
                if since < timestamp:
                    replaced.put_encoded(key, timestamp, ENCODED, _PRESENT + latest[TIMESTAMP_BYTES:], since)
                self._set_latest(key, None if raw is None else pack_timestamp(timestamp) + raw)
                return None
            until = since
        cell = _DELETED if raw is None else _PRESENT + raw
        for since, end, old in self._cells(key, timestamp + 1, None):
            if since <= timestamp:  # it parts the version that was valid then
                if since < timestamp:
                    before = _DELETED if old is None else _PRESENT + old
                    replaced.put_encoded(key, timestamp, ENCODED, before, since)
                replaced.put_encoded(key, end, ENCODED, cell, timestamp)
                return end
            until = since
            break
        if until is not None:
            replaced.put_encoded(key, until, ENCODED, cell, timestamp)
        elif raw is not None:
            self._set_latest(key, pack_timestamp(timestamp) + raw)
        elif replaced.get(key, timestamp) is None:
            # Nothing ends at that time, and there is no row of a latest deletion: an empty version keeps the time.
            replaced.put_encoded(key, timestamp, ENCODED, cell, timestamp)
        return until

    def _latest_row(self, key: bytes, *, committed: bool = False) -> bytes | None:
        row = UNTOUCHED if committed else self._latest.get(key, UNTOUCHED)
        if row is UNTOUCHED:
            return self._family.get(_LATEST + key)
        found: bytes | None = row
        return found

    def _set_latest(self, key: bytes, row: bytes | None) -> None:
        if key not in self._latest:
            self._waiting_bytes += ROW_BYTES + len(key)
        self._waiting_bytes += len(row or b"")
        self._latest[key] = row

    def _cells(self, key: bytes, first: int, rows: Overlay | None) -> Iterator[tuple[int, int, bytes | None]]:
        """Since when, until when, and bytes of the replaced versions that end at `first` or later, oldest first."""
        replaced = self._replaced
        for row_key, row in replaced.cells(
            key, first, None, {}, replaced.observed_stream_time, reverse=False, rows=rows
        ):
            yield _version(row_key, row)

    def _first_cell(self, key: bytes, first: int) -> tuple[int, int, bytes | None] | None:
        """The first that `_cells` has. In the task's own thread alone, where all that it looks at is of one moment.

        It looks into one segment after the other, since mostly the first one has it.
        """
        replaced, interval_ms = self._replaced, self._interval_ms
        stream_time = replaced.observed_stream_time
        first = max(first, stream_time - self._history_ms)
        while first <= stream_time:
            last = first - first % interval_ms + interval_ms - 1
            for row_key, row in replaced.cells(key, first, last, {}, stream_time):
                return _version(row_key, row)
            first = last + 1
        return None

    def copied(self) -> Overlay:
        """The replaced versions that wait. From any thread."""
        return self._replaced.copied()

    def changes(self) -> Rows:
        """What a commit has to write."""
        changes = dict(self._replaced.changes())
        changes.update((_LATEST + key, row) for key, row in self._latest.items())
        return changes

    def committed(self) -> None:
        """Drop what waited: the database has it."""
        self._replaced.committed()
        self._latest.clear()
        self._waiting_bytes = 0

    def forget(self) -> None:
        """Drop what waits, and the time that was seen with it."""
        self._forget_found()
        self._replaced.forget()
        self._latest.clear()
        self._waiting_bytes = 0

    def restored(self, stream_time: int, sequence: int) -> None:
        """Take over the time that the database's rows have seen."""
        self._forget_found()
        self._replaced.restored(stream_time, sequence)

    def expired(self) -> tuple[bytes, bytes] | None:
        """Range of rows that have expired since this was last asked, and None if there are none."""
        return self._replaced.expired()


def _version(row_key: bytes, row: Row | bytes) -> tuple[int, int, bytes | None]:
    """Since when, until when, and bytes of the replaced version that a row is."""
    if isinstance(row, bytes):
        since, cell = unpack_timestamp(row), row[TIMESTAMP_BYTES:]
    else:
        since, cell = row[1], row[2]
    return since, _VERSIONS.time(row_key), None if cell == _DELETED else cell[1:]


def _rows(copied: Copied | None, *, committed: bool) -> Overlay | None:
    if committed:
        return {}
    return None if copied is None else copied()
