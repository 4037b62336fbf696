"""How far a database has the records of a topic: a row for each partition, in the transaction of the rows themselves.

| column | |
| --- | --- |
| `application`, `topic`, `partition` | whose position it is |
| `next_offset` | the first offset whose record is not in the database |
| `epoch` | rises with each claim of the partition: who claimed before writes nothing more |
| `owner` | who claimed it last, for people |
| `topic_id` | of the topic that the offsets are of: one that was made anew counts from 0 |

# Invariant: a transaction changes `next_offset` before it writes a row, and only from what the writer believes, under
# its own epoch (tests/sql/test_positions.py). The row is locked from then on, so nobody claims the partition meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from headrace.base.errors import FencedError, LogError
from headrace.base.ids import TopicPartition

__all__ = ["Claim", "Positions", "transaction"]

#: Kafka's own limit of a topic's name; a topic's id is a UUID or what a log makes of one.
_TOPIC_LENGTH, _NAME_LENGTH = 249, 255

#: How long one waits for a lock of PostgreSQL; then the group is heard, and it is tried again.
_LOCK_WAIT = "SELECT set_config('lock_timeout', '5000', true)"

#: Ends the session whose transaction has changed a position and not ended. The system column xmax names it.
_EVICTION = """
SELECT count(pg_terminate_backend(held.pid)) FROM {table} AS position
JOIN pg_locks AS held ON held.locktype = 'transactionid' AND held.granted AND held.transactionid = position.xmax
WHERE position.application = :application AND position.topic = :topic AND position.partition = :partition
AND held.pid <> pg_backend_pid()
"""


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that waits for no lock without end; it is committed at the end of a `with`."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(_LOCK_WAIT)
        yield connection


class _Row(NamedTuple):
    next_offset: int
    epoch: int
    owner: str
    topic_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write records of a partition from `next_offset` on, until somebody else claims it."""

    partition: TopicPartition
    next_offset: int
    epoch: int

    def at(self, offset: int) -> "Claim":
        """The same claim, further on."""
        return replace(self, next_offset=offset)


class Positions:
    """The table, in the schema of the rows' own table."""

    def __init__(self, application: str, owner: str, schema: str | None, name: str) -> None:
        self._application = application
        self._owner = owner
        self.table = Table(
            name,
            MetaData(),
            Column("application", String(_NAME_LENGTH), primary_key=True),
            Column("topic", String(_TOPIC_LENGTH), primary_key=True),
            Column("partition", Integer, primary_key=True, autoincrement=False),
            Column("next_offset", BigInteger, nullable=False),
            Column("epoch", BigInteger, nullable=False),
            Column("owner", String(_NAME_LENGTH), nullable=False),
            Column("topic_id", String(_NAME_LENGTH), nullable=False),
            schema=schema,
        )

    def create(self, engine: Engine) -> None:
        """Make the table where it is not there. Several may try at once."""
        try:
            self.table.create(engine, checkfirst=True)
        except DBAPIError:
            # Somebody else has made it meanwhile; if that is not so, the second attempt says why.
            self.table.create(engine, checkfirst=True)

    def claim(self, connection: Connection, partition: TopicPartition, topic_id: str, start: int) -> Claim:
        """Take a partition over from whoever has it, in a transaction of its own; return where to go on.

        Where nobody has had it that is `start`. Waits for a transaction in which the former owner is.

        Raises:
            LogError: the position is that of another topic of the same name.
        """
        # The update comes first: it locks the row. Reading first would see what was before a commit that is under way.
        mine = self._where(partition)
        raised = connection.execute(
            self.table.update().where(*mine).values(epoch=self.table.c.epoch + 1, owner=self._owner)
        )
        if raised.rowcount == 0:
            # Two that insert at once: one of them fails by the primary key, and tries again.
            connection.execute(
                self.table.insert().values(
                    application=self._application,
                    topic=partition.topic,
                    partition=partition.partition,
                    next_offset=start,
                    epoch=1,
                    owner=self._owner,
                    topic_id=topic_id,
                )
            )
            return Claim(partition, start, 1)
        row = self._row(connection, partition)
        if row.topic_id != topic_id:
            raise LogError(
                f"cannot go on with {partition.in_words()}: the rows in the database are from a topic with the id "
                f"{row.topic_id}, and this one has {topic_id}; it was deleted and made again, or is of another log. To "
                f"write all of it, {self.forgetting(partition)}"
            )
        return Claim(partition, row.next_offset, row.epoch)

    def advance(self, connection: Connection, claim: Claim, to: int) -> bool:
        """Move a position, and lock it until the transaction ends; False where it was moved there already.

        That is so where a commit was made and the word of it was lost: there is nothing left to write then.

        Raises:
            FencedError: somebody else has claimed the partition since, or has moved the position.
        """
        columns = self.table.c
        moved = connection.execute(
            self.table.update()
            .where(
                *self._where(claim.partition),
                columns.epoch == claim.epoch,
                columns.next_offset == claim.next_offset,
            )
            .values(next_offset=to)
        )
        if moved.rowcount == 1:
            return True
        row = self._row(connection, claim.partition)
        if row.epoch == claim.epoch and row.next_offset == to:
            return False
        raise FencedError(
            f"{self._owner} writes no more of {claim.partition.in_words()}: {row.owner} has claimed it (epoch "
            f"{row.epoch} after {claim.epoch}) and is at offset {row.next_offset}"
        )

    def evict(self, connection: Connection, partition: TopicPartition) -> int:
        """End the session that has a partition's position locked, and return how many were ended.

        Who still has it locked when the group has given the partition to somebody else, and seconds later, sleeps, has
        lost its network, or is stuck: nothing else ends its transaction. `idle_in_transaction_session_timeout` does
        not where the client has stopped between two statements of a pipeline, as `executemany` of psycopg makes one:
        the server takes it for active. What is rolled back by that is written by the new owner. On SQLite there is no
        session to end: a process that sleeps with the file locked has to be ended.
        """
        if connection.dialect.name != "postgresql":
            return 0
        found = connection.execute(
            text(_EVICTION.format(table=self._quoted(connection))),
            {"application": self._application, "topic": partition.topic, "partition": partition.partition},
        )
        return int(found.scalar() or 0)

    def _quoted(self, connection: Connection) -> str:
        return connection.dialect.identifier_preparer.format_table(self.table)

    def forgetting(self, partition: TopicPartition) -> str:
        """Say how a position is forgotten."""
        return f"delete its row: DELETE FROM {self.table.fullname} WHERE {self._in_words(partition)}"

    def moving(self, partition: TopicPartition, to: int) -> str:
        """Say how a position is moved."""
        table = self.table.fullname
        return f"move the position: UPDATE {table} SET next_offset = {to} WHERE {self._in_words(partition)}"

    def _in_words(self, partition: TopicPartition) -> str:
        return (
            f"application = '{self._application}' AND topic = '{partition.topic}' AND "
            f"partition = {partition.partition}"
        )

    def _where(self, partition: TopicPartition) -> tuple[ColumnElement[bool], ...]:
        columns = self.table.c
        return (
            columns.application == self._application,
            columns.topic == partition.topic,
            columns.partition == partition.partition,
        )

    def _row(self, connection: Connection, partition: TopicPartition) -> _Row:
        columns = self.table.c
        found = connection.execute(
            select(columns.next_offset, columns.epoch, columns.owner, columns.topic_id).where(
                *self._where(partition)
            )
        ).one_or_none()
        if found is None:
            raise FencedError(
                f"the position of {partition.in_words()} was deleted from {self.table.fullname}"
            )
        return _Row(*found)
