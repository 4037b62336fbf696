"""Cut a connection's bytes into frames, copying a large one not once: the bottom of the way in."""

import struct

__all__ = ["FrameError", "FrameReader", "FrameStream"]

# A piece of the stream: many small answers fit in it, and a frame that does not gets room of its own.
_PIECE_BYTES = 64 * 1024

# Above the largest fetch that anybody asks for; a length beyond it is no length.
_FRAME_BYTES_MAX = 256 * 1024 * 1024

_LENGTH = struct.Struct(">i")


class FrameError(Exception):
    """The stream is not Kafka's: says what it rather looks like."""


class FrameReader:
    """Turn received bytes into frames: `space` is where to receive to, `received` says how much came.

    A frame that is not complete in the piece where it begins is received right where it stays.
    """

    def __init__(self) -> None:
        self._piece = bytearray(_PIECE_BYTES)
        self._piece_end = 0
        self._frame = bytearray()
        self._frame_end = 0

    def space(self) -> memoryview:
        """Return the room for the next bytes; never empty."""
        if self._frame:
            return memoryview(self._frame)[self._frame_end :]
        return memoryview(self._piece)[self._piece_end :]

    def received(self, count: int) -> list[memoryview]:
        """Take `count` bytes that were written to `space`; return the frames that are complete with them.

        Raises:
            FrameError: a length is impossible.
        """
        if self._frame:
            self._frame_end += count
            if self._frame_end < len(self._frame):
                return []
            frame, self._frame = self._frame, bytearray()
            return [memoryview(frame)]
        self._piece_end += count
        return self._cut()

    def _cut(self) -> list[memoryview]:
        frames: list[memoryview] = []
        start, end = 0, self._piece_end
        while end - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._piece, start)
            if not 0 < length <= _FRAME_BYTES_MAX:
                raise FrameError(_what_it_is(bytes(self._piece[start : min(start + 8, end)])))
            begin = start + _LENGTH.size
            if end - begin < length:
                self._frame = bytearray(length)
                self._frame_end = end - begin
                self._frame[: self._frame_end] = self._piece[begin:end]
                start = end
                break
            frames.append(memoryview(bytes(self._piece[begin : begin + length])))
            start = begin + length
        self._piece[: end - start] = self._piece[start:end]
        self._piece_end = end - start
        return frames


def _what_it_is(head: bytes) -> str:
    # 21 is a TLS alert, 22 a TLS handshake; then the version 3.x.
    if head[0] in {0x15, 0x16} and head[1] == 0x03:
        return "it speaks TLS: set security.protocol to SSL or SASL_SSL"
    if head[:5] == b"HTTP/":
        return "it speaks HTTP: this is not a Kafka port; correct bootstrap.servers"
    return f"it sent {head.hex(' ')}, which is not Kafka's protocol; correct bootstrap.servers or security.protocol"


class FrameStream:
    """A frame for those who read it in order. A small read is `bytes`, the rest of a large frame a view of it."""

    def __init__(self, frame: memoryview) -> None:
        self._frame = frame
        self._position = 0

    def read(self, count: int | None = None) -> bytes | memoryview:
        """Return the next `count` bytes, or all that are left."""
        end = len(self._frame) if count is None else min(self._position + count, len(self._frame))
        part = self._frame[self._position : end]
        self._position = end
        return part if len(part) > _PIECE_BYTES else bytes(part)

    def tell(self) -> int:
        """Return the position in the frame."""
        return self._position

    def seek(self, position: int) -> None:
        """Go to a position."""
        self._position = position
