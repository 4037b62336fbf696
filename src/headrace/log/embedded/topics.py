"""The tables of topics and committed offsets of the embedded log."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from headrace.base.errors import UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.base.topic_names import metric_name
from headrace.log.admission import check_distinct, check_existing, check_spec, unknown_topic
from headrace.log.embedded.checksums import check, checksum_of
from headrace.log.embedded.partitions import PartitionRow, insert_partitions, load_partition
from headrace.log.limits import RecordLimits
from headrace.log.policy import TopicPolicy
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec

__all__ = [
    "StoredTopic",
    "StoredTopics",
    "create",
    "delete",
    "delete_offsets",
    "groups_of",
    "infos",
    "load_offset",
    "load_offsets",
    "save_offsets",
    "stored",
]


class StoredTopic(NamedTuple):
    """A topic as the tables know it; `number` stands for it in all other tables."""

    number: int
    info: TopicInfo
    policy: TopicPolicy

    @property
    def name(self) -> str:
        """Its name."""
        return self.info.name


class StoredTopics:
    """Looks topics and partitions up by one connection, and remembers topics.

    What is remembered may be stale after another process deleted a topic. Its number then finds no row of
    `partitions`, which every reader and writer looks at anyway: they call `forget` and report an unknown topic.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._topics: dict[str, StoredTopic] = {}

    def topic(self, attempt: str, topic_partition: TopicPartition) -> StoredTopic:
        """Return the topic of an existing partition.

        Raises:
            UnknownTopicError: no such topic or partition.
        """
        topic = self._topics.get(topic_partition.topic)
        if topic is None:
            topic = stored(self._connection, topic_partition.topic)
            if topic is None:
                raise unknown_topic(attempt, topic_partition.topic)
            self._topics[topic_partition.topic] = topic
        if not 0 <= topic_partition.partition < topic.info.partitions:
            raise unknown_topic(attempt, topic_partition.topic, topic_partition.partition)
        return topic

    def partition(self, attempt: str, topic_partition: TopicPartition) -> tuple[StoredTopic, PartitionRow]:
        """Return an existing partition, and its topic.

        Raises:
            UnknownTopicError: no such topic or partition.
            Damage: what the tables say of it is not what was written.
        """
        topic = self.topic(attempt, topic_partition)
        row = load_partition(self._connection, topic.number, topic_partition)
        if row is None:
            self.forget(topic_partition.topic)
            raise unknown_topic(attempt, topic_partition.topic)
        return topic, row

    def committed(self, group: str, topic_partition: TopicPartition) -> CommittedOffset | None:
        """Return the offset that a group has committed; None without one, or without such a partition.

        Raises:
            Damage: its row is not what was written.
        """
        try:
            topic = self.topic("find an offset of", topic_partition)
        except UnknownTopicError:
            return None
        return load_offset(self._connection, group, topic.number, topic_partition)

    def forget(self, name: str) -> None:
        """Look a topic up anew next time."""
        self._topics.pop(name, None)


_TOPIC = "SELECT topic, name, id, partitions, config, checksum FROM topics"
_OFFSET = "SELECT group_id, topic, partition, next_offset, metadata, checksum FROM committed_offsets"

_Row: TypeAlias = tuple[Any, ...]


def _topic(row: _Row) -> StoredTopic:
    number, name, id_, partitions, config, checksum = row
    check(f"topic {name!r}", checksum, *row[:-1])
    if config == "{}":  # as thousands of topics may be that a function chose
        return StoredTopic(number, TopicInfo(name, partitions, id_), TopicPolicy())
    properties = msgspec.json.decode(config, type=dict[str, str])
    info = TopicInfo(name, partitions, id_, properties, RecordLimits.parse(name, properties))
    return StoredTopic(number, info, TopicPolicy.parse(name, properties))


def stored(connection: sqlite3.Connection, name: str) -> StoredTopic | None:
    """Return a topic, or None where there is none.

    Raises:
        Damage: its row is not what was written.
    """
    row = connection.execute(f"{_TOPIC} WHERE name = ?", (name,)).fetchone()
    return None if row is None else _topic(row)


def infos(connection: sqlite3.Connection, names: Iterable[str] | None) -> dict[str, TopicInfo]:
    """Return those of these topics that exist; all, in the order of their creation, where no names are given.

    Raises:
        Damage: the row of one is not what was written.
    """
    if names is None:
        topics: Iterable[StoredTopic | None] = map(_topic, connection.execute(f"{_TOPIC} ORDER BY topic"))
    else:
        topics = (stored(connection, name) for name in dict.fromkeys(names))
    return {topic.name: topic.info for topic in topics if topic is not None}


def create(connection: sqlite3.Connection, specs: Sequence[TopicSpec], ids: Iterable[str]) -> None:
    """Insert those topics that do not exist. Called in a write transaction.

    Raises:
        LogError: a specification is impossible, or a topic exists with another partition count.
    """
    for spec, id_ in zip(specs, ids):
        check_spec(spec)
        existing = stored(connection, spec.name)
        if existing is not None:
            check_existing(spec, existing.info.partitions)
            continue
        other = connection.execute(
            "SELECT name FROM topics WHERE replace(name, '.', '_') = ? LIMIT 1", (metric_name(spec.name),)
        ).fetchone()
        check_distinct(spec.name, None if other is None else other[0])
        config = msgspec.json.encode(dict(spec.config)).decode()
        number = connection.execute(
            "INSERT INTO topics (name, id, partitions, config, checksum) VALUES (?, ?, ?, ?, 0)",
            (spec.name, id_, spec.partitions, config),
        ).lastrowid
        assert number is not None, "a row was inserted"
        checksum = checksum_of(number, spec.name, id_, spec.partitions, config)
        connection.execute("UPDATE topics SET checksum = ? WHERE topic = ?", (checksum, number))
        insert_partitions(connection, number, spec.partitions)


def delete(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Make topics vanish with their offsets. Called in a write transaction; maintenance removes the chunks."""
    for name in names:
        topic = stored(connection, name)
        if topic is not None:
            for table in ("topics", "partitions", "committed_offsets"):
                connection.execute(f"DELETE FROM {table} WHERE topic = ?", (topic.number,))
            connection.execute("INSERT INTO doomed_topics (topic) VALUES (?)", (topic.number,))


def save_offsets(
    connection: sqlite3.Connection, group: str, offsets: Iterable[tuple[int, int, CommittedOffset]]
) -> None:
    """Store (topic number, partition, offset) for a group. Called in a write transaction."""
    connection.executemany(
        "INSERT INTO committed_offsets (group_id, topic, partition, next_offset, metadata, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET next_offset = excluded.next_offset, metadata = excluded.metadata, checksum = excluded.checksum",
        [
            (*row, checksum_of(*row))
            # An offset of a type that SQLite stores as a plain number would have another checksum when it is read.
            for row in (
                (group, topic, number, int(each.offset), each.metadata) for topic, number, each in offsets
            )
        ],
    )


def load_offset(
    connection: sqlite3.Connection, group: str, topic: int, topic_partition: TopicPartition
) -> CommittedOffset | None:
    """Return the offset that a group has committed in a partition of the topic with this number.

    Raises:
        Damage: its row is not what was written.
    """
    row = connection.execute(
        f"{_OFFSET} WHERE group_id = ? AND topic = ? AND partition = ?",
        (group, topic, topic_partition.partition),
    ).fetchone()
    if row is None:
        return None
    check(f"the offset of group {group!r} in {topic_partition}", row[-1], *row[:-1])
    return CommittedOffset(*row[3:5])


def load_offsets(connection: sqlite3.Connection, group: str) -> dict[TopicPartition, CommittedOffset]:
    """Return all offsets that a group has committed, sorted by topic and partition.

    Raises:
        Damage: the row of one is not what was written.
    """
    names = dict(connection.execute("SELECT topic, name FROM topics").fetchall())
    rows = connection.execute(f"{_OFFSET} WHERE group_id = ?", (group,)).fetchall()
    found: dict[TopicPartition, CommittedOffset] = {}
    for row in rows:
        topic_partition = TopicPartition(names.get(row[1], ""), row[2])
        check(f"the offset of group {group!r} in {topic_partition}", row[-1], *row[:-1])
        if topic_partition.topic:
            found[topic_partition] = CommittedOffset(*row[3:5])
    return dict(sorted(found.items()))


def groups_of(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the groups that have committed offsets."""
    return [name for (name,) in connection.execute("SELECT DISTINCT group_id FROM committed_offsets")]


def delete_offsets(connection: sqlite3.Connection, group: str) -> None:
    """Forget all offsets of a group. Called in a write transaction."""
    connection.execute("DELETE FROM committed_offsets WHERE group_id = ?", (group,))
