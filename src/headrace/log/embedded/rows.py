"""Rows of the table of chunks: what maintenance and the writer say about them to SQLite."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from headrace.log.embedded.chunks import EncodedChunk

__all__ = ["LOOSE_BYTES", "ChunkRow", "NewRow", "body_of", "delete_rows", "insert_rows", "rows_behind"]

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


_COLUMNS = "chunk, base_offset, next_offset, count, bytes, max_timestamp, first_appended_ms, last_appended_ms"


def insert_rows(connection: sqlite3.Connection, topic: int, partition: int, rows: Sequence[NewRow]) -> None:
    """Insert chunks. Called in a write transaction."""
    connection.executemany(
        "INSERT INTO chunks (topic, partition, base_offset, next_offset, count, bytes, max_timestamp, "
        "first_appended_ms, last_appended_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                topic,
                partition,
                row.base_offset,
                row.next_offset,
                row.chunk.record_count,
                len(row.chunk.body),
                row.chunk.max_timestamp,
                row.first_appended_ms,
                row.last_appended_ms,
                row.chunk.body,
            )
            for row in rows
        ],
    )


def rows_behind(
    connection: sqlite3.Connection, topic: int, partition: int, position: int, *, rows_max: int
) -> list[ChunkRow]:
    """Return the first chunks that reach beyond a position, in offset order."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM chunks WHERE topic = ? AND partition = ? AND next_offset > ? "
        f"ORDER BY next_offset LIMIT ?",
        (topic, partition, position, rows_max),
    )
    return [ChunkRow(*row) for row in found]


def body_of(connection: sqlite3.Connection, row: ChunkRow) -> bytes | None:
    """Return the body of a chunk, or None if somebody removed or replaced it."""
    found = connection.execute(
        "SELECT body FROM chunks WHERE chunk = ? AND next_offset = ? AND bytes = ?",
        (row.number, row.next_offset, row.bytes),
    ).fetchone()
    return None if found is None else found[0]


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
