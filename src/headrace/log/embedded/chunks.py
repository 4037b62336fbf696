"""Chunks of the embedded log as bytes: columns in, msgpack body out, and back."""

import sys
from array import array
from collections.abc import Sequence
from itertools import islice
from operator import ge
from typing import NamedTuple

import msgspec

from headrace.base.records import Headers

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_RECORDS",
    "RECORD_OVERHEAD_BYTES",
    "ChunkBody",
    "EncodedChunk",
    "decode",
    "encode",
]

# A chunk is what a reader decodes at once and compaction rewrites at once. Larger ones gain nothing: at 5,000
# records the cost of a row is 5 ns a record.
CHUNK_RECORDS = 5_000
CHUNK_BYTES = 1 << 20

# What a record weighs in memory beside its payload: two bytes objects of 33 bytes, an int of 32, four list slots;
# less the bytes that the body spends on the timestamp and lengths.
RECORD_OVERHEAD_BYTES = 120


class ChunkBody(msgspec.Struct, array_like=True):
    """The columns of a chunk.

    Attributes:
        offsets: packed; None when they are consecutive from the row's base offset, which is not known when a
            writer encodes a body.
        timestamps: packed epoch ms.
        headers: None when no record has any.

    Integers are packed as little-endian int64: 0.02 us a record where msgpack's own take 0.05.
    """

    offsets: bytes | None
    timestamps: bytes
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[tuple[tuple[str, bytes | None], ...]] | None


class EncodedChunk(NamedTuple):
    """A body, and what its row says about it."""

    record_count: int
    max_timestamp: int
    body: bytes


def encode(
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[Headers] | None,
    offsets: Sequence[int] | None = None,
) -> EncodedChunk:
    """Encode columns of equal lengths. `offsets` None means consecutive from the row's base offset."""
    packed = None if offsets is None else _pack(offsets)
    body = msgspec.msgpack.encode((packed, _pack(timestamps), keys, values, headers))
    return EncodedChunk(len(keys), max(timestamps, default=-1), body)


def decode(
    base_offset: int, next_offset: int, count: int, body: bytes
) -> tuple[Sequence[int], list[int], ChunkBody]:
    """Decode the body of a row into offsets, timestamps and the other columns.

    Raises:
        ValueError: the bytes are not what a writer stored for such a row.
    """
    columns = _DECODER.decode(body)
    offsets: Sequence[int] = range(base_offset, base_offset + count)
    if columns.offsets is not None:
        offsets = _unpack(columns.offsets)
        if any(map(ge, offsets, islice(offsets, 1, None))):
            raise ValueError("offsets are not ascending")
    if offsets and not (base_offset <= offsets[0] and offsets[-1] < next_offset):
        raise ValueError("offsets are outside of the chunk")
    timestamps = _unpack(columns.timestamps)
    lengths = {len(offsets), len(timestamps), len(columns.keys), len(columns.values)}
    if columns.headers is not None:
        lengths.add(len(columns.headers))
    if lengths != {count}:
        raise ValueError(f"columns have {sorted(lengths)} records, the row says {count}")
    return offsets, timestamps, columns


# Stateless and thread-safe; made once, because making one costs as much as decoding a small chunk.
_DECODER = msgspec.msgpack.Decoder(ChunkBody)


def _pack(numbers: Sequence[int]) -> bytes:
    packed = array("q", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack(packed: bytes) -> list[int]:
    numbers = array("q")
    numbers.frombytes(packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    # A list, not the array: an array makes a new int each time an element is looked at, and equals no list.
    return numbers.tolist()
