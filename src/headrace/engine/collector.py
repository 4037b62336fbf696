"""What a worker's tasks have to write: columns for each topic-partition, drained into the worker's transaction."""

import sys
from collections.abc import Callable

from headrace.base.columns import Columns
from headrace.base.errors import ProductionError
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.base.records import Headers
from headrace.log.port import TopicInfo, Writer

__all__ = ["RecordCollector"]

#: Keys whose partition is remembered, for each topic. Hashing takes some microseconds in Python, a look-up 0.05.
_REMEMBERED_KEYS_MAX = 20_000

#: Rows that wait in a column before they are encoded into the writer's transaction.
_DRAIN_RECORDS = 5_000

#: The same in bytes, judged by the last row: large records must be seen by who limits what waits for a commit.
_DRAIN_BYTES = 1 << 20

#: What a record takes at most beside its bytes, with the batch around it, and a header beside its own.
#: Source: AbstractRecords.estimateSizeInBytesUpperBound, by which Kafka's producer judges.
_RECORD_BYTES, _HEADER_BYTES = 82, 10

#: Left to keys and headers where values alone are looked at.
_ROOM_BYTES = 4096


class RecordCollector:
    """Output of a worker's tasks since the last drain, of each topic-partition in the order of processing.

    # Invariant: the `Columns` of a topic-partition is one object for the worker's life; sinks bind its lists' methods.
    """

    def __init__(self, topic_info: Callable[[str], TopicInfo]) -> None:
        self._topic_info = topic_info
        self._columns: dict[TopicPartition, Columns] = {}
        self._remembered: dict[str, dict[bytes, int]] = {}
        self._null_keys: dict[str, int] = {}

    def columns(self, topic: str, partition: int) -> Columns:
        """Return the columns for a topic-partition, the same object each time."""
        name = TopicPartition(topic, partition)
        columns = self._columns.get(name)
        if columns is None:
            columns = self._columns[name] = Columns()
        return columns

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has.

        Raises:
            UnknownTopicError: there is no such topic, and none can be made.
        """
        return self._topic_info(topic).partitions

    def needs_keys(self, topic: str) -> bool:
        """Whether a topic takes no record without a key: it is compacted.

        Raises:
            UnknownTopicError: there is no such topic, and none can be made.
        """
        return "compact" in self._topic_info(topic).config.get("cleanup.policy", "")

    def partition_of(self, topic: str, key: bytes | None, count: int) -> int:
        """Choose a partition as Kafka's producer does: murmur2 of the key; without a key, the partitions take turns."""
        if key is None:
            # A turn lasts until the next drain, so that batches stay large (Kafka's sticky partitioner).
            return self._null_keys.setdefault(topic, 0) % count
        remembered = self._remembered.setdefault(topic, {})
        partition = remembered.get(key)
        if partition is None:
            if len(remembered) >= _REMEMBERED_KEYS_MAX:
                remembered.clear()
            partition = remembered[key] = partition_for(key, count)
        return partition

    def value_bytes_max(self, topic: str) -> int:
        """Return how long a value may be without any need to ask `check_size` about its record.

        Raises:
            UnknownTopicError: there is no such topic, and none can be made.
        """
        most = self._topic_info(topic).record_bytes_max
        return sys.maxsize if most is None else most - _ROOM_BYTES

    def check_size(
        self, topic: str, columns: Columns, key: bytes | None, value: bytes, headers: Headers
    ) -> None:
        """Refuse a record here, where the handler can decide: the log would refuse the transaction.

        Raises:
            ProductionError: the topic does not take a record as large as this one.
        """
        most = self._topic_info(topic).record_bytes_max
        size = _RECORD_BYTES + len(key or b"") + len(value)
        size += sum(_HEADER_BYTES + len(name.encode()) + len(content or b"") for name, content in headers)
        if most is None or size <= most:
            return
        partition = next((name.partition for name, each in self._columns.items() if each is columns), -1)
        raise ProductionError(
            f"cannot write a record to partition {partition} of topic '{topic}': it has {size:,} bytes, and the topic "
            f"takes {most:,}. Raise max.request.size and the topic's max.message.bytes, or store large objects "
            f"elsewhere and a reference in the topic",
            topic=topic,
            partition=partition,
        )

    def add(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers
    ) -> None:
        """Add one record, its partition chosen by its key."""
        partition = self.partition_of(topic, key, self.partition_count(topic))
        self.columns(topic, partition).append(key, value, timestamp, headers)

    def drain(self, writer: Writer, *, everything: bool) -> None:
        """Hand records to the writer: all, or only what is long enough to make a good batch."""
        for name, columns in self._columns.items():
            if columns.keys and (everything or _is_long(columns)):
                writer.append(name.topic, name.partition, columns)
                columns.clear()
        for topic in self._null_keys:
            self._null_keys[topic] += 1

    def discard(self) -> None:
        """Forget everything that was not drained (abort)."""
        for columns in self._columns.values():
            columns.clear()


def _is_long(columns: Columns) -> bool:
    count = len(columns.keys)
    return count >= _DRAIN_RECORDS or count * len(columns.values[-1] or b"") >= _DRAIN_BYTES


def check_partition(topic: str, partition: object, count: int) -> int:
    """Return a partition that a user's partitioner chose.

    Raises:
        ProductionError: it is not a partition of the topic.
    """
    if isinstance(partition, int) and not isinstance(partition, bool) and 0 <= partition < count:
        return partition
    raise ProductionError(
        f"the partitioner for topic '{topic}' returned {partition!r}, but the topic has partitions 0 to {count - 1}; "
        "return one of them, several, or None for the default"
    )
