"""Positions as bytes, for the databases that keep them on disk."""

import msgspec

from headrace.base.errors import StateCorruptionError
from headrace.base.ids import TopicPartition
from headrace.state.port import StorePosition

__all__ = ["decode_position", "encode_position"]


class _Stored(msgspec.Struct, array_like=True):
    """A position in msgpack. Fields are only ever added, at the end and with a default."""

    offset: int
    topic_id: str
    written_ms: int
    stream_time: int
    inputs: list[tuple[str, int, int]]
    mark: str
    sequence: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


def encode_position(position: StorePosition) -> bytes:
    """Return the bytes of a position."""
    inputs = [(partition.topic, partition.partition, offset) for partition, offset in position.inputs.items()]
    return _encoder.encode(
        _Stored(
            position.offset,
            position.topic_id,
            position.written_ms,
            position.stream_time,
            inputs,
            position.mark,
            position.sequence,
        )
    )


def decode_position(data: bytes) -> StorePosition:
    """Return the position of bytes.

    Raises:
        StateCorruptionError: they are no position.
    """
    try:
        stored = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateCorruptionError(f"a store's position cannot be read: {error}") from error
    return StorePosition(
        offset=stored.offset,
        topic_id=stored.topic_id,
        written_ms=stored.written_ms,
        stream_time=stored.stream_time,
        inputs={TopicPartition(topic, partition): offset for topic, partition, offset in stored.inputs},
        mark=stored.mark,
        sequence=stored.sequence,
    )
