"""Questions that are answered from the bytes of their requests, and those that go the long way."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.query.connections import Connections
from headrace.query.questions import Answer, Question
from headrace.server import Server
from headrace.server.quick_questions import QuickQuestions
from tests.server.conftest import Served, application, ask
from tests.streams.waiting import until

TOKEN = "a-token-of-20-bytes!"
BODY = msgspec.msgpack.encode(Question("shop", "counts", 0, "get", b"a"))


def request(body: bytes = BODY, **headers: str) -> bytes:
    said = {
        "content-type": "application/msgpack",
        "host": "127.0.0.1:80",
        "content-length": str(len(body)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"POST /query HTTP/1.1\r\n{lines}\r\n".encode() + body


@pytest.fixture
def quick(served: Served) -> QuickQuestions:
    return QuickQuestions(served.streams, token=TOKEN, hosts=frozenset({"127.0.0.1"}))


def test_whole_question_with_the_token_is_answered(quick: QuickQuestions) -> None:
    answer = quick.answer(request(authorization=f"Bearer {TOKEN}"))
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"content-length: {len(body)}".encode() in head
    [row] = msgspec.msgpack.decode(body, type=Answer).rows
    assert (row[0], row[2]) == (b"a", (12).to_bytes(8, "big"))


RANGE = msgspec.msgpack.encode(Question("shop", "counts", 0, "range"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request(authorization=f"Bearer {TOKEN}")[:-1],
        request(authorization=f"Bearer {TOKEN}x"),
        request(authorization=f"Basic {TOKEN}"),
        request(),
        request(authorization=f"Bearer {TOKEN}", host="evil.example"),
        request(authorization=f"Bearer {TOKEN}", content_type="text/plain"),
        request(authorization=f"Bearer {TOKEN}", content_length="1"),
        request(authorization=f"Bearer {TOKEN}", transfer_encoding="chunked"),
        request(authorization=f"Bearer {TOKEN}") + b"GET / HTTP/1.1\r\n\r\n",
        request(authorization=f"Bearer {TOKEN}").replace(b"/query", b"/quern"),
        request(b"\xc1", authorization=f"Bearer {TOKEN}"),
        request(RANGE, authorization=f"Bearer {TOKEN}"),
    ],
)
def test_all_else_goes_the_long_way(quick: QuickQuestions, data: bytes) -> None:
    assert quick.answer(data) is None


def test_answer_that_fails_is_told_of_the_long_way(
    quick: QuickQuestions, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(question: Question) -> Answer:
        raise OSError("the disk is gone")

    monkeypatch.setattr(served.streams, "answer", fails)
    assert quick.answer(request(authorization=f"Bearer {TOKEN}")) is None


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    streams = application(tmp_path, **{"server.token": TOKEN})
    with Server(streams) as server, streams:
        streams.wait_running("30s")
        yield server


def test_questions_are_answered_while_all_pages_wait_for_other_instances(tmp_path: Path) -> None:
    streams = application(tmp_path)
    with streams, Server(streams) as server, socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        streams.wait_running("30s")
        places = streams._places()
        assert places is not None
        until(lambda: places.endpoints)
        [has] = places.endpoints.values()
        object.__setattr__(streams._router.here, "active", lambda store, partition, committed: None)
        places.have_moved({silent.getsockname(): has})
        pages = [
            threading.Thread(target=ask, args=(server.url, "/stores/counts?timeout=4s")) for _ in range(40)
        ]
        for page in pages:
            page.start()
        silent.settimeout(20)
        waiting = [silent.accept()[0] for _ in pages]
        connections = Connections(path="", token=None, is_over_tls=False, ca=None)
        data = connections.ask(("127.0.0.1", server.port), RANGE, 1)
        assert msgspec.msgpack.decode(data, type=Answer).refusal is not None
        connections.close()
        for page in pages:
            page.join()
        for each in waiting:
            each.close()


def test_instances_ask_each_other_with_their_token(guarded: Server) -> None:
    connections = Connections(path="", token=TOKEN, is_over_tls=False, ca=None)
    for asked in ("position", "count"):  # one quick, one the long way, on one connection
        body = msgspec.msgpack.encode(Question("shop", "counts", 0, asked))
        data = connections.ask(("127.0.0.1", guarded.port), body, 10)
        assert msgspec.msgpack.decode(data, type=Answer).refusal is None
    connections.close()
