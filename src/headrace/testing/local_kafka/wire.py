"""The three requests that `LocalKafka` asks its brokers itself, packed by hand: it needs no client library.

Source: Kafka's protocol guide, versions before the compact encoding; brokers 2.5 to 4.3 know them.
"""

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["ClusterView", "PartitionView", "create_topic", "delete_topic", "view"]

_METADATA, _CREATE_TOPICS, _DELETE_TOPICS = (3, 4), (19, 4), (20, 3)
_TIMEOUT_SECONDS = 15.0
TOPIC_EXISTS = 36


@dataclass(frozen=True, slots=True)
class PartitionView:
    """What one broker believes of a partition: node ids, -1 for no leader."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What one broker believes of its cluster."""

    brokers: frozenset[int]
    controller: int
    topics: Mapping[str, tuple[PartitionView, ...]]


class _Answer:
    """Reads an answer from its start."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f">{code}", self._data, self._at)
        self._at += struct.calcsize(f">{code}")
        return int(value)

    def text(self) -> str | None:
        size = self.number("h")
        if size < 0:
            return None
        self._at += size
        return self._data[self._at - size : self._at].decode()

    def numbers(self) -> tuple[int, ...]:
        return tuple(self.number("i") for _ in range(self.number("i")))


class _Connection:
    """One connection to one broker, for one request after the other."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, api: tuple[int, int], body: bytes) -> _Answer:
        request = struct.pack(">hhi", *api, 1) + _text("headrace-local-kafka") + body
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", self._exactly(4))
        # The correlation id needs no look: one request at a time.
        return _Answer(self._exactly(size)[4:])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return data


def view(port: int, topics: list[str] | None = None) -> ClusterView:
    """Ask the broker at this port what it knows; of all topics where none are named.

    Raises:
        OSError: it does not listen or does not answer.
    """
    wanted = struct.pack(">i", -1) if topics is None else _array([_text(name) for name in topics])
    with _Connection(port) as connection:
        answer = connection.ask(_METADATA, wanted + struct.pack(">?", False))
    answer.number("i")
    brokers = set()
    for _ in range(answer.number("i")):
        brokers.add(answer.number("i"))
        answer.text()
        answer.number("i")
        answer.text()
    answer.text()
    controller = answer.number("i")
    found: dict[str, tuple[PartitionView, ...]] = {}
    for _ in range(answer.number("i")):
        error, name = answer.number("h"), answer.text()
        answer.number("b")
        partitions: dict[int, PartitionView] = {}
        for _ in range(answer.number("i")):
            answer.number("h")
            index, leader = answer.number("i"), answer.number("i")
            partitions[index] = PartitionView(leader, answer.numbers(), answer.numbers())
        if error == 0 and name is not None:
            found[name] = tuple(partitions[index] for index in sorted(partitions))
    return ClusterView(frozenset(brokers), controller, found)


def create_topic(
    port: int, name: str, partitions: int, replication: int, config: Mapping[str, str]
) -> tuple[int, str]:
    """Create a topic; returns the error code and what the broker says of it, (0, "") for success."""
    settings = _array([_text(key) + _text(value) for key, value in sorted(config.items())])
    topic = _text(name) + struct.pack(">ih", partitions, replication) + _array([]) + settings
    with _Connection(port) as connection:
        answer = connection.ask(_CREATE_TOPICS, _array([topic]) + struct.pack(">i?", 10_000, False))
    answer.number("i")
    answer.number("i")
    answer.text()
    return answer.number("h"), answer.text() or ""


def delete_topic(port: int, name: str) -> int:
    """Delete a topic; returns the error code, 0 for success."""
    with _Connection(port) as connection:
        answer = connection.ask(_DELETE_TOPICS, _array([_text(name)]) + struct.pack(">i", 10_000))
    answer.number("i")
    answer.number("i")
    answer.text()
    return answer.number("h")


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">h", len(data)) + data


def _array(items: list[bytes]) -> bytes:
    return struct.pack(">i", len(items)) + b"".join(items)
