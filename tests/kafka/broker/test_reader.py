"""The reader against a real broker: what Java wrote, markers, restarts, retention, and mistakes."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.base.columns import Chunk
from headrace.base.errors import OffsetOutOfRangeError, StateError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.kafka.fetch.reader import KafkaReader
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

NewReader = Callable[..., KafkaReader]


@pytest.fixture
def new_reader(request: pytest.FixtureRequest) -> Iterator[NewReader]:
    """Make readers; properties by Kafka's names with `_` for `.`."""
    made: list[KafkaReader] = []

    def make(kafka: LocalKafka | None = None, **properties: object) -> KafkaReader:
        chosen = kafka or request.getfixturevalue("broker")
        assert isinstance(chosen, LocalKafka)
        named = {name.replace("_", "."): value for name, value in properties.items()}
        settings = ConnectionSettings.of({**chosen.client_properties, **named})
        made.append(KafkaReader(settings, KafkaOptions.of(named)))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


def numbered(count: int, first: int = 0, partition: int = 0) -> list[JavaRecord]:
    return [
        JavaRecord(b"k%d" % i, b"v%d" % i, timestamp=1000 + i, partition=partition)
        for i in range(first, first + count)
    ]


def poll_until(
    reader: KafkaReader, is_enough: Callable[[list[Chunk]], bool], seconds: float = 20
) -> list[Chunk]:
    """Poll until what has come is enough."""
    chunks: list[Chunk] = []
    deadline = time.monotonic() + seconds
    while not is_enough(chunks):
        assert time.monotonic() < deadline, f"only {values(chunks)} came within {seconds} s"
        chunks += reader.poll(100)
    return chunks


def read_to(reader: KafkaReader, ends: dict[TopicPartition, int]) -> list[Chunk]:
    """Poll until the positions are there."""
    return poll_until(
        reader,
        lambda _: all(reader.position(topic_partition) >= end for topic_partition, end in ends.items()),
    )


def values(chunks: list[Chunk], partition: int = 0) -> list[bytes | None]:
    return [value for chunk in chunks if chunk.partition == partition for value in chunk.values]


def delete_records(kafka: LocalKafka, topic: str, before: int) -> None:
    from kafka.protocol.admin import DeleteRecordsRequest

    topic_of = DeleteRecordsRequest.DeleteRecordsTopic
    partition = topic_of.DeleteRecordsPartition(partition_index=0, offset=before)
    request: Any = DeleteRecordsRequest(
        topics=[topic_of(name=topic, partitions=[partition])], timeout_ms=10_000
    )
    network = Network(ConnectionSettings.of(kafka.client_properties), purpose="test")
    network.connect()
    answer = network.call(request, node_id=kafka.leader(topic))
    network.close()
    assert answer.topics[0].partitions[0].error_code == 0


@pytest.mark.older_kafka
def test_reader_returns_all_parts_of_what_java_wrote(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic()
    broker.produce_with_java(
        topic,
        [
            JavaRecord(b"k", b"v", (("h", b"1"), ("h", None)), 7, 0),
            JavaRecord(None, None, (), 8, 0),
            JavaRecord(b"", b"", (), 9, 0),
        ],
    )
    topic_partition = TopicPartition(topic, 0)
    reader = new_reader()
    reader.assign({topic_partition: 0})
    chunks = read_to(reader, {topic_partition: 3})
    found: list[tuple[int, bytes | None, bytes | None, int, Headers]] = [
        record
        for chunk in chunks
        for record in zip(
            chunk.offsets,
            chunk.keys,
            chunk.values,
            chunk.timestamps,
            chunk.headers or [()] * len(chunk),
            strict=True,
        )
    ]
    assert found == [
        (0, b"k", b"v", 7, (("h", b"1"), ("h", None))),
        (1, None, None, 8, ()),
        (2, b"", b"", 9, ()),
    ]
    assert reader.end(topic_partition) == 3


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_reader_returns_what_java_compressed(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader, compression: str
) -> None:
    topic = new_topic()
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(
        topic, numbered(2000), config={"compression.type": compression, "linger.ms": "50"}
    )
    reader = new_reader()
    reader.assign({topic_partition: 5})
    assert values(read_to(reader, {topic_partition: 2000})) == [b"v%d" % i for i in range(5, 2000)]


@pytest.mark.older_kafka
def test_reader_leaves_out_aborted_records_and_moves_past_markers(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader, unique: Callable[[str], str]
) -> None:
    topic, name = new_topic(), unique("transaction")
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(topic, numbered(3), transactional_id=name)  # 0 to 2, marker 3
    broker.produce_with_java(topic, numbered(4, 10), transactional_id=name, end="abort")  # 4 to 7, marker 8
    broker.produce_with_java(topic, numbered(2, 20), transactional_id=name)  # 9 and 10, marker 11
    broker.produce_with_java(topic, numbered(1, 30), transactional_id=name, end="abort")  # 12, marker 13
    reader = new_reader()
    reader.assign({topic_partition: 0})
    chunks = read_to(reader, {topic_partition: 14})
    assert [offset for chunk in chunks for offset in chunk.offsets] == [0, 1, 2, 9, 10]
    assert values(chunks) == [b"v0", b"v1", b"v2", b"v20", b"v21"]
    assert (reader.position(topic_partition), reader.end(topic_partition)) == (14, 14)


@pytest.mark.older_kafka
def test_reader_stops_before_an_open_transaction_until_it_is_decided(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader, unique: Callable[[str], str]
) -> None:
    topic, name = new_topic(), unique("transaction")
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(topic, numbered(2))
    broker.produce_with_java(topic, numbered(1, 10), transactional_id=name, end="open")
    broker.produce_with_java(topic, numbered(1, 20))
    reader = new_reader()
    reader.assign({topic_partition: 0})
    assert values(read_to(reader, {topic_partition: 2})) == [b"v0", b"v1"]
    assert reader.poll(200) == []
    assert (reader.position(topic_partition), reader.end(topic_partition)) == (2, 2)
    broker.produce_with_java(topic, [], transactional_id=name)
    assert values(read_to(reader, {topic_partition: 5})) == [b"v10", b"v20"]


def test_partitions_are_read_side_by_side(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic(4)
    topic_partitions = [TopicPartition(topic, number) for number in range(4)]
    for number in range(4):
        broker.produce_with_java(topic, numbered(50, 100 * number, number))
    reader = new_reader()
    reader.assign(dict.fromkeys(topic_partitions, 0))
    chunks = read_to(reader, dict.fromkeys(topic_partitions, 50))
    for number in range(4):
        assert values(chunks, number) == [b"v%d" % i for i in range(100 * number, 100 * number + 50)]


def test_record_larger_than_a_partitions_share_comes(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic(2)
    topic_partitions = [TopicPartition(topic, number) for number in range(2)]
    for number in range(2):
        records = [JavaRecord(b"k", bytes([number]) * 200_000, partition=number) for _ in range(3)]
        broker.produce_with_java(topic, records)
    reader = new_reader(max_partition_fetch_bytes=1000, fetch_max_bytes=2000)
    reader.assign(dict.fromkeys(topic_partitions, 0))
    chunks = read_to(reader, dict.fromkeys(topic_partitions, 3))
    assert [values(chunks, number) for number in range(2)] == [[b"\0" * 200_000] * 3, [b"\1" * 200_000] * 3]


def test_paused_partition_keeps_its_position_until_resumed(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic(2)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    reader = new_reader()
    reader.assign({first: 0, second: 0})
    reader.pause([first])
    for number in range(2):
        broker.produce_with_java(topic, numbered(3, partition=number))
    assert values(read_to(reader, {second: 3})) == []
    assert reader.position(first) == 0
    reader.resume([first])
    assert values(read_to(reader, {first: 3})) == [b"v0", b"v1", b"v2"]


def test_assigning_again_moves_a_partition(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic()
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(topic, numbered(10))
    reader = new_reader()
    reader.assign({topic_partition: 0})
    read_to(reader, {topic_partition: 10})
    reader.assign({topic_partition: 8})
    assert reader.position(topic_partition) == 8
    assert values(read_to(reader, {topic_partition: 10})) == [b"v8", b"v9"]


def test_waiting_poll_returns_as_soon_as_a_record_is_there(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic()
    topic_partition = TopicPartition(topic, 0)
    reader = new_reader(fetch_max_wait_ms=30_000)
    reader.assign({topic_partition: 0})
    assert reader.poll(50) == []
    broker.produce_with_java(topic, numbered(1))
    # The request under way waits for 30 s: it is answered by the record, not by its time.
    assert values(reader.poll(20_000)) == [b"v0"]


def test_unassigning_and_closing_wait_for_nothing(new_topic: NewTopic, new_reader: NewReader) -> None:
    topic_partition = TopicPartition(new_topic(), 0)
    reader = new_reader(fetch_max_wait_ms=30_000)
    reader.assign({topic_partition: 0})
    reader.poll(50)
    started = time.monotonic()
    reader.unassign([topic_partition])
    assert reader.poll(0) == []
    reader.close()
    reader.close()
    assert time.monotonic() - started < 5
    with pytest.raises(StateError, match="closed"):
        reader.poll(0)


@pytest.mark.parametrize("position", [0, 1, 6])
def test_position_that_retention_has_passed_or_nobody_wrote_is_an_error(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader, position: int
) -> None:
    topic = new_topic()
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(topic, numbered(5))
    delete_records(broker, topic, 2)
    reader = new_reader()
    reader.assign({topic_partition: position})
    for _ in range(2):
        with pytest.raises(OffsetOutOfRangeError, match="the partition has 2 to 5") as found:
            reader.poll(10_000)
        assert (found.value.position, found.value.first, found.value.end) == (position, 2, 5)
    reader.assign({topic_partition: 2})
    assert values(read_to(reader, {topic_partition: 5})) == [b"v2", b"v3", b"v4"]


def test_unknown_topic_and_partition_are_refused(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic()
    reader = new_reader()
    with pytest.raises(UnknownTopicError, match=r"topic 'nope'.* create the topic"):
        reader.assign({TopicPartition("nope", 0): 0})
    with pytest.raises(UnknownTopicError, match=f"partition 1 of topic '{topic}'"):
        reader.assign({TopicPartition(topic, 1): 0})
    with pytest.raises(StateError, match="not assigned"):
        reader.position(TopicPartition(topic, 1))
    assert broker.produce_with_java(topic, numbered(1))[0].offset == 0
    reader.assign({TopicPartition(topic, 0): 0})
    assert values(read_to(reader, {TopicPartition(topic, 0): 1})) == [b"v0"]


def test_deleted_topic_fails_its_readers(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic()
    reader = new_reader()
    reader.assign({TopicPartition(topic, 0): 0})
    reader.poll(50)
    broker.delete_topic(topic)
    with pytest.raises(UnknownTopicError, match=topic):
        poll_until(reader, lambda _: False)


def test_topic_made_again_fails_its_readers(
    broker: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic()
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(topic, numbered(3))
    reader = new_reader()
    reader.assign({topic_partition: 0})
    read_to(reader, {topic_partition: 3})
    broker.delete_topic(topic)
    broker.create_topic(topic, 1)
    with pytest.raises((OffsetOutOfRangeError, UnknownTopicError)):
        poll_until(reader, lambda _: False)


def test_reader_goes_on_when_a_leader_is_killed_and_another_takes_over(
    cluster: LocalKafka, new_topic: NewTopic, new_reader: NewReader
) -> None:
    topic = new_topic(3, {"min.insync.replicas": "2"}, kafka=cluster)
    topic_partitions = [TopicPartition(topic, number) for number in range(3)]
    reader = new_reader(cluster)
    reader.assign(dict.fromkeys(topic_partitions, 0))
    for number in range(3):
        cluster.produce_with_java(topic, numbered(5, partition=number))
    chunks = read_to(reader, dict.fromkeys(topic_partitions, 5))
    cluster.kill_broker(cluster.leader(topic, 0))
    for number in range(3):
        cluster.produce_with_java(topic, numbered(5, 5, number))
    chunks += poll_until(
        reader,
        lambda _: all(reader.position(topic_partition) >= 10 for topic_partition in topic_partitions),
        seconds=60,
    )
    for number in range(3):
        assert values(chunks, number) == [b"v%d" % i for i in range(10)]
