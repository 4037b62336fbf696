"""Rows of the table of chunks: what readers, maintenance and the writer say about them to SQLite."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import google_crc32c

from headrace.base.columns import Chunk
from headrace.base.ids import TopicPartition
from headrace.log.embedded.checksums import Damage, checksum_of
from headrace.log.embedded.chunks import RECORD_OVERHEAD_BYTES, EncodedChunk, decode

__all__ = [
    "LOOSE_BYTES",
    "ChunkRow",
    "NewRow",
    "StoredChunk",
    "body_of",
    "check_columns_of",
    "delete_rows",
    "insert_rows",
    "rows_behind",
    "stored_chunks",
]

# A chunk below this size is *loose*: reading its row costs more than reading its records, so it is to be merged.
LOOSE_BYTES = 32 * 1024


class NewRow(NamedTuple):
    """A chunk to be inserted."""

    chunk: EncodedChunk
    base_offset: int
    next_offset: int
    first_appended_ms: int
    last_appended_ms: int


class ChunkRow(NamedTuple):
    """A chunk in the file, without its body."""

    number: int
    base_offset: int
    next_offset: int
    record_count: int
    bytes: int
    max_timestamp: int
    first_appended_ms: int
    last_appended_ms: int


class StoredChunk(NamedTuple):
    """A chunk in the file, with its body and its checksums: None where format 1 has written it."""

    row: ChunkRow
    body_checksum: int | None
    checksum: int | None
    body: bytes

    def to_chunk(self, topic: int, topic_partition: TopicPartition, *, is_checked: bool) -> Chunk:
        """Check and decode it as a chunk of this topic. `is_checked` is False where it may have no checksums.

        Raises:
            Damage: it is not what was written.
        """
        row = self.row
        if is_checked or self.checksum is not None:
            check_columns(topic, topic_partition, row, self.body_checksum, self.checksum)
            if google_crc32c.value(self.body) != self.body_checksum:
                raise damaged(topic_partition, row)
        try:
            offsets, timestamps, columns = decode(
                row.base_offset, row.next_offset, row.record_count, self.body
            )
        except ValueError as error:
            raise damaged(topic_partition, row, str(error)) from error
        return Chunk(
            topic_partition.topic,
            topic_partition.partition,
            offsets,
            timestamps,
            columns.keys,
            columns.values,
            columns.headers,
            len(self.body) + RECORD_OVERHEAD_BYTES * row.record_count,
        )


_COLUMNS = "chunk, base_offset, next_offset, count, bytes, max_timestamp, first_appended_ms, last_appended_ms"
_COLUMN_COUNT = len(ChunkRow._fields)

_BEHIND = "FROM chunks WHERE topic = ? AND partition = ? AND next_offset > ? ORDER BY next_offset LIMIT ?"
_ROWS_BEHIND = f"SELECT {_COLUMNS} {_BEHIND}"
_STORED_BEHIND = f"SELECT {_COLUMNS}, body_checksum, checksum, body {_BEHIND}"


def insert_rows(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, NewRow]]) -> None:
    """Insert chunks of (topic number, partition). Called in a write transaction."""
    connection.executemany(
        "INSERT INTO chunks (topic, partition, base_offset, next_offset, count, bytes, max_timestamp, "
        "first_appended_ms, last_appended_ms, body_checksum, checksum, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_values(topic, partition, row) for topic, partition, row in rows],
    )


def _values(topic: int, partition: int, row: NewRow) -> tuple[int | bytes, ...]:
    chunk = row.chunk
    columns = (
        topic,
        partition,
        row.base_offset,
        row.next_offset,
        chunk.record_count,
        len(chunk.body),
        chunk.max_timestamp,
        row.first_appended_ms,
        row.last_appended_ms,
        google_crc32c.value(chunk.body),
    )
    return (*columns, checksum_of(*columns), chunk.body)


def rows_behind(
    connection: sqlite3.Connection, topic: int, partition: int, position: int, *, rows_max: int
) -> list[ChunkRow]:
    """Return the first chunks that reach beyond a position, in offset order; unchecked, so only to look at."""
    return [
        ChunkRow(*row) for row in connection.execute(_ROWS_BEHIND, (topic, partition, position, rows_max))
    ]


def stored_chunks(
    connection: sqlite3.Connection,
    topic: int,
    partition: int,
    position: int,
    *,
    rows_max: int,
    bytes_max: int = 0,
) -> list[StoredChunk]:
    """Return the first chunks that reach beyond a position, with their bodies: at least one, up to a size."""
    found: list[StoredChunk] = []
    for row in connection.execute(_STORED_BEHIND, (topic, partition, position, rows_max)):
        stored = _stored(_row(row[:_COLUMN_COUNT]), *row[_COLUMN_COUNT:])
        found.append(stored)
        bytes_max -= len(stored.body)
        if bytes_max <= 0:
            break
    return found


def body_of(connection: sqlite3.Connection, row: ChunkRow) -> StoredChunk | None:
    """Return a chunk with its body, or None if somebody removed or replaced it."""
    found = connection.execute(
        "SELECT body_checksum, checksum, body FROM chunks WHERE chunk = ? AND next_offset = ? AND bytes = ?",
        (row.number, row.next_offset, row.bytes),
    ).fetchone()
    return None if found is None else _stored(row, *found)


def _row(columns: tuple[int, ...]) -> ChunkRow:
    # A damaged row may have other types, whatever the table says, and is compared before its checksum is.
    if set(map(type, columns)) != {int}:
        raise Damage(f"table chunks, row {columns[0]}", "a column is of another type")
    return ChunkRow(*columns)


def _stored(row: ChunkRow, body_checksum: int | None, checksum: int | None, body: bytes) -> StoredChunk:
    if type(body) is not bytes:
        raise Damage(f"table chunks, row {row.number}", "a column is of another type")
    return StoredChunk(row, body_checksum, checksum, body)


def check_columns_of(
    connection: sqlite3.Connection,
    topic: int,
    topic_partition: TopicPartition,
    row: ChunkRow,
    *,
    is_checked: bool,
) -> None:
    """Accept a row without its body: before something is decided by what it says. `is_checked` as for `to_chunk`.

    Raises:
        Damage: it is not what was written.
    """
    body_checksum, checksum = connection.execute(
        "SELECT body_checksum, checksum FROM chunks WHERE chunk = ?", (row.number,)
    ).fetchone() or (None, None)
    if is_checked or checksum is not None:
        check_columns(topic, topic_partition, row, body_checksum, checksum)


def check_columns(
    topic: int,
    topic_partition: TopicPartition,
    row: ChunkRow,
    body_checksum: int | None,
    checksum: int | None,
) -> None:
    """Accept the columns of a row that are not its body.

    Raises:
        Damage: they are not what was written.
    """
    if checksum_of(topic, topic_partition.partition, *row[1:], body_checksum) != checksum:
        raise damaged(topic_partition, row)


def damaged(
    topic_partition: TopicPartition, row: ChunkRow, why: str = "its checksum does not match"
) -> Damage:
    """Say that a chunk is not what was written."""
    return Damage(
        f"{topic_partition} at offset {row.base_offset}", f"the chunk is damaged ({why})", row.next_offset
    )


def delete_rows(connection: sqlite3.Connection, topic: int, partition: int, rows: Sequence[ChunkRow]) -> bool:
    """Delete chunks; False if one was removed or replaced by somebody else. Called in a write transaction.

    All columns are compared, not the row number alone, which SQLite gives again after the last row was deleted.
    """
    return all(
        connection.execute(
            "DELETE FROM chunks WHERE chunk = ? AND topic = ? AND partition = ? AND base_offset = ? "
            "AND next_offset = ? AND count = ? AND bytes = ?",
            (row.number, topic, partition, row.base_offset, row.next_offset, row.record_count, row.bytes),
        ).rowcount
        == 1
        for row in rows
    )
