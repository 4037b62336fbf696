"""The text beside a committed offset, in Kafka Streams' own form, so that either side continues the other's work.

Source: Kafka's TopicPartitionMetadata: Base64 of one byte 2, the partition time (8 bytes, big-endian), and the
processors' metadata (absent when empty; else count, then length, name and 8 byte value of each; ProcessorMetadata).
"""

import base64
import binascii
import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["NOTHING_COMMITTED", "CommitMetadata", "decode_metadata", "encode_metadata", "merged_processors"]

_MAGIC = 2
_UNKNOWN = -1
_FORM = struct.Struct(">bq")
_COUNT = struct.Struct(">i")
_VALUE = struct.Struct(">q")


class CommitMetadata(NamedTuple):
    """What is committed beside an offset.

    Attributes:
        partition_time: the partition's highest timestamp so far (epoch ms), -1 where it is not known.
        processors: what nodes of the task remember, each under the name of its store. All partitions of a task have it.
    """

    partition_time: int
    processors: Mapping[str, int] = MappingProxyType({})


NOTHING_COMMITTED = CommitMetadata(_UNKNOWN)


def encode_metadata(metadata: CommitMetadata) -> str:
    """Return the text of what is committed beside an offset."""
    parts = [_FORM.pack(_MAGIC, metadata.partition_time)]
    if metadata.processors:
        parts.append(_COUNT.pack(len(metadata.processors)))
        for name, value in metadata.processors.items():
            encoded = name.encode()
            parts += [_COUNT.pack(len(encoded)), encoded, _VALUE.pack(value)]
    return base64.b64encode(b"".join(parts)).decode("ascii")


def decode_metadata(text: str) -> CommitMetadata:
    """Return what the text says. What it does not say is unknown: a group's older or foreign metadata is no error."""
    try:
        data = base64.b64decode(text, validate=True)
        magic, partition_time = _FORM.unpack_from(data)
    except (binascii.Error, ValueError, struct.error):
        return NOTHING_COMMITTED
    if magic not in (1, _MAGIC):
        return NOTHING_COMMITTED
    try:
        processors = _processors(data[_FORM.size :]) if magic == _MAGIC else {}
    except (ValueError, struct.error):
        processors = {}
    return CommitMetadata(int(partition_time), processors)


def _processors(data: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    if not data:
        return found
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        (length,) = _COUNT.unpack_from(data, at)
        if length < 0:
            raise ValueError(length)
        at += _COUNT.size
        name = data[at : at + length].decode()
        at += length
        (found[name],) = _VALUE.unpack_from(data, at)
        at += _VALUE.size
    return found


def merged_processors(committed: Iterable[CommitMetadata]) -> dict[str, int]:
    """Return what the nodes of a task remember, by the metadata of all of its partitions: the highest of each."""
    merged: dict[str, int] = {}
    for metadata in committed:
        for name, value in metadata.processors.items():
            merged[name] = max(value, merged.get(name, value))
    return merged
