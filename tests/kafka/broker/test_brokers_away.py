"""What an application that is served tells while its brokers are away: since when, and of what it cannot be sure."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import StoreUnavailableError
from headrace.server import Server
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.proxy import Proxy
from tests.kafka.conftest import NewTopic
from tests.server.conftest import ask
from tests.streams.waiting import until

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]

COUNTS = stores.key_value("counts", key=str, value=int)


@pytest.fixture
def streams(proxied: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path) -> Iterator[hr.Streams]:
    """An application that has counted two records, and has nothing left."""
    source = new_topic(kafka=proxied)
    proxied.produce_with_java(source, [JavaRecord(b"k", b"a"), JavaRecord(b"k", b"b")])
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic(source, value=str)).group_by_key().count(store=COUNTS)
    config = Config(
        application_id=unique("app"),
        bootstrap_servers=proxied.bootstrap_servers,
        state_dir=str(tmp_path),
        commit_interval_ms=50,
        properties={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 200},
    )
    with hr.Streams(builder.build(), config) as found:
        found.wait_running("30s")
        until(lambda: found.query(COUNTS).get("k") == 2)
        yield found


@contextmanager
def _away(proxy: Proxy, streams: hr.Streams) -> Iterator[None]:
    with proxy.refusing():
        proxy.cut_connections()
        until(lambda: streams.trouble is not None)
        yield


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _asked(url: str, target: str) -> tuple[float, int, Any]:
    began = time.monotonic()
    answer = ask(url, target)
    return time.monotonic() - began, answer.status, answer.body


def test_lag_that_was_counted_before_is_told_at_once_with_its_time(streams: hr.Streams, proxy: Proxy) -> None:
    with Server(streams) as server:
        until(lambda: ask(server.url, "/lag").body.get("records") == 0)
        assert ask(server.url, "/lag").body["waits_for"] is None
        with _away(proxy, streams):
            gone_at = _now_ms()
            until(lambda: ask(server.url, "/lag").body["waits_for"] is not None)
            took, status, found = _asked(server.url, "/lag")
            assert (took < 1, status, found["records"]) == (True, 200, 0)
            assert proxy.address in found["waits_for"]
            assert found["counted_at"] < gone_at
            overview = ask(server.url, "/overview").body
            assert overview["lag_as_of"] < gone_at
            assert proxy.address in overview["waits_for"]
        until(lambda: ask(server.url, "/lag").body["waits_for"] is None)
        assert ask(server.url, "/lag").body["counted_at"] > gone_at


def test_lag_that_was_never_counted_is_refused_soon_and_says_why(streams: hr.Streams, proxy: Proxy) -> None:
    with Server(streams) as server, _away(proxy, streams):
        took, status, found = _asked(server.url, "/lag")
        assert (took < 6, status) == (True, 503)
        assert found["error"].startswith("what is left cannot be counted now: ")
        assert proxy.address in found["error"]


def test_who_cannot_be_answered_is_told_that_brokers_are_away(streams: hr.Streams, proxy: Proxy) -> None:
    def refusal() -> str:
        try:
            streams.query(COUNTS, timeout="100ms").get("k")
        except StoreUnavailableError as error:
            return str(error)
        return ""

    with _away(proxy, streams):
        until(lambda: refusal() != "")
        assert "s older than it is to be; this instance is running: waits: " in refusal()
        assert proxy.address in refusal()
