"""Topics of a cluster that change while an application runs: partitions added, topics that come and go."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

import headrace as hr
from headrace import stores
from headrace.base.errors import LogError, UnknownTopicError
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.conftest import Guarantee, NewStreams, Unique
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

SEEN = stores.key_value("seen", key=str, value=int)


def _grow(broker: LocalKafka, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_partitions([NewPartitions(topic, partitions)])[topic].result()


def _copying(source: str | hr.Pattern, target: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(source, key=str, value=str).to(hr.Topic(target, value=str))
    return builder.build()


def _written(broker: LocalKafka, topic: str, count: int) -> list[bytes | None]:
    return sorted((record.key for record in broker.consume_with_java(topic, count=count)), key=repr)


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_partitions_added_to_a_source_are_read(
    guarantee: Guarantee, broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    source, target = new_topic(1), new_topic(1)
    with new_streams(_copying(source, target), unique("app"), guarantee) as streams:
        broker.produce_with_java(source, [JavaRecord(b"a", b"v", partition=0)])
        streams.wait_running("20s")
        _grow(broker, source, 3)
        _until(lambda: (found := streams.status()) is not None and len(found.tasks) == 3)
        broker.produce_with_java(
            source, [JavaRecord(b"b", b"v"), JavaRecord(b"c", b"v"), JavaRecord(b"d", b"v")]
        )
        assert _written(broker, target, 4) == [b"a", b"b", b"c", b"d"]
    assert _written(broker, target, 4) == [b"a", b"b", b"c", b"d"]


def test_partitions_added_to_a_sink_are_written_to(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    source, target = new_topic(1), new_topic(1)
    streams = new_streams(_copying(source, target), unique("app"))
    states: list[str] = []
    streams.on_state_change(lambda new, old: states.append(new))
    with streams:
        streams.wait_running("20s")
        _grow(broker, target, 3)
        _until(lambda: states == ["rebalancing", "running", "rebalancing", "running"])
        broker.produce_with_java(source, [JavaRecord(b"k%d" % number, b"v") for number in range(40)])
        found = broker.consume_with_java(target, count=40)
    assert {record.partition for record in found} == {0, 1, 2}


def test_topic_that_newly_matches_a_pattern_is_read_and_may_go_again(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    name, target = unique("matched"), new_topic(1)
    broker.create_topic(f"{name}-1")
    with new_streams(_copying(hr.Pattern(f"{name}-."), target), unique("app")) as streams:
        streams.wait_running("20s")
        broker.create_topic(f"{name}-2", 2)
        broker.produce_with_java(f"{name}-2", [JavaRecord(b"a", b"v")])
        assert _written(broker, target, 1) == [b"a"]
        broker.delete_topic(f"{name}-2")
        _until(lambda: (found := streams.status()) is not None and len(found.tasks) == 1)
        broker.produce_with_java(f"{name}-1", [JavaRecord(b"b", b"v")])
        assert _written(broker, target, 2) == [b"a", b"b"]


def test_source_that_is_deleted_ends_the_application_with_the_reason(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    source = new_topic()
    streams = new_streams(_copying(source, new_topic()), unique("app"))
    streams.start()
    streams.wait_running("20s")
    broker.delete_topic(source)
    with pytest.raises(UnknownTopicError, match=f"topic '{source}' .* was deleted while the application ran"):
        streams.wait("20s")


def test_source_of_a_store_that_has_grown_stops_the_application_before_and_after_a_restart(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    source, name = new_topic(1), unique("app")

    def counting() -> hr.Topology:
        builder = hr.StreamsBuilder()
        builder.stream(source, key=str, value=str).group_by_key().count(store=SEEN)
        return builder.build()

    first = new_streams(counting(), name)
    first.start()
    first.wait_running("20s")
    _grow(broker, source, 2)
    for streams in (first, new_streams(counting(), name)):
        if streams is not first:
            streams.start()
        with pytest.raises(LogError, match=f"changelog '{name}-seen-changelog' has 1, and holds state"):
            streams.wait("20s")
