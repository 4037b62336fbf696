"""The reader of the in-memory log: committed chunks from positions on, as the embedded log hands them over."""

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping

from headrace.base.columns import Chunk
from headrace.base.errors import StateError
from headrace.base.ids import TopicPartition
from headrace.log.memory.contents import Contents
from headrace.log.positions import Positions, cut_chunk, out_of_range

__all__ = ["MemoryReader"]

# What one poll takes of one partition, and of all: the same as the embedded log, so that fairness is the same.
_PARTITION_BYTES_MAX = 1 << 20
_POLL_BYTES_MAX = 4 << 20


class MemoryReader:
    """Reads a memory log. See `Reader`."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._positions = Positions()
        self._is_closed = False

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `Reader.assign`.

        Raises:
            UnknownTopicError: no such topic or partition.
        """
        with self._contents.lock:
            for topic_partition in positions:
                self._contents.partition("read", topic_partition)
        self._positions.assign(positions)

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.unassign`."""
        self._positions.unassign(partitions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.pause`."""
        self._positions.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.resume`."""
        self._positions.resume(partitions)

    def position(self, partition: TopicPartition) -> int:
        """See `Reader.position`."""
        return self._positions[partition]

    def end_known_at(self, partition: TopicPartition) -> float:
        """See `Reader.end_known_at`: `end` asks the log itself."""
        return time.monotonic()

    def end(self, partition: TopicPartition) -> int:
        """See `Reader.end`."""
        with self._contents.lock:
            return self._contents.partition("find the end of", partition).end

    def poll(self, timeout_ms: int) -> list[Chunk]:
        """See `Reader.poll`."""
        deadline = time.monotonic() + timeout_ms / 1000
        while True:
            if self._is_closed:
                raise StateError("cannot poll: the reader is closed; make a new one")
            seen = self._contents.commits.count
            chunks = self._read()
            remaining_s = deadline - time.monotonic()
            if chunks or remaining_s <= 0:
                return chunks
            self._contents.commits.wait(seen, remaining_s)

    def _read(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        budget_bytes = _POLL_BYTES_MAX
        with self._contents.lock:
            for topic_partition in self._positions.in_turn():
                if budget_bytes <= 0:
                    break
                taken = self._read_partition(topic_partition)
                if taken:
                    self._positions.served(topic_partition)
                    chunks += taken
                    budget_bytes -= sum(chunk.size_bytes for chunk in taken)
        return chunks

    def _read_partition(self, topic_partition: TopicPartition) -> list[Chunk]:
        partition = self._contents.partition("read", topic_partition)
        position = self._positions[topic_partition]
        if not partition.start <= position <= partition.end:
            raise out_of_range(topic_partition, position, partition.start, partition.end)
        taken: list[Chunk] = []
        budget_bytes = _PARTITION_BYTES_MAX
        index = bisect_right(partition.nexts, position)
        while index < len(partition.chunks) and budget_bytes > 0:
            chunk = cut_chunk(partition.chunks[index], position)
            assert chunk is not None, (
                "memory chunks are dense: one that ends behind the position has records there"
            )
            taken.append(chunk)
            budget_bytes -= chunk.size_bytes
            position = partition.nexts[index]
            index += 1
        self._positions.move(topic_partition, position)
        return taken

    def close(self) -> None:
        """See `Reader.close`."""
        self._is_closed = True
