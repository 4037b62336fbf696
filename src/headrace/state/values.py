"""Values on their way into a store and out of it: which stay objects, which become bytes at once, and row bytes."""

from struct import Struct
from typing import Any

from headrace.base.callables import unstarted
from headrace.base.errors import SerializationError
from headrace.serde.rows import RowSerde
from headrace.serde.serde import CodecSerde, Serde, is_of_nobody, reason_of

__all__ = ["TIMESTAMP_BYTES", "ValueCodec", "pack_timestamp", "unpack_timestamp"]

TIMESTAMP_BYTES = 8

_TIMESTAMP = Struct(">q")

#: A timestamp as a timestamped row begins with it. Source: `ValueAndTimestampSerializer`.
pack_timestamp = _TIMESTAMP.pack


def unpack_timestamp(row: bytes) -> int:
    """Timestamp of a timestamped row."""
    timestamp: int = _TIMESTAMP.unpack_from(row)[0]
    return timestamp


class ValueCodec:
    """How one store turns values into bytes and back.

    Attributes:
        kept_type: values of exactly this class may stay objects in memory, since nobody can change them and their bytes
            come back as the same value. None if the store keeps bytes only.
        accepts: whether a value of that class can be written for sure; see `Serde.accepts`.
        weighs_alike: whether all that stay objects weigh about the same.
        whole: where these are whole numbers within bounds, the bounds.
        encode: the serde's quick function. What it raises is raw: call `to_bytes` then, which raises with words.
    """

    __slots__ = (
        "_decode",
        "_serde",
        "_store",
        "_topic",
        "accepts",
        "encode",
        "kept_type",
        "weighs_alike",
        "whole",
    )

    def __init__(self, serde: Serde[Any], topic: str, store: str) -> None:
        self._serde = serde
        self._topic = topic
        self._store = store
        self.encode = serde.serializer(topic)
        self._decode = serde.deserializer(topic)
        self.accepts = serde.accepts
        self.whole = serde.whole if isinstance(serde, CodecSerde) else None
        self.kept_type = serde.type if serde.immutable else None
        # Numbers all weigh about the same, and so do rows of a few of them.
        self.weighs_alike = self.kept_type in {int, float, bool} or (
            isinstance(serde, RowSerde) and serde.is_small
        )

    def to_bytes(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Raises:
            SerializationError: the serde refuses it.
        """
        try:
            return self.encode(value)
        except Exception as error:
            if is_of_nobody(error):
                raise
            attempt = f"cannot serialize a value for store {self._store!r}"
            late = unstarted(value)
            if late is not None:
                raise SerializationError(f"{attempt}: {late}") from late
            raise self._refused(error, attempt) from error

    def to_value(self, data: bytes) -> Any:
        """Return the value of bytes.

        Raises:
            SerializationError: the serde refuses them.
        """
        try:
            return self._decode(data)
        except Exception as error:
            if is_of_nobody(error):
                raise
            raise self._refused(error, f"cannot deserialize a value of store {self._store!r}") from error

    def _refused(self, error: Exception, attempt: str) -> SerializationError:
        detail = reason_of(self._serde, error)
        return SerializationError(f"{attempt} with {self._serde!r} (topic {self._topic!r}): {detail}")
