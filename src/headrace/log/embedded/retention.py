"""Retention in the embedded log: whole chunks leave a partition at its start, and deleted topics leave the file.

`retention.ms` of a topic with `cleanup.policy=delete` is judged against the wall clock, as on a broker. For
`compact,delete`, which changelogs of windowed stores have, it is judged against the partition's newest timestamp where
that is earlier: an application that works through last year's data would otherwise lose its changelog at once, and a
crash before the local store was written would lose results. Kafka has that weakness; a store expires by stream time.
"""

import sqlite3
from functools import partial

from headrace.log.embedded.checksums import Damage
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.partitions import PartitionRow
from headrace.log.embedded.rewrite import Slices, Target, count_dirty_bytes, when_free
from headrace.log.embedded.rows import ChunkRow, check_columns_of, rows_behind

__all__ = ["drop_expired", "sweep_deleted_topics"]

# So many chunks, of at most about 1 MiB each, are removed in one write transaction: about 5 ms.
_SLICE_CHUNKS = 32


def drop_expired(target: Target) -> Slices[None]:
    """Remove what is older than `retention.ms`, too much for `retention.bytes`, or below the start offset."""
    while True:
        with target.file.read(target.connection, "maintain"):
            expired = _expired(target)
        if expired:
            yield from when_free(target.file, target.connection, partial(_drop, target, expired))
        if len(expired) < _SLICE_CHUNKS:
            return
        yield


def _expired(target: Target) -> list[ChunkRow]:
    """Return the first chunks that are to go; none behind one that is to stay."""
    row = target.load()
    if row is None:
        return []
    left_bytes = row.bytes
    policy = target.topic.policy
    oldest_ms: int | None = None
    if policy.deletes and policy.retention_ms is not None:
        now_ms = target.file.now_ms()
        oldest_ms = (min(now_ms, row.newest_timestamp) if policy.compacts else now_ms) - policy.retention_ms
    bytes_max = policy.retention_bytes if policy.deletes else None
    expired: list[ChunkRow] = []
    for chunk in rows_behind(target.connection, *target.key, 0, rows_max=_SLICE_CHUNKS):
        left_bytes -= chunk.bytes
        is_deleted = chunk.next_offset <= row.start_offset
        is_old = oldest_ms is not None and chunk.max_timestamp < oldest_ms
        # Kafka's rule: a part goes if what is left without it still fills the limit.
        is_too_much = bytes_max is not None and left_bytes >= bytes_max
        if not (is_deleted or is_old or is_too_much):
            break
        check_columns_of(
            target.connection,
            target.topic.number,
            target.topic_partition,
            chunk,
            is_checked=target.file.is_checked,
        )
        expired.append(chunk)
    return expired


def _drop(target: Target, rows: list[ChunkRow]) -> None:
    # By offset and not by row: a chunk that another process merged with its neighbours meanwhile stays as long as
    # one of its records is to stay.
    reached = rows[-1].next_offset
    dropped = target.connection.execute(
        "SELECT coalesce(max(next_offset), 0), coalesce(sum(bytes), 0) FROM chunks "
        "WHERE topic = ? AND partition = ? AND next_offset <= ?",
        (*target.key, reached),
    ).fetchone()
    target.connection.execute(
        "DELETE FROM chunks WHERE topic = ? AND partition = ? AND next_offset <= ?", (*target.key, reached)
    )

    def shrunk(row: PartitionRow) -> PartitionRow:
        start, gone_bytes = dropped
        left = row._replace(start_offset=max(row.start_offset, start), bytes=max(0, row.bytes - gone_bytes))
        return count_dirty_bytes(target, left) if target.topic.policy.compacts else left

    target.change(shrunk)


def sweep_deleted_topics(file: EmbeddedFile, connection: sqlite3.Connection) -> Slices[None]:
    """Remove the chunks of deleted topics."""
    with file.read(connection, "maintain"):
        topics = [row[0] for row in connection.execute("SELECT topic FROM doomed_topics ORDER BY topic")]
        for topic in topics:
            # Chunks are never taken from a topic that is there: the number of a deleted one was damaged.
            if connection.execute("SELECT 1 FROM topics WHERE topic = ?", (topic,)).fetchone() is not None:
                raise Damage(f"topic number {topic}", "it is there, and yet marked as deleted")
    for topic in topics:
        while (yield from when_free(file, connection, partial(_sweep, connection, topic))):
            yield


def _sweep(connection: sqlite3.Connection, topic: int) -> bool:
    """Remove some chunks of a deleted topic; False when none are left."""
    removed = connection.execute(
        "DELETE FROM chunks WHERE chunk IN (SELECT chunk FROM chunks WHERE topic = ? LIMIT ?)",
        (topic, _SLICE_CHUNKS),
    ).rowcount
    if removed == 0:
        connection.execute("DELETE FROM doomed_topics WHERE topic = ?", (topic,))
    return removed > 0
