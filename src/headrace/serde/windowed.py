"""Serdes of windowed keys, with the bytes that Kafka Streams writes to topics.

Source: `WindowKeySchema.toBinary` and `SessionKeySchema.toBinary`. Times are epoch ms in 8 bytes, big-endian.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Generic

from typing_extensions import TypeVar

from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import SerializationError
from headrace.base.records import Headers, Window, Windowed
from headrace.serde.resolve import serde_of
from headrace.serde.serde import Serde, SerdeLike, kind_of

__all__ = ["SessionWindowedSerde", "TimeWindowedSerde", "WindowedSerde", "session_windowed", "time_windowed"]

K = TypeVar("K")

_START = struct.Struct(">q")
_END_AND_START = struct.Struct(">qq")
_END_MAX = 2**63 - 1


class WindowedSerde(Serde[Windowed[K]], Generic[K]):
    """What the two kinds share: the key's bytes stand in front of the window's, which have a fixed length.

    Not immutable, whatever its key is: `Windowed` is a plain class.
    """

    type = Windowed

    #: How many bytes behind the key are the window's.
    window_size: int

    def __init__(self, inner: Serde[K]) -> None:
        self.inner = inner
        self.uses_headers = inner.uses_headers
        self.reads_headers = inner.reads_headers

    def configure(self, properties: Mapping[str, object]) -> None:
        """Hand the properties on."""
        self.inner.configure(properties)

    def serialize(self, topic: str, value: Windowed[K], headers: Headers = ()) -> bytes:
        """Return the bytes of a windowed key."""
        if not isinstance(value, Windowed):
            raise SerializationError(
                f"cannot serialize for topic {topic!r}: {self!r} expects a Windowed, found {kind_of(value)}"
            )
        try:
            window = self.window_bytes(value.window)
        except (struct.error, TypeError, ValueError) as error:
            raise SerializationError(
                f"cannot serialize for topic {topic!r} with {self!r}: {error}"
            ) from error
        return self.inner.serialize(topic, value.key, headers) + window

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> Windowed[K]:
        """Return the windowed key of bytes."""
        try:
            size, window = self.window_of(data)
        except (struct.error, ValueError) as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self!r} found {len(data)} bytes: {error}"
            ) from error
        return Windowed(self.inner.deserialize(topic, data[:-size], headers), window)

    def serializer(self, topic: str) -> Callable[[Windowed[K]], bytes]:
        """Return the quick form: the key's own and 0.1 µs."""
        encode, window_bytes = self.inner.serializer(topic), self.window_bytes
        # Neighbours are mostly of one window. A pair that is replaced whole, since threads share this.
        known: tuple[object, bytes] = object(), b""

        def bound(value: Windowed[K]) -> bytes:
            nonlocal known
            window, found = known
            if value.window is not window:
                found = window_bytes(value.window)
                known = value.window, found
            return encode(value.key) + found

        return bound

    def deserializer(self, topic: str) -> Callable[[bytes], Windowed[K]]:
        """Return the quick form: the key's own and 0.3 µs, or 0.7 where the window is another than that of before."""
        decode, window_of, size = self.inner.deserializer(topic), self.window_of, self.window_size
        known: tuple[bytes, Window | None] = b"", None

        def bound(data: bytes) -> Windowed[K]:
            nonlocal known
            end = data[-size:]
            found, window = known
            if end != found or window is None:
                _, window = window_of(data)
                known = end, window
            return Windowed(decode(data[:-size]), window)

        return bound

    def settler(self, topic: str) -> Callable[[bytes, Headers], bytes] | None:
        """Return what settles the key and leaves the window."""
        settle, window_of = self.inner.settler(topic), self.window_of
        if settle is None:
            return None

        def settled(data: bytes, headers: Headers) -> bytes:
            size, _ = window_of(data)
            return settle(data[:-size], headers) + data[-size:]

        return settled

    def window_bytes(self, window: Window) -> bytes:
        """Return the bytes behind the key."""
        raise NotImplementedError

    def window_of(self, data: bytes) -> tuple[int, Window]:
        """Return how many bytes behind the key are the window's, and the window."""
        raise NotImplementedError

    def placing_bytes(self, data: bytes) -> bytes:
        """Return the part that decides the partition: the key alone, so that all its windows share one.

        Source: WindowedStreamPartitioner.
        """
        return data[: -self.window_of(data)[0]]


class TimeWindowedSerde(WindowedSerde[K]):
    """Key, then start. The end is not written: whoever reads knows the window's size."""

    window_size = _START.size

    def __init__(self, inner: Serde[K], size_ms: int) -> None:
        super().__init__(inner)
        self.size_ms = size_ms

    def for_keys(self) -> Serde[Windowed[K]]:
        """Return the serde of windowed keys with the one that the keys get."""
        return TimeWindowedSerde(self.inner.for_keys(), self.size_ms)

    def reading_keys(self) -> Serde[Windowed[K]]:
        """Return the serde of windowed keys with the one that reads the keys."""
        return TimeWindowedSerde(self.inner.reading_keys(), self.size_ms)

    def window_bytes(self, window: Window) -> bytes:
        """Return the start, of a window that can be told by it."""
        start, end = window
        if start < 0:
            raise ValueError(f"the window starts at {start}, before 1970")
        if end - start != self.size_ms and end != min(start + self.size_ms, _END_MAX):
            raise ValueError(
                f"the window is {end - start} ms long, and would be read as one of {self.size_ms} ms: give "
                f"hr.time_windowed() the size of the windows"
            )
        return _START.pack(start)

    def window_of(self, data: bytes) -> tuple[int, Window]:
        """Read the start, and add the size; an end beyond 64 bits is cut, as in Java."""
        (start,) = _START.unpack(data[-8:])
        if start < 0:
            raise ValueError(f"the window starts at {start}, before 1970")
        return 8, Window(start, min(start + self.size_ms, _END_MAX))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimeWindowedSerde):
            return NotImplemented
        return bool(self.inner == other.inner) and self.size_ms == other.size_ms

    def __hash__(self) -> int:
        return hash((TimeWindowedSerde, self.inner, self.size_ms))

    def __repr__(self) -> str:
        return f"time_windowed({self.inner!r}, '{self.size_ms}ms')"


class SessionWindowedSerde(WindowedSerde[K]):
    """Key, then end, then start."""

    window_size = _END_AND_START.size

    def for_keys(self) -> Serde[Windowed[K]]:
        """Return the serde of windowed keys with the one that the keys get."""
        return SessionWindowedSerde(self.inner.for_keys())

    def reading_keys(self) -> Serde[Windowed[K]]:
        """Return the serde of windowed keys with the one that reads the keys."""
        return SessionWindowedSerde(self.inner.reading_keys())

    def window_bytes(self, window: Window) -> bytes:
        """Return end and start."""
        start, end = window
        if not 0 <= start <= end:
            raise ValueError(f"the session starts at {start} and ends at {end}")
        return _END_AND_START.pack(end, start)

    def window_of(self, data: bytes) -> tuple[int, Window]:
        """Read end and start."""
        end, start = _END_AND_START.unpack(data[-16:])
        if not 0 <= start <= end:
            raise ValueError(f"the session starts at {start} and ends at {end}")
        return 16, Window(start, end)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SessionWindowedSerde):
            return NotImplemented
        return bool(self.inner == other.inner)

    def __hash__(self) -> int:
        return hash((SessionWindowedSerde, self.inner))

    def __repr__(self) -> str:
        return f"session_windowed({self.inner!r})"


def time_windowed(key: SerdeLike[K], size: Duration) -> Serde[Windowed[K]]:
    """Serialize the keys of a time-windowed table: the key's bytes and the window's start.

    `size` is the windows' size, which the bytes do not carry.

    Raises:
        TypeError: the size is a bare number, or the key's class stands for no serde.
        ValueError: the size is not a positive duration.
    """
    size_ms = milliseconds(size, name="size")
    if size_ms == 0:
        raise ValueError("size='0ms' is no window: a duration of more than 0 is wanted")
    return TimeWindowedSerde(serde_of(key), size_ms)


def session_windowed(key: SerdeLike[K]) -> Serde[Windowed[K]]:
    """Serialize the keys of a session-windowed table: the key's bytes, the session's end, its start.

    Raises:
        TypeError: the key's class stands for no serde.
    """
    return SessionWindowedSerde(serde_of(key))
