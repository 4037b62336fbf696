"""Kafka's four compressions, for the codec in Python: frames as Java writes them, around the libraries' own bytes.

A batch grows to the caller's limit at most, whatever it claims, and memory is asked for only as the compressed bytes
account for it. `native/src/compression.rs` accepts and refuses the same.
"""

import zlib
from collections.abc import Iterator
from struct import Struct

import cramjam

__all__ = ["COMPRESSIONS", "CompressionError", "ExpansionError", "compress", "decompress"]

#: By the number in the batch's attributes.
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")

_INT32 = Struct(">i")
_UINT32_LITTLE = Struct("<I")
_CRC_AND_SIZE = Struct("<II")

_CUT_OFF = "its frame is cut off"
_DAMAGED = "its bytes are damaged"

_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, system unknown
_GZIP_CHUNK = 1 << 20

#: Blocks of xerial's SnappyOutputStream: magic, version, lowest compatible version.
_SNAPPY_MAGIC = b"\x82SNAPPY\0"
_SNAPPY_HEADER = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"
_SNAPPY_BLOCK = 32 * 1024
#: A snappy copy makes at most 64 bytes out of two.
_SNAPPY_RATIO_MAX = 64

_LZ4_MAGIC = b"\x04\x22\x4d\x18"
#: Version 1, independent blocks of at most 64 KiB, no checksums; the last byte is the checksum of the two before.
_LZ4_HEADER = b"\x04\x22\x4d\x18\x60\x40\x82"
_LZ4_BLOCK = 64 * 1024
_LZ4_STORED = 0x80000000
#: The level by which Kafka means the fast compressor; every other one is for the high compression.
_LZ4_LEVEL_FAST = 9

_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_SKIPPABLE = 0x184D2A50
_ZSTD_BLOCK_MAX = 128 * 1024
#: What the library's own streams read at most, and with them Java's consumer.
_ZSTD_WINDOW_MAX = 1 << 27
_ZSTD_LEVEL = 3


class CompressionError(ValueError):
    """Bytes are not what their compression makes."""


class ExpansionError(Exception):
    """Bytes hold more than they may."""


def compress(compression: str, level: int | None, data: bytes) -> bytes:
    """Compress the records of a batch.

    Raises:
        ValueError: a compression or level that there is none of.
    """
    match compression:
        case "none":
            return data
        case "gzip":
            return _gzip(level, data)
        case "snappy":
            return _SNAPPY_HEADER + b"".join(
                part
                for block in _blocks(data, _SNAPPY_BLOCK)
                for part in _with_length(bytes(cramjam.snappy.compress_raw(block)))
            )
        case "lz4":
            return _lz4(level, data)
        case "zstd":
            return bytes(cramjam.zstd.compress(data, _ZSTD_LEVEL if level is None else level))
    raise ValueError(f"no compression is called {compression}: there are {', '.join(COMPRESSIONS)}")


def decompress(compression: int, data: bytes, bytes_max: int) -> bytes:
    """Decompress the records of a batch, to `bytes_max` at most.

    Raises:
        CompressionError: the bytes are damaged.
        ExpansionError: they hold more.
    """
    if compression >= len(COMPRESSIONS):
        raise CompressionError("its compression is none that Kafka has")
    name = COMPRESSIONS[compression]
    try:
        match name:
            case "gzip":
                return _gunzip(data, bytes_max)
            case "snappy":
                return _unsnappy(data, bytes_max)
            case "lz4":
                return _unlz4(data, bytes_max)
            case "zstd":
                return _unzstd(data, bytes_max)
    except (cramjam.DecompressionError, zlib.error):
        raise CompressionError(f"{name}: {_DAMAGED}") from None
    except CompressionError as error:
        raise CompressionError(f"{name}: {error}") from None
    return data


def _blocks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _with_length(block: bytes) -> tuple[bytes, bytes]:
    return _INT32.pack(len(block)), block


def _gzip(level: int | None, data: bytes) -> bytes:
    if level is not None and level != -1 and not 1 <= level <= 9:
        raise ValueError(f"cannot compress a batch with gzip: its levels are 1 to 9, not {level}")
    stream = zlib.compressobj(-1 if level is None else level, zlib.DEFLATED, -zlib.MAX_WBITS)
    trailer = _CRC_AND_SIZE.pack(zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return b"".join((_GZIP_HEADER, stream.compress(data), stream.flush(), trailer))


def _gunzip(data: bytes, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        while not stream.eof:
            part = stream.decompress(data, _GZIP_CHUNK)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            size += len(part)
            if size > bytes_max:
                raise ExpansionError
            if not part and not data and not stream.eof:
                raise CompressionError(_CUT_OFF)
            parts.append(part)
    return b"".join(parts)


def _unsnappy(data: bytes, bytes_max: int) -> bytes:
    # Java always writes frames; other clients write bare snappy, and Java reads both.
    if len(data) < len(_SNAPPY_HEADER) or not data.startswith(_SNAPPY_MAGIC):
        return _unsnappy_block(data, bytes_max)
    parts: list[bytes] = []
    at = len(_SNAPPY_HEADER)
    size = 0
    while at < len(data):
        start = at + 4
        at = start + int.from_bytes(data[at:start], "big", signed=True)
        if not start <= at <= len(data):
            raise CompressionError(_CUT_OFF)
        part = _unsnappy_block(data[start:at], bytes_max - size)
        size += len(part)
        parts.append(part)
    return b"".join(parts)


def _unsnappy_block(block: bytes, bytes_max: int) -> bytes:
    """Decompress a block whose length stands in front, seven bits a byte; the library would believe any length."""
    length = 0
    for index, byte in enumerate(block[:5]):
        length |= (byte & 127) << (7 * index)
        if byte < 128:
            break
    else:
        raise CompressionError(_DAMAGED)
    if length > len(block) * _SNAPPY_RATIO_MAX:
        raise CompressionError(_DAMAGED)
    if length > bytes_max:
        raise ExpansionError
    return bytes(cramjam.snappy.decompress_raw(block))


def _lz4(level: int | None, data: bytes) -> bytes:
    if level is not None and not 1 <= level <= 17:
        raise ValueError(f"cannot compress a batch with lz4: its levels are 1 to 17, not {level}")
    parts = [_LZ4_HEADER]
    for block in _blocks(data, _LZ4_BLOCK):
        if level is None or level == _LZ4_LEVEL_FAST:
            packed = bytes(cramjam.lz4.compress_block(block, store_size=False))
        else:
            packed = bytes(
                cramjam.lz4.compress_block(
                    block, mode="high_compression", compression=level, store_size=False
                )
            )
        if len(packed) < len(block):
            parts += (_UINT32_LITTLE.pack(len(packed)), packed)
        else:
            parts += (_UINT32_LITTLE.pack(len(block) | _LZ4_STORED), block)
    parts.append(bytes(4))
    return b"".join(parts)


def _xxhash32_short(data: bytes) -> int:
    """Return xxHash32 of fewer than 16 bytes, seed 0: what a frame's descriptor is checked with."""
    mask = 0xFFFFFFFF
    words = len(data) // 4 * 4
    h = 0x165667B1 + len(data)
    for at in range(0, words, 4):
        h = (h + int.from_bytes(data[at : at + 4], "little") * 0xC2B2AE3D) & mask
        h = (h << 17 | h >> 15) * 0x27D4EB2F & mask
    for byte in data[words:]:
        h = (h + byte * 0x165667B1) & mask
        h = ((h << 11 | h >> 21) & mask) * 0x9E3779B1 & mask
    h = (h ^ h >> 15) * 0x85EBCA77 & mask
    h = (h ^ h >> 13) * 0xC2B2AE3D & mask
    return h ^ h >> 16


def _unlz4(data: bytes, bytes_max: int) -> bytes:
    """Read one frame of independent blocks, as Java's client does, up to its end mark.

    The checksums that a frame may carry for its blocks and content are skipped: the batch's own covers the same bytes.
    """
    if len(data) < 7:
        raise CompressionError(_CUT_OFF)
    flags, blocks = data[4], data[5]
    # Version 01, independent blocks, no dictionary; the reserved bits are zero.
    if (
        not data.startswith(_LZ4_MAGIC)
        or flags & 0b1110_0011 != 0b0110_0000
        or blocks not in _LZ4_BLOCK_SIZES
    ):
        raise CompressionError("its frame has flags that Kafka does not allow")
    block_max = _LZ4_BLOCK_SIZES[blocks]
    at = 14 if flags & 0x08 else 6
    if len(data) <= at:
        raise CompressionError(_CUT_OFF)
    if data[at] != _xxhash32_short(data[4:at]) >> 8 & 255:
        raise CompressionError("its frame's descriptor is damaged")
    at += 1
    block_check = 4 if flags & 0x10 else 0
    content_check = 4 if flags & 0x04 else 0
    parts: list[bytes] = []
    size = 0
    room = bytearray(block_max)
    while at + 4 <= len(data):
        mark = int.from_bytes(data[at : at + 4], "little")
        length = mark & ~_LZ4_STORED
        at += 4
        if length == 0:
            if len(data) != at + content_check:
                raise CompressionError("bytes follow its frame")
            return b"".join(parts)
        block = data[at : at + length]
        at += length + block_check
        if length > block_max or at > len(data):
            raise CompressionError(_CUT_OFF)
        if not mark & _LZ4_STORED:
            block = bytes(room[: cramjam.lz4.decompress_block_into(block, room, output_len=block_max)])
        size += len(block)
        if size > bytes_max:
            raise ExpansionError
        parts.append(block)
    raise CompressionError(_CUT_OFF)


_LZ4_BLOCK_SIZES = {0x40: 1 << 16, 0x50: 1 << 18, 0x60: 1 << 20, 0x70: 1 << 22}


def _unzstd(data: bytes, bytes_max: int) -> bytes:
    bound = _zstd_bound(data)
    if bound == 0:
        return b""
    room = bytearray(min(bound, bytes_max))
    try:
        return bytes(memoryview(room)[: cramjam.zstd.decompress_into(data, room)])
    except cramjam.DecompressionError:
        # The bound counts every block as full. What fails for lack of room holds too much; with room for all, it is
        # damaged.
        if bound > bytes_max:
            raise ExpansionError from None
        raise


def _zstd_bound(data: bytes) -> int:
    """Return how many bytes the frames hold at most, from the blocks that are really there."""
    at = bound = 0
    while at < len(data):
        magic = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if magic & ~0xF == _ZSTD_SKIPPABLE:
            at += 4 + int.from_bytes(data[at : at + 4], "little")
        elif magic == _ZSTD_MAGIC:
            held, at = _zstd_frame_bound(data, at)
            bound += held
        else:
            raise CompressionError("its frame has no magic")
        if at > len(data):
            raise CompressionError(_CUT_OFF)
    return bound


def _zstd_frame_bound(data: bytes, at: int) -> tuple[int, int]:
    flags = int.from_bytes(data[at : at + 1], "little")
    at += 1
    is_single_segment = bool(flags & 0x20)
    window = 0
    if not is_single_segment:
        exponent = int.from_bytes(data[at : at + 1], "little")
        at += 1
        base = 1 << (10 + (exponent >> 3))
        window = base + (base >> 3) * (exponent & 7)
    at += (0, 1, 2, 4)[flags & 3]
    claim_length = (int(is_single_segment), 2, 4, 8)[flags >> 6]
    if is_single_segment:
        window = int.from_bytes(data[at : at + claim_length], "little") + (256 if claim_length == 2 else 0)
    at += claim_length
    if window > _ZSTD_WINDOW_MAX:
        raise CompressionError("its window is larger than 128 MiB")
    bound = 0
    is_last = False
    while not is_last and at + 3 <= len(data):
        block = int.from_bytes(data[at : at + 3], "little")
        is_last = bool(block & 1)
        kind, size = block >> 1 & 3, block >> 3
        if kind == 3:
            raise CompressionError("a block has a reserved type")
        grown = min(_ZSTD_BLOCK_MAX, window) if kind == 2 else size
        if grown > _ZSTD_BLOCK_MAX:
            raise CompressionError("a block is larger than 128 KiB")
        bound += grown
        at += 3 + (1 if kind == 1 else size)
    if not is_last:
        raise CompressionError(_CUT_OFF)
    return bound, at + (4 if flags & 4 else 0)
