"""One uncommitted row, as both kinds of buffer keep it."""

from typing import Any, TypeAlias

from headrace.state.values import TIMESTAMP_BYTES, ValueCodec, pack_timestamp, unpack_timestamp

__all__ = ["ENCODED", "ROW_BYTES", "UNTOUCHED", "Row", "RowCodec"]

#: (value, or ENCODED where only bytes are kept; timestamp; bytes). None in its place is a deletion.
#: A tuple, so that a reader on another thread sees either the old row or the new one.
Row: TypeAlias = tuple[Any, int, bytes]


class _NoValue:
    """Something that no store can hold. Without a dictionary, since rows that have it are not the collector's then."""

    __slots__ = ()


ENCODED: Any = _NoValue()
UNTOUCHED: Any = _NoValue()

#: What a buffered row weighs beside its key and value (CPython 3.11): tuple 64, timestamp 32, two bytes objects 66,
#: value object 28, its part of the dictionary and of the key order 120.
ROW_BYTES = 310


class RowCodec:
    """Rows of the buffer and of the database, one into the other."""

    __slots__ = ("_decode", "_keeps_objects", "_timestamped")

    def __init__(self, codec: ValueCodec, *, timestamped: bool) -> None:
        self._decode = codec.to_value
        self._keeps_objects = codec.kept_type is not None
        self._timestamped = timestamped

    def stored(self, row: Row | None) -> bytes | None:
        """Bytes of a row for the database."""
        if row is None:
            return None
        return pack_timestamp(row[1]) + row[2] if self._timestamped else row[2]

    def opened(self, row: Row | bytes) -> tuple[Any, int]:
        """Value and timestamp of a row of either."""
        if isinstance(row, bytes):
            if self._timestamped:
                return self._decode(row[TIMESTAMP_BYTES:]), unpack_timestamp(row)
            return self._decode(row), -1
        value, timestamp, raw = row
        return (self._decode(raw) if value is ENCODED else value), timestamp

    def for_cache(self, row: Row | bytes) -> tuple[Any, int]:
        """Value, or its bytes where the store keeps bytes only, and timestamp."""
        return self.opened(row) if self._keeps_objects else self.encoded(row)

    def encoded(self, row: Row | bytes) -> tuple[bytes, int]:
        """Bytes of the value, and timestamp, of a row of either."""
        if isinstance(row, bytes):
            return (row[TIMESTAMP_BYTES:], unpack_timestamp(row)) if self._timestamped else (row, -1)
        return row[2], row[1]
