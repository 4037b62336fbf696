"""How maintenance of the embedded log replaces chunks by others: in slices, each one short write transaction."""

import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.log.embedded.chunks import CHUNK_BYTES, CHUNK_RECORDS, encode
from headrace.log.embedded.errors import LogBusyError
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.partitions import PartitionRow, load_partition, save_partitions
from headrace.log.embedded.rows import LOOSE_BYTES, ChunkRow, NewRow, body_of, delete_rows, insert_rows
from headrace.log.embedded.topics import StoredTopic

__all__ = [
    "GROUP_ROWS_MAX",
    "JoinedChunks",
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

    def load(self) -> PartitionRow | None:
        """Return its row; None if the topic was deleted. Called in a transaction."""
        return load_partition(self.connection, self.topic.number, self.topic_partition)

    def change(self, changed: Callable[[PartitionRow], PartitionRow]) -> None:
        """Store what `changed` makes of its row, if there still is one. Called in a write transaction."""
        row = self.load()
        if row is not None:
            save_partitions(self.connection, [(*self.key, changed(row))])


class JoinedChunks(NamedTuple):
    """The columns of a group of consecutive chunks, joined."""

    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers] | None

    def to_row(self, rows: Sequence[ChunkRow]) -> NewRow:
        """Encode the chunk that takes the place of `rows`; it has no records where none is left.

        It begins and ends where they do, so that a chunk that is missing shows, and a reader behind the last record
        that is left goes on behind the group.
        """
        base_offset = rows[0].base_offset
        is_dense = self.offsets == list(range(base_offset, base_offset + len(self.offsets)))
        return NewRow(
            encode(self.keys, self.values, self.timestamps, self.headers, None if is_dense else self.offsets),
            base_offset,
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


def load(target: Target, rows: Sequence[ChunkRow]) -> JoinedChunks | None:
    """Read and join chunks; None if somebody else removed or replaced one of them."""
    with target.file.read(target.connection, "maintain"):
        found = [body_of(target.connection, row) for row in rows]
    loaded = JoinedChunks([], [], [], [], [])
    has_headers = False
    for stored in found:
        if stored is None:
            return None
        chunk = stored.to_chunk(
            target.topic.number, target.topic_partition, is_checked=target.file.is_checked
        )
        loaded.offsets.extend(chunk.offsets)
        loaded.timestamps.extend(chunk.timestamps)
        loaded.keys.extend(chunk.keys)
        loaded.values.extend(chunk.values)
        assert loaded.headers is not None
        loaded.headers.extend([()] * len(chunk) if chunk.headers is None else chunk.headers)
        has_headers = has_headers or chunk.headers is not None
    return loaded if has_headers else loaded._replace(headers=None)


def replace(target: Target, old: Sequence[ChunkRow], new: Sequence[NewRow]) -> Slices[bool]:
    """Put chunks in the place of others; False, with nothing changed, if somebody else did something to those.

    # Invariant: a crash leaves either all old or all new ones, so that every record that is to stay is there once.
    """

    def swap() -> None:
        if not delete_rows(target.connection, *target.key, old):
            raise _RowsChangedError
        insert_rows(target.connection, [(*target.key, row) for row in new])
        growth = sum(len(row.chunk.body) for row in new) - sum(row.bytes for row in old)
        target.change(lambda row: row._replace(bytes=max(0, row.bytes + growth)))

    try:
        yield from when_free(target.file, target.connection, swap)
    except _RowsChangedError:
        return False
    return True


def count_dirty_bytes(target: Target, row: PartitionRow) -> PartitionRow:
    """Count anew what lies behind the clean part of a partition. Called in a write transaction."""
    found = target.connection.execute(
        "SELECT coalesce(sum(bytes), 0) FROM chunks WHERE topic = ? AND partition = ? AND next_offset > ?",
        (*target.key, row.cleaned_to),
    ).fetchone()
    return row._replace(dirty_bytes=found[0])


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
