"""A small application of every kind of store on an embedded log, served, and ways to ask it."""

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.server import Server
from tests.server import orders
from tests.streams.waiting import until

COUNTS = stores.key_value("counts", key=str, value=int)
MINUTES = stores.window("minutes", key=str, value=int, retention="1h")
VISITS = stores.session("visits", key=str, value=int)
LAST = stores.versioned("last", key=str, value=str, history="1h")
NUMBERS = stores.key_value("numbers", key=int, value=hr.json(dict[str, float]))


def topology() -> hr.Topology:
    """Count clicks, by user, in four kinds of stores; and keep numbers by number."""
    builder = hr.StreamsBuilder()
    clicks = builder.stream(hr.Topic("clicks", value=str, partitions=2))
    grouped = clicks.group_by_key()
    grouped.count(store=COUNTS)
    grouped.windowed_by(hr.TimeWindows("1m", grace="0s")).count(store=MINUTES)
    grouped.windowed_by(hr.SessionWindows("30s", grace="0s")).count(store=VISITS)
    builder.table(hr.Topic("pages", value=str, partitions=2), store=LAST)
    builder.table(hr.Topic("figures", key=int, value=hr.json(dict[str, float]), partitions=1), store=NUMBERS)
    return builder.build()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers in lower case, and the document, or text of another kind."""

    status: int
    headers: dict[str, str]
    body: Any


Ask = Callable[..., Answer]


def ask(url: str, target: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    """Ask a server."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request(method, target, headers=headers or {})
        response = connection.getresponse()
        data = response.read()
        given = {name.lower(): value for name, value in response.getheaders()}
        is_json = given.get("content-type") == "application/json" and data
        return Answer(response.status, given, json.loads(data) if is_json else data.decode())
    finally:
        connection.close()


def fill(path: Path) -> None:
    """Write the input: users a to e click once a second each, for two minutes; then one page changes twice."""
    log = EmbeddedLog.open(path)
    log.create_topics([TopicSpec("clicks", 2), TopicSpec("pages", 2), TopicSpec("figures", 1)])
    writer = log.writer("test")
    for partition, users in enumerate(("ace", "bd")):
        columns = Columns()
        for second in range(0, 120, 10):
            for user in users:
                columns.append(user.encode(), b"/", second * 1000, ())
        writer.append("clicks", partition, columns)
    pages = Columns()
    for minute, text in enumerate(("one", "two", "three")):
        pages.append(b"home", text.encode(), minute * 60_000, ())
    writer.append("pages", 0, pages)
    figures = Columns()
    for number in range(20):
        figures.append(number.to_bytes(8, "big"), json.dumps({"half": number / 2}).encode(), 0, ())
    writer.append("figures", 0, figures)
    writer.commit({})
    writer.close()
    log.close()


@dataclass(frozen=True, slots=True)
class Served:
    """An application that is served."""

    streams: hr.Streams
    url: str

    def ask(self, target: str, **how: Any) -> Answer:
        """Ask it."""
        return ask(self.url, target, **how)


def application(directory: Path, **properties: object) -> hr.Streams:
    """Make the application, with its input, not started."""
    fill(directory / "shop.db")
    return hr.Streams(
        topology(),
        application_id="shop",
        embedded_path=str(directory / "shop.db"),
        state_dir=str(directory / "state"),
        commit_interval_ms=20,
        properties=properties,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The application, running, with all of its input processed."""
    streams = application(tmp_path_factory.mktemp("shop"))
    with streams, Server(streams) as server:
        streams.wait_running("30s")
        until(lambda: streams.query(NUMBERS).get(19) is not None)
        until(lambda: streams.query(LAST).get("home") == ("three", 120_000))
        until(lambda: sum(count for _, count in streams.query(COUNTS).all()) == 60)
        until(lambda: {("clicks", 0): 36, ("clicks", 1): 24}.items() <= set(streams.position(COUNTS).items()))
        yield Served(streams, server.url)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another application, with windows, dropped records and dead letters: all is processed, and nothing moves."""
    directory = tmp_path_factory.mktemp("orders")
    streams = orders.application(directory)
    orders.write(directory, [*orders.orders(0, 400), *orders.faulty(41)])
    with streams, Server(streams) as server:
        streams.wait_running("30s")
        orders.settled(streams, 404 + 343)
        yield Served(streams, server.url)
