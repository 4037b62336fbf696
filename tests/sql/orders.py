"""What the sinks of these tests read and write: orders, in a topic of two partitions and in a table."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Engine, MetaData, String, Table, select, text

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.port import Log, TopicSpec

__all__ = [
    "ORDERS",
    "Order",
    "Written",
    "is_written",
    "make_table",
    "read_from",
    "rows",
    "table",
    "write",
    "write_file",
]


@dataclass
class Order:
    item: str
    cents: int


ORDERS = hr.Topic("orders", key=int, value=Order, partitions=2)

#: Key and value; bytes are a value as it is.
Written = tuple[object, object]


def table() -> Table:
    """Describe the table: one row for each order, none below 0 cents."""
    return Table(
        "orders",
        MetaData(),
        Column("id", BigInteger, primary_key=True, autoincrement=False),
        Column("item", String),
        Column("cents", BigInteger, CheckConstraint("cents >= 0")),
    )


def make_table(engine: Engine) -> Table:
    """Make the table."""
    made = table()
    made.create(engine)
    return made


def rows(engine: Engine) -> list[tuple[int, str, int]]:
    """All rows of the table, by their keys."""
    with engine.connect() as connection:
        found = connection.execute(select(table()).order_by(table().c.id))
        return [(row[0], row[1], row[2]) for row in found]


def write(log: Log, records: Iterable[Written], topic: hr.Topic[Any, Any] = ORDERS) -> None:
    """Append records to a topic of two partitions, in one transaction: whole numbers go where their parity says."""
    log.create_topics([TopicSpec(topic.name, 2)])
    columns = {0: Columns(), 1: Columns()}
    for key, value in records:
        raw = value if value is None or isinstance(value, bytes) else topic.value.serialize(topic.name, value)
        raw_key = None if key is None else topic.key.serialize(topic.name, key)
        columns[key % 2 if isinstance(key, int) else 0].append(raw_key, raw, 0, ())
    writer = log.writer("feed")
    for partition, column in columns.items():
        if len(column):
            writer.append(topic.name, partition, column)
    writer.commit({})
    writer.close()


def write_file(path: Path, records: Iterable[Written], topic: hr.Topic[Any, Any] = ORDERS) -> None:
    """Append records to a topic in the file of an embedded log."""
    log = EmbeddedLog.open(path)
    write(log, records, topic)
    log.close()


def is_written(
    engine: Engine, offsets: int, application: str = "sink", table: str = "headrace_positions"
) -> bool:
    """Whether the positions of an application add up to so many offsets."""
    schema, _, name = table.rpartition(".")
    with engine.connect() as connection:
        if not engine.dialect.has_table(connection, name, schema or None):
            return False
        statement = f"SELECT sum(next_offset) FROM {table} WHERE application = :application"
        return connection.execute(text(statement), {"application": application}).scalar() == offsets


def read_from(log: Log, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]]:
    """All records of a topic, with their headers, by partition."""
    found: list[tuple[bytes | None, bytes | None, dict[str, bytes | None]]] = []
    info = log.topics([topic])[topic]
    for number in range(info.partitions):
        partition = TopicPartition(topic, number)
        end = log.end_offsets([partition])[partition]
        reader = log.reader()
        reader.assign({partition: log.beginning_offsets([partition])[partition]})
        while reader.position(partition) < end:
            for chunk in reader.poll(1000):
                headers = chunk.headers or [()] * len(chunk)
                found += [
                    (key, value, dict(head)) for key, value, head in zip(chunk.keys, chunk.values, headers)
                ]
        reader.close()
    return found
