"""Writes lines to a topic in batches; the work of `headrace topics write`."""

import codecs
import time

from headrace.base.columns import Columns
from headrace.base.errors import ProductionError
from headrace.base.murmur2 import partition_for
from headrace.base.wording import shortened
from headrace.cli.lines import LineError, LineRecord, read_line
from headrace.engine.admission import admission_of
from headrace.log.port import TopicInfo, Writer
from headrace.query.formats import Format

__all__ = ["LineWriter"]

# A transaction of 10,000 lines costs one fsync, a few ms, beside 30 ms to read them.
_BATCH_RECORDS = 10_000


class LineWriter:
    """Adds lines to a transaction, and commits it at 10,000 records or when told.

    Attributes:
        lines: lines seen, empty ones too.
        written: records that are durable.
    """

    def __init__(self, writer: Writer, topic: TopicInfo, key: Format, value: Format) -> None:
        self.lines = 0
        self.written = 0
        self._writer = writer
        self._topic = topic.name
        self._key = key
        self._value = value
        # What the log would refuse, it refuses with all lines of a transaction: so each is judged alone before.
        self._admission = admission_of(topic, _now_ms, are_keyed=False)
        self._columns = [Columns() for _ in range(topic.partitions)]
        self._waiting = 0
        self._next_without_key = 0

    def add(self, line: bytes) -> None:
        """Take one line; an empty one is nothing.

        Raises:
            LineError: it is no record.
        """
        self.lines += 1
        if self.lines == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            return
        record = read_line(line, self._key, self._value)
        count = len(self._columns)
        partition = record.partition
        if partition is None:
            partition = self._partition_of(record.key, count)
        elif partition >= count:
            raise LineError(f"its partition is {shortened(partition)}, but the topic has 0 to {count - 1}")
        self._check(record, partition)
        self._columns[partition].append(record.key, record.value, record.timestamp, record.headers)
        self._waiting += 1
        if self._waiting >= _BATCH_RECORDS:
            self.commit()

    def _check(self, record: LineRecord, partition: int) -> None:
        if self._admission is None:
            return
        try:
            self._admission.check(partition, record.key, record.value, record.timestamp, record.headers)
        except ProductionError as error:
            raise LineError(str(error)) from None

    def _partition_of(self, key: bytes | None, count: int) -> int:
        if key is not None:
            return partition_for(self._key.placing(key), count)
        self._next_without_key = (self._next_without_key + 1) % count
        return self._next_without_key

    def commit(self) -> None:
        """Make everything durable that was added."""
        if not self._waiting:
            return
        for partition, columns in enumerate(self._columns):
            if columns:
                self._writer.append(self._topic, partition, columns)
                columns.clear()
        self._writer.commit({})
        self.written += self._waiting
        self._waiting = 0

    def close(self) -> None:
        """Release the writer; what was not committed is forgotten."""
        self._writer.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
