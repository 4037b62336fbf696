"""Typed ends of a topology under test: pipe records in, read records out."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Generic, NoReturn

from typing_extensions import TypeVar

from headrace.base.advice import no_attribute
from headrace.base.columns import Columns
from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import StateError
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS, Headers, Record
from headrace.log.memory import MemoryLog
from headrace.processor.parts import checked_headers, checked_timestamp
from headrace.serde.producing import key_serde, placing, serialized
from headrace.testing.advice import INPUT_INSTEAD, OUTPUT_INSTEAD
from headrace.topology.topics import Topic

__all__ = ["InputTopic", "OutputTopic"]

K = TypeVar("K")
V = TypeVar("V")


class InputTopic(Generic[K, V]):
    """Pipes records into a topic. Each is processed to the end, through all internal topics, before `pipe` returns."""

    def __init__(
        self,
        topic: Topic[K, V],
        log: MemoryLog,
        now_ms: Callable[[], int],
        run: Callable[[], None],
        *,
        start: int | None = None,
        advance_ms: int = 0,
        piped: Callable[[], object] = lambda: None,
    ) -> None:
        self._next_ms = start
        self._advance_ms = advance_ms
        self._piped = piped
        self._topic = topic
        self._log = log
        self._now_ms = now_ms
        self._run = run
        self._key = key_serde(topic.key)

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("InputTopic", name, dir(InputTopic), INPUT_INSTEAD)

    def pipe(
        self,
        key: K | None,
        value: V | None,
        timestamp: int | None = None,
        headers: Headers = NO_HEADERS,
        *,
        partition: int | None = None,
    ) -> None:
        """Write one record and process it. Without a partition it goes where its key leads.

        Without a timestamp (epoch ms) it gets the topic's own time, which `driver.input(TOPIC, start=…, advance=…)`
        begins and moves on with each such record; without that, the driver's wall clock.
        """
        name = self._topic.name
        headers = checked_headers(headers, f"the record for topic '{name}'")
        key_bytes = value_bytes = None
        if key is not None:
            key_bytes, headers = serialized(self._key, name, key, headers)
        if value is not None:
            value_bytes, headers = serialized(self._topic.value, name, value, headers)
        self.pipe_raw(key_bytes, value_bytes, timestamp, headers, partition=partition)

    def pipe_value(self, value: V | None, timestamp: int | None = None) -> None:
        """Write one record without a key and process it; see `pipe`."""
        self.pipe(None, value, timestamp)

    def pipe_record(self, record: Record[K, V]) -> None:
        """Write one record as it is and process it."""
        self.pipe(record.key, record.value, record.timestamp, record.headers)

    def pipe_raw(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None = None,
        headers: Headers = NO_HEADERS,
        *,
        partition: int | None = None,
    ) -> None:
        """Write one record as bytes, whatever the topic's serdes make of it: poison input for handlers.

        Raises:
            TypeError, ValueError: timestamp or headers are nothing that a log can hold, or there is no such partition.
        """
        name = self._topic.name
        whose = f"the record for topic '{name}'"
        headers = checked_headers(headers, whose)
        timestamp = self._now() if timestamp is None else checked_timestamp(timestamp, whose, least=-1)
        partitions = self._log.topics()[name].partitions
        if partition is None:
            partition = 0 if key is None else partition_for(placing(self._topic.key, key), partitions)
        elif not 0 <= partition < partitions:
            raise ValueError(
                f"{whose} cannot go to partition {partition!r}: there are {partitions}, from 0 on"
            )
        columns = Columns()
        columns.append(key, value, timestamp, headers)
        writer = self._log.writer("test-driver")
        writer.append(name, partition, columns)
        writer.commit({})
        writer.close()
        self._piped()
        self._run()

    def _now(self) -> int:
        """Return the time of a record that has none of its own, and move on."""
        if self._next_ms is None:
            return self._now_ms()
        now = self._next_ms
        self._next_ms += self._advance_ms
        return now

    def advance(self, time: Duration) -> None:
        """Move the topic's own time on, which records without a timestamp get.

        Raises:
            StateError: it has none: say `driver.input(TOPIC, start=…)`.
        """
        if self._next_ms is None:
            raise StateError(
                f"topic '{self._topic.name}' has no time of its own to move: write driver.input(TOPIC, start=0), or "
                "driver.advance(...), which moves the wall clock"
            )
        self._next_ms += milliseconds(time, name="time")

    def pipe_all(
        self,
        records: Iterable[tuple[K | None, V | None] | tuple[K | None, V | None, int] | Record[K, V]],
        *,
        start: int | None = None,
        advance: Duration = "0ms",
    ) -> None:
        """Pipe records one after the other: (key, value), (key, value, timestamp), or `Record`.

        With `start` (epoch ms), pairs get that timestamp, and each as much more as `advance` says.
        """
        step_ms = milliseconds(advance, name="advance")
        for number, record in enumerate(records):
            if isinstance(record, Record):
                self.pipe_record(record)
            elif len(record) == 2 and start is not None:
                self.pipe(*record, start + number * step_ms)
            else:
                self.pipe(*record)

    def pipe_values(
        self, values: Iterable[V | None], *, start: int | None = None, advance: Duration = "0ms"
    ) -> None:
        """Pipe records without keys one after the other, with timestamps as `pipe_all`."""
        self.pipe_all(((None, value) for value in values), start=start, advance=advance)


class OutputTopic(Generic[K, V]):
    """Reads what came out, each record once, in the order in which it was written (partitions one after the other)."""

    def __init__(self, topic: Topic[K, V], log: MemoryLog) -> None:
        self._topic = topic
        self._key = topic.key.reading_keys()
        self._log = log
        self._read: dict[int, int] = {}  # by partition: records already handed out

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("OutputTopic", name, dir(OutputTopic), OUTPUT_INSTEAD)

    def _unread(self, limit: int | None = None, only: int | None = None) -> list[Record[K, V]]:
        name = self._topic.name
        records: list[Record[K, V]] = []
        if name not in self._log.topics():
            return records
        for partition, offset, key, value, timestamp, headers in self._log.records(name):
            if offset < self._read.get(partition, 0) or only not in {None, partition}:
                continue
            if limit is not None and len(records) == limit:
                break
            self._read[partition] = offset + 1
            records.append(
                Record(
                    # A null has no type of its own: what a tombstone reads as is None, as in Kafka's test driver.
                    None if key is None else self._key.deserialize(name, key, headers),  # type: ignore[arg-type]
                    None if value is None else self._topic.value.deserialize(name, value, headers),  # type: ignore[arg-type]
                    timestamp,
                    tuple(headers),
                )
            )
        return records

    def read(self) -> Record[K, V]:
        """Return the next record.

        Raises:
            IndexError: there is none.
        """
        records = self._unread(1)
        if not records:
            raise IndexError(f"nothing (more) was written to topic '{self._topic.name}'")
        return records[0]

    def read_value(self) -> V:
        """Return the value of the next record; raises as `read`."""
        return self.read().value

    def read_pair(self) -> tuple[K, V]:
        """Return key and value of the next record; raises as `read`."""
        record = self.read()
        return record.key, record.value

    def read_all(self, *, partition: int | None = None) -> list[Record[K, V]]:
        """Return all records not read yet, or those of one partition."""
        return self._unread(only=partition)

    def read_values(self) -> list[V]:
        """Return the values of all records not read yet."""
        return [record.value for record in self._unread()]

    def read_pairs(self) -> list[tuple[K, V]]:
        """Return (key, value) of all records not read yet."""
        return [(record.key, record.value) for record in self._unread()]

    def read_table(self) -> dict[K, V]:
        """Return the last value of each key among the records not read yet; a tombstone removes the key."""
        table: dict[K, V] = {}
        for record in self._unread():
            if record.value is None:
                table.pop(record.key, None)
            else:
                table[record.key] = record.value
        return table

    def __len__(self) -> int:
        """How many records are not read yet."""
        name = self._topic.name
        if name not in self._log.topics():
            return 0
        return sum(1 for record in self._log.records(name) if record[1] >= self._read.get(record[0], 0))
