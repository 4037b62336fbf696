"""Answers that wait: what they hold up, and what becomes of them when the server closes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.server import Server
from tests.server.conftest import ask
from tests.streams.waiting import until

#: More than there are threads for pages.
PAGES = 45


@dataclass
class Slow(hr.Serde[str]):
    """Text that is read when somebody lets it."""

    may_read: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    __hash__ = object.__hash__

    def serialize(self, topic: str, value: str, headers: object = ()) -> bytes:
        return value.encode()

    def deserialize(self, topic: str, data: bytes, headers: object = ()) -> str:
        if (
            "-server" not in threading.current_thread().name
            and "StreamThread" not in threading.current_thread().name
        ):
            self.waiting.release()
            self.may_read.wait(60)
        return data.decode()


@dataclass
class Waiting:
    """A server, and what those who ask for its store wait for."""

    server: Server
    slow: Slow


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    slow = Slow()
    builder = hr.StreamsBuilder()
    builder.table(
        hr.Topic("texts", value=slow, partitions=1), store=stores.key_value("texts", key=str, value=slow)
    )
    log = EmbeddedLog.open(tmp_path / "log.db")
    log.create_topics([TopicSpec("texts", 1)])
    writer, columns = log.writer("test"), Columns()
    columns.append(b"k", b"v", 0, ())
    writer.append("texts", 0, columns)
    writer.commit({})
    writer.close()
    log.close()
    streams = hr.Streams(
        builder.build(),
        application_id="slow",
        embedded_path=str(tmp_path / "log.db"),
        state_dir=str(tmp_path / "state"),
        commit_interval_ms=20,
    )
    with streams, Server(streams) as server:
        streams.wait_running("30s")
        until(lambda: {("texts", 0): 1}.items() <= set(streams.position("texts").items()))
        try:
            yield Waiting(server, slow)
        finally:
            slow.may_read.set()


def test_pages_that_wait_do_not_delay_a_scrape(waiting: Waiting) -> None:
    with ThreadPoolExecutor(PAGES) as threads:
        asked = [threads.submit(ask, waiting.server.url, "/stores/texts/k") for _ in range(PAGES)]
        for _ in range(40):  # the threads that there are
            assert waiting.slow.waiting.acquire(timeout=30)
        assert ask(waiting.server.url, "/metrics").status == 200
        assert not any(each.done() for each in asked)
        waiting.slow.may_read.set()
        assert {each.result().status for each in asked} == {200}


def test_what_is_not_answered_when_the_server_closes_is_told_so(
    waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask, waiting.server.url, "/stores/texts/k")
        assert waiting.slow.waiting.acquire(timeout=30)
        waiting.server.close()
        answer = asked.result()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.body["error"].startswith("the server is closing, since its application ends: ask again")
    assert "Exception in ASGI application" not in caplog.text
