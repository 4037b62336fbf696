"""The record batch codec, between one partition's bytes and columns: headrace-native, or its twin in Python."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from headrace.base.columns import Column, Part
from headrace.base.compiled import compiled, unknown, wanted
from headrace.base.records import Headers
from headrace.kafka.batch.layout import BYTES_MAX, CodecError, Decoded, ExpandedBatchError

__all__ = [
    "Codec",
    "CodecError",
    "Decoded",
    "ExpandedBatchError",
    "chosen",
    "decode",
    "encode_batch",
    "load",
    "next_position",
    "partitions",
]


class DecodeFunction(Protocol):
    """Decodes what one partition's bytes hold from `fetch_offset` on.

    Left out are control batches, records below `fetch_offset`, a last batch that is cut off, and, unless `aborted` is
    None (read uncommitted), the aborted transactions that the fetch's answer lists as (producer id, first offset). What
    is not `bytes` must not be written to meanwhile.

    Batches are decompressed until they hold `bytes_max` together; the rest is left for another call, from the position
    of this one on. The first one alone may hold as much, or 16 times its compressed size, or 1 MiB: a broker's limits
    are for compressed batches, so that a few crafted bytes could ask for any memory.

    Raises:
        CodecError: a complete batch is damaged, or is of an old format.
        ExpandedBatchError: the first batch holds more than it may.
    """

    def __call__(
        self,
        data: bytes | bytearray | memoryview,
        fetch_offset: int,
        aborted: Sequence[tuple[int, int]] | None = None,
        bytes_max: int = ...,
    ) -> Decoded: ...


class NextPositionFunction(Protocol):
    """Returns the position that `decode` will return, from the headers of the batches alone.

    Raises:
        CodecError: a header cannot be true. Checksums are not verified.
    """

    def __call__(self, data: bytes | bytearray | memoryview, fetch_offset: int) -> int: ...


class EncodeFunction(Protocol):
    """Encodes one batch of rows from `start`; returns it and the index behind its last row.

    The batch stays within `bytes_max`, but holds at least one row. It is what Java's producer would write; compressed,
    up to the libraries' own choices. Text is written in UTF-8. Headers are tuples or lists of (name, value), or None
    for all rows.

    Raises:
        TypeError: a key or value is not bytes, text or None, a timestamp no int, headers no pairs; the row is named.
        ValueError: there is no row at `start`, no such compression or level, a timestamp below -1, text without UTF-8.
    """

    def __call__(
        self,
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
    ) -> tuple[bytes, int]: ...


class PartitionsFunction(Protocol):
    """Returns the partition of each key among `count`, as Kafka's default partitioner does; -1 for a null key."""

    def __call__(self, keys: Column, count: int) -> list[int]: ...


class Codec(NamedTuple):
    """One implementation: `native` or `python`."""

    name: str
    decode: DecodeFunction
    next_position: NextPositionFunction
    encode_batch: EncodeFunction
    partitions: PartitionsFunction


def load(name: str) -> Codec:
    """Return an implementation by its name.

    Raises:
        ImportError: `native` is not installed, or of another version.
        ConfigError: there is none of this name.
    """
    if name == "native":
        return _native()
    if name == "python":
        return _python()
    raise unknown(name)


def _native() -> Codec:
    headrace_native = compiled()
    read: Callable[..., tuple[Any, ...]] = headrace_native.decode
    skim: NextPositionFunction = headrace_native.next_position

    def decode(
        data: bytes | bytearray | memoryview,
        fetch_offset: int,
        aborted: Sequence[tuple[int, int]] | None = None,
        bytes_max: int = BYTES_MAX,
    ) -> Decoded:
        try:
            return Decoded._make(read(data, fetch_offset, aborted, bytes_max))
        except ValueError as error:
            raise CodecError(str(error)) from None
        except OverflowError as error:
            raise ExpandedBatchError(str(error)) from None

    def next_position(data: bytes | bytearray | memoryview, fetch_offset: int) -> int:
        try:
            return skim(data, fetch_offset)
        except ValueError as error:
            raise CodecError(str(error)) from None

    return Codec("native", decode, next_position, headrace_native.encode_batch, headrace_native.partitions)


def _python() -> Codec:
    from headrace.kafka.batch.decoding import decode
    from headrace.kafka.batch.encoding import encode_batch, partitions
    from headrace.kafka.batch.layout import next_position

    return Codec("python", decode, next_position, encode_batch, partitions)


def _choose() -> Codec:
    forced = wanted()
    if forced:
        return load(forced)
    try:
        return load("native")
    except ImportError as error:
        logging.getLogger("headrace.kafka").warning(
            "headrace-native cannot be used (%s): records are read and written in Python, about 2 µs a record each way "
            "instead of 0.1; `pip install --upgrade 'headrace[native]'` mends it",
            error,
        )
        return load("python")


chosen = _choose()
decode = chosen.decode
next_position = chosen.next_position
encode_batch = chosen.encode_batch
partitions = chosen.partitions
