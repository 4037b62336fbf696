"""Questions that are answered from the bytes of their requests, and those that go the long way."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headrace.query.connections import Connections
from headrace.query.questions import Answer, Question
from headrace.server import Server
from headrace.server.quick_questions import QuickQuestions
from tests.server.conftest import Served, application

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
        request()[:-1],
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


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    streams = application(tmp_path, **{"server.token": TOKEN})
    with Server(streams) as server, streams:
        streams.wait_running("30s")
        yield server


def test_instances_ask_each_other_with_their_token(guarded: Server) -> None:
    connections = Connections(path="", token=TOKEN, is_over_tls=False, ca=None)
    for ask in ("position", "count"):  # one quick, one the long way, on one connection
        body = msgspec.msgpack.encode(Question("shop", "counts", 0, ask))
        data = connections.ask(("127.0.0.1", guarded.port), body, 10)
        assert msgspec.msgpack.decode(data, type=Answer).refusal is None
    connections.close()
