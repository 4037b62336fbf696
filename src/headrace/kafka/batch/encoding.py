"""Columns to one record batch: the encoder in Python, for where the compiled one is missing.

Cost: about 1.5 µs a record. The bytes are those of `native/src/encoding.rs` and of Java's producer: tests compare them.
"""

from collections.abc import Sequence
from typing import Any

import google_crc32c

from headrace.base.columns import Column, Part
from headrace.base.murmur2 import partition_for
from headrace.base.records import Headers
from headrace.kafka.batch.compression import COMPRESSIONS, compress
from headrace.kafka.batch.layout import BATCH_HEADER, BATCH_OVERHEAD, CRC_END, LENGTH_END, TRANSACTIONAL

__all__ = ["encode_batch", "partitions"]

_INT32_MAX = 2**31 - 1
_MAGIC = 2
_LEADER_EPOCH_UNKNOWN = -1


def _varint(number: int) -> bytes:
    """Encode a number after zigzag, seven bits a byte."""
    raw = number << 1 if number >= 0 else (-number << 1) - 1
    encoded = bytearray()
    while raw > 127:
        encoded.append(raw & 127 | 128)
        raw >>= 7
    encoded.append(raw)
    return bytes(encoded)


#: Of numbers that are common: lengths, offsets, milliseconds. A look-up takes a tenth of the loop.
_VARINTS = tuple(_varint(number) for number in range(8192))
_COMMON = len(_VARINTS)
_NULL = _varint(-1)


def encode_batch(
    keys: Sequence[Part],
    values: Sequence[Part],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
    start: int,
    bytes_max: int,
    *,
    compression: str = "none",
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    is_transactional: bool = False,
) -> tuple[bytes, int]:
    """Encode one batch of rows from `start`, cut below `bytes_max`; return it and the index behind its last row."""
    if compression not in COMPRESSIONS:
        raise ValueError(f"no compression is called {compression}: there are {', '.join(COMPRESSIONS)}")
    _check_columns(keys, values, timestamps, headers, start)
    # What cannot be compressed grows by the frames around it: 10 bytes in 32 KiB at worst, and once at most 31.
    room = 0 if compression == "none" else bytes_max // 1000 + 64
    most = min(max(bytes_max - room, 0), _INT32_MAX)
    try:
        parts = _records(keys, values, timestamps, headers, start, most)
    except _TextFoundError:  # nearly all columns are bytes: none of them pays for a look at each row
        parts = _records(_without_text(keys), _without_text(values), timestamps, headers, start, most)
    count = len(parts)
    end = start + count
    payload = compress(compression, level, b"".join(parts))
    attributes = COMPRESSIONS.index(compression) | (TRANSACTIONAL if is_transactional else 0)
    head = BATCH_HEADER.pack(
        0,
        BATCH_OVERHEAD - LENGTH_END + len(payload),
        _LEADER_EPOCH_UNKNOWN,
        _MAGIC,
        0,
        attributes,
        count - 1,
        timestamps[start],
        max(timestamps[start:end]),
        producer_id,
        producer_epoch,
        base_sequence,
        count,
    )
    crc = google_crc32c.extend(google_crc32c.value(head[CRC_END:]), payload)
    return b"".join((head[: CRC_END - 4], crc.to_bytes(4, "big"), head[CRC_END:], payload)), end


def partitions(keys: Column, count: int) -> list[int]:
    """Return the partition of each key among `count`, as Kafka's default partitioner does; -1 for a null key."""
    if count < 1:
        raise ValueError(f"a topic cannot have {count} partitions")
    return [-1 if key is None else partition_for(key, count) for key in keys]


def _check_columns(
    keys: Sequence[Part],
    values: Sequence[Part],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
    start: int,
) -> None:
    rows = len(keys)
    if len(values) != rows or len(timestamps) != rows or (headers is not None and len(headers) != rows):
        raise ValueError("the columns of a batch have different lengths")
    if not 0 <= start < rows:
        raise ValueError(f"no row {start}: the columns have {rows}")


def _records(
    keys: Sequence[Any],
    values: Sequence[Any],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
    start: int,
    bytes_max: int,
) -> list[bytes]:
    """Encode rows from `start`, at least one, while the batch stays within `bytes_max`."""
    varints, common = _VARINTS, _COMMON
    parts: list[bytes] = []
    size = BATCH_OVERHEAD
    base_timestamp = timestamps[start]
    for row in range(start, len(keys)):
        key, value, timestamp = keys[row], values[row], timestamps[row]
        try:
            delta = timestamp - base_timestamp
            if timestamp < -1:
                raise ValueError(f"the timestamp of row {row} is {timestamp}, which is negative")
            body = b"\0%b%b%b%b%b%b%b" % (
                varints[delta] if 0 <= delta < common else _varint(delta),
                varints[row - start] if row - start < common else _varint(row - start),
                _NULL if key is None else varints[len(key)] if len(key) < common else _varint(len(key)),
                key or b"",
                _NULL
                if value is None
                else varints[len(value)]
                if len(value) < common
                else _varint(len(value)),
                value or b"",
                _headers(headers[row], row) if headers and headers[row] else b"\0",
            )
        except TypeError as error:
            raise _refusal(key, value, timestamp, row) or error from None
        length = len(body)
        prefix = varints[length] if length < common else _varint(length)
        size += length + len(prefix)
        if size > bytes_max and parts:
            break
        if size > _INT32_MAX:
            raise OverflowError(f"row {row} is larger than a batch may be, 2 GiB")
        parts.append(prefix + body)
    return parts


def _headers(headers: Headers, row: int) -> bytes:
    """Encode headers with their number in front."""
    parts = [_varint(len(headers))]
    try:
        for name, value in headers:
            encoded = name.encode()
            parts += (_varint(len(encoded)), encoded)
            parts += (_NULL,) if value is None else (_varint(len(value)), value)
        return b"".join(parts)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, UnicodeError):
            raise
        raise TypeError(f"the headers of row {row} are no tuple of (name, value) pairs") from None


class _TextFoundError(TypeError):
    """A row has text, which goes into a batch as its bytes."""


def _without_text(column: Sequence[Part]) -> list[Part]:
    return [_in_utf8(part) if isinstance(part, str) else part for part in column]


def _in_utf8(text: str) -> Part:
    try:
        return text.encode()
    except UnicodeEncodeError:  # raised where its row is reached
        return text


def _refusal(key: object, value: object, timestamp: object, row: int) -> TypeError | None:
    for what, item in (("key", key), ("value", value)):
        if isinstance(item, str):
            item.encode()
            return _TextFoundError()
        if item is not None and not isinstance(item, bytes):
            found = type(item).__name__
            return TypeError(f"the {what} of row {row} is {found}, and must be bytes, text or None")
    if not isinstance(timestamp, int):
        return TypeError(f"the timestamp of row {row} is no int")
    return None
