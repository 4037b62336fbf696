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
        assert joined.wait(15)
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


def test_group_with_live_members_is_not_worked_in(
    broker: LocalKafka, log: KafkaLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic, group = new_topic(), unique("group")
    with _member(broker, group, topic), pytest.raises(LogError) as refused:
        log.writer(group, unique("id"))
    assert str(refused.value) == (
        f"cannot work as group '{group}': it has live members: 1 (state Stable), such as an application of Kafka "
        f"Streams with the same application.id. Stop it, or choose another application.id; a member that was killed "
        f"counts until its session.timeout.ms is over"
    )
    log.writer(group, unique("id")).close()


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
