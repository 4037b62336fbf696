"""The tables of topics, partitions and committed offsets of the embedded log."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from headrace.base.ids import TopicPartition
from headrace.log.admission import check_existing, check_spec, unknown_topic
from headrace.log.limits import RecordLimits
from headrace.log.policy import TopicPolicy
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec

__all__ = [
    "Bounds",
    "Catalogue",
    "StoredTopic",
    "bounds_of",
    "create",
    "delete",
    "infos",
    "load_offsets",
    "save_offsets",
    "stored",
]


class StoredTopic(NamedTuple):
    """A topic as the tables know it; `number` stands for it in all other tables."""

    number: int
    name: str
    partitions: int
    policy: TopicPolicy


class Bounds(NamedTuple):
    """The first offset that still exists, and the next one to be given."""

    start: int
    end: int


class Catalogue:
    """Looks topics and bounds up for one connection, and remembers topics.

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
        if not 0 <= topic_partition.partition < topic.partitions:
            raise unknown_topic(attempt, topic_partition.topic, topic_partition.partition)
        return topic

    def bounds(self, attempt: str, topic_partition: TopicPartition) -> Bounds:
        """Return the bounds of an existing partition.

        Raises:
            UnknownTopicError: no such topic or partition.
        """
        topic = self.topic(attempt, topic_partition)
        bounds = bounds_of(self._connection, topic.number, topic_partition.partition)
        if bounds is None:
            self.forget(topic_partition.topic)
            raise unknown_topic(attempt, topic_partition.topic)
        return bounds

    def forget(self, name: str) -> None:
        """Look a topic up anew next time."""
        self._topics.pop(name, None)


def bounds_of(connection: sqlite3.Connection, topic: int, partition: int) -> Bounds | None:
    """Return the bounds of a partition, or None if its topic was deleted."""
    row = connection.execute(
        "SELECT start_offset, end_offset FROM partitions WHERE topic = ? AND partition = ?",
        (topic, partition),
    ).fetchone()
    return None if row is None else Bounds(*row)


def _config(text: str) -> dict[str, str]:
    return msgspec.json.decode(text, type=dict[str, str])


def stored(connection: sqlite3.Connection, name: str) -> StoredTopic | None:
    """Return a topic, or None where there is none."""
    row = connection.execute(
        "SELECT topic, partitions, config FROM topics WHERE name = ?", (name,)
    ).fetchone()
    return (
        None if row is None else StoredTopic(row[0], name, row[1], TopicPolicy.parse(name, _config(row[2])))
    )


def infos(connection: sqlite3.Connection) -> dict[str, TopicInfo]:
    """Return all topics, in the order of their creation."""
    rows = connection.execute("SELECT name, partitions, id, config FROM topics ORDER BY topic")
    return {name: _info(name, partitions, id_, _config(config)) for name, partitions, id_, config in rows}


def _info(name: str, partitions: int, id: str, config: Mapping[str, str]) -> TopicInfo:
    return TopicInfo(name, partitions, id, config, RecordLimits.parse(name, config))


def create(connection: sqlite3.Connection, specs: Sequence[TopicSpec], ids: Iterable[str]) -> None:
    """Insert those topics that do not exist. Called in a write transaction.

    Raises:
        LogError: a specification is impossible, or a topic exists with another partition count.
    """
    for spec, id_ in zip(specs, ids):
        check_spec(spec)
        existing = stored(connection, spec.name)
        if existing is not None:
            check_existing(spec, existing.partitions)
            continue
        config = msgspec.json.encode(dict(spec.config)).decode()
        number = connection.execute(
            "INSERT INTO topics (name, id, partitions, config) VALUES (?, ?, ?, ?)",
            (spec.name, id_, spec.partitions, config),
        ).lastrowid
        connection.executemany(
            "INSERT INTO partitions (topic, partition) VALUES (?, ?)",
            [(number, partition) for partition in range(spec.partitions)],
        )


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
        "INSERT INTO committed_offsets VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET next_offset = excluded.next_offset, metadata = excluded.metadata",
        [(group, topic, partition, each.offset, each.metadata) for topic, partition, each in offsets],
    )


def load_offsets(
    connection: sqlite3.Connection, group: str, partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, CommittedOffset]:
    """Return the offsets that a group has committed."""
    rows = connection.execute(
        "SELECT name, partition, next_offset, metadata FROM committed_offsets JOIN topics USING (topic) "
        "WHERE group_id = ?",
        (group,),
    )
    found = {
        TopicPartition(topic, partition): CommittedOffset(offset, text)
        for topic, partition, offset, text in rows
    }
    return {
        topic_partition: found[topic_partition] for topic_partition in partitions if topic_partition in found
    }
