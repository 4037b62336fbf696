"""Mistakes that show while an application runs: what its handlers are told, and how it ends."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.port import CommittedOffset
from headrace.processor.handlers import Failure, Reaction
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]


def test_record_that_is_too_large_goes_to_the_production_handler(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path
) -> None:
    source, target = new_topic(), new_topic(2, {"max.message.bytes": "20000"})
    broker.produce_with_java(
        source, [JavaRecord(b"k", b"a"), JavaRecord(b"k", b"v" * 30_000), JavaRecord(b"k", b"b")]
    )
    failures: list[Failure] = []

    def handle(failure: Failure) -> Reaction:
        failures.append(failure)
        return Reaction.resume

    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic(source, key=bytes, value=bytes)).to(hr.Topic(target, key=bytes, value=bytes))
    config = Config(
        application_id=unique("app"),
        bootstrap_servers=broker.bootstrap_servers,
        state_dir=str(tmp_path),
        production_exception_handler=handle,
    )
    with hr.Streams(builder.build(), config):
        written = broker.consume_with_java(target, count=2)
    assert [record.value for record in written] == [b"a", b"b"]
    (failure,) = failures
    assert (failure.stage, failure.topic, failure.offset) == ("produce", source, 1)
    assert str(failure.error) == (
        f"cannot write a record to partition {written[0].partition} of topic '{target}': it has 30,083 bytes, and the "
        f"topic takes 20,000. Raise max.request.size and the topic's max.message.bytes, or store large objects "
        f"elsewhere and a reference in the topic"
    )


@contextmanager
def _member(kafka: LocalKafka, group: str, topic: str) -> Iterator[None]:
    """Let somebody live in a group, as Java's applications do."""
    from kafka import KafkaConsumer

    joined, ended = threading.Event(), threading.Event()

    def live() -> None:
        consumer = KafkaConsumer(topic, bootstrap_servers=kafka.bootstrap_servers, group_id=group)
        while not ended.is_set():
            consumer.poll(50)
            if consumer.assignment():
                joined.set()
        consumer.close()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        assert joined.wait(60)
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    properties = broker.client_properties
    log = KafkaLog(ConnectionSettings.of(properties), KafkaOptions.of(properties))
    yield log
    log.close()


def test_group_of_other_members_is_not_joined(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path
) -> None:
    topic, group = new_topic(), unique("group")
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic(topic, value=str)).foreach(lambda key, value: None)
    streams = hr.Streams(
        builder.build(),
        application_id=group,
        bootstrap_servers=broker.bootstrap_servers,
        state_dir=str(tmp_path),
    )
    with _member(broker, group, topic):
        streams.start()
        with pytest.raises(LogError) as refused:
            streams.wait("90s")
    assert str(refused.value) == (
        f"cannot join group '{group}': INCONSISTENT_GROUP_PROTOCOL; the group has members of another kind: Kafka "
        "Streams or headrace with the other group.protocol, a consumer with this group.id, or an earlier headrace. "
        "Stop them first, or choose another application.id"
    )


def test_member_that_joins_later_ends_an_application_at_least_once(
    broker: LocalKafka, log: KafkaLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic, group = new_topic(), unique("group")
    writer = log.writer(group)
    columns = Columns()
    columns.append(b"k", b"v", 0, ())
    with _member(broker, group, topic):
        writer.append(topic, 0, columns)
        with pytest.raises(LogError) as refused:
            writer.commit({TopicPartition(topic, 0): CommittedOffset(1)})
    writer.close()
    assert type(refused.value) is LogError
    assert f"cannot commit offsets of group '{group}'" in str(refused.value)
    assert "the group has other members" in str(refused.value)
