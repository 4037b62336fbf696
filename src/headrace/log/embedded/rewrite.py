"""How maintenance of the embedded log replaces chunks by others: in slices, each one short write transaction."""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.log.embedded.chunks import CHUNK_BYTES, CHUNK_RECORDS, decode, encode
from headrace.log.embedded.errors import LogBusyError
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.rows import LOOSE_BYTES, ChunkRow, NewRow, body_of, delete_rows, insert_rows
from headrace.log.embedded.topics import StoredTopic

__all__ = [
    "GROUP_ROWS_MAX",
    "Loaded",
    "Slices",
    "Target",
    "count_dirty_bytes",
    "load",
    "merge_group",
    "replace",
    "when_free",
]

T = TypeVar("T")

#: Work that is done a few milliseconds at a time: it yields after each slice.
Slices: TypeAlias = Generator[None, None, T]

# So many rows are looked at for one group.
GROUP_ROWS_MAX = 128

# Maintenance gives way: an appender that holds the lock for longer is let through, and the slice tried again.
_LOCK_WAIT_MS = 20


@dataclass(frozen=True, slots=True)
class Target:
    """One partition, as maintenance sees it."""

    file: EmbeddedFile
    connection: sqlite3.Connection
    topic: StoredTopic
    partition: int

    @property
    def key(self) -> tuple[int, int]:
        """The primary key of its row."""
        return self.topic.number, self.partition

    @property
    def topic_partition(self) -> TopicPartition:
        """Its name."""
        return TopicPartition(self.topic.name, self.partition)


class Loaded(NamedTuple):
    """The columns of a group of consecutive chunks, joined."""

    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers] | None

    def to_row(self, rows: Sequence[ChunkRow]) -> NewRow:
        """Encode at least one record as the chunk that takes the place of `rows`.

        It reaches as far as they do: a reader behind the last record that is left goes on behind the group.
        """
        return NewRow(
            encode(self.keys, self.values, self.timestamps, self.headers, self.offsets),
            self.offsets[0],
            rows[-1].next_offset,
            min(row.first_appended_ms for row in rows),
            max(row.last_appended_ms for row in rows),
        )


def merge_group(rows: Sequence[ChunkRow], *, span_ms: int, loose_only: bool) -> list[ChunkRow]:
    """Return the longest run from the first row on that makes at most one chunk.

    `span_ms` limits how far apart the append times may be: a merged chunk has the age of its youngest record, and a
    tombstone merged with ever younger records would live for ever. With `loose_only` the run ends at the first chunk
    that is not loose, and may be empty; otherwise it has at least one row.
    """
    group: list[ChunkRow] = []
    count = size = 0
    for row in rows:
        if loose_only and row.bytes >= LOOSE_BYTES:
            break
        count += row.record_count
        size += row.bytes
        oldest_ms = min(row.first_appended_ms, group[0].first_appended_ms) if group else row.first_appended_ms
        if group and (
            count > CHUNK_RECORDS or size > CHUNK_BYTES or row.last_appended_ms - oldest_ms > span_ms
        ):
            break
        group.append(row)
    return group


def load(target: Target, rows: Sequence[ChunkRow]) -> Loaded | None:
    """Read and join chunks; None if somebody else removed or replaced one of them."""
    with target.file.read(target.connection, "maintain"):
        bodies = [body_of(target.connection, row) for row in rows]
    loaded = Loaded([], [], [], [], [])
    has_headers = False
    for row, body in zip(rows, bodies):
        if body is None:
            return None
        offsets, timestamps, columns = decode(target.topic_partition, row.base_offset, row.record_count, body)
        loaded.offsets.extend(offsets)
        loaded.timestamps.extend(timestamps)
        loaded.keys.extend(columns.keys)
        loaded.values.extend(columns.values)
        assert loaded.headers is not None
        loaded.headers.extend([()] * row.record_count if columns.headers is None else columns.headers)
        has_headers = has_headers or columns.headers is not None
    return loaded if has_headers else loaded._replace(headers=None)


def replace(target: Target, old: Sequence[ChunkRow], new: Sequence[NewRow]) -> Slices[bool]:
    """Put chunks in the place of others; False, with nothing changed, if somebody else did something to those.

    # Invariant: a crash leaves either all old or all new ones, so that every record that is to stay is there once.
    """

    def swap() -> None:
        if not delete_rows(target.connection, *target.key, old):
            raise _RowsChangedError
        insert_rows(target.connection, *target.key, new)
        growth = sum(len(row.chunk.body) for row in new) - sum(row.bytes for row in old)
        target.connection.execute(
            "UPDATE partitions SET bytes = max(0, bytes + ?) WHERE topic = ? AND partition = ?",
            (growth, *target.key),
        )

    try:
        yield from when_free(target.file, target.connection, swap)
    except _RowsChangedError:
        return False
    return True


def count_dirty_bytes(target: Target) -> None:
    """Count anew what lies behind the clean part of a partition. Called in a write transaction."""
    target.connection.execute(
        "UPDATE partitions SET dirty_bytes = (SELECT coalesce(sum(chunks.bytes), 0) FROM chunks "
        "WHERE chunks.topic = partitions.topic AND chunks.partition = partitions.partition "
        "AND next_offset > cleaned_to) WHERE topic = ? AND partition = ?",
        target.key,
    )


def when_free(file: EmbeddedFile, connection: sqlite3.Connection, action: Callable[[], T]) -> Slices[T]:
    """Run an action in a write transaction, yielding as long as others keep the file locked."""
    while True:
        try:
            with file.write(connection, "maintain", lock_wait_ms=_LOCK_WAIT_MS):
                return action()
        except LogBusyError:
            yield


class _RowsChangedError(Exception):
    """Rolls a swap back."""
