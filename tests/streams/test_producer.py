"""`Producer`: what it writes, where, and what is left of a call that fails. On a file, and on a broker."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.log.port import Log
from headrace.streams.logs import open_log
from headrace.testing import LocalKafka
from tests.streams.waiting import until


@dataclass
class Order:
    item: str
    cents: int


Found = tuple[bytes | None, bytes | None, int, hr.Headers]


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> hr.Config:
    if request.param == "embedded":
        return hr.Config(embedded_path=str(tmp_path / "log.db"))
    kafka: LocalKafka = request.getfixturevalue("local_kafka")
    return hr.Config(bootstrap_servers=kafka.bootstrap_servers)


@pytest.fixture
def producer(config: hr.Config) -> Iterator[hr.Producer]:
    with hr.Producer(config) as made:
        yield made


@pytest.fixture
def log(config: hr.Config) -> Iterator[Log]:
    opened = open_log(config)
    yield opened
    opened.close()


@pytest.fixture
def orders(request: pytest.FixtureRequest, config: hr.Config) -> hr.Topic[str, Order]:
    """A topic of three partitions, which a cluster has to have before."""
    name = f"orders-of-{abs(hash(request.node.nodeid))}"
    if config.is_set("bootstrap.servers"):
        request.getfixturevalue("local_kafka").create_topic(name, 3)
    return hr.Topic(name, value=Order, partitions=3)


def found(log: Log, topic: hr.Topic[str, Order]) -> dict[int, list[Found]]:
    """All committed records of a topic, by partition."""
    rows: dict[int, list[Found]] = {}
    for number in range(log.topics([topic.name])[topic.name].partitions):
        partition = TopicPartition(topic.name, number)
        end = log.end_offsets([partition])[partition]
        reader = log.reader()
        reader.assign({partition: 0})
        while reader.position(partition) < end:
            for chunk in reader.poll(1000):
                headers = chunk.headers or [()] * len(chunk)
                rows.setdefault(number, []).extend(
                    zip(chunk.keys, chunk.values, chunk.timestamps, map(tuple, headers))
                )
        reader.close()
    return rows


def test_record_is_there_when_send_returns_where_its_key_leads(
    producer: hr.Producer, log: Log, orders: hr.Topic[str, Order]
) -> None:
    producer.send(orders, "17", Order("tea", 300), timestamp=5, headers=(("trace", b"1"),))
    assert found(log, orders) == {
        partition_for(b"17", 3): [(b"17", b'{"item":"tea","cents":300}', 5, (("trace", b"1"),))]
    }


def test_records_of_a_key_keep_their_order_and_null_is_written(
    producer: hr.Producer, log: Log, orders: hr.Topic[str, Order]
) -> None:
    rows: list[hr.Record[str, Order]] = [hr.Record("17", Order("tea", cents), cents) for cents in range(1000)]
    producer.send_all(orders, rows)
    producer.send(orders, "17", None, timestamp=1000)
    producer.send_all(orders, [])
    [written] = found(log, orders).values()
    assert [timestamp for _, _, timestamp, _ in written] == list(range(1001))
    assert written[-1] == (b"17", None, 1000, ())


def test_records_without_a_key_take_turns(
    producer: hr.Producer, log: Log, orders: hr.Topic[str, Order]
) -> None:
    for cents in range(6):
        producer.send(orders, None, Order("tea", cents))
    assert sorted(map(len, found(log, orders).values())) == [2, 2, 2]


def test_call_that_fails_writes_nothing_and_the_next_one_goes_on(
    producer: hr.Producer, log: Log, orders: hr.Topic[str, Order]
) -> None:
    producer.send(orders, "a", Order("tea", 1), timestamp=1)
    good: hr.Record[str, Order] = hr.Record("b", Order("cup", 2), 2)
    bad: hr.Record[str, Order] = hr.Record("c", "no order", 3)  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(hr.SerializationError):
        producer.send_all(orders, [good, bad])
    with pytest.raises(ValueError, match="negative timestamp"):
        producer.send(orders, "d", Order("pot", 4), timestamp=-1)
    producer.send(orders, "e", Order("jug", 5), timestamp=5)
    assert {key for rows in found(log, orders).values() for key, _, _, _ in rows} == {b"a", b"e"}


def test_threads_share_it(producer: hr.Producer, log: Log, orders: hr.Topic[str, Order]) -> None:
    def work(number: int) -> None:
        for cents in range(20):
            producer.send(orders, str(number), Order("tea", cents), timestamp=cents)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times: dict[bytes | None, list[int]] = {}
    for rows in found(log, orders).values():
        for key, _, timestamp, _ in rows:
            times.setdefault(key, []).append(timestamp)
    assert times == {str(number).encode(): list(range(20)) for number in range(4)}


@pytest.mark.broker
def test_topic_that_a_cluster_lacks_is_an_error_that_names_it(local_kafka: LocalKafka) -> None:
    with (
        hr.Producer(bootstrap_servers=local_kafka.bootstrap_servers) as producer,
        pytest.raises(hr.UnknownTopicError, match="headrace topics create no-such-topic"),
    ):
        producer.send(hr.Topic("no-such-topic", value=str), "k", "v")


def test_closed_one_refuses_and_closing_twice_is_fine(tmp_path: Path) -> None:
    producer = hr.Producer(embedded_path=str(tmp_path / "log.db"))
    producer.send(hr.Topic("lines", value=str), "k", "v")
    producer.close()
    producer.close()
    with pytest.raises(hr.StateError, match="the producer is closed"):
        producer.send(hr.Topic("lines", value=str), "k", "v")


def test_log_and_topic_are_wanted() -> None:
    with pytest.raises(hr.ConfigError, match="no log is named"):
        hr.Producer()
    with pytest.raises(hr.TopologyError, match="writes to a Topic, found a str"):
        hr.Producer(embedded_path="x.db").send("lines", "k", "v")  # type: ignore[arg-type]  # that is the mistake


def test_application_reads_what_is_sent_beside_it(tmp_path: Path) -> None:
    lines, lengths = hr.Topic("lines", value=str), hr.Topic("lengths", value=int)
    builder = hr.StreamsBuilder()
    builder.stream(lines).map_values(len, value=int).to(lengths)
    path = str(tmp_path / "log.db")
    with (
        hr.Streams(
            builder.build(), application_id="lengths", embedded_path=path, state_dir=str(tmp_path)
        ) as streams,
        hr.Producer(embedded_path=path) as producer,
    ):
        streams.wait_running("30s")
        producer.send(lines, "a", "tea")
        log = open_log(hr.Config(embedded_path=path))
        partition = TopicPartition("lengths", 0)
        until(lambda: log.end_offsets([partition]) == {partition: 1})
        log.close()
