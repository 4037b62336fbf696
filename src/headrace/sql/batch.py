"""One batch of a partition's records on its way into the database: read, made into rows, written with the position.

A batch that the database refuses since one of its records is at fault is written record by record, each within a
savepoint. Halving the batch would find a single culprit with fewer statements, but not the first one where records
depend on each other, as rows with foreign keys do, and whoever puts that one right wants to know of it alone.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic

from sqlalchemy import Engine
from typing_extensions import TypeVar

from headrace.base.columns import Chunk
from headrace.base.errors import DatabaseError, HeadraceError, SchemaRegistryUnavailableError
from headrace.base.records import NO_HEADERS, Headers
from headrace.serde.serde import Serde, is_of_nobody
from headrace.sql.judgement import Blame, Later, blame_of, said
from headrace.sql.measuring import SinkMeters
from headrace.sql.positions import Claim, Positions, transaction
from headrace.sql.rows import Change, ReadRecord, RowMaking
from headrace.sql.statements import Statements, last_of_each_key
from headrace.sql.verdicts import Stage, Verdicts
from headrace.topology.topics import Topic

__all__ = ["Batch", "BatchWriting", "moments"]

K = TypeVar("K")
V = TypeVar("V")

_log = logging.getLogger("headrace.sql")


@dataclass(slots=True)
class Batch:
    """Records of one partition that are written together; `end` is the position behind them.

    Attributes:
        changes: what they do, in their order, without those that were dropped; None before they are made.
    """

    chunk: Chunk
    end: int
    changes: Sequence[Change] | None = None


class BatchWriting(Generic[K, V]):
    """Writes batches of one topic into one table. `replaces` is whether rows replace those of equal keys."""

    def __init__(
        self,
        engine: Engine,
        topic: Topic[K, V],
        making: RowMaking[K, V],
        statements: Statements,
        positions: Positions,
        verdicts: Verdicts,
        *,
        replaces: bool,
        meters: SinkMeters,
    ) -> None:
        self._engine = engine
        self._read_key = _reader(topic.key.reading_keys(), topic.name)
        self._read_value = _reader(topic.value, topic.name)
        self._making = making
        self._statements = statements
        self._positions = positions
        self._verdicts = verdicts
        self._replaces = replaces
        self._meters = meters

    def write(self, claim: Claim, batch: Batch) -> Claim:
        """Write a batch with its position, and return the claim behind it. A batch may be written again after Later.

        Raises:
            Later: it cannot be written now.
            FencedError: somebody else has claimed the partition.
            ProcessingError: a record is at fault, and its handler says that this is the end.
            DatabaseError: the set-up is at fault.
        """
        if batch.changes is None:
            batch.changes = self._changes(batch.chunk)
            self._verdicts.settle()
        began = self._meters.clock()
        with moments("write rows"):
            while True:
                try:
                    rows = self._write_together(claim, batch)
                    break
                except Exception as error:
                    if isinstance(error, HeadraceError) or blame_of(error) is not Blame.RECORD:
                        raise
                culprits = self._write_singly(claim, batch)
                if not culprits:
                    rows = len(batch.changes or ())
                    break
                self._drop(batch, culprits)
        self._meters.committed(began, records=len(batch.chunk), rows=rows)
        return claim.at(batch.end)

    def _write_together(self, claim: Claim, batch: Batch) -> int:
        changes = batch.changes or ()
        if self._replaces:
            changes = last_of_each_key(changes)
        with transaction(self._engine) as connection:
            if self._positions.advance(connection, claim, batch.end):
                self._statements.apply(connection, changes)
        return len(changes)

    def _write_singly(self, claim: Claim, batch: Batch) -> list[tuple[Change, Exception]]:
        """Write change by change; where some are at fault nothing is written, and they are returned."""
        culprits: list[tuple[Change, Exception]] = []
        with transaction(self._engine) as connection:
            if not self._positions.advance(connection, claim, batch.end):
                return culprits
            self._statements.judge_at_once(connection)
            for change in batch.changes or ():
                try:
                    with connection.begin_nested():
                        self._statements.apply(connection, [change])
                except Exception as error:
                    if blame_of(error) is not Blame.RECORD:
                        raise
                    culprits.append((change, error))
            if culprits:
                # The handlers are asked outside of the transaction: nobody knows how long they take.
                connection.rollback()
        return culprits

    def _drop(self, batch: Batch, culprits: Sequence[tuple[Change, Exception]]) -> None:
        for change, error in culprits:
            self._let_go(batch.chunk, change.place, error, "produce")
        self._verdicts.settle()
        gone = {change.place for change, _ in culprits}
        batch.changes = [change for change in batch.changes or () if change.place not in gone]

    def _let_go(self, chunk: Chunk, index: int, error: Exception, stage: Stage) -> None:
        self._verdicts.drop(chunk, index, error, stage)
        self._meters.dropped += 1

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _changes(self, chunk: Chunk) -> list[Change]:
        found: list[Change] = []
        headers = chunk.headers
        columns = zip(chunk.offsets, chunk.keys, chunk.values, chunk.timestamps)
        for index, (offset, raw_key, raw_value, timestamp) in enumerate(columns):
            of_record = NO_HEADERS if headers is None else headers[index]
            try:
                key = None if raw_key is None else self._read_key(raw_key, of_record)
                value = None if raw_value is None else self._read_value(raw_value, of_record)
            except SchemaRegistryUnavailableError as error:
                raise Later(str(error)) from error
            except Exception as error:
                if is_of_nobody(error):
                    raise
                self._let_go(chunk, index, error, "deserialize")
                continue
            record: ReadRecord[Any, Any] = ReadRecord(
                key, value, timestamp, of_record, chunk.topic, chunk.partition, offset
            )
            try:
                change = self._making.change(record, index, raw_key)
            except Exception as error:
                self._let_go(chunk, index, error, "process")
                continue
            if change is not None:
                found.append(change)
        return found


def _reader(serde: Serde[Any], topic: str) -> Callable[[bytes, Headers], Any]:
    def read(data: bytes, headers: Headers) -> Any:
        return serde.deserialize(topic, data, headers)

    return read


@contextmanager
def moments(attempt: str) -> Iterator[None]:
    """Turn what a database raises into Later, or DatabaseError.

    Raises:
        Later: it is the moment's fault.
        DatabaseError: it is the set-up's.
    """
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:
        text = said(error)
        if blame_of(error) is Blame.MOMENT:
            raise Later(f"cannot {attempt} now: {text}") from error
        raise DatabaseError(
            f"cannot {attempt}: {text}; compare the table with the rows, and look at the rights of the user"
        ) from error
