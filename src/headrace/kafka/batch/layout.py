"""The fixed part of a record batch (format 2), and the walk over one partition's batches: shared by both directions.

Source: Kafka's documentation of the message format, and `DefaultRecordBatch` of its clients.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple

import google_crc32c

from headrace.base.columns import Column
from headrace.base.records import Headers

__all__ = [
    "BATCH_OVERHEAD",
    "CodecError",
    "Decoded",
    "ExpandedBatchError",
    "StoredBatch",
    "batches",
    "next_position",
]

#: Base offset, length, leader epoch, format, checksum, attributes, last offset's delta, base and highest timestamp,
#: producer's id and epoch, first sequence number, number of records.
BATCH_HEADER = Struct(">qiiBIhiqqqhii")
BATCH_OVERHEAD = BATCH_HEADER.size
#: Base offset and length, which the length does not count.
LENGTH_END = 12
#: Up to and with the byte that names the format.
MAGIC_END = 17
#: The checksum covers everything from here on.
CRC_END = 21

COMPRESSION_MASK = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20

OFFSET_MAX = 2**63 - 1

#: What batches hold together before the rest is left for the next call: the default of Kafka's `fetch.max.bytes`.
BYTES_MAX = 50 << 20


class CodecError(ValueError):
    """Bytes are no record batches: damaged, or of a format that is not read. The message names the batch's offset."""


class ExpandedBatchError(CodecError):
    """A batch holds more than one may, decompressed."""


class Decoded(NamedTuple):
    """What one partition's bytes hold.

    Attributes:
        offsets: ascending; a range where none is missing, else a list.
        timestamps: epoch ms; the batch's own where the topic keeps the time of appending.
        keys, values: bytes, None for a null; lists, or views of one buffer.
        headers: one tuple a record, None when no record has any.
        position: the next offset to fetch or to decode: behind the last batch that was decoded or left out, or where
            the fetch began.
        size_bytes: of the records, decompressed, with what stands around keys and values: views keep all of it.
    """

    offsets: Sequence[int]
    timestamps: list[int]
    keys: Column
    values: Column
    headers: list[Headers] | None
    position: int
    size_bytes: int


class StoredBatch(NamedTuple):
    """One complete batch: its fixed part, and where its bytes are. The checksum is not verified yet."""

    base_offset: int
    last_offset: int
    attributes: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    record_count: int
    crc: int
    data: bytes
    start: int
    end: int

    @property
    def records(self) -> bytes:
        """The records, compressed if the attributes say so."""
        return self.data[self.start + BATCH_OVERHEAD : self.end]

    def verify(self) -> None:
        """Compare the checksum.

        Raises:
            CodecError: it differs.
        """
        found = google_crc32c.value(self.data[self.start + CRC_END : self.end])
        if found != self.crc:
            raise corrupt(self.base_offset, f"its checksum is {found:08x}, and {self.crc:08x} was written")


def corrupt(offset: int, what: str) -> CodecError:
    """Make the error for the batch at `offset`."""
    return CodecError(f"cannot decode the record batch at offset {offset}: {what}")


def batches(data: bytes) -> Iterator[StoredBatch]:
    """Walk over complete batches; one that is cut off ends the walk, as a fetch may cut the last one.

    Raises:
        CodecError: a fixed part cannot be true. Checksums are the caller's to verify.
    """
    start = 0
    size = len(data)
    next_offset = 0
    while size - start >= MAGIC_END:
        base_offset = int.from_bytes(data[start : start + 8], "big", signed=True)
        magic = data[start + 16]
        if magic < 2:
            raise corrupt(
                base_offset, f"its format is {magic}, which Kafka 4 no longer has; only format 2 is read"
            )
        if magic > 2:
            raise corrupt(base_offset, f"its format is {magic}, and only format 2 is known")
        length = int.from_bytes(data[start + 8 : start + 12], "big", signed=True)
        if length + LENGTH_END < BATCH_OVERHEAD:
            raise corrupt(base_offset, f"its length {length} is too small for a batch")
        end = start + LENGTH_END + length
        if end > size:
            return
        batch = _parse(data, start, end)
        if base_offset < next_offset:
            raise corrupt(base_offset, f"the batch before it reaches to offset {next_offset - 1}")
        next_offset = batch.last_offset + 1
        start = end
        yield batch


def _parse(data: bytes, start: int, end: int) -> StoredBatch:
    (
        base_offset,
        _length,
        _leader_epoch,
        _magic,
        crc,
        attributes,
        last_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        _producer_epoch,
        _base_sequence,
        count,
    ) = BATCH_HEADER.unpack_from(data, start)
    last_offset = base_offset + last_delta
    # The last offset plus one must fit, too: it is the next position.
    if base_offset < 0 or last_delta < 0 or last_offset >= OFFSET_MAX:
        raise corrupt(base_offset, f"its last offset is {last_delta} behind its first")
    if count < 0:
        raise corrupt(base_offset, f"it claims {count} records")
    return StoredBatch(
        base_offset,
        last_offset,
        attributes & 0xFF,  # Java's clients look at no more than this byte
        base_timestamp,
        max_timestamp,
        producer_id,
        count,
        crc,
        data,
        start,
        end,
    )


def next_position(data: bytes | bytearray | memoryview, fetch_offset: int) -> int:
    """Return the next offset to fetch, from the headers of the batches alone."""
    position = fetch_offset
    for batch in batches(data if isinstance(data, bytes) else bytes(data)):
        position = max(position, batch.last_offset + 1)
    return position
