"""Bytes of the store in which both sides of a left or outer join keep what has no match yet.

A key is the record's timestamp (8 bytes, big-endian), its side (one byte, 1 is the left one) and its key, so that rows
stand in the order of time. A value is a list: each of its entries is a side and a record's value. Source:
`TimestampedKeyAndJoinSideSerializer`, `LeftOrRightValueSerializer`, `ListSerializer`.
"""

import struct
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple

from typing_extensions import TypeVar

from headrace.base.errors import SerializationError
from headrace.base.records import Headers
from headrace.serde.serde import Serde, kind_of

__all__ = [
    "PLACE_BYTES",
    "UnmatchedKey",
    "UnmatchedKeySerde",
    "UnmatchedValue",
    "UnmatchedValuesSerde",
    "entries_of",
    "entry_count",
    "pack_place",
    "unpack_place",
    "with_entry",
]

K = TypeVar("K")

_TIME_AND_SIDE = struct.Struct(">q?")

#: (timestamp, is it of the left side) -> what stands before a row's key.
pack_place = _TIME_AND_SIDE.pack
#: A row's key -> the same.
unpack_place = _TIME_AND_SIDE.unpack_from

PLACE_BYTES = _TIME_AND_SIDE.size

#: Kafka's mark of a list whose entries have lengths of their own, and their count.
_HEAD = struct.Struct(">bi")
_VARIABLE_SIZE = 1
_LENGTH = struct.Struct(">i")


class UnmatchedKey(NamedTuple, Generic[K]):
    """Where a record without a match stands: its timestamp (epoch ms), its side, its key."""

    timestamp: int
    is_left: bool
    key: K


class UnmatchedValue(NamedTuple):
    """The value of a record without a match, and its side."""

    is_left: bool
    value: Any


def with_entry(row: bytes | None, is_left: bool, value: bytes) -> bytes:
    """Return a row with one more entry at its end; None is no row yet."""
    entry = _LENGTH.pack(len(value) + 1) + (b"\x01" if is_left else b"\x00") + value
    if row is None:
        return _HEAD.pack(_VARIABLE_SIZE, 1) + entry
    return _HEAD.pack(_VARIABLE_SIZE, entry_count(row) + 1) + row[_HEAD.size :] + entry


def entry_count(row: bytes) -> int:
    """Return how many entries a row has."""
    count: int = _HEAD.unpack_from(row)[1]
    return count


def entries_of(row: bytes) -> list[tuple[bool, bytes]]:
    """Return the entries of a row, in the order of the puts.

    Raises:
        ValueError: they are no row's bytes.
    """
    try:
        mark, count = _HEAD.unpack_from(row)
        if mark != _VARIABLE_SIZE or count < 0:
            raise ValueError(f"a list of Kafka Streams begins with {_VARIABLE_SIZE} and a count")
        entries, at = [], _HEAD.size
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(row, at)
            at += _LENGTH.size
            if length < 1 or at + length > len(row) or row[at] > 1:
                raise ValueError(f"an entry of {length} bytes at {at} is none of a join's")
            entries.append((row[at] == 1, row[at + 1 : at + length]))
            at += length
    except struct.error as error:
        raise ValueError(f"a list of Kafka Streams is cut off ({error})") from error
    if at != len(row):
        raise ValueError(f"{len(row) - at} bytes stand behind the list")
    return entries


class UnmatchedKeySerde(Serde[UnmatchedKey[K]], Generic[K]):
    """Time, side, key. Not immutable, whatever the key is: the class is a plain tuple's."""

    type = UnmatchedKey

    def __init__(self, inner: Serde[K]) -> None:
        self.inner = inner

    def configure(self, properties: Mapping[str, object]) -> None:
        """Hand the properties on."""
        self.inner.configure(properties)

    def for_keys(self) -> Serde[UnmatchedKey[K]]:
        """Return the serde with the one that the keys get."""
        return UnmatchedKeySerde(self.inner.for_keys())

    def serialize(self, topic: str, value: UnmatchedKey[K], headers: Headers = ()) -> bytes:
        """Return the bytes."""
        if not isinstance(value, UnmatchedKey):
            raise SerializationError(
                f"cannot serialize for topic {topic!r}: {self!r} expects an UnmatchedKey, found {kind_of(value)}"
            )
        place = pack_place(value.timestamp, value.is_left)
        return place + self.inner.serialize(topic, value.key, headers)

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> UnmatchedKey[K]:
        """Read them."""
        if len(data) < PLACE_BYTES or data[0] > 0x7F or data[PLACE_BYTES - 1] > 1:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self!r} finds no time and side in {len(data)} bytes"
            )
        timestamp, is_left = unpack_place(data)
        return UnmatchedKey(timestamp, is_left, self.inner.deserialize(topic, data[PLACE_BYTES:], headers))

    def __eq__(self, other: object) -> bool:
        return self.inner == other.inner if isinstance(other, UnmatchedKeySerde) else NotImplemented

    def __hash__(self) -> int:
        return hash((UnmatchedKeySerde, self.inner))

    def __repr__(self) -> str:
        return f"unmatched_key({self.inner!r})"


class UnmatchedValuesSerde(Serde[list[UnmatchedValue]]):
    """A list of values of either side; `left` and `right` are the serdes of both."""

    type = list

    def __init__(self, left: Serde[Any], right: Serde[Any]) -> None:
        self.left = left
        self.right = right

    def configure(self, properties: Mapping[str, object]) -> None:
        """Hand the properties on."""
        self.left.configure(properties)
        self.right.configure(properties)

    def serialize(self, topic: str, value: list[UnmatchedValue], headers: Headers = ()) -> bytes:
        """Return the bytes."""
        row: bytes | None = None
        for is_left, each in value:
            row = with_entry(row, is_left, self._of(is_left).serialize(topic, each, headers))
        return _HEAD.pack(_VARIABLE_SIZE, 0) if row is None else row

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> list[UnmatchedValue]:
        """Read them."""
        try:
            entries = entries_of(data)
        except ValueError as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r} with {self!r}: {error}"
            ) from error
        return [
            UnmatchedValue(is_left, self._of(is_left).deserialize(topic, each, headers))
            for is_left, each in entries
        ]

    def _of(self, is_left: bool) -> Serde[Any]:
        return self.left if is_left else self.right

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UnmatchedValuesSerde):
            return NotImplemented
        return bool(self.left == other.left and self.right == other.right)

    def __hash__(self) -> int:
        return hash((UnmatchedValuesSerde, self.left, self.right))

    def __repr__(self) -> str:
        return f"unmatched_values({self.left!r}, {self.right!r})"
