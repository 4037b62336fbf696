"""What the in-memory log, its readers and its writers share: topics as lists of chunks, and committed offsets."""

import threading
from bisect import bisect_right
from dataclasses import dataclass, field

from headrace.base.columns import Chunk, Columns
from headrace.base.ids import TopicPartition
from headrace.log.admission import has_headers, unknown_topic, without_text
from headrace.log.commits import CommitSignal
from headrace.log.policy import TopicPolicy
from headrace.log.port import CommittedOffset, TopicInfo

__all__ = ["RECORD_OVERHEAD_BYTES", "Contents", "Partition", "Topic"]

# Beside its payload a record weighs two bytes objects of 33 bytes, a timestamp of 32 and four list slots.
RECORD_OVERHEAD_BYTES = 130


class Partition:
    """Committed chunks in offset order; `nexts[i]` is the position behind `chunks[i]`."""

    __slots__ = ("chunks", "end", "nexts", "start")

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.nexts: list[int] = []
        self.start = 0
        self.end = 0

    def add(self, topic_partition: TopicPartition, columns: Columns) -> None:
        keys, values = map(list, without_text(columns))
        headers = [tuple(each) for each in columns.headers] if has_headers(columns.headers) else None
        payload_bytes = sum(map(len, filter(None, keys))) + sum(map(len, filter(None, values)))
        offsets = range(self.end, self.end + len(keys))
        self.end = offsets.stop
        size_bytes = payload_bytes + RECORD_OVERHEAD_BYTES * len(keys)
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
class Topic:
    """A topic with its chunks."""

    info: TopicInfo
    policy: TopicPolicy
    partitions: list[Partition]


@dataclass(slots=True)
class Contents:
    """What the log, its readers and its writers share. `lock` guards everything in it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    commits: CommitSignal = field(default_factory=CommitSignal)
    topics: dict[str, Topic] = field(default_factory=dict)
    metric_names: dict[str, str] = field(default_factory=dict)
    offsets: dict[str, dict[TopicPartition, CommittedOffset]] = field(default_factory=dict)
    created: int = 0

    def partition(self, attempt: str, topic_partition: TopicPartition) -> Partition:
        topic = self.topics.get(topic_partition.topic)
        if topic is None:
            raise unknown_topic(attempt, topic_partition.topic)
        if not 0 <= topic_partition.partition < len(topic.partitions):
            raise unknown_topic(attempt, topic_partition.topic, topic_partition.partition)
        return topic.partitions[topic_partition.partition]
