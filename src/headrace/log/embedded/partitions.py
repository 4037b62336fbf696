"""The table of partitions of the embedded log: where each begins and ends, and what maintenance knows about it."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

from headrace.base.ids import TopicPartition
from headrace.log.embedded.checksums import check, checksum_of

__all__ = [
    "NEW_PARTITION",
    "PartitionRow",
    "insert_partitions",
    "load_partition",
    "load_partitions",
    "load_scattered",
    "save_partitions",
]


class PartitionRow(NamedTuple):
    """A partition; see the schema for the columns."""

    start_offset: int
    end_offset: int
    bytes: int
    newest_timestamp: int
    loose_chunks: int
    merged_to: int
    dirty_bytes: int
    cleaned_to: int


NEW_PARTITION = PartitionRow(0, 0, 0, -1, 0, 0, 0, 0)

_COLUMNS = ", ".join(PartitionRow._fields)
_SELECT = f"SELECT {_COLUMNS}, checksum FROM partitions WHERE topic = ? AND partition = ?"
_SELECT_RANGE = (
    f"SELECT partition, {_COLUMNS}, checksum FROM partitions WHERE topic = ? AND partition BETWEEN ? AND ?"
)
#: Partitions that are asked for at once: a pair of parameters each, of which SQLite took 999 until 2020.
_ASKED_AT_ONCE = 250
# Not IN, for which SQLite sorts what is wanted: twice as slow.
_SELECT_SCATTERED = (
    f"SELECT topic, partition, {_COLUMNS}, checksum FROM (VALUES {{}}) AS wanted "
    "CROSS JOIN partitions ON topic = wanted.column1 AND partition = wanted.column2"
)
_INSERT = f"INSERT INTO partitions (topic, partition, {_COLUMNS}, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = (
    f"UPDATE partitions SET {' = ?, '.join(PartitionRow._fields)} = ?, checksum = ? "
    "WHERE topic = ? AND partition = ?"
)


def load_partition(
    connection: sqlite3.Connection, topic: int, topic_partition: TopicPartition
) -> PartitionRow | None:
    """Return a partition of the topic with this number, or None if the topic was deleted.

    Raises:
        Damage: the row is not what was written.
    """
    row = connection.execute(_SELECT, (topic, topic_partition.partition)).fetchone()
    if row is None:
        return None
    check(f"partition {topic_partition}", row[-1], topic, topic_partition.partition, *row[:-1])
    return PartitionRow(*row[:-1])


def load_partitions(
    connection: sqlite3.Connection, topic: int, name: str, first: int, last: int
) -> list[tuple[TopicPartition, PartitionRow]]:
    """Return partitions `first` to `last` of the topic with this number and name; none if it was deleted.

    Raises:
        Damage: a row is not what was written.
    """
    found: list[tuple[TopicPartition, PartitionRow]] = []
    for number, *columns, checksum in connection.execute(_SELECT_RANGE, (topic, first, last)):
        partition = TopicPartition(name, number)
        check(f"partition {partition}", checksum, topic, number, *columns)
        found.append((partition, PartitionRow(*columns)))
    return found


def load_scattered(
    connection: sqlite3.Connection, wanted: Mapping[tuple[int, int], TopicPartition]
) -> dict[tuple[int, int], PartitionRow]:
    """Return partitions of many topics by (topic number, partition), without those of topics that were deleted.

    Raises:
        Damage: a row is not what was written.
    """
    found: dict[tuple[int, int], PartitionRow] = {}
    for keys in _groups(wanted, _ASKED_AT_ONCE):
        pairs = ", ".join(["(?, ?)"] * len(keys))
        for row in connection.execute(_SELECT_SCATTERED.format(pairs), [*chain.from_iterable(keys)]):
            key = row[:2]
            if checksum_of(*row[:-1]) != row[-1]:
                check(f"partition {wanted[key]}", row[-1], *row[:-1])
            found[key] = PartitionRow(*row[2:-1])
    return found


def _groups(keys: Collection[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    remaining = iter(keys)
    while group := list(islice(remaining, size)):
        yield group


def insert_partitions(connection: sqlite3.Connection, topic: int, count: int) -> None:
    """Insert the partitions of a new topic. Called in a write transaction."""
    connection.executemany(
        _INSERT,
        [
            (topic, number, *NEW_PARTITION, checksum_of(topic, number, *NEW_PARTITION))
            for number in range(count)
        ],
    )


def save_partitions(connection: sqlite3.Connection, rows: Iterable[tuple[int, int, PartitionRow]]) -> None:
    """Store (topic number, partition, row) of partitions. Called in the write transaction that has loaded them."""
    connection.executemany(
        _UPDATE,
        [(*row, checksum_of(topic, number, *row), topic, number) for topic, number, row in rows],
    )
