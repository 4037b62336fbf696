"""Changes as they are committed: from the program, and as server-sent events, until somebody ends them."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.errors import StoreUnavailableError
from headrace.log.embedded import EmbeddedLog
from headrace.query import changes as changes_module
from headrace.server import Server, streaming
from tests.server.conftest import COUNTS, LAST, MINUTES, VISITS, application
from tests.streams.waiting import until


class Events:
    """A client of server-sent events."""

    def __init__(self, url: str, target: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=15)
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        self._text = b""

    def until(self, words: bytes) -> bytes:
        """Read until these words have come; b"" ends it."""
        while words not in self._text:
            part = self.socket.recv(65536)
            if not part:
                break
            self._text += part
        before, _, self._text = self._text.partition(words)
        return before

    def next(self) -> object:
        self.until(b"event: change\ndata: ")
        return json.loads(self.until(b"\n\n"))


class Live:
    """An application that runs and is served, and is given more."""

    def __init__(self, directory: Path, streams: hr.Streams, server: Server) -> None:
        self.directory = directory
        self.streams = streams
        self.server = server
        self.clients: list[Events] = []

    def events(self, target: str) -> Events:
        self.clients.append(Events(self.server.url, target))
        return self.clients[-1]

    def click(self, user: str, second: int) -> None:
        self._write("clicks", user, b"/", second)

    def turn(self, page: str, text: str, second: int) -> None:
        self._write("pages", page, text.encode(), second)

    def _write(self, topic: str, key: str, value: bytes, second: int) -> None:
        log = EmbeddedLog.open(self.directory / "shop.db")
        writer = log.writer("test")
        columns = Columns()
        columns.append(key.encode(), value, second * 1000, ())
        writer.append(topic, 0, columns)
        writer.commit({})
        writer.close()
        log.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    streams = application(tmp_path)
    with streams, Server(streams) as server:
        streams.wait_running("30s")
        until(lambda: sum(count for _, count in streams.query(COUNTS, committed=True).all()) == 60)
        until(lambda: streams.query(LAST, committed=True).get("home") == ("three", 120_000))
        found = Live(tmp_path, streams, server)
        yield found
        for client in found.clients:
            client.socket.close()


def test_changes_of_a_key_come_as_they_are_committed(live: Live) -> None:
    with live.streams.watch(COUNTS, "a") as changes:
        live.click("c", 200)
        live.click("a", 201)
        assert next(changes) == hr.Change("a", 13, 201_000)
        live.click("a", 202)
        assert next(changes) == hr.Change("a", 14, 202_000)


def test_changes_of_all_keys_come_without_one(live: Live) -> None:
    with live.streams.watch(COUNTS) as changes:
        live.click("a", 200)
        live.click("c", 201)
        assert [(change.key, change.value) for change in (next(changes), next(changes))] == [
            ("a", 13),
            ("c", 13),
        ]


def test_changes_of_windows_sessions_and_versions(live: Live) -> None:
    with (
        live.streams.watch(MINUTES, "a") as windows,
        live.streams.watch(VISITS, "a") as sessions,
        live.streams.watch(LAST, "home") as versions,
    ):
        live.click("a", 200)
        assert next(windows) == hr.Change(hr.Windowed("a", hr.Window(180_000, 240_000)), 1, 200_000)
        assert next(sessions) == hr.Change(hr.Windowed("a", hr.Window(200_000, 200_000)), 1, 200_000)
        live.turn("home", "four", 210)
        assert next(versions) == hr.Change("home", "four", 210_000)


def test_changes_end_when_they_are_closed_and_with_the_application(live: Live) -> None:
    closed, open_ = live.streams.watch(COUNTS, "a"), live.streams.watch(COUNTS, "a")
    closed.close()
    assert list(closed) == []
    found: list[hr.Change] = []
    thread = threading.Thread(target=lambda: found.extend(open_))
    thread.start()
    live.streams.close()
    thread.join(10)
    assert not thread.is_alive()
    assert found == []
    with pytest.raises(StoreUnavailableError, match="is not_running"):
        live.streams.watch(COUNTS)


def test_who_does_not_take_changes_is_told_that_some_were_missed(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "_WAITING_MAX", 1)
    monkeypatch.setattr(changes_module, "_ROOM_SECONDS", 0)
    with live.streams.watch(COUNTS) as changes:
        live.click("a", 200)
        until(lambda: live.streams.query(COUNTS, committed=True).get("a") == 13)
        live.click("a", 201)
        until(lambda: changes.is_over)
        assert next(changes).value == 13
        with pytest.raises(StoreUnavailableError, match="more than 1 changes wait to be taken"):
            next(changes)


def test_key_of_another_type_is_refused(live: Live) -> None:
    with pytest.raises(hr.SerializationError, match="cannot serialize a key for store 'counts'"):
        live.streams.watch(COUNTS, 5)


def test_changes_come_as_events(live: Live) -> None:
    events = live.events("/stores/counts/watch?key=a")
    assert b"text/event-stream" in events.until(b": changes from now on\n\n")
    live.click("a", 200)
    assert events.next() == {"key": "a", "value": 13, "timestamp": 200_000}
    windows = live.events("/stores/minutes/watch")
    windows.until(b": changes from now on\n\n")
    live.click("c", 241)
    assert windows.next() == {
        "key": "c",
        "start": 240_000,
        "end": 300_000,
        "value": 1,
        "timestamp": 241_000,
    }
    events.socket.close()
    until(lambda: len(live.server._streaming._open) == 1)  # who has left is not watched for any more
    windows.socket.close()
    until(lambda: not live.server._streaming._open)


def test_stream_says_that_it_is_alive(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_ALIVE_SECONDS", 0.05)
    events = live.events("/stores/counts/watch")
    events.until(b": alive\n\n")


def test_streams_that_are_open_hold_up_no_end(live: Live) -> None:
    events = live.events("/stores/counts/watch")
    events.until(b": changes from now on\n\n")
    began = time.monotonic()
    live.server.close()
    assert time.monotonic() - began < 3
    assert events.until(b"never").endswith(b"0\r\n\r\n")


def test_stream_ends_with_the_application(live: Live) -> None:
    events = live.events("/stores/counts/watch")
    events.until(b": changes from now on\n\n")
    live.streams.close()
    events.until(b"0\r\n\r\n")


def test_more_streams_than_there_may_be_are_refused(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_STREAMS_MAX", 1)
    first = live.events("/stores/counts/watch")
    first.until(b": changes from now on\n\n")
    second = live.events("/stores/counts/watch")
    assert b"503" in second.until(b"there are 1 streams already")
