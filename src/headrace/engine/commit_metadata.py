"""The text beside a committed offset, in Kafka Streams' own form, so that either side continues the other's work.

Source: Kafka's TopicPartitionMetadata: Base64 of one byte 2, the partition time (8 bytes, big-endian), and the
processors' metadata (absent when empty; else count, then length, name and 8 byte value of each).
"""

import base64
import binascii
import struct

__all__ = ["decode_partition_time", "encode_partition_time"]

_MAGIC = 2
_UNKNOWN = -1
_FORM = struct.Struct(">bq")


def encode_partition_time(partition_time: int) -> str:
    """Return the metadata text for a partition whose highest timestamp so far is `partition_time` (epoch ms)."""
    return base64.b64encode(_FORM.pack(_MAGIC, partition_time)).decode("ascii")


def decode_partition_time(metadata: str) -> int:
    """Return the partition time, or -1 where the text says nothing: a group's older or foreign metadata is no error."""
    try:
        magic, partition_time = _FORM.unpack_from(base64.b64decode(metadata, validate=True))
    except (binascii.Error, ValueError, struct.error):
        return _UNKNOWN
    return int(partition_time) if magic in (1, _MAGIC) else _UNKNOWN
