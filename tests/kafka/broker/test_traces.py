"""A trace that another client begins goes on over a broker: to a repartition topic, and to who reads the output."""

from collections.abc import Callable
from pathlib import Path

import confluent_kafka
import pytest

import headrace as hr
from headrace.testing import LocalKafka
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_a_trace_of_another_client_goes_through(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str], tmp_path: Path, guarantee: str
) -> None:
    lines, counted, name = new_topic(), new_topic(), unique("counting")
    builder = hr.StreamsBuilder()
    words = builder.stream(hr.Topic(lines, value=str)).group_by(lambda key, word: word, key=str)
    words.count(store="counts").to_stream().to(counted, value=int)
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(lines, b"word", b"k", headers=[("traceparent", TRACEPARENT), ("mine", b"1")])
    producer.flush()
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": unique("reader"),
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    with hr.Streams(
        builder.build(),
        application_id=name,
        bootstrap_servers=broker.bootstrap_servers,
        state_dir=str(tmp_path),
        commit_interval_ms=50,
        tracing_enabled=True,
        properties={"processing.guarantee": guarantee},
    ):
        consumer.subscribe([counted])
        found = consumer.poll(60)
    consumer.close()
    assert found is not None
    assert found.error() is None
    headers = dict(found.headers() or [])
    assert headers["mine"] == b"1"
    traceparent = headers["traceparent"]
    assert isinstance(traceparent, bytes)
    assert traceparent.decode().split("-")[1] == TRACE
