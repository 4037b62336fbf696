"""Fetch requests as bytes, versions 4 to 12, made to travel like kafka-python's messages.

Source: FetchRequest.json of Kafka 4.3.
"""

from struct import Struct, error, pack
from typing import Any, NamedTuple

from headrace.kafka.fetch.answer import NextPosition, read_answer
from headrace.kafka.fetch.messages import Fetch, FetchAnswer, PartitionFetch

__all__ = ["NEWEST_VERSION", "OLDEST_VERSION", "FetchMessage"]

OLDEST_VERSION = 4
#: Later ones name topics by their ids.
NEWEST_VERSION = 12

_READ_COMMITTED = 1

_INT16, _INT32, _INT64 = Struct(">h"), Struct(">i"), Struct(">q")
_REQUEST_HEADER = Struct(">hhi")


class FetchMessage:
    """A request on the wire, and the reader of its answer. Has what a connection asks of kafka-python's messages.

    It reads an answer into a `FetchAnswer`, whose records are views of the received bytes.
    """

    name = "FetchRequest"
    API_KEY = 1
    max_version = NEWEST_VERSION

    def __init__(self, fetch: Fetch, version: int, next_position: NextPosition) -> None:
        if not OLDEST_VERSION <= version <= NEWEST_VERSION:
            raise ValueError(f"fetch version {version} is not between {OLDEST_VERSION} and {NEWEST_VERSION}")
        self.API_VERSION = version
        self._fetch = fetch
        self._next_position = next_position
        self._header: _Header | None = None

    @property
    def header(self) -> "_Header | None":
        """What the connection keeps until the answer comes; None before the request was encoded."""
        return self._header

    def expect_response(self) -> bool:
        """Whether there is an answer."""
        return True

    def with_header(self, correlation_id: int = 0, client_id: str = "") -> None:
        """Take what the connection gives each request."""
        self._header = _Header(correlation_id, client_id, self)

    def encode(self, *, framed: bool = True, header: bool = True) -> bytes:
        """Return the bytes of the request, with its length and header unless told otherwise."""
        body = _body(self._fetch, self.API_VERSION)
        if header:
            assert self._header is not None
            client_id = self._header.client_id.encode()
            head = _REQUEST_HEADER.pack(self.API_KEY, self.API_VERSION, self._header.correlation_id)
            # Of the header, the client id is never compact; the tags come behind it.
            body = head + _INT16.pack(len(client_id)) + client_id + b"\0" * (self.API_VERSION >= 12) + body
        return _INT32.pack(len(body)) + body if framed else body

    def parse_header(self, stream: Any) -> "_AnswerHeader":
        """Read the answer's header off a stream.

        Raises:
            ValueError: it is cut off.
        """
        try:
            (correlation_id,) = _INT32.unpack(stream.read(4))
            if self.API_VERSION >= 12 and stream.read(1) != b"\0":
                raise ValueError("the header has tagged fields, which nobody has defined")
        except error as cut_off:
            raise ValueError("the answer is cut off") from cut_off
        return _AnswerHeader(correlation_id)

    def decode(self, stream: Any) -> FetchAnswer:
        """Read the answer off the rest of a stream.

        Raises:
            ValueError: it is not what the protocol says.
        """
        return read_answer(memoryview(stream.read()), self.API_VERSION, self._fetch, self._next_position)

    def __repr__(self) -> str:
        return f"FetchMessage(version={self.API_VERSION}, {self._fetch!r})"


class _AnswerHeader(NamedTuple):
    correlation_id: int


class _Header(NamedTuple):
    correlation_id: int
    client_id: str
    message: FetchMessage

    def get_response_class(self) -> FetchMessage:
        """What reads the answer."""
        return self.message


def _unsigned(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _body(fetch: Fetch, version: int) -> bytes:
    is_flexible = version >= 12

    def count(value: int) -> bytes:
        return _unsigned(value + 1) if is_flexible else _INT32.pack(value)

    def text(value: str) -> bytes:
        encoded = value.encode()
        return (_unsigned(len(encoded) + 1) if is_flexible else _INT16.pack(len(encoded))) + encoded

    tags = b"\0" if is_flexible else b""
    parts = [pack(">iiiib", -1, fetch.max_wait_ms, fetch.min_bytes, fetch.bytes_max, _READ_COMMITTED)]
    if version >= 7:
        parts.append(pack(">ii", 0, -1))  # no session
    # The order of partitions is the order in which the broker fills its answer: a topic may come several times.
    topics: list[tuple[str, list[PartitionFetch]]] = []
    for asked in fetch.partitions:
        if not topics or topics[-1][0] != asked.partition.topic:
            topics.append((asked.partition.topic, []))
        topics[-1][1].append(asked)
    parts.append(count(len(topics)))
    for name, partitions in topics:
        parts += [text(name), count(len(partitions))]
        for asked in partitions:
            parts.append(_INT32.pack(asked.partition.partition))
            if version >= 9:
                parts.append(_INT32.pack(asked.leader_epoch))
            parts.append(_INT64.pack(asked.offset))
            if version >= 12:
                parts.append(_INT32.pack(asked.last_epoch))
            if version >= 5:
                parts.append(_INT64.pack(-1))  # the log start is a follower's to tell
            parts += [_INT32.pack(fetch.partition_bytes_max), tags]
        parts.append(tags)
    if version >= 7:
        parts.append(count(0))
    if version >= 11:
        parts.append(text(fetch.rack))
    return b"".join([*parts, tags])
