"""Global tables on a cluster: all partitions are read, committed data alone, and topics may grow or be made anew."""

import logging
import time
from collections.abc import Callable, Mapping

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

import headrace as hr
from headrace import stores
from headrace.base.errors import StoreUnavailableError, UnknownTopicError
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.conftest import Guarantee, NewStreams, Unique
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

KEPT = stores.key_value("kept", key=str, value=str)


def joining(rows: str, orders: str, out: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    table = builder.global_table(rows, value=str, store=KEPT)
    stream = builder.stream(orders, value=str)
    stream.left_join(table, lambda order, row: f"{order}={row}", on=lambda key, order: order, value=str).to(
        out
    )
    return builder.build()


def holding(rows: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.global_table(rows, value=str, store=KEPT)
    return builder.build()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept(streams: hr.Streams) -> Mapping[str, str]:
    try:
        return dict(streams.query(KEPT).all())
    except StoreUnavailableError:
        return {}


@pytest.mark.older_kafka
@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_all_partitions_are_read_before_anything_is_joined_and_then_followed(
    guarantee: Guarantee, broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    rows, orders, out = new_topic(3, {"cleanup.policy": "compact"}), new_topic(2), new_topic(1)
    broker.produce_with_java(rows, [JavaRecord(b"%d" % number, b"v%d" % number) for number in range(50)])
    broker.produce_with_java(orders, [JavaRecord(b"o%d" % number, b"%d" % number) for number in range(50)])
    topology = joining(rows, orders, out)
    with new_streams(topology, unique("app"), guarantee) as streams:
        streams.wait_running("20s")
        found = broker.consume_with_java(out, count=50)
        assert sorted(record.value or b"" for record in found) == sorted(
            b"%d=v%d" % (n, n) for n in range(50)
        )
        broker.produce_with_java(rows, [JavaRecord(b"7", b"new"), JavaRecord(b"8", None)])
        until(lambda: kept(streams).get("7") == "new" and "8" not in kept(streams))
        broker.produce_with_java(orders, [JavaRecord(b"x", b"7"), JavaRecord(b"y", b"8")])
        found = broker.consume_with_java(out, count=52)
        assert sorted(record.value or b"" for record in found[50:]) == [b"7=new", b"8=None"]


def test_committed_data_alone_is_read_and_a_restart_reads_the_gap(
    broker: LocalKafka,
    new_topic: NewTopic,
    unique: Unique,
    new_streams: NewStreams,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows, name = new_topic(1), unique("app")
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": unique("tx")})
    producer.init_transactions()

    def write(key: str, value: str, *, commit: bool) -> None:
        producer.begin_transaction()
        producer.produce(rows, key=key.encode(), value=value.encode())
        producer.flush()
        producer.commit_transaction() if commit else producer.abort_transaction()

    write("a", "1", commit=True)
    write("a", "2", commit=False)
    with new_streams(holding(rows), name) as streams:
        streams.wait_running("20s")
        assert kept(streams) == {"a": "1"}
        write("b", "3", commit=False)
        write("c", "4", commit=True)
        until(lambda: kept(streams) == {"a": "1", "c": "4"})
    write("d", "5", commit=True)
    write("e", "6", commit=False)
    caplog.set_level(logging.INFO, "headrace.restore")
    with new_streams(holding(rows), name) as streams:
        streams.wait_running("20s")
        assert kept(streams) == {"a": "1", "c": "4", "d": "5"}
    assert "the global stores have read 1 records" in caplog.text


def test_partitions_that_are_added_are_read(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    rows = new_topic(1)
    broker.produce_with_java(rows, [JavaRecord(b"a", b"1")])
    with new_streams(holding(rows), unique("app")) as streams:
        streams.wait_running("20s")
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_partitions([NewPartitions(rows, 3)])[rows].result()
        broker.produce_with_java(rows, [JavaRecord(b"b", b"2", partition=2)])
        until(lambda: kept(streams) == {"a": "1", "b": "2"})


def test_topic_that_is_deleted_ends_the_application_and_one_made_anew_makes_the_store_anew(
    broker: LocalKafka, new_topic: NewTopic, unique: Unique, new_streams: NewStreams
) -> None:
    rows, name = new_topic(1), unique("app")
    broker.produce_with_java(rows, [JavaRecord(b"a", b"1")])
    streams = new_streams(holding(rows), name)
    streams.start()
    streams.wait_running("20s")
    broker.delete_topic(rows)
    with pytest.raises(UnknownTopicError, match=f"topic '{rows}' .* was deleted while the application ran"):
        streams.wait("20s")
    broker.create_topic(rows, 1)
    broker.produce_with_java(rows, [JavaRecord(b"b", b"2")])
    with new_streams(holding(rows), name) as streams:
        streams.wait_running("20s")
        assert kept(streams) == {"b": "2"}
