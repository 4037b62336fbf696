"""Connections that are kept: for how long, and what ends them."""

import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from headrace.query import connections
from headrace.query.connections import Connections
from headrace.query.questions import Refused


class Instance:
    """Answers each question with one byte, while it is not mute."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint: tuple[str, int] = self.listener.getsockname()
        self.is_mute = False
        self.taken: list[socket.socket] = []
        self.ended = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.taken.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            while client.recv(65536):
                if not self.is_mute:
                    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
        self.ended.release()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def instances() -> Iterator[list[Instance]]:
    made = [Instance(), Instance()]
    yield made
    for each in made:
        each.close()


@pytest.fixture
def kept() -> Iterator[Connections]:
    found = Connections(path="", token=None, is_over_tls=False, ca=None)
    yield found
    found.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(connections, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def keep_three(kept: Connections, instance: Instance, deadline: float) -> None:
    """Have connections to it kept, as three questions side by side do."""
    held = [kept._taken(instance.endpoint, deadline)[0] for _ in range(3)]
    for each in held:
        kept._put_back(instance.endpoint, each)


def test_kept_connections_of_an_instance_that_is_asked_no_more_end(
    instances: list[Instance], kept: Connections, clock: SimpleNamespace
) -> None:
    gone, other = instances
    keep_three(kept, gone, clock.seconds + 5)
    clock.seconds += 4.9
    kept.ask(other.endpoint, b"q", 5)
    assert not gone.ended.acquire(blocking=False)
    clock.seconds += 0.2
    kept.ask(other.endpoint, b"q", 5)
    assert [gone.ended.acquire(timeout=5) for _ in range(3)] == [True] * 3
    assert len(other.taken) == 1


def test_silence_on_a_kept_connection_ends_the_others_of_that_instance(
    instances: list[Instance], kept: Connections
) -> None:
    silent, other = instances
    keep_three(kept, silent, time.monotonic() + 5)
    kept.ask(other.endpoint, b"q", 5)
    silent.is_mute = True
    with pytest.raises(Refused, match="nothing came in time"):
        kept.ask(silent.endpoint, b"q", 0.1)
    assert [silent.ended.acquire(timeout=5) for _ in range(3)] == [True] * 3
    kept.ask(other.endpoint, b"q", 5)
    assert len(other.taken) == 1


def test_nothing_is_kept_after_the_end(instances: list[Instance], kept: Connections) -> None:
    instance, _ = instances
    kept.close()
    assert kept.ask(instance.endpoint, b"q", 5) == b"x"
    assert instance.ended.acquire(timeout=5)
