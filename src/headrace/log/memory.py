"""The in-memory log: lists behind the log port, for the test driver and for tests. Nothing outlives the object."""

import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.base.topic_names import metric_name
from headrace.log.admission import (
    check_columns,
    check_distinct,
    check_existing,
    check_spec,
    check_times,
    unknown_topic,
)
from headrace.log.commits import CommitSignal
from headrace.log.limits import RecordLimits
from headrace.log.policy import TopicPolicy
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec
from headrace.log.positions import Positions, cut_chunk, out_of_range
from headrace.log.searching import search_offsets

__all__ = ["MemoryLog", "MemoryReader", "MemoryWriter"]

# What one poll takes of one partition, and of all: the same as the embedded log, so that fairness is the same.
_PARTITION_BYTES_MAX = 1 << 20
_POLL_BYTES_MAX = 4 << 20

# Beside its payload a record weighs two bytes objects of 33 bytes, a timestamp of 32 and four list slots.
_RECORD_OVERHEAD_BYTES = 130


class _Partition:
    """Committed chunks in offset order; `nexts[i]` is the position behind `chunks[i]`."""

    __slots__ = ("chunks", "end", "nexts", "start")

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.nexts: list[int] = []
        self.start = 0
        self.end = 0

    def add(self, topic_partition: TopicPartition, columns: Columns) -> None:
        keys, values = list(columns.keys), list(columns.values)
        headers = [tuple(each) for each in columns.headers] if any(columns.headers) else None
        payload_bytes = sum(map(len, filter(None, keys))) + sum(map(len, filter(None, values)))
        offsets = range(self.end, self.end + len(keys))
        self.end = offsets.stop
        size_bytes = payload_bytes + _RECORD_OVERHEAD_BYTES * len(keys)
        chunk = Chunk(
            topic_partition.topic,
            topic_partition.partition,
            offsets,
            list(columns.timestamps),
            keys,
            values,
            headers,
            size_bytes,
        )
        self.chunks.append(chunk)
        self.nexts.append(self.end)

    def drop_before(self, offset: int) -> None:
        self.start = max(self.start, min(offset, self.end))
        gone = bisect_right(self.nexts, self.start)
        del self.chunks[:gone], self.nexts[:gone]


@dataclass(slots=True)
class _Topic:
    info: TopicInfo
    policy: TopicPolicy
    partitions: list[_Partition]


@dataclass(slots=True)
class _Contents:
    """What the log, its readers and its writers share. `lock` guards everything in it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    commits: CommitSignal = field(default_factory=CommitSignal)
    topics: dict[str, _Topic] = field(default_factory=dict)
    metric_names: dict[str, str] = field(default_factory=dict)
    offsets: dict[str, dict[TopicPartition, CommittedOffset]] = field(default_factory=dict)
    created: int = 0

    def partition(self, attempt: str, topic_partition: TopicPartition) -> _Partition:
        topic = self.topics.get(topic_partition.topic)
        if topic is None:
            raise unknown_topic(attempt, topic_partition.topic)
        if not 0 <= topic_partition.partition < len(topic.partitions):
            raise unknown_topic(attempt, topic_partition.topic, topic_partition.partition)
        return topic.partitions[topic_partition.partition]


class MemoryLog:
    """A log of lists. Topic ids are counted, not random: two equal runs are equal.

    Retention and compaction do nothing here; `delete_records` works.
    """

    def __init__(self) -> None:
        self._contents = _Contents()

    def records(self, topic: str) -> list[tuple[int, int, bytes | None, bytes | None, int, Headers]]:
        """Return all committed records as (partition, offset, key, value, timestamp, headers), by partition and offset.

        Raises:
            UnknownTopicError: no such topic.
        """
        with self._contents.lock:
            if topic not in self._contents.topics:
                raise unknown_topic("read", topic)
            found: list[tuple[int, int, bytes | None, bytes | None, int, Headers]] = []
            for number, partition in enumerate(self._contents.topics[topic].partitions):
                for chunk in partition.chunks:
                    headers = chunk.headers or [()] * len(chunk)
                    columns = zip(chunk.offsets, chunk.keys, chunk.values, chunk.timestamps, headers)
                    found += [(number, *record) for record in columns if record[0] >= partition.start]
            return found

    makes_user_topics = True

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        """See `Log.topics`."""
        with self._contents.lock:
            topics = self._contents.topics
            wanted = list(topics) if names is None else dict.fromkeys(names)
            return {name: topics[name].info for name in wanted if name in topics}

    def partition_counts(self, names: Iterable[str] | None = None) -> Mapping[str, int]:
        """See `Log.partition_counts`."""
        return {name: info.partitions for name, info in self.topics(names).items()}

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See `Log.create_topics`. Creates all or none."""
        policies = [check_spec(spec) for spec in topics]
        with self._contents.lock:
            made: dict[str, str] = {}
            for spec in topics:
                existing = self._contents.topics.get(spec.name)
                if existing is None:
                    unified = metric_name(spec.name)
                    other = self._contents.metric_names.get(unified)
                    check_distinct(spec.name, other or made.setdefault(unified, spec.name))
                else:
                    check_existing(spec, existing.info.partitions)
            for spec, policy in zip(topics, policies):
                if spec.name in self._contents.topics:
                    continue
                self._contents.created += 1
                info = TopicInfo(
                    spec.name,
                    spec.partitions,
                    f"memory-{self._contents.created}",
                    dict(spec.config),
                    RecordLimits.parse(spec.name, spec.config),
                )
                self._contents.metric_names[metric_name(spec.name)] = spec.name
                partitions = [_Partition() for _ in range(spec.partitions)]
                self._contents.topics[spec.name] = _Topic(info, policy, partitions)

    def delete_topics(self, names: Iterable[str]) -> None:
        """See `Log.delete_topics`. Committed offsets of the topics go too."""
        with self._contents.lock:
            for name in names:
                if self._contents.topics.pop(name, None) is None:
                    continue
                del self._contents.metric_names[metric_name(name)]
                for offsets in self._contents.offsets.values():
                    for topic_partition in [
                        topic_partition for topic_partition in offsets if topic_partition.topic == name
                    ]:
                        del offsets[topic_partition]

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Log.beginning_offsets`."""
        with self._contents.lock:
            return {
                topic_partition: self._contents.partition("find the start of", topic_partition).start
                for topic_partition in partitions
            }

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, committed: bool = True
    ) -> Mapping[TopicPartition, int]:
        """See `Log.end_offsets`. Open transactions have no offsets yet, so `committed` makes no difference."""
        with self._contents.lock:
            return {
                topic_partition: self._contents.partition("find the end of", topic_partition).end
                for topic_partition in partitions
            }

    def offsets_for_times(self, timestamps: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """See `Log.offsets_for_times`."""
        return search_offsets(self, timestamps)

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Log.committed`."""
        with self._contents.lock:
            offsets = self._contents.offsets.get(group, {})
            return {
                topic_partition: offsets[topic_partition]
                for topic_partition in partitions
                if topic_partition in offsets
            }

    def occupy(self, group: str, state_directory: Path) -> None:
        """Do nothing: what is in memory has one process."""

    def reader(self) -> "MemoryReader":
        """See `Log.reader`."""
        return MemoryReader(self._contents)

    def writer(self, group: str, transactional_id: str | None = None) -> "MemoryWriter":
        """See `Log.writer`."""
        return MemoryWriter(self._contents, group)

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """See `Log.delete_records`. A topic that is only compacted ignores it: Kafka forbids it there."""
        with self._contents.lock:
            for topic_partition, offset in before.items():
                partition = self._contents.partition("delete records of", topic_partition)
                if self._contents.topics[topic_partition.topic].policy.deletes:
                    partition.drop_before(offset)

    def maintain(self, budget_ms: int) -> None:
        """Do nothing."""

    def hurry(self, seconds: float) -> None:
        """Do nothing: it always answers."""

    @property
    def trouble(self) -> str | None:
        """None: it always answers."""
        return None

    def close(self) -> None:
        """Do nothing: the records live as long as the object."""


class MemoryReader:
    """Reads a memory log. See `Reader`."""

    def __init__(self, contents: _Contents) -> None:
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


class MemoryWriter:
    """Writes a memory log. See `Writer`."""

    is_atomic = True

    def __init__(self, contents: _Contents, group: str) -> None:
        self._contents = contents
        self._group = group
        self._pending: dict[TopicPartition, Columns] = {}
        self._pending_bytes = 0
        self._has_failed = False
        self._is_closed = False

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        """See `Writer.append`. Copies the lists."""
        self._check_usable("append")
        topic_partition = TopicPartition(topic, partition)
        with self._contents.lock:
            self._contents.partition("append to", topic_partition)
            policy = self._contents.topics[topic].policy
        check_columns(topic, policy, columns)
        check_times(topic, columns.timestamps)
        if not columns:
            return
        pending = self._pending.setdefault(topic_partition, Columns())
        pending.keys += columns.keys
        pending.values += columns.values
        pending.timestamps += columns.timestamps
        pending.headers += columns.headers
        self._pending_bytes += sum(map(len, filter(None, columns.keys)))
        self._pending_bytes += sum(map(len, filter(None, columns.values)))
        self._pending_bytes += _RECORD_OVERHEAD_BYTES * len(columns)

    def commit(self, offsets: Mapping[TopicPartition, CommittedOffset]) -> Mapping[TopicPartition, int]:
        """See `Writer.commit`."""
        self._check_usable("commit")
        self._has_failed = True
        ends: dict[TopicPartition, int] = {}
        with self._contents.lock:
            # Everything that can fail comes before the first change: all or nothing.
            targets = {
                topic_partition: self._contents.partition("append to", topic_partition)
                for topic_partition in self._pending
            }
            for topic_partition in offsets:
                self._contents.partition("commit an offset of", topic_partition)
            for topic_partition, columns in self._pending.items():
                targets[topic_partition].add(topic_partition, columns)
                ends[topic_partition] = targets[topic_partition].end
            self._contents.offsets.setdefault(self._group, {}).update(offsets)
        self.abort()
        self._contents.commits.announce()
        return ends

    def send(self) -> None:
        """Do nothing: all is seen at the commit."""

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._pending = {}
        self._pending_bytes = 0
        self._has_failed = False

    @property
    def pending_bytes(self) -> int:
        """See `Writer.pending_bytes`."""
        return self._pending_bytes

    def close(self) -> None:
        """See `Writer.close`."""
        self.abort()
        self._is_closed = True

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the writer is closed; make a new one")
        if self._has_failed:
            raise LogError(f"cannot {attempt}: the last commit failed; abort the transaction first")
