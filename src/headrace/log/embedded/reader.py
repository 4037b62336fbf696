"""The reader of the embedded log: committed chunks, partition after partition, from positions on."""

import time
from collections.abc import Iterable, Mapping

from headrace.base.columns import Chunk
from headrace.base.errors import StateError
from headrace.base.ids import TopicPartition
from headrace.log.embedded.chunks import to_chunk
from headrace.log.embedded.errors import reported
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.topics import Catalogue
from headrace.log.positions import Positions, cut_chunk, out_of_range

__all__ = ["EmbeddedReader"]

# What one poll takes, counted in stored bytes: of one partition enough to make its cost of about 50 us small, of
# all together "a few MiB". A chunk is never cut for it.
_PARTITION_BYTES_MAX = 1 << 20
_POLL_BYTES_MAX = 4 << 20
_PARTITION_CHUNKS_MAX = 64

# How often a waiting reader looks for commits of other processes. A look takes about 3 us.
_LOOK_S = 0.02

_CHUNKS = (
    "SELECT base_offset, next_offset, count, bytes, body FROM chunks "
    "WHERE topic = ? AND partition = ? AND next_offset > ? ORDER BY next_offset LIMIT ?"
)


class EmbeddedReader:
    """Reads an embedded log. See `Reader`.

    Commits of the same `EmbeddedLog` wake a waiting `poll` at once, those of other processes within 20 ms.
    """

    def __init__(self, file: EmbeddedFile) -> None:
        self._file = file
        self._connection = file.connect()
        self._catalogue = Catalogue(self._connection)
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
                self._catalogue.bounds("read", topic_partition)
        self._positions.assign(positions)
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

    def end(self, partition: TopicPartition) -> int:
        """See `Reader.end`: asks the file, which takes some microseconds."""
        with self._file.read(self._connection, "read"):
            return self._catalogue.bounds("find the end of", partition).end

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
        fetched: list[tuple[TopicPartition, int, list[tuple[int, int, int, int, bytes]]]] = []
        budget_bytes = _POLL_BYTES_MAX
        with self._file.read(self._connection, "read"):
            for topic_partition in self._positions.in_turn():
                if budget_bytes <= 0:
                    break
                position = self._positions[topic_partition]
                start, end = self._catalogue.bounds("read", topic_partition)
                if not start <= position <= end:
                    raise out_of_range(topic_partition, position, start, end)
                if position == end:
                    continue
                rows = self._fetch(topic_partition, position)
                budget_bytes -= sum(row[3] for row in rows)
                # Where no chunk is left, compaction has removed the last ones: nothing more will come before the end.
                fetched.append((topic_partition, rows[-1][1] if rows else end, rows))
        # Decoded behind the read transaction, and before any position moves: an error leaves them all.
        chunks: list[Chunk] = []
        for topic_partition, _, rows in fetched:
            for base_offset, _, count, _, body in rows:
                chunk = cut_chunk(
                    to_chunk(topic_partition, base_offset, count, body), self._positions[topic_partition]
                )
                if chunk is not None:
                    chunks.append(chunk)
        for topic_partition, next_position, rows in fetched:
            self._positions.move(topic_partition, next_position)
            if rows:
                self._positions.served(topic_partition)
        return chunks, not any(rows for _, _, rows in fetched)

    def _fetch(
        self, topic_partition: TopicPartition, position: int
    ) -> list[tuple[int, int, int, int, bytes]]:
        """Return (base offset, next offset, count, bytes, body) of the chunks that hold or follow a position."""
        topic = self._catalogue.topic("read", topic_partition)
        rows: list[tuple[int, int, int, int, bytes]] = []
        budget_bytes = _PARTITION_BYTES_MAX
        for row in self._connection.execute(
            _CHUNKS, (topic.number, topic_partition.partition, position, _PARTITION_CHUNKS_MAX)
        ):
            rows.append(row)
            budget_bytes -= row[3]
            if budget_bytes <= 0:
                break
        return rows

    def close(self) -> None:
        """See `Reader.close`."""
        self._is_closed = True
        self._file.release(self._connection)

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the reader is closed; make a new one")
