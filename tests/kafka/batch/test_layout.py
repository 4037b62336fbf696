"""Record batches as bytes: a literal one, and hostile ones that must be refused cheaply and clearly."""

import hashlib
import struct

import pytest

from headrace.kafka.batch.codec import Codec, CodecError, Decoded, ExpandedBatchError, load
from tests.kafka.batch.codecs import batch_of, native, sealed

# Two records by hand: (b"k", b"v1") at 1000 and (null, b"") at 1001 with the header h=1.
_RECORDS = bytes.fromhex(
    "12"  # 9 bytes
    "00 00 00"  # attributes, timestamp + 0, offset + 0
    "02 6b"  # key
    "04 7631"  # value
    "00"  # no headers
    "14"  # 10 bytes
    "00 02 02"  # attributes, timestamp + 1, offset + 1
    "01"  # null key
    "00"  # empty value
    "02 02 68 02 31"  # one header
)
_BATCH = (
    bytes.fromhex(
        "0000000000000000"  # base offset
        "00000046"  # 70 bytes follow
        "ffffffff"  # leader epoch
        "02"  # format
        "00000000"  # checksum, put in below
        "0000"  # attributes
        "00000001"  # last offset's delta
        "00000000000003e8"  # base timestamp
        "00000000000003e9"  # highest timestamp
        "ffffffffffffffff"  # producer id
        "ffff"  # producer epoch
        "ffffffff"  # base sequence
        "00000002"  # records
    )
    + _RECORDS
)
_KEPT = (range(2), [1000, 1001], [b"k", None], [b"v1", b""], [(), (("h", b"1"),)], 2)


@pytest.fixture(params=["native", "python"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return native() if request.param == "native" else load("python")


def test_a_batch_is_decoded_byte_by_byte(codec: Codec) -> None:
    assert codec.decode(sealed(_BATCH), 0)[:6] == _KEPT


def test_a_batch_is_encoded_byte_by_byte(codec: Codec) -> None:
    batch, _ = codec.encode_batch([b"k", None], [b"v1", b""], [1000, 1001], [(), (("h", b"1"),)], 0, 1000)
    assert batch == sealed(_BATCH)


def test_a_cut_off_last_batch_is_left_out(codec: Codec) -> None:
    batch = sealed(_BATCH)
    second = struct.pack(">q", 2) + batch[8:]
    for length in range(len(second)):
        assert codec.decode(batch + second[:length], 0)[:6] == _KEPT
        assert codec.next_position(batch + second[:length], 0) == 2
    assert codec.decode(batch + second, 0).position == 4


def test_a_lone_batch_that_is_cut_off_is_nothing(codec: Codec) -> None:
    assert codec.decode(sealed(_BATCH)[:-1], 7) == Decoded(range(7, 7), [], [], [], None, 7, 0)


def test_a_wrong_checksum_is_said_with_the_offset(codec: Codec) -> None:
    batch = struct.pack(">q", 41) + sealed(_BATCH)[8:-1] + b"2"
    with pytest.raises(
        CodecError, match=r"at offset 41: its checksum is [0-9a-f]{8}, and [0-9a-f]{8} was written"
    ):
        codec.decode(batch, 0)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats_are_named(codec: Codec, magic: int) -> None:
    batch = bytearray(sealed(_BATCH))
    batch[16] = magic
    with pytest.raises(CodecError, match=f"its format is {magic}, which Kafka 4 no longer has"):
        codec.decode(batch, 0)


@pytest.mark.parametrize(
    ("at", "kind", "number", "message"),
    [
        (8, "i", 48, "its length 48 is too small"),
        (8, "i", -1, "its length -1 is too small"),
        (0, "q", -5, "its last offset is 1 behind its first"),
        (0, "q", 2**63 - 2, "its last offset is 1 behind its first"),
        (23, "i", -1, "its last offset is -1 behind its first"),
        (57, "i", -2, "it claims -2 records"),
        (57, "i", 2**31 - 1, "it ends within a field"),
        (57, "i", 1, "bytes follow its 1 records"),
        (23, "i", 0, "its offset is out of order"),
        (21, "h", 5, "its compression is none that Kafka has"),
    ],
)
def test_nonsense_is_refused_with_a_reason(
    codec: Codec, at: int, kind: str, number: int, message: str
) -> None:
    batch = bytearray(_BATCH)
    struct.pack_into(f">{kind}", batch, at, number)
    with pytest.raises(CodecError, match=message):
        codec.decode(sealed(bytes(batch)), 0)


def test_batches_out_of_order_are_refused(codec: Codec) -> None:
    with pytest.raises(CodecError, match="at offset 0: the batch before it reaches to offset 1"):
        codec.decode(sealed(_BATCH) * 2, 0)


@pytest.mark.parametrize(
    "records",
    [
        "0d 00 00 00 01 01 00",  # a length of -7
        "0c 00 00 00 03 01 00",  # a key of -2
        "0c 00 00 00 01 03 00",  # a value of -2
        "0c 00 00 00 01 01 01",  # -1 headers
        "0c 00 00 00 01 01 fe ff ff ff 0f",  # headers without end
        "0c 00 00 00 fe ff ff ff 0f 01 00",  # a key of 2 GiB
        "ff ff ff ff ff 00 00 00 01 01 00",  # a length of more than five bytes
        "1e 00 80 80 80 80 80 80 80 80 80 02 00 01 01 00",  # a timestamp of 65 bits
    ],
)
def test_numbers_that_lie_are_refused(codec: Codec, records: str) -> None:
    with pytest.raises(CodecError, match="cannot decode the record batch at offset 0"):
        codec.decode(batch_of(bytes.fromhex(records), 1), 0)


_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4


@pytest.mark.parametrize(
    ("attributes", "records", "message"),
    [
        (_SNAPPY, b"\xff\xff\xff\xff\x0f\x00", "snappy: its bytes are damaged"),
        (
            _ZSTD,
            b"\x28\xb5\x2f\xfd\x00\x58" + b"\x02\x00\x10\x00" * 8192 + b"\x0b\x00\x00\x00",
            r"zstd: it holds more than 52428800 bytes, which is more than one fetch may bring \(fetch\.max\.bytes\)",
        ),
        (_ZSTD, b"\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00", "zstd: its window is larger than 128 MiB"),
        (_GZIP, b"", "it ends within a field"),
        (_GZIP, b"\x1f\x8b\x08\0\0\0\0\0\0\xff", "gzip: its frame is cut off"),
        (_LZ4, b"\x04\x22\x4d\x18\x60\x70\x73\xff\xff\xff\x7f", "lz4"),
        (_LZ4, b"\x04\x22\x4d\x18\x60\x40\x81\0\0\0\0", "lz4: its frame's descriptor is damaged"),
        (_LZ4, b"\x04\x22\x4d\x18\x40\x40\xc0\0\0\0\0", "lz4: its frame has flags that Kafka does not allow"),
    ],
)
def test_compressed_bytes_that_lie_are_refused_without_the_memory_they_ask_for(
    codec: Codec, attributes: int, records: bytes, message: str
) -> None:
    with pytest.raises(CodecError, match=message):
        codec.decode(batch_of(records, 1, attributes=attributes), 0)


_ZEROS = bytes(2_000_000)


def _compressed(codec: Codec, compression: str, offset: int, value: bytes) -> bytes:
    batch, _ = codec.encode_batch([None], [value], [0], None, 0, 1 << 30, compression=compression)
    return sealed(struct.pack(">q", offset) + batch[8:])


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_batches_beyond_what_was_asked_for_are_left_for_the_next_call(codec: Codec, compression: str) -> None:
    data = b"".join(_compressed(codec, compression, offset, _ZEROS) for offset in range(5))
    first = codec.decode(data, 0, None, 5_000_000)
    assert (first.offsets, first.position) == (range(2), 2)
    rest = codec.decode(data, 2, None, 5_000_000)
    assert (rest.offsets, rest.position) == (range(2, 4), 4)
    assert codec.decode(data, 4, None, 5_000_000).position == 5


def test_aborted_batches_stay_left_out_when_the_rest_is_decoded(codec: Codec) -> None:
    """The abort marker lies before the place where the second call goes on."""
    aborted, _ = codec.encode_batch(
        [None],
        [b"a"],
        [0],
        None,
        0,
        1000,
        producer_id=7,
        producer_epoch=0,
        base_sequence=0,
        is_transactional=True,
    )
    kept = sealed(struct.pack(">q", 2) + aborted[8:])
    marker = batch_of(bytes.fromhex("20 00 00 00 08 00000000 0c 000000000000 00"), 1, attributes=0x30)
    marker = sealed(struct.pack(">q", 1) + marker[8:43] + struct.pack(">q", 7) + marker[51:])
    data = aborted + marker + kept + sealed(struct.pack(">q", 3) + aborted[8:])
    first = codec.decode(data, 0, [(7, 0)], 8)
    assert (first.values, first.position) == ([b"a"], 3)
    rest = codec.decode(data, 3, [(7, 0)], 8)
    assert (rest.values, rest.position) == ([b"a"], 4)


def _value_bytes(decoded: Decoded) -> int:
    return sum(len(value or b"") for value in decoded.values)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_one_batch_may_hold_more_than_was_asked_for_up_to_what_data_may_shrink_to(
    codec: Codec, compression: str
) -> None:
    assert (
        _value_bytes(codec.decode(_compressed(codec, compression, 0, bytes(900_000)), 0, None, 10)) == 900_000
    )
    shrunk = bytes(range(256)) * 40 + bytes(100_000)
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(10_000))
    data = _compressed(codec, compression, 0, noise + shrunk * 20)
    assert _value_bytes(codec.decode(data, 0, None, 10)) == len(noise) + 20 * len(shrunk)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_one_batch_that_holds_far_more_than_was_asked_for_is_refused(codec: Codec, compression: str) -> None:
    data = _compressed(codec, compression, 3, bytes(60_000_000))
    # snappy shrinks to a twentieth at best, so its own size accounts for most of it.
    most = max(1 << 20, 16 * (len(data) - 61))
    message = (
        rf"at offset 3: {compression}: it holds more than {most} bytes, which is more than one fetch may bring "
        r"\(fetch\.max\.bytes\), and 16 times its compressed size"
    )
    with pytest.raises(ExpandedBatchError, match=message):
        codec.decode(data, 0, None, 1000)
    assert _value_bytes(codec.decode(data, 0, None, 61_000_000)) == 60_000_000


def test_a_header_name_that_is_no_utf8_stops_nobody(codec: Codec) -> None:
    decoded = codec.decode(batch_of(bytes.fromhex("14 00 00 00 01 01 02 04 ff61 01"), 1), 0)
    assert decoded.headers == [(("\ufffda", None),)]


def test_offsets_that_compaction_left_out_are_missing(codec: Codec) -> None:
    records = bytes.fromhex("0c 00 00 02 01 01 00 0c 00 00 06 01 01 00")
    decoded = codec.decode(batch_of(records, 2, last_delta=9), 0)
    assert (decoded.offsets, decoded.position) == ([1, 3], 10)


def test_a_batch_that_compaction_emptied_moves_the_position(codec: Codec) -> None:
    assert codec.decode(batch_of(b"", 0, last_delta=9), 0) == Decoded(range(0), [], [], [], None, 10, 0)
