"""The writer on real brokers; Java's consumer says what a reader of committed data sees."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest
from confluent_kafka import Consumer

from headrace.base.columns import Columns
from headrace.base.errors import (
    FencedError,
    LogError,
    ProductionError,
    RecordsRefusedError,
    SerializationError,
    StateError,
    TransactionAbortedError,
    UnknownTopicError,
)
from headrace.base.ids import TopicPartition
from headrace.base.records import RawRecord
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.produce.opening import open_writer
from headrace.kafka.produce.writer import KafkaWriter
from headrace.log.admission import unknown_topic
from headrace.log.port import CommittedOffset, TopicInfo
from headrace.testing import LocalKafka
from tests.kafka.broker.proxy import Proxy
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

END_TXN = 26
PRODUCE = 0


class NewWriter(Protocol):
    def __call__(
        self,
        kafka: LocalKafka,
        transactional_id: str | None = None,
        *,
        is_newest: bool | None = None,
        group: str = "group",
        **options: str,
    ) -> KafkaWriter: ...


@pytest.fixture
def writing(unique: Callable[[str], str]) -> Iterator[NewWriter]:
    """Make writers; all are closed at the end."""
    with ExitStack() as stack:

        def make(
            kafka: LocalKafka,
            transactional_id: str | None = None,
            *,
            is_newest: bool | None = None,
            group: str = "group",
            **options: str,
        ) -> KafkaWriter:
            def topic(name: str) -> TopicInfo:
                found = kafka.view([name]).topics.get(name)
                if found is None:
                    raise unknown_topic("append to", name)
                return TopicInfo(name, len(found), "id", {})

            writer = open_writer(
                ConnectionSettings.of(kafka.client_properties | {"request.timeout.ms": "5000"}),
                KafkaOptions.of({name.replace("_", "."): value for name, value in options.items()}),
                group,
                transactional_id,
                topics=topic,
                is_newest_protocol=is_newest,
            )
            stack.callback(writer.close)
            return writer

        yield make


def columns(*values: bytes) -> Columns:
    found = Columns()
    for value in values:
        found.append(b"k", value, 1_700_000_000_000, (("h", b"1"),))
    return found


def values(kafka: LocalKafka, topic: str, count: int = 0) -> list[bytes | None]:
    return [record.value for record in kafka.consume_with_java(topic, count=count)]


def committed_offset(kafka: LocalKafka, group: str, topic_partition: TopicPartition) -> tuple[int, str]:
    from kafka.protocol.consumer import OffsetFetchRequest

    network = Network(ConnectionSettings.of(kafka.client_properties), purpose="test")
    network.connect()
    wanted = OffsetFetchRequest.OffsetFetchRequestTopic(
        name=topic_partition.topic, partition_indexes=[topic_partition.partition]
    )
    request = OffsetFetchRequest(group_id=group, topics=[wanted], require_stable=True, version=7)
    try:
        while True:
            answer = network.call(request)
            (found,) = answer.topics[0].partitions
            if found.error_code == 0:
                return found.committed_offset, found.metadata
    finally:
        network.close()


@pytest.mark.older_kafka
@pytest.mark.parametrize("is_newest", [True, False])
def test_committed_transaction_is_seen_whole_and_an_aborted_one_never(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter, is_newest: bool
) -> None:
    topic = new_topic(2)
    writer = writing(broker, unique("id"), is_newest=is_newest)
    writer.append(topic, 0, columns(b"a", b"b"))
    writer.append(topic, 1, columns(b"c"))
    ends = writer.commit({TopicPartition(topic, 0): CommittedOffset(7, "text")})
    assert ends == {TopicPartition(topic, 0): 2, TopicPartition(topic, 1): 1}
    assert committed_offset(broker, "group", TopicPartition(topic, 0)) == (7, "text")
    writer.append(topic, 0, columns(b"x" * 300_000))  # enough to be sent at once
    writer.abort()
    writer.append(topic, 0, columns(b"d"))
    (end,) = writer.commit({}).values()
    assert sorted(values(broker, topic, 4)) == [b"a", b"b", b"c", b"d"]  # type: ignore[type-var]
    last = max(record.offset for record in broker.consume_with_java(topic) if record.partition == 0)
    assert end == last + 1


@pytest.mark.parametrize("is_newest", [True, False])
def test_offsets_alone_are_committed(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter, is_newest: bool
) -> None:
    topic = new_topic()
    writer = writing(broker, unique("id"), is_newest=is_newest)
    assert writer.commit({TopicPartition(topic, 0): CommittedOffset(3)}) == {}
    assert writer.commit({}) == {}
    assert committed_offset(broker, "group", TopicPartition(topic, 0)) == (3, "")


@pytest.mark.older_kafka
@pytest.mark.parametrize("is_newest", [True, False])
def test_second_writer_with_the_id_ends_the_first_ones_transaction_and_fences_it(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter, is_newest: bool
) -> None:
    topic, name = new_topic(), unique("id")
    first = writing(broker, name, is_newest=is_newest)
    first.append(topic, 0, columns(b"x" * 300_000))
    second = writing(broker, name, is_newest=is_newest)
    with pytest.raises(FencedError, match=name):
        first.commit({TopicPartition(topic, 0): CommittedOffset(9)})
    with pytest.raises(FencedError):
        first.append(topic, 0, columns(b"y"))
    second.append(topic, 0, columns(b"z"))
    second.commit({})
    assert values(broker, topic, 1) == [b"z"]
    assert committed_offset(broker, "group", TopicPartition(topic, 0)) == (-1, "")


@pytest.mark.parametrize("has_id", [True, False])
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_nothing_is_committed_beside_a_group_that_lives(
    broker: LocalKafka,
    new_topic: NewTopic,
    unique: Callable[[str], str],
    writing: NewWriter,
    protocol: str,
    has_id: bool,
) -> None:
    topic, group = new_topic(), unique("group")
    writer = writing(broker, unique("id") if has_id else None, group=group)
    writer.append(topic, 0, columns(b"a"))
    writer.commit({TopicPartition(topic, 0): CommittedOffset(1)})
    member = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "group.protocol": protocol}
    )
    member.subscribe([topic])
    deadline = time.monotonic() + 30
    while not member.assignment():
        assert time.monotonic() < deadline
        member.poll(0.1)
    writer.append(topic, 0, columns(b"b"))
    with pytest.raises(LogError, match="Stop those, such as Kafka Streams"):
        writer.commit({TopicPartition(topic, 0): CommittedOffset(2)})
    writer.abort()
    member.close()
    writer.append(topic, 0, columns(b"c"))
    writer.commit({TopicPartition(topic, 0): CommittedOffset(3)})
    seen = [b"a", b"c"] if has_id else [b"a", b"b", b"c"]
    assert values(broker, topic, len(seen)) == seen
    assert committed_offset(broker, group, TopicPartition(topic, 0)) == (3, "")


@pytest.mark.parametrize("is_newest", [True, False])
@pytest.mark.parametrize("api_key", [PRODUCE, END_TXN])
def test_lost_answer_changes_nothing(
    proxied: LocalKafka,
    proxy: Proxy,
    new_topic: NewTopic,
    unique: Callable[[str], str],
    writing: NewWriter,
    is_newest: bool,
    api_key: int,
) -> None:
    topic = new_topic(kafka=proxied)
    writer = writing(proxied, unique("id"), is_newest=is_newest)
    writer.append(topic, 0, columns(b"a"))
    lost = proxy.cut_answers(api_key=api_key)
    assert writer.commit({}) == {TopicPartition(topic, 0): 1}
    assert lost.happened == 1
    writer.append(topic, 0, columns(b"b"))
    assert writer.commit({}) == {TopicPartition(topic, 0): 3}
    assert values(proxied, topic, 2) == [b"a", b"b"]


def test_commit_without_an_answer_in_time_is_not_known_until_the_abort(
    proxied: LocalKafka, proxy: Proxy, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic(kafka=proxied)
    writer = writing(proxied, unique("id"), delivery_timeout_ms="500")
    writer.append(topic, 0, columns(b"a"))
    proxy.swallow_answers(api_key=END_TXN, count=None)
    with pytest.raises(TransactionAbortedError, match="outcome is not known"):
        writer.commit({TopicPartition(topic, 0): CommittedOffset(5)})
    with pytest.raises(LogError, match="abort"):
        writer.append(topic, 0, columns(b"b"))
    proxy.clear()
    writer.abort()
    assert committed_offset(proxied, "group", TopicPartition(topic, 0)) == (5, "")
    assert values(proxied, topic, 1) == [b"a"]
    writer.append(topic, 0, columns(b"b"))
    writer.commit({})
    assert values(proxied, topic, 2) == [b"a", b"b"]


def test_restarted_broker_in_the_middle_of_a_transaction_loses_nothing(
    cluster: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic(1, kafka=cluster)
    writer = writing(cluster, unique("id"))
    writer.append(topic, 0, columns(b"a" * 300_000))
    leader = cluster.leader(topic)
    cluster.kill_broker(leader)
    writer.append(topic, 0, columns(b"b"))
    cluster.start_broker(leader)
    try:
        writer.commit({})
    except TransactionAbortedError:
        writer.abort()
        writer.append(topic, 0, columns(b"a" * 300_000, b"b"))
        writer.commit({})
    assert values(cluster, topic, 2) == [b"a" * 300_000, b"b"]


@pytest.mark.older_kafka
def test_without_a_transactional_id_records_and_offsets_are_committed(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic()
    writer = writing(broker)
    writer.append(topic, 0, columns(b"a", b"b"))
    writer.abort()  # nothing was sent yet
    writer.append(topic, 0, columns(b"c"))
    assert writer.commit({TopicPartition(topic, 0): CommittedOffset(2, "m")}) == {TopicPartition(topic, 0): 1}
    assert committed_offset(broker, "group", TopicPartition(topic, 0)) == (2, "m")
    assert values(broker, topic, 1) == [b"c"]


def test_text_is_written_in_utf_8_and_named_as_bytes_where_it_is_refused(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic()
    writer = writing(broker, unique("id"))
    records = Columns()
    records.extend(["k", None, b"k"], ["é", None, "a"], [0, 0, 0], [(), (), ()])
    writer.append(topic, 0, records)
    records.values[2] = "\ud800"
    with pytest.raises(SerializationError, match="a text cannot be written in UTF-8"):
        writer.append(topic, 0, records)
    records.values[2] = 5  # type: ignore[call-overload]  # the mistake
    with pytest.raises(SerializationError, match="a key or value is of type int; give bytes or None"):
        writer.append(topic, 0, records)
    records.values[2] = "a" * 2_000_000
    with pytest.raises(RecordsRefusedError) as refused:
        writer.append(topic, 0, records)
    assert refused.value.records == (RawRecord(b"k", b"a" * 2_000_000, 0),)
    writer.commit({})
    assert values(broker, topic, 3) == ["é".encode(), None, b"a"]


def test_refusals_say_what_is_wrong(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic()
    writer = writing(broker, unique("id"))
    with pytest.raises(UnknownTopicError, match="topic 'nope'"):
        writer.append("nope", 0, columns(b"a"))
    with pytest.raises(UnknownTopicError, match="partition 1 of topic"):
        writer.append(topic, 1, columns(b"a"))
    with pytest.raises(
        ProductionError, match=r"max\.message\.bytes is 1048588 and max\.request\.size is 1048576"
    ):
        writer.append(topic, 0, columns(b"a" * 2_000_000))
    writer.append(topic, 0, columns(b"fine"))
    writer.commit({})
    writer.close()
    with pytest.raises(StateError):
        writer.append(topic, 0, columns(b"a"))


def test_records_that_the_broker_refuses_are_named(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic()
    writer = writing(broker, unique("id"))
    late = int(time.time() * 1000) + 3 * 3_600_000
    records = Columns()
    for value, timestamp in ((b"a", 0), (b"b", late), (b"c", 1), (b"d", late)):
        records.append(b"key", value, timestamp, ())
    writer.append(topic, 0, records)
    with pytest.raises(RecordsRefusedError, match=r"cannot write 2 records .*INVALID_TIMESTAMP") as refused:
        writer.commit({})
    assert refused.value.records == (RawRecord(b"key", b"b", late), RawRecord(b"key", b"d", late))
    writer.abort()
    writer.append(topic, 0, columns(b"fine"))
    writer.commit({})
    assert values(broker, topic, 1) == [b"fine"]


def test_batches_that_the_broker_finds_too_large_are_cut_smaller_afterwards(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    topic = new_topic(config={"max.message.bytes": "20000"})  # which the writer is not told here
    writer = writing(broker, unique("id"))
    for _ in range(8):
        writer.append(topic, 0, columns(*[b"%03d" % number * 100 for number in range(100)]))
        try:
            writer.commit({})
            break
        except TransactionAbortedError:
            writer.abort()
    assert len(values(broker, topic, 100)) == 100


def test_deleted_topic_fails_the_commit(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], writing: NewWriter
) -> None:
    gone, other = new_topic(), new_topic()
    writer = writing(broker, unique("id"))
    writer.append(other, 0, columns(b"a"))
    writer.append(gone, 0, columns(b"a"))
    broker.delete_topic(gone)
    with pytest.raises(UnknownTopicError, match=gone):
        writer.commit({})
    writer.abort()
    assert values(broker, other) == []


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_are_read_by_java(
    broker: LocalKafka,
    new_topic: NewTopic,
    unique: Callable[[str], str],
    writing: NewWriter,
    compression: str,
) -> None:
    topic = new_topic()
    writer = writing(broker, unique("id"), compression_type=compression)
    writer.append(topic, 0, columns(*[b"value"] * 100))
    assert writer.commit({}) == {TopicPartition(topic, 0): 100}
    assert values(broker, topic, 100) == [b"value"] * 100
