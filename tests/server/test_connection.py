"""Connections whose clients read slowly, or not at all."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from headrace.server import connection
from headrace.server.connection import protocol_of
from tests.streams.waiting import until

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Large:
    """An application whose answer is as large as this."""

    def __init__(self, size: int) -> None:
        self.body = b"x" * size
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        headers = [(b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@contextmanager
def served(app: Large, quick: Callable[[bytes], bytes | None]) -> Iterator[socket.socket]:
    """Serve it, and connect a client with a small buffer."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        http=protocol_of(quick, connections_max=10),
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    try:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.settimeout(20)
            client.connect(listening.getsockname())
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


def test_who_reads_slowly_reads_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_READING_SECONDS", 0.5)
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.5)
    app = Large(16 * 1024 * 1024)
    with served(app, lambda data: None) as client:
        client.sendall(REQUEST)
        found = 0
        while found < len(app.body):
            part = client.recv(128 * 1024)
            assert part, f"cut off after {found} bytes"
            found += len(part)
            time.sleep(len(part) / 10e6)  # 10 MB a second


def test_questions_wait_until_answers_are_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1_000_000
    app, asked = Large(1), [0]

    def quick(data: bytes) -> bytes | None:
        asked[0] += 1
        return answer

    with served(app, quick) as client:
        for number in range(1, 30):
            client.sendall(REQUEST)
            until(lambda: asked[0] + app.asked >= number)  # noqa: B023 - called at once
            if app.asked:
                break
        assert app.asked == 1
