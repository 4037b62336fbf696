"""Sockets below a connection: dialled address by address, read and written in whatever pieces the other side likes."""

import socket
import struct
import time
from collections.abc import Iterator
from select import select
from typing import Any

import pytest

from headrace.kafka.metadata import Address
from headrace.kafka.net.errors import Ending, NetworkError
from headrace.kafka.net.stream import Dial, Stream
from tests.kafka.net.servers import closed_port


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    stream = Stream(ours, "host", None)
    yield stream, theirs
    stream.close()
    theirs.close()


def _frame(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def test_frames_come_whole_however_they_arrive(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    got: list[bytes] = []
    for byte in _frame(b"one") + _frame(b"two"):
        theirs.sendall(bytes([byte]))
        frames, broken = stream.receive()
        assert broken is None
        got += map(bytes, frames)
    assert got == [b"one", b"two"]


def test_what_came_before_an_end_is_read(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.sendall(_frame(b"refused") + b"\0\0")
    theirs.close()
    frames, broken = stream.receive()
    if broken is None:
        more, broken = stream.receive()
        frames += more
    assert [bytes(frame) for frame in frames] == [b"refused"]
    assert broken is not None
    assert broken.ending is Ending.CLOSED


def test_a_socket_that_is_closed_on_one_side_only_counts_as_closed(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    _, broken = stream.receive()
    assert broken is not None
    assert broken.is_close


def test_what_the_other_side_does_not_read_waits_and_arrives_in_order(
    pair: tuple[Stream, socket.socket],
) -> None:
    stream, theirs = pair
    sent = bytes(range(256)) * 8192
    stream.send([sent])
    stream.send([b"last"])
    assert stream.wants_write
    got = b""
    while len(got) < len(sent) + 4:
        got += theirs.recv(1 << 16)
        stream.flush()
    assert got == sent + b"last"
    assert not stream.wants_write


def test_writing_to_who_is_gone_says_so(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.close()
    with pytest.raises(NetworkError, match="the connection broke"):
        stream.send([b"x"])


def test_a_length_that_is_none_ends_it(pair: tuple[Stream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.sendall(b"HTTP/1.1 400 Bad Request")
    _, broken = stream.receive()
    assert broken is not None
    assert broken.is_fatal
    assert "it speaks HTTP" in str(broken)


def _known(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    found: list[Any] = [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port)) for port in ports
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given: found)


def _dialled(dial: Dial) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        _, ready, _ = select([], [dial.sock], [], 0.1)
        if dial.look(time.monotonic(), is_ready=bool(ready)):
            return True
    return False


def test_the_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = int(closed_port().rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _known(monkeypatch, refusing, refusing, port)
        dial = Dial(Address("host", 1), time.monotonic(), time.monotonic() + 5)
        assert _dialled(dial)
        assert dial.sock.getpeername()[1] == port
        dial.sock.close()


def test_an_address_that_is_silent_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _known(monkeypatch, port, port)
        dial = Dial(Address("host", 1), 100.0, 110.0)
        assert dial.until == 105.0
        first = dial.sock
        assert not dial.look(104.9, is_ready=False)
        assert dial.sock is first
        assert not dial.look(105.0, is_ready=False)
        assert dial.sock is not first
        assert dial.until == 110.0
        with pytest.raises(NetworkError, match="nothing answers there"):
            dial.look(110.0, is_ready=False)
        dial.sock.close()


def test_when_all_addresses_refuse_the_last_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = int(closed_port().rpartition(":")[2])
    _known(monkeypatch, refusing, refusing)
    with pytest.raises(NetworkError, match="it cannot be connected to"):
        _dialled(Dial(Address("host", 1), time.monotonic(), time.monotonic() + 5))
