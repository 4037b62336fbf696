"""An application whose brokers are away: it says so, stops soon when it is told to, and loses nothing by that."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import headrace as hr
from headrace.streams.config import Config, Layer
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.proxy import Proxy
from tests.kafka.conftest import NewTopic
from tests.kafka.net.servers import closed_port

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]
NewStreams = Callable[..., hr.Streams]


@pytest.fixture
def new_streams(tmp_path: Path) -> Iterator[NewStreams]:
    """Make applications that copy a topic to another."""
    made: list[hr.Streams] = []

    def make(servers: str, name: str, source: str, target: str, **fields: object) -> hr.Streams:
        builder = hr.StreamsBuilder()
        builder.stream(hr.Topic(source, value=str)).to(hr.Topic(target, value=str))
        config = Config(application_id=name, bootstrap_servers=servers, state_dir=str(tmp_path))
        named = {field.replace("_", "."): value for field, value in fields.items()}
        made.append(hr.Streams(builder.build(), config.with_values(named, Layer.CODE)))
        return made[-1]

    yield make
    for streams in made:
        streams.close()


@contextmanager
def _away(proxy: Proxy) -> Iterator[None]:
    with proxy.refusing():
        proxy.cut_connections()
        yield


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _close(streams: hr.Streams) -> float:
    began = time.monotonic()
    streams.close()
    streams.wait()
    return time.monotonic() - began


def _values(kafka: LocalKafka, topic: str, count: int) -> list[bytes | None]:
    return [record.value for record in kafka.consume_with_java(topic, count=count)]


@pytest.mark.parametrize("outage", [_away, Proxy.silent], ids=["refused", "silent"])
def test_application_whose_broker_is_away_stops_soon_and_the_next_start_does_the_rest(
    proxied: LocalKafka,
    proxy: Proxy,
    new_topic: NewTopic,
    unique: Unique,
    new_streams: NewStreams,
    caplog: pytest.LogCaptureFixture,
    outage: Callable[[Proxy], AbstractContextManager[None]],
) -> None:
    source, target, name = new_topic(kafka=proxied), new_topic(kafka=proxied), unique("app")
    proxied.produce_with_java(source, [JavaRecord(value=b"a"), JavaRecord(value=b"b")])
    streams = new_streams(proxied.bootstrap_servers, name, source, target, commit_interval_ms=9_000)
    streams.start()
    _wait_until(lambda: (status := streams.status()) is not None and status.records == 2)
    with outage(proxy):
        assert _close(streams) < 10
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "headrace.worker"]
    assert warning.startswith("stopped without a last commit: cannot ")
    assert warning.endswith("Nothing is lost: the next start does again what was not committed")
    assert streams.state == "not_running"
    again = new_streams(proxied.bootstrap_servers, name, source, target)
    again.start()
    assert _values(proxied, target, 2) == [b"a", b"b"]
    assert _close(again) < 5


def test_application_says_what_it_waits_for_and_goes_on_when_it_is_there(
    proxied: LocalKafka,
    proxy: Proxy,
    new_topic: NewTopic,
    unique: Unique,
    new_streams: NewStreams,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headrace.brokers")
    source, target = new_topic(kafka=proxied), new_topic(kafka=proxied)
    streams = new_streams(proxied.bootstrap_servers, unique("app"), source, target)
    streams.start()
    streams.wait_running("15s")
    assert not streams.trouble
    with _away(proxy):
        _wait_until(lambda: proxy.address in (streams.trouble or ""))
        proxied.produce_with_java(source, [JavaRecord(value=b"a")])
    assert _values(proxied, target, 1) == [b"a"]
    _wait_until(lambda: not streams.trouble)
    told = [record.getMessage() for record in caplog.records if record.name == "headrace.brokers"]
    first = re.match("(.+) waits: ", told[0])  # reading, or a heartbeat that was sooner
    assert first
    assert any(each.startswith(f"{first[1]} goes on, after ") for each in told)
    assert f"broker 0 at {proxy.address}" in told[0]
    assert _close(streams) < 5


def test_application_that_never_met_its_broker_stops_soon(
    unique: Unique, new_streams: NewStreams, caplog: pytest.LogCaptureFixture
) -> None:
    address = closed_port()
    streams = new_streams(address, unique("app"), "in", "out")
    streams.start()
    _wait_until(lambda: streams.trouble is not None)
    assert streams.trouble == (
        f"bootstrap server {address}: it cannot be connected to (Connection refused); check bootstrap.servers"
    )
    assert _close(streams) < 8
    assert "stopped without a last commit: cannot connect to the Kafka cluster" in caplog.text
