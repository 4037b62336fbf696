"""A value with the time and the headers of its record, as stores with headers keep it, and its bytes.

A row is the headers, 8 bytes of timestamp, and the value. Headers are their size, and unless there are none their
number and each name and content with its length, -1 for none: all numbers are varints. Source:
`ValueTimestampHeadersSerializer`, `HeadersSerializer`. On the changelog the three are the record's own.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Any, Generic

from typing_extensions import TypeVar

from headrace.base.records import NO_HEADERS, Headers, Record
from headrace.processor.parts import checked_headers, checked_timestamp
from headrace.serde.serde import Serde
from headrace.serde.varint import read_varint, varint
from headrace.state.port import ChangelogAdmission
from headrace.state.values import TIMESTAMP_BYTES, ValueCodec, pack_timestamp

__all__ = ["Stamped", "StampedCodec", "pack_stamp", "stamped_admission", "unpack_stamped"]

V = TypeVar("V")
R = TypeVar("R")

_read_timestamp = Struct(">q").unpack_from


@dataclass(frozen=True, slots=True)
class Stamped(Generic[V]):
    """A value of a store with headers, and what its record had. Java's `ValueTimestampHeaders`.

    Attributes:
        timestamp: epoch ms.
        headers: ordered (name, content) pairs.
    """

    value: V
    timestamp: int
    headers: Headers = NO_HEADERS

    @staticmethod
    def of(record: Record[Any, R]) -> "Stamped[R]":
        """Return a record's value with the record's own timestamp and headers."""
        return Stamped(record.value, record.timestamp, record.headers)


def pack_stamp(timestamp: int, headers: Headers) -> bytes:
    """Return what precedes the value in a row."""
    if not headers:
        return b"\x00" + pack_timestamp(timestamp)
    parts = [varint(len(headers))]
    for name, content in headers:
        encoded = name.encode()
        parts += (varint(len(encoded)), encoded)
        parts += (varint(-1),) if content is None else (varint(len(content)), content)
    body = b"".join(parts)
    return varint(len(body)) + body + pack_timestamp(timestamp)


def unpack_stamped(row: bytes) -> tuple[bytes, int, Headers]:
    """Return the value's bytes, timestamp and headers of a row.

    Raises:
        ValueError: it is none.
    """
    size, at = read_varint(row, 0, len(row))
    end = at + size
    if size < 0 or end + TIMESTAMP_BYTES > len(row):
        raise ValueError(f"headers of {size} bytes and a timestamp are said to stand in {len(row)} bytes")
    headers = _read_headers(row, at, end) if size else NO_HEADERS
    timestamp: int = _read_timestamp(row, end)[0]
    return row[end + TIMESTAMP_BYTES :], timestamp, headers


def _read_headers(row: bytes, at: int, end: int) -> Headers:
    count, at = read_varint(row, at, end)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _read_sized(row, at, end)
        content, at = _read_sized(row, at, end)
        if name is None:
            raise ValueError("a header has no name")
        headers.append((name.decode(), content))
    if at != end:
        raise ValueError(f"{end - at} bytes are left behind the headers")
    return tuple(headers)


def _read_sized(row: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    length, at = read_varint(row, at, end)
    if length == -1:
        return None, at
    if length < 0 or at + length > end:
        raise ValueError(f"{length} bytes are said to follow at {at}, where {end - at} are left")
    return row[at : at + length], at + length


class StampedCodec(ValueCodec):
    """Turns stamped values into rows and back. Rows stay bytes in memory: they tell the time of their change record."""

    __slots__ = ("_decode_value", "_encode_value")

    def __init__(self, serde: Serde[Any], topic: str, store: str) -> None:
        super().__init__(serde, topic, store)
        self._encode_value, self._decode_value = self.encode, self._decode
        self.encode, self._decode = self._encode_row, self._decode_row
        self.kept_type = None
        self.weighs_alike = False
        self.accepts = _none

    def _encode_row(self, stamped: Any) -> bytes:
        if not isinstance(stamped, Stamped):
            raise TypeError(
                f"a store with headers takes a Stamped, with timestamp and headers, found {stamped!r}: write "
                "stores.Stamped(value, record.timestamp, record.headers), or stores.Stamped.of(record)"
            )
        timestamp = checked_timestamp(stamped.timestamp, "a stamped value")
        stamp = pack_stamp(timestamp, checked_headers(stamped.headers, "a stamped value"))
        return stamp + self._encode_value(stamped.value)

    def _decode_row(self, row: bytes) -> Stamped[Any]:
        value, timestamp, headers = unpack_stamped(row)
        return Stamped(self._decode_value(value), timestamp, headers)


def _none(value: object) -> bool:
    return False


def stamped_admission(admission: ChangelogAdmission) -> ChangelogAdmission:
    """Make what judges rows by the change records that they lead to."""
    check = admission.check

    def check_row(key: bytes, row: bytes | None, timestamp: int) -> None:
        if row is None:
            check(key, None, timestamp)
        else:
            value, timestamp, _ = unpack_stamped(row)
            check(key, value, timestamp)

    # Nobody has rows of these put many at a time: each is judged by itself.
    return ChangelogAdmission(check_row, lambda keys, rows, timestamps: False, admission.horizon)
