"""Other clients on one broker with us: we read what librdkafka and kafka-python write, and they what we write.

What Java's clients read and write is in test_reader.py and test_writer_broker.py. kafka-python compresses by gzip only,
unless libraries are installed that nothing else of ours wants.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, cast
from zlib import crc32

import confluent_kafka
import kafka as kafka_python
import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.base.records import Headers
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.conftest import NewTopic
from tests.kafka.java.both_sides import Batch, Row, await_markers, batches, kafka_log, raw_batches

pytestmark = pytest.mark.broker

#: Not now: who gives records times of its own is found out.
TIME = 1_700_000_000_000
KEPT = {"retention.ms": "-1"}

#: Partition 0 is written without transactions, partition 1 in three of them, of which the second is aborted.
PLAIN, TRANSACTIONAL = 0, 1


def some(begin: int) -> list[Row]:
    """Nulls, empty texts, headers, times out of order, and enough of it to be worth compressing."""
    headers: Headers = (("a", b"1"), ("a", None), ("é", b""))
    odd = [
        Row(b"k", b"v", TIME + begin, ()),
        Row(None, b"no key", TIME + 5, ()),
        Row(b"no value", None, TIME - 3, headers),
        Row(b"", b"", TIME + 100_000, (("b", b"\x00\xff"),)),
    ]
    return odd + [
        Row(b"%d" % number, b"value" * 20, TIME + number, ()) for number in range(begin, begin + 1000)
    ]


COMMITTED, ABORTED, LATER = some(0), some(1000), some(2000)


class Client(Protocol):
    """Another client of a broker."""

    def write(self, kafka: LocalKafka, topic: str, compression: str, transactional_id: str) -> None:
        """Write `COMMITTED` to partition 0, and all three to partition 1, a transaction each."""

    def sent(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Say what it makes of these rows."""

    def read(self, kafka: LocalKafka, topic: str) -> dict[int, list[Row]]:
        """Read both partitions to their ends, committed records only."""


class Librdkafka:
    def write(self, kafka: LocalKafka, topic: str, compression: str, transactional_id: str) -> None:
        settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": kafka.bootstrap_servers,
            "compression.type": compression,
            "enable.idempotence": True,
            "linger.ms": 50,
        }
        plain = confluent_kafka.Producer(settings)
        self._send(plain, topic, PLAIN, COMMITTED)
        assert plain.flush(20) == 0
        producer = confluent_kafka.Producer(settings | {"transactional.id": transactional_id})
        producer.init_transactions(20)
        for rows in (COMMITTED, ABORTED, LATER):
            producer.begin_transaction()
            self._send(producer, topic, TRANSACTIONAL, rows)
            # What is aborted has to be there first.
            assert producer.flush(20) == 0
            if rows is ABORTED:
                producer.abort_transaction(20)
            else:
                producer.commit_transaction(20)

    @staticmethod
    def _send(producer: confluent_kafka.Producer, topic: str, partition: int, rows: Sequence[Row]) -> None:
        for row in rows:
            assert row.timestamp is not None
            producer.produce(
                topic,
                key=row.key,
                value=row.value,
                partition=partition,
                timestamp=row.timestamp,
                headers=list(row.headers),
            )

    def sent(self, rows: Sequence[Row]) -> Sequence[Row]:
        return rows

    def read(self, kafka: LocalKafka, topic: str) -> dict[int, list[Row]]:
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "group.id": "nobody",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "check.crcs": True,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
            }
        )
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in (0, 1)])
        found: dict[int, list[Row]] = {0: [], 1: []}
        ended: set[int | None] = set()
        deadline = time.monotonic() + 20
        while ended != {0, 1}:
            assert time.monotonic() < deadline
            message = consumer.poll(0.1)
            if message is None:
                continue
            partition, error = message.partition(), message.error()
            if error is not None:
                assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
                ended.add(partition)
                continue
            assert partition is not None
            # Its types allow the forms for producing, too.
            headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
            found[partition].append(
                Row(message.key(), message.value(), message.timestamp()[1], tuple(headers))
            )
        consumer.close()
        return found


class KafkaPython:
    def write(self, kafka: LocalKafka, topic: str, compression: str, transactional_id: str) -> None:
        settings = {
            "bootstrap_servers": kafka.bootstrap_servers,
            "compression_type": None if compression == "none" else compression,
            "linger_ms": 50,
            "batch_size": 100_000,
        }
        with contextlib.closing(kafka_python.KafkaProducer(**settings)) as plain:
            self._send(plain, topic, PLAIN, COMMITTED)
            plain.flush(20)
        producer = kafka_python.KafkaProducer(**settings, transactional_id=transactional_id)
        with contextlib.closing(producer):
            producer.init_transactions()
            for rows in (COMMITTED, ABORTED, LATER):
                producer.begin_transaction()
                self._send(producer, topic, TRANSACTIONAL, rows)
                producer.flush(20)
                if rows is ABORTED:
                    producer.abort_transaction()
                else:
                    producer.commit_transaction()

    def _send(
        self, producer: kafka_python.KafkaProducer, topic: str, partition: int, rows: Sequence[Row]
    ) -> None:
        for row in self.sent(rows):
            producer.send(
                topic,
                key=row.key,
                value=row.value,
                partition=partition,
                timestamp_ms=row.timestamp,
                headers=list(row.headers),
            )

    def sent(self, rows: Sequence[Row]) -> Sequence[Row]:
        # It refuses nulls in headers.
        return [
            row._replace(headers=tuple((name, value or b"") for name, value in row.headers)) for row in rows
        ]

    def read(self, kafka: LocalKafka, topic: str) -> dict[int, list[Row]]:
        consumer = kafka_python.KafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers,
            enable_auto_commit=False,
            isolation_level="read_committed",
            check_crcs=True,
            fetch_max_wait_ms=50,
        )
        topic_partitions = [kafka_python.TopicPartition(topic, partition) for partition in (0, 1)]
        found: dict[int, list[Row]] = {0: [], 1: []}
        with contextlib.closing(consumer):
            consumer.assign(topic_partitions)
            consumer.seek_to_beginning(*topic_partitions)
            ends = consumer.end_offsets(topic_partitions)
            deadline = time.monotonic() + 20
            while any(consumer.position(topic_partition) < end for topic_partition, end in ends.items()):
                assert time.monotonic() < deadline
                for topic_partition, messages in consumer.poll(100).items():
                    found[topic_partition.partition] += [
                        Row(each.key, each.value, each.timestamp, tuple(each.headers)) for each in messages
                    ]
        return found


class Case(NamedTuple):
    client: Client
    compression: str

    def __str__(self) -> str:
        return f"{type(self.client).__name__.lower()}-{self.compression}"


CASES = [
    *(Case(Librdkafka(), each) for each in ("none", "gzip", "snappy", "lz4", "zstd")),
    *(Case(KafkaPython(), each) for each in ("none", "gzip")),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_other_clients_write_is_read(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], case: Case
) -> None:
    topic = new_topic(2, KEPT)
    case.client.write(broker, topic, case.compression, unique("id"))
    is_written(broker, topic, case.compression)
    sent = case.client.sent
    assert read(broker, topic) == {PLAIN: sent(COMMITTED), TRANSACTIONAL: sent(COMMITTED + LATER)}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_written_is_read_by_other_clients(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], case: Case
) -> None:
    topic = new_topic(2, KEPT)
    write(broker, topic, case.compression, unique("id"))
    is_written(broker, topic, case.compression)
    assert case.client.read(broker, topic) == {PLAIN: COMMITTED, TRANSACTIONAL: COMMITTED + LATER}


def test_the_writer_s_batch_is_byte_for_byte_that_of_java_s_producer(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str]
) -> None:
    topic = new_topic(2, KEPT)
    records = [JavaRecord(row.key, row.value, tuple(row.headers), row.timestamp, 0) for row in COMMITTED]
    one_batch = {"linger.ms": "10000", "batch.size": "1000000"}
    broker.produce_with_java(topic, records, transactional_id=unique("java"), config=one_batch)
    with kafka_log(broker) as log, contextlib.closing(log.writer("group", unique("headrace"))) as writer:
        writer.append(topic, 1, columns(COMMITTED))
        writer.commit({})
    theirs, ours = (raw_batches(broker, topic, partition)[0] for partition in (0, 1))
    assert len(theirs) > 100_000
    # Without the checksum, and the producer's id.
    assert ours[:17] == theirs[:17]
    assert ours[21:43] == theirs[21:43]
    assert ours[51:] == theirs[51:]


def is_written(kafka: LocalKafka, topic: str, compression: str) -> None:
    """See to it that a topic has what `Client.write` says, in such batches, the aborted records and markers too."""
    await_markers(kafka, topic)
    assert set(batches(kafka, topic, 2)) == {
        Batch(compression, is_idempotent=True, is_transactional=False, is_control=False),
        Batch(compression, is_idempotent=True, is_transactional=True, is_control=False),
        Batch("none", is_idempotent=True, is_transactional=True, is_control=True),
    }
    ends = {TopicPartition(topic, PLAIN): 1004, TopicPartition(topic, TRANSACTIONAL): 3 * 1004 + 3}
    with kafka_log(kafka) as log:
        assert log.end_offsets(ends) == ends


def read(kafka: LocalKafka, topic: str) -> dict[int, list[Row]]:
    """Read both partitions with our reader."""
    topic_partitions = [TopicPartition(topic, partition) for partition in (0, 1)]
    found: dict[int, list[Row]] = {0: [], 1: []}
    with kafka_log(kafka) as log, contextlib.closing(log.reader()) as reader:
        ends = log.end_offsets(topic_partitions)
        reader.assign(dict.fromkeys(topic_partitions, 0))
        deadline = time.monotonic() + 20
        while any(reader.position(topic_partition) < end for topic_partition, end in ends.items()):
            assert time.monotonic() < deadline
            for chunk in reader.poll(100):
                columns = (chunk.keys, chunk.values, chunk.timestamps, chunk.headers or [()] * len(chunk))
                found[chunk.partition] += map(Row, *columns)
    return found


def write(kafka: LocalKafka, topic: str, compression: str, transactional_id: str) -> None:
    """Write with our writer what `Client.write` says."""
    topic_partition = TopicPartition(topic, TRANSACTIONAL)
    with kafka_log(kafka, compression_type=compression) as log:
        with contextlib.closing(log.writer("group")) as writer:
            writer.append(topic, PLAIN, columns(COMMITTED))
            writer.commit({})
        with contextlib.closing(log.writer("group", transactional_id)) as writer:
            writer.append(topic, TRANSACTIONAL, columns(COMMITTED))
            writer.commit({})
            writer.append(topic, TRANSACTIONAL, columns(ABORTED))
            deadline = time.monotonic() + 20
            # What is aborted has to be there first.
            while (
                log.end_offsets([topic_partition], committed=False)[topic_partition] < 2 * len(COMMITTED) + 1
            ):
                assert time.monotonic() < deadline
                writer.send()
            writer.abort()
            writer.append(topic, TRANSACTIONAL, columns(LATER))
            writer.commit({})


def columns(rows: Sequence[Row]) -> Columns:
    found = Columns()
    for row in rows:
        assert row.timestamp is not None
        found.append(row.key, row.value, row.timestamp, row.headers)
    return found


KEYS = [b"user-%d" % number for number in range(200)]


@pytest.mark.parametrize(("partitioner", "usual"), [(None, False), ("murmur2_random", True)])
def test_librdkafka_places_keys_as_we_do_if_it_is_told_to(
    local_kafka: LocalKafka, new_topic: NewTopic, partitioner: str | None, usual: bool
) -> None:
    topic = new_topic(4)
    settings: dict[str, str | int | float | bool] = {"bootstrap.servers": local_kafka.bootstrap_servers}
    if partitioner is not None:
        settings["partitioner"] = partitioner
    placed: dict[bytes, int] = {}

    def delivered(error: object, message: confluent_kafka.Message) -> None:
        key, partition = message.key(), message.partition()
        assert isinstance(key, bytes) and partition is not None
        placed[key] = partition

    producer = confluent_kafka.Producer(settings)
    for key in KEYS:
        producer.produce(topic, key=key, value=b"v", on_delivery=delivered)
    assert producer.flush(20) == 0
    assert placed == {key: partition_for(key, 4) if usual else crc32(key) % 4 for key in KEYS}
