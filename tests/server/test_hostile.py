"""Requests that mean no good, or are none: each gets its refusal, and costs the others nothing."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from headrace.base.errors import ConfigError
from headrace.query.questions import Question
from headrace.server import Server, connection, serving
from tests.server.conftest import Served, application, ask

TOKEN = "a-token-of-20-bytes!"


def raw(url: str, data: bytes) -> bytes:
    """Send bytes, and return what comes until the other side closes."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as client:
        found = b""
        with suppress(ConnectionError):
            client.sendall(data)
            while part := client.recv(65536):
                found += part
                if b"\r\n\r\n" in found:
                    break
        return found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An application that needs a token, which does not run."""
    streams = application(tmp_path_factory.mktemp("shop"), **{"server.token": TOKEN})
    with Server(streams) as server:
        yield Served(streams, server.url)


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"]
)
def test_no_token_or_a_wrong_one_is_let_nowhere(guarded: Served, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    for target in ("/stores", "/stores/counts/a", "/health/ready", "/openapi.json", "/nothing", "/tasks"):
        answer = guarded.ask(target, headers=headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.ask("/health/live", headers=headers).body == {"state": "created"}


def test_the_token_opens_all(guarded: Served) -> None:
    assert guarded.ask("/stores", headers={"authorization": f"Bearer {TOKEN}"}).status == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/page/main.js", "/metrics", "/health/live", "/overview", "/stores", "/openapi.json", "/query"],
)
def test_a_newline_behind_a_path_makes_another_one(served: Served, path: str) -> None:
    method = "POST" if path == "/query" else "GET"
    assert served.ask(f"{path}%0A", method=method).status == 404


def test_page_of_another_site_cannot_ask_by_its_own_name(served: Served) -> None:
    assert served.ask("/stores", headers={"host": "evil.example:80"}).status == 421
    assert served.ask("/stores", headers={"host": "localhost:1"}).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/stores/../../etc/passwd", 404),
        ("/stores/counts/../numbers", 404),
        ("/stores/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/stores/counts/%00", 404),
        ("/stores/counts/%FF", 400),
        ("//stores", 404),
        ("/stores/", 404),
        ("/stores/counts/", 404),
        ("/stores/counts/" + "a" * 9000, 414),
        ("/stores/counts?" + "a=1&" * 100, 400),
        ("/stores/counts?from=" + "a" * 9000, 414),
        ("/page/../asgi.py", 404),
        ("/page/%2e%2e/asgi.py", 404),
        ("/page/", 404),
        ("/stores/numbers/" + "[" * 8000, 400),
        ("/stores/numbers/" + "9" * 8000, 400),
    ],
)
def test_tricks_with_paths_are_refused(served: Served, target: str, status: int) -> None:
    assert served.ask(target).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_is_written(served: Served, method: str) -> None:
    assert served.ask("/stores/counts/a", method=method).status == 405


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 1_000_000 + b"\r\n\r\n",
        os.urandom(2000) + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_served(served: Served, data: bytes) -> None:
    assert raw(served.url, data)[:10] in (b"HTTP/1.1 4", b"")  # or cut off, while it still sends
    assert served.ask("/health/live").status == 200


def test_body_that_is_too_large_is_refused(served: Served) -> None:
    head = (
        b"GET /stores HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 999999999\r\n\r\n"
    )
    assert raw(served.url, head)[:12] == b"HTTP/1.1 413"


def test_body_of_a_refused_request_is_no_question(served: Served) -> None:
    question = msgspec.msgpack.encode(Question("shop", "counts", 0, "get", b"a"))
    head = (
        "POST /query HTTP/1.1\r\nhost: {}\r\ncontent-type: application/msgpack\r\ncontent-length: {}\r\n\r\n"
    )
    hidden = head.format("localhost", len(question)).encode() + question
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as client:
        for data, status in (
            (head.format("evil.example", len(hidden)).encode(), b"HTTP/1.1 421"),
            (hidden, None),
            (b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n", b"HTTP/1.1 404"),
        ):
            client.sendall(data)
            if status is not None:
                found = b""
                while not found.endswith(b"}"):  # of its document
                    part = client.recv(65536)
                    assert part
                    found += part
                assert found[:12] == status


def test_upgrade_is_not_heeded(served: Served) -> None:
    head = b"GET /stores HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    assert raw(served.url, head)[:12] == b"HTTP/1.1 200"


def test_who_sends_slowly_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.3)
    parts = urlsplit(served.url)
    for first in (b"", b"GET /stores HTT"):
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
            client.sendall(first)
            with suppress(ConnectionResetError):
                assert client.recv(100) == b""


def test_who_does_not_take_the_answer_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_READING_SECONDS", 0.3)
    parts = urlsplit(served.url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.connect((parts.hostname, parts.port))
        client.settimeout(10)
        request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
        with pytest.raises(OSError):
            for _ in range(2000):
                client.sendall(request * 20)
                time.sleep(0.01)


def test_more_connections_than_there_are_places_take_those_of_idle_ones(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_CONNECTIONS_MAX", 8)
    with Server(served.streams) as server:
        parts = urlsplit(server.url)
        clients = [
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) for _ in range(8)
        ]
        try:
            assert [ask(server.url, "/health/live").status for _ in range(3)] == [200] * 3
            assert clients[0].recv(1) == b""  # who has waited for the longest has made room
            clients += [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(8)]
            for client in clients[8:]:
                client.settimeout(10)
                client.sendall(b"GET /stores/counts/watch HTTP/1.1\r\nhost: localhost\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 200"
            assert ask(server.url, "/health/live").status == 503
        finally:
            for client in clients:
                client.close()
        deadline = time.monotonic() + 10
        while ask(server.url, "/health/live").status != 200:
            assert time.monotonic() < deadline


def test_many_at_once_are_all_answered(served: Served) -> None:
    found: list[int] = []

    def ask_often() -> None:
        found.extend(served.ask("/stores/counts/a").status for _ in range(20))

    threads = [threading.Thread(target=ask_often) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 200


def test_closing_waits_for_nobody(served: Served) -> None:
    server = Server(served.streams)
    server.start()
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as client:
        client.sendall(b"GET /stores HTTP/1.1\r\nhost: localhost\r\n")
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 4
        assert not server.is_serving


def test_address_that_others_reach_needs_a_token_or_words(served: Served) -> None:
    for host in ("0.0.0.0", "", "::"):
        with pytest.raises(ConfigError, match="others reach it, and would read every store"):
            Server(served.streams, host)
    Server(served.streams, "0.0.0.0", is_insecure=True).close()


def test_a_server_that_answers_elsewhere_than_others_ask_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Server(application(tmp_path, **{"server.path": "/streams"})) as server:
        assert ask(server.url, "/streams/health/live").status == 404
        assert ask(server.url, "/health/live").status == 200
    [said] = [each.getMessage() for each in caplog.records if each.name == "headrace.server"]
    assert said.startswith(f"server.path is '/streams', and the server at {server.url} answers at /: ")


def test_tls_is_spoken_with_a_certificate(tmp_path: Path) -> None:
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    )
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    subprocess.run([*command.split(), *names], cwd=tmp_path, check=True, capture_output=True)
    streams = application(
        tmp_path,
        **{
            "server.ssl.certificate.location": str(tmp_path / "cert.pem"),
            "server.ssl.key.location": str(tmp_path / "key.pem"),
        },
    )
    with Server(streams) as server:
        assert server.url.startswith("https://")
        trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
            trust.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
