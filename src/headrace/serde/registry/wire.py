"""The bytes around a value: the id of its schema, as a prefix or in a header, and Protobuf's message indexes.

Source: Confluent's `SchemaId`, `PrefixSchemaIdSerializer`, `HeaderSchemaIdSerializer`, `DualSchemaIdDeserializer`. A
prefix is 0 and the id in 4 bytes, big-endian. A header has the same, or 1 and a GUID of 16 bytes. In both the indexes
of a Protobuf message follow: how many, then each, as zigzag varints; the first message of a file alone is one 0.
"""

from collections.abc import Sequence
from uuid import UUID

from headrace.base.records import Headers
from headrace.serde.varint import read_varint, varint

__all__ = [
    "KEY_HEADER",
    "PREFIX_BYTES",
    "VALUE_HEADER",
    "header_of",
    "indexes_bytes",
    "prefix_of",
    "read_identity",
    "read_indexes",
    "without_header",
]

KEY_HEADER = "__key_schema_id"
VALUE_HEADER = "__value_schema_id"

PREFIX_BYTES = 5

#: More levels than anybody nests messages in: a number that hostile bytes cannot raise.
_INDEXES_MAX = 100


def prefix_of(id: int) -> bytes:
    """Return what stands before a value.

    >>> prefix_of(7)
    b'\\x00\\x00\\x00\\x00\\x07'
    """
    return b"\x00" + id.to_bytes(4, "big")


def header_of(id: int, guid: UUID | None) -> bytes:
    """Return what stands in a header: the GUID, or the id of a registry that has none."""
    return prefix_of(id) if guid is None else b"\x01" + guid.bytes


def read_identity(data: bytes) -> tuple[int | UUID, int]:
    """Return the id or the GUID that bytes begin with, and where it ends.

    Raises:
        ValueError: they begin otherwise.
    """
    if not data:
        raise ValueError("there are no bytes, where the id of a schema begins them")
    if data[0] == 0:
        if len(data) < PREFIX_BYTES:
            raise ValueError(f"the id of a schema takes {PREFIX_BYTES} bytes, but there are {len(data)}")
        return int.from_bytes(data[1:PREFIX_BYTES], "big"), PREFIX_BYTES
    if data[0] == 1:
        if len(data) < 17:
            raise ValueError(f"the GUID of a schema takes 17 bytes, but there are {len(data)}")
        return UUID(bytes=bytes(data[1:17])), 17
    raise ValueError(
        f"a schema's id begins with the byte 0, found {data[0]}: the value was written without a registry"
    )


def indexes_bytes(indexes: Sequence[int]) -> bytes:
    """Return the bytes of a message's place in its file.

    >>> indexes_bytes([0]), indexes_bytes([1, 0])
    (b'\\x00', b'\\x04\\x02\\x00')
    """
    if list(indexes) == [0]:
        return b"\x00"
    return varint(len(indexes)) + b"".join(varint(each) for each in indexes)


def read_indexes(data: bytes, start: int) -> tuple[tuple[int, ...], int]:
    """Return a message's place in its file, and where it ends.

    Raises:
        ValueError: it is cut off, or no place.
    """
    count, at = read_varint(data, start, len(data))
    if count == 0:
        return (0,), at
    if not 0 < count <= _INDEXES_MAX:
        raise ValueError(f"a message cannot lie {count} messages deep")
    indexes = []
    for _ in range(count):
        index, at = read_varint(data, at, len(data))
        if index < 0:
            raise ValueError(f"there is no message {index}")
        indexes.append(index)
    return tuple(indexes), at


def without_header(headers: Headers, name: str) -> Headers:
    """Return headers without those of a name."""
    return tuple(each for each in headers if each[0] != name)
