"""What flows: records, headers, windows, and the places records come from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeAlias

import msgspec
from typing_extensions import TypeVar

__all__ = ["NO_HEADERS", "Headers", "RawRecord", "Record", "RecordMetadata", "Window", "Windowed"]

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")

#: Ordered (name, value) pairs; a name may occur several times. Inside the engine always a tuple.
Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

NO_HEADERS: tuple[tuple[str, bytes | None], ...] = ()


class Record(msgspec.Struct, Generic[K, V], frozen=True):
    """One record. Immutable; `with_*` make changed copies.

    `timestamp` is epoch milliseconds. A struct of msgspec because user code makes one for each record: a frozen
    dataclass takes six times as long to construct.
    """

    key: K
    value: V
    timestamp: int = 0
    headers: Headers = NO_HEADERS

    def with_key(self, key: K2) -> "Record[K2, V]":
        """Copy with another key."""
        return Record(key, self.value, self.timestamp, self.headers)

    def with_value(self, value: V2) -> "Record[K, V2]":
        """Copy with another value."""
        return Record(self.key, value, self.timestamp, self.headers)

    def with_timestamp(self, timestamp: int) -> "Record[K, V]":
        """Copy with another timestamp (epoch ms)."""
        return Record(self.key, self.value, timestamp, self.headers)

    def with_headers(self, headers: Headers) -> "Record[K, V]":
        """Copy with other headers."""
        return Record(self.key, self.value, self.timestamp, tuple(headers))

    @property
    def time(self) -> datetime:
        """The timestamp as an aware UTC datetime."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)


class RawRecord(NamedTuple):
    """A record as a log has it, without its headers. The timestamp is epoch ms."""

    key: bytes | None
    value: bytes | None
    timestamp: int


class RecordMetadata(NamedTuple):
    """Where the record being processed was read from."""

    topic: str
    partition: int
    offset: int


class Window(NamedTuple):
    """A span of time in epoch ms: [start, end) for time windows, [start, end] for sessions."""

    start: int
    end: int


class Windowed(Generic[K]):
    """A key within a window; prints as Kafka Streams prints it, `[key@start/end]`."""

    __match_args__ = ("key", "window")
    __slots__ = ("key", "window")

    def __init__(self, key: K, window: Window) -> None:
        self.key = key
        self.window = window

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Windowed):
            return NotImplemented
        return bool(self.key == other.key) and self.window == other.window

    def __hash__(self) -> int:
        return hash((self.key, self.window))

    def __repr__(self) -> str:
        return f"[{self.key}@{self.window.start}/{self.window.end}]"


#: A record whose types are not known here.
AnyRecord: TypeAlias = Record[Any, Any]
