"""The reader of the embedded log: committed chunks, partition after partition, from positions on."""

import time
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from headrace.base.columns import Chunk
from headrace.base.errors import StateError
from headrace.base.ids import TopicPartition
from headrace.log.embedded.checksums import Damage
from headrace.log.embedded.errors import reported
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.known import KnownPartitions
from headrace.log.embedded.rows import StoredChunk, stored_chunks
from headrace.log.positions import Positions, cut_chunk, out_of_range

__all__ = ["EmbeddedReader"]

# What one poll takes, counted in stored bytes: of one partition enough to make its cost of about 50 us small, of
# all together "a few MiB". A chunk is never cut for it.
_PARTITION_BYTES_MAX = 1 << 20
_POLL_BYTES_MAX = 4 << 20
_PARTITION_CHUNKS_MAX = 64

# How often a waiting reader looks for commits of other processes. A look takes about 3 us.
_LOOK_S = 0.02

#: A partition, its end, its topic's number, and what was found behind the position.
_Fetched: TypeAlias = tuple[TopicPartition, int, int, list[StoredChunk]]


class EmbeddedReader:
    """Reads an embedded log. See `Reader`.

    Commits of the same `EmbeddedLog` wake a waiting `poll` at once, those of other processes within 20 ms.
    """

    def __init__(self, file: EmbeddedFile) -> None:
        self._file = file
        self._connection = file.connect()
        self._known = KnownPartitions(self._connection)
        # How many commits of this process are seen in what is known.
        self._known_commits = -1
        self._positions = Positions()
        # The state of the file in which everything that is not paused was read to its end; None if not known.
        self._drained_version: int | None = None
        self._is_closed = False

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `Reader.assign`.

        Raises:
            UnknownTopicError: no such topic or partition.
        """
        self._check_usable("assign partitions")
        with self._file.read(self._connection, "read"):
            for topic_partition in positions:
                self._known.look_up("read", topic_partition)
        self._positions.assign(positions)
        self._known.forget()
        self._known_commits = -1
        self._drained_version = None

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.unassign`."""
        self._positions.unassign(partitions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.pause`."""
        self._positions.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.resume`."""
        self._positions.resume(partitions)
        self._drained_version = None

    def position(self, partition: TopicPartition) -> int:
        """See `Reader.position`."""
        return self._positions[partition]

    def end_known_at(self, partition: TopicPartition) -> float:
        """See `Reader.end_known_at`: a log of one process, which tells each reader of each commit."""
        return time.monotonic()

    def end(self, partition: TopicPartition) -> int:
        """See `Reader.end`. Asks the file after each commit of this process, and after a poll that saw others'."""
        commits = self._file.commits.count
        if self._known_commits != commits or partition not in self._known:
            with self._file.read(self._connection, "read"):
                self._known.refresh(self._positions.assigned())
                self._known_commits = commits
                if partition not in self._known:
                    return self._known.look_up("find the end of", partition)[1].end_offset
        return self._known[partition][1].end_offset

    def poll(self, timeout_ms: int) -> list[Chunk]:
        """See `Reader.poll`."""
        self._check_usable("poll")
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            seen = self._file.commits.count
            chunks = self._read_if_changed()
            remaining_s = deadline - time.monotonic()
            if chunks or remaining_s <= 0:
                return chunks
            self._file.commits.wait(seen, min(remaining_s, _LOOK_S))

    def _read_if_changed(self) -> list[Chunk]:
        with reported("read", self._file.path):
            # Taken before the records are looked for: what is committed in between shows as a change next time.
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._drained_version:
            return []
        while True:
            chunks, is_drained = self._read()
            if is_drained:
                self._drained_version = version
            # Nothing to return and not at the end: a position stood behind the last record of a compacted chunk.
            if chunks or is_drained:
                return chunks

    def _read(self) -> tuple[list[Chunk], bool]:
        """Return one round of chunks, and whether there was nothing left to read."""
        fetched: list[_Fetched] = []
        budget_bytes = _POLL_BYTES_MAX
        with self._file.read(self._connection, "read"):
            self._known.refresh(self._positions.assigned())
            for topic_partition in self._positions.in_turn():
                if budget_bytes <= 0:
                    break
                position = self._positions[topic_partition]
                topic, row = self._known[topic_partition]
                if not row.start_offset <= position <= row.end_offset:
                    raise out_of_range(topic_partition, position, row.start_offset, row.end_offset)
                if position == row.end_offset:
                    continue
                stored = stored_chunks(
                    self._connection,
                    topic.number,
                    topic_partition.partition,
                    position,
                    rows_max=_PARTITION_CHUNKS_MAX,
                    bytes_max=_PARTITION_BYTES_MAX,
                )
                _check_complete(
                    topic_partition,
                    position,
                    row.end_offset,
                    stored,
                    may_have_gaps=topic.policy.compacts and not self._file.is_checked,
                )
                budget_bytes -= sum(len(chunk.body) for chunk in stored)
                fetched.append((topic_partition, row.end_offset, topic.number, stored))
        with reported("read", self._file.path):
            return self._decoded(fetched), not any(stored for _, _, _, stored in fetched)

    def _decoded(self, fetched: list[_Fetched]) -> list[Chunk]:
        """Decode, behind the read transaction and before any position moves: an error leaves them all."""
        chunks: list[Chunk] = []
        for topic_partition, _, topic, stored in fetched:
            for each in stored:
                chunk = each.to_chunk(topic, topic_partition, is_checked=self._file.is_checked)
                left = cut_chunk(chunk, self._positions[topic_partition])
                if left is not None:
                    chunks.append(left)
        for topic_partition, end, _, stored in fetched:
            # Where no chunk is left, compaction has removed the last ones: nothing more will come before the end.
            self._positions.move(topic_partition, stored[-1].row.next_offset if stored else end)
            if stored:
                self._positions.served(topic_partition)
        return chunks

    def close(self) -> None:
        """See `Reader.close`."""
        self._is_closed = True
        self._file.release(self._connection)

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the reader is closed; make a new one")


def _check_complete(
    topic_partition: TopicPartition,
    position: int,
    end: int,
    stored: list[StoredChunk],
    *,
    may_have_gaps: bool,
) -> None:
    """Accept chunks behind a position of which each begins where the one before ends.

    Raises:
        Damage: one is missing, or comes twice.
    """
    reached = position
    for each in stored:
        base = each.row.base_offset
        if (base > reached and not may_have_gaps) or (base < reached and reached != position):
            raise Damage(
                f"{topic_partition} at offset {reached}", f"the chunk at offset {base} comes next", base
            )
        reached = each.row.next_offset
    if not stored and not may_have_gaps:
        raise Damage(
            f"{topic_partition} at offset {position}", f"the chunks up to offset {end} are missing", end
        )
