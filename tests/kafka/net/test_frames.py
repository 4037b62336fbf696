"""Cutting a stream into frames, however it is cut itself."""

import struct

import pytest

from headrace.kafka.net.frames import FrameError, FrameReader, FrameStream


def _frame(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


def _feed(reader: FrameReader, data: bytes, piece: int) -> list[bytes]:
    frames: list[bytes] = []
    position = 0
    while position < len(data):
        space = reader.space()
        assert len(space) > 0
        part = data[position : position + min(piece, len(space))]
        space[: len(part)] = part
        frames += [bytes(frame) for frame in reader.received(len(part))]
        position += len(part)
    return frames


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64, 1000, 1 << 20])
def test_frames_come_out_whole_however_the_stream_is_cut(piece: int) -> None:
    payloads = [b"a", b"bc" * 10, b"d" * 65_532, b"e", b"f" * 70_000, b"g" * 65_537, b"h"]
    assert _feed(FrameReader(), b"".join(map(_frame, payloads)), piece) == payloads


def test_a_large_frame_is_received_where_it_stays() -> None:
    reader = FrameReader()
    head = _frame(b"x" * 1_000_000)[:100]
    reader.space()[:100] = head
    assert reader.received(100) == []
    assert len(reader.space()) == 1_000_000 - 96


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x28", "it speaks TLS: set security.protocol to SSL or SASL_SSL"),
        (
            b"HTTP/1.1 400 Bad Request",
            "it speaks HTTP: this is not a Kafka port; correct bootstrap.servers",
        ),
        (b"\xff\xff\xff\xff", "it sent ff ff ff ff, which is not Kafka's protocol"),
        (b"\x00\x00\x00\x00", "it sent 00 00 00 00, which is not Kafka's protocol"),
        (b"SSH-2.0-OpenSSH", "it sent 53 53 48 2d 32 2e 30 2d, which is not Kafka's protocol"),
    ],
)
def test_a_stream_that_is_not_kafkas_is_named(head: bytes, said: str) -> None:
    with pytest.raises(FrameError) as failed:
        _feed(FrameReader(), head, 1 << 16)
    assert said in str(failed.value)


def test_a_stream_gives_small_reads_as_bytes_and_a_large_rest_as_a_view() -> None:
    stream = FrameStream(memoryview(b"abcd" + b"x" * 100_000))
    assert stream.read(4) == b"abcd"
    assert stream.tell() == 4
    rest = stream.read()
    assert isinstance(rest, memoryview)
    assert len(rest) == 100_000
    assert stream.read(5) == b""
