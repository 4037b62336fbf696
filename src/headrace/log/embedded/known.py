"""What a reader of the embedded log knows of its partitions: asked once for each state of the file, all together."""

import sqlite3
from collections.abc import Collection

from headrace.base.ids import TopicPartition
from headrace.log.admission import unknown_topic
from headrace.log.embedded.partitions import PartitionRow, load_partitions
from headrace.log.embedded.topics import StoredTopic, StoredTopics

__all__ = ["KnownPartitions"]


class KnownPartitions:
    """Topics and rows of partitions, as of the last `refresh`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._stored_topics = StoredTopics(connection)
        self._rows: dict[TopicPartition, tuple[StoredTopic, PartitionRow]] = {}
        self._version: int | None = None

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._rows

    def __getitem__(self, partition: TopicPartition) -> tuple[StoredTopic, PartitionRow]:
        return self._rows[partition]

    def forget(self) -> None:
        """Ask anew at the next refresh: other partitions are read from now on."""
        self._version = None

    def look_up(self, attempt: str, partition: TopicPartition) -> tuple[StoredTopic, PartitionRow]:
        """Return one partition as it is now. Called in a read transaction.

        Raises:
            UnknownTopicError: no such topic or partition.
        """
        return self._stored_topics.partition(attempt, partition)

    def refresh(self, partitions: Collection[TopicPartition]) -> None:
        """Know these partitions as they are now. Called in a read transaction, and true to its end.

        Raises:
            UnknownTopicError: a topic was deleted.
        """
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        numbers: dict[str, list[int]] = {}
        for partition in partitions:
            numbers.setdefault(partition.topic, []).append(partition.partition)
        self._version, self._rows = None, {}
        for name, wanted in numbers.items():
            topic = self._stored_topics.topic("read", TopicPartition(name, wanted[0]))
            found = load_partitions(self._connection, topic.number, name, min(wanted), max(wanted))
            if not found:
                self._stored_topics.forget(name)
                raise unknown_topic("read", name)
            self._rows.update((partition, (topic, row)) for partition, row in found)
        self._version = version
