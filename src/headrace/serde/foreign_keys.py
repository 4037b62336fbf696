"""The bytes of a foreign-key join: subscriptions, the keys they are stored under, and responses.

A row of one table subscribes to the row of the other table that its foreign key names. The subscription goes through a
topic to where that other row is, is kept there, and is answered through another topic, now and whenever the other row
changes. A response carries the hash of the row that asked, which tells one that comes too late.

Source: `SubscriptionWrapperSerde`, `SubscriptionResponseWrapperSerde`, `CombinedKeySchema`.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from operator import itemgetter
from struct import Struct
from typing import Final, Generic, TypeAlias

from typing_extensions import TypeVar

from headrace.base.errors import SerializationError
from headrace.base.murmur3 import HASH_BYTES
from headrace.base.records import Headers
from headrace.serde.serde import CodecSerde, Serde

__all__ = [
    "Instruction",
    "Response",
    "ResponseSerde",
    "Subscription",
    "foreign_key_prefix",
    "subscriber",
    "subscription",
]

T = TypeVar("T")


class Instruction(IntEnum):
    """What becomes of a subscription, and when it is answered at once. The numbers are those on the topic."""

    FORGET = 0
    FORGET_AND_ANSWER = 1  # that there is no other row
    KEEP_AND_ANSWER = 2  # even if there is no other row
    KEEP = 3  # and answer if there is another row


#: Instruction, hash of the row that asks (None where it was deleted), its key's bytes, its partition (None where Kafka
#: Streams before 3.4 wrote it), and the bytes of all that, which are the same on the topic and in the store. A plain
#: tuple, since one is made for each update.
Subscription: TypeAlias = tuple[int, bytes | None, bytes, int | None, bytes]

#: Hash of the row that asked, the other row's value (None where there is none), the partition to answer to. The latter
#: is not written: it is None where a response was read.
Response: TypeAlias = tuple[bytes | None, T | None, int | None]

#: Set in the first byte, whose rest is the version, where there is no hash.
_NO_HASH = 0x80

#: Where the value of a response with a hash begins.
_VALUE_AT = 1 + HASH_BYTES

_PARTITION = Struct(">i")
_pack_partition = _PARTITION.pack
_partition_at = _PARTITION.unpack_from
_pack_length = Struct(">I").pack

_INSTRUCTION_MAX = int(Instruction.KEEP)


def foreign_key_prefix(foreign_key: bytes) -> bytes:
    """Return what a foreign key's subscriptions are stored under; the primary key's bytes follow."""
    return _pack_length(len(foreign_key)) + foreign_key


def subscriber(partition: int | None) -> Callable[[int, bytes | None, bytes], Subscription]:
    """Return what makes the subscriptions of one partition's rows: of instruction, hash and primary key."""
    version, tail = (0, b"") if partition is None else (1, _pack_partition(partition))
    heads = tuple(bytes((version, each)) for each in Instruction)
    heads_without_hash = tuple(bytes((version | _NO_HASH, each)) for each in Instruction)

    def subscribed(instruction: int, hash: bytes | None, primary_key: bytes) -> Subscription:
        begun = heads_without_hash[instruction] if hash is None else heads[instruction] + hash
        return instruction, hash, primary_key, partition, begun + primary_key + tail

    return subscribed


def decode_subscription(data: bytes) -> Subscription:
    """Return the subscription of bytes.

    Raises:
        ValueError: the bytes are no subscription, or one of a version to come.
    """
    first, instruction = data[0], data[1]
    version, start = (first, 2 + HASH_BYTES) if first < _NO_HASH else (first - _NO_HASH, 2)
    if version > 1:
        raise ValueError(f"a subscription of version {version}, which is younger than this program")
    if instruction > _INSTRUCTION_MAX:
        raise ValueError(f"there is no instruction {instruction}")
    end = len(data) - 4 * version
    if end < start:
        raise ValueError("it ends before its primary key")
    return (
        instruction,
        None if start == 2 else data[2:start],
        data[start:end],
        _partition_at(data, end)[0] if version else None,
        data,
    )


#: Serializes subscriptions, with and without a partition.
subscription: Final[Serde[Subscription]] = CodecSerde(
    "subscription",
    itemgetter(4),
    decode_subscription,
    expects="the subscription of a foreign-key join",
    type=tuple,
    immutable=True,
)


class ResponseSerde(Serde[Response[T]], Generic[T]):
    """Serialize responses by the serde of the other table's values.

    A value without bytes is read as none, as in Kafka Streams: its absence is not told in another way.
    """

    def __init__(self, inner: Serde[T]) -> None:
        self.inner = inner
        self.uses_headers = inner.uses_headers
        self.reads_headers = inner.reads_headers

    def configure(self, properties: Mapping[str, object]) -> None:
        """Hand the properties on."""
        self.inner.configure(properties)

    def serialize(self, topic: str, value: Response[T], headers: Headers = ()) -> bytes:
        """Return the bytes of a response."""
        hash, foreign, _ = value
        return _begun(hash) + (b"" if foreign is None else self.inner.serialize(topic, foreign, headers))

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> Response[T]:
        """Return the response of bytes."""
        try:
            hash, foreign = _taken_apart(data)
        except (IndexError, ValueError) as error:
            raise SerializationError(f"cannot deserialize from topic {topic!r}: {error}") from error
        return hash, self.inner.deserialize(topic, foreign, headers) if foreign else None, None

    def serializer(self, topic: str) -> Callable[[Response[T]], bytes]:
        """Return the quick form: the value's own and 0.2 µs."""
        encode = self.inner.serializer(topic)

        def bound(value: Response[T]) -> bytes:
            hash, foreign, _ = value
            if hash is None or foreign is None:
                return _begun(hash) + (b"" if foreign is None else encode(foreign))
            return b"\x00" + hash + encode(foreign)

        return bound

    def deserializer(self, topic: str) -> Callable[[bytes], Response[T]]:
        """Return the quick form: the value's own and 0.3 µs."""
        decode = self.inner.deserializer(topic)

        def bound(data: bytes) -> Response[T]:
            if data[0] == 0 and len(data) > _VALUE_AT:  # most are so, and a call is half of what they take
                return data[1:_VALUE_AT], decode(data[_VALUE_AT:]), None
            hash, foreign = _taken_apart(data)
            return hash, decode(foreign) if foreign else None, None

        return bound

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResponseSerde):
            return NotImplemented
        return bool(self.inner == other.inner)

    def __hash__(self) -> int:
        return hash((ResponseSerde, self.inner))

    def __repr__(self) -> str:
        return f"response({self.inner!r})"


def _begun(hash: bytes | None) -> bytes:
    """Return what stands before the value: version 0, and the hash if there is one."""
    return b"\x80" if hash is None else b"\x00" + hash


def _taken_apart(data: bytes) -> tuple[bytes | None, bytes]:
    version = data[0]
    if version == _NO_HASH:
        return None, data[1:]
    if version:
        version %= _NO_HASH
        raise ValueError(f"a response of version {version}, which is younger than this program")
    if len(data) < _VALUE_AT:
        raise ValueError("it ends within its hash")
    return data[1:_VALUE_AT], data[_VALUE_AT:]
