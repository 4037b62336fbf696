"""`Producer`: writes to topics from a program that is no topology, such as a web service, on a cluster or a file."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from typing_extensions import TypeVar, Unpack

from headrace.base.columns import Columns
from headrace.base.errors import StateError, TopologyError, UnknownTopicError
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS, Headers, Record
from headrace.log.port import Log, TopicInfo, TopicSpec, Writer
from headrace.processor.parts import checked_headers, checked_timestamp
from headrace.serde.producing import key_serde, placing, serialized
from headrace.serde.serde import kind_of
from headrace.streams.config import Config, ConfigFields
from headrace.streams.logs import address_of, open_log
from headrace.topology.topics import Topic

__all__ = ["Producer"]

K = TypeVar("K")
V = TypeVar("V")

#: How long brokers that do not answer may hold up the end.
_STOP_SECONDS = 10.0


class Producer:
    """Writes records to topics, on the log that the properties name; what is sent is durable when `send` returns.

    The records of one call become durable together on an embedded log. On a cluster each one arrives at least once:
    when a call fails nobody knows which of its records are there, and whoever sends them again may write some twice.
    What has to be exactly once is written by a topology, or comes from a database's outbox.

    The log is opened by the first call. Safe to use from several threads, which take turns. It belongs to the process
    that opens it.

    >>> from tempfile import mkdtemp
    >>> with Producer(embedded_path=f"{mkdtemp()}/shop.db") as producer:
    ...     producer.send(Topic("lines", value=str), "any", "to be or not to be")

    Raises:
        ConfigError: a property is impossible, or no log is named, or two are.
    """

    def __init__(self, config: Config | None = None, **fields: Unpack[ConfigFields]) -> None:
        self._config = (config or Config()).with_fields(**fields)
        address_of(self._config)
        self._turn = threading.Lock()
        self._log: Log | None = None
        self._writer: Writer | None = None
        self._topics: dict[str, _Destination] = {}
        self._is_closed = False

    def send(
        self,
        topic: Topic[K, V],
        key: K | None,
        value: V | None,
        *,
        timestamp: int | None = None,
        headers: Headers = NO_HEADERS,
    ) -> None:
        """Write one record; return when it is durable. Blocks while brokers are waited for.

        Its key decides the partition as Kafka does (murmur2); without a key, partitions take turns. Without a timestamp
        (epoch ms) it is of now. An embedded log makes a topic that is missing, with the partitions that it declares.

        Raises:
            SerializationError: the topic's serdes do not take key or value.
            ProductionError: the log does not take the record: it is too large, or has no key in a compacted topic.
            UnknownTopicError: a cluster has no such topic.
            LogError: it is not known to be written.
            TypeError, ValueError: timestamp or headers are nothing that a log can hold.
            StateError: it is closed.
        """
        record: Record[Any, Any] = Record(key, value, _now_ms() if timestamp is None else timestamp, headers)
        self.send_all(topic, [record])

    def send_all(self, topic: Topic[K, V], records: Iterable[Record[K, V]]) -> None:
        """Write records as they are, in their order; return when all are durable. None is fine. See `send`."""
        if not isinstance(topic, Topic):
            raise TopologyError(
                f"a producer writes to a Topic, found {kind_of(topic)}: write hr.Topic('name', value=…)"
            )
        with self._turn:
            try:
                self._write(topic, records)
            except BaseException:
                self._close_writer()  # with what it holds: a new one begins without it
                raise

    def _write(self, topic: Topic[K, V], records: Iterable[Record[K, V]]) -> None:
        log = self._opened()
        destination = self._destination(log, topic)
        columns = [Columns() for _ in range(destination.partitions)]
        for record in records:
            key, value, timestamp, headers = _as_bytes(topic, record)
            columns[destination.partition_of(topic, key)].append(key, value, timestamp, headers)
        if not any(columns):
            return
        if self._writer is None:
            self._writer = log.writer("headrace-producer")
        for partition, each in enumerate(columns):
            if each:
                self._writer.append(topic.name, partition, each)
        self._writer.commit({})

    def _opened(self) -> Log:
        if self._is_closed:
            raise StateError("cannot send: the producer is closed; make another one")
        if self._log is None:
            self._log = open_log(self._config)
        return self._log

    def _destination(self, log: Log, topic: Topic[K, V]) -> "_Destination":
        """Return what is known of a topic; it is asked about again when its partitions may have changed."""
        known = self._topics.get(topic.name)
        if known is None or time.monotonic() > known.asked_at + self._config["metadata.max.age.ms"] / 1000:
            for serde in (topic.key, topic.value):
                serde.configure(self._config.values())
            turn = 0 if known is None else known.turn
            known = self._topics[topic.name] = _Destination(_found(log, topic).partitions, turn)
        return known

    def close(self) -> None:
        """Release everything, once a call that is under way has ended. Twice is fine."""
        self._is_closed = True
        log = self._log
        if log is not None:
            log.hurry(_STOP_SECONDS)
        with self._turn:
            self._close_writer()
            if self._log is not None:
                self._log.close()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Destination:
    """How many partitions a topic had when it was asked about, and whose turn it is without a key."""

    def __init__(self, partitions: int, turn: int) -> None:
        self.partitions = partitions
        self.turn = turn
        self.asked_at = time.monotonic()

    def partition_of(self, topic: Topic[Any, Any], key: bytes | None) -> int:
        if key is not None:
            return partition_for(placing(topic.key, key), self.partitions)
        self.turn += 1
        return self.turn % self.partitions


def _found(log: Log, topic: Topic[Any, Any]) -> TopicInfo:
    found = log.topics([topic.name]).get(topic.name)
    if found is None and log.makes_user_topics:
        log.create_topics([TopicSpec(topic.name, topic.partitions or 1)])
        found = log.topics([topic.name]).get(topic.name)
    if found is None:
        raise UnknownTopicError(
            f"cannot send to topic {topic.name!r}: there is none; make it with `headrace topics create {topic.name}`"
        )
    return found


def _as_bytes(topic: Topic[K, V], record: Record[K, V]) -> tuple[bytes | None, bytes | None, int, Headers]:
    whose = f"the record for topic '{topic.name}'"
    timestamp = checked_timestamp(record.timestamp, whose)
    headers = checked_headers(record.headers, whose)
    key = value = None
    if record.key is not None:
        key, headers = serialized(key_serde(topic.key), topic.name, record.key, headers)
    if record.value is not None:
        value, headers = serialized(topic.value, topic.name, record.value, headers)
    return key, value, timestamp, headers


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
