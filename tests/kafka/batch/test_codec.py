"""Both implementations of the codec against each other, on records and on damaged bytes."""

import os
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.errors import ConfigError
from headrace.base.records import Headers
from headrace.kafka.batch.codec import Codec, CodecError, Decoded, load
from tests.budget import examples
from tests.kafka.batch.codecs import PYTHON, native, sealed

pytestmark = pytest.mark.campaign

COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]

# Around the lengths at which a length takes another byte, and where a compression begins its next block.
_contents: st.SearchStrategy[bytes | None] = st.one_of(
    st.none(),
    st.binary(max_size=70),
    st.builds(
        bytes.__mul__, st.binary(min_size=1, max_size=3), st.sampled_from([63, 64, 8191, 8192, 40_000])
    ),
)
_headers = st.lists(st.tuples(st.text(max_size=5), _contents), max_size=3).map(tuple)
_timestamps = st.one_of(
    st.integers(-1, 200), st.integers(1_700_000_000_000, 1_700_000_100_000), st.just(2**62)
)
_rows = st.lists(st.tuples(_contents, _contents, _timestamps, _headers), min_size=1, max_size=12)
_Row = tuple[bytes | None, bytes | None, int, Headers]


def _encode(
    codec: Codec, rows: list[_Row], compression: str, bytes_max: int = 10_000_000
) -> tuple[bytes, int]:
    keys, values, timestamps, headers = (list(column) for column in zip(*rows))
    return codec.encode_batch(keys, values, timestamps, headers, 0, bytes_max, compression=compression)


def _outcome(
    codec: Codec,
    data: bytes,
    fetch_offset: int,
    aborted: list[tuple[int, int]] | None,
    bytes_max: int = 50 << 20,
) -> Decoded | None:
    try:
        return codec.decode(data, fetch_offset, aborted, bytes_max)
    except CodecError:
        return None


@settings(max_examples=examples(150), deadline=None)
@given(rows=_rows, compression=st.sampled_from(COMPRESSIONS))
def test_what_one_implementation_encodes_the_other_decodes(rows: list[_Row], compression: str) -> None:
    compiled = native()
    for writer, reader in ((compiled, PYTHON), (PYTHON, compiled)):
        batch, end = _encode(writer, rows, compression)
        decoded = reader.decode(batch, 0)
        headers = decoded.headers or [()] * end
        assert list(zip(decoded.keys, decoded.values, decoded.timestamps, headers)) == rows
        assert (decoded.offsets, decoded.position, end) == (range(len(rows)), len(rows), len(rows))
        assert reader.next_position(batch, 0) == len(rows)


class _Text(str):
    __slots__ = ()


_parts = st.one_of(_contents, st.text(max_size=70), st.builds(_Text, st.text(max_size=5)))


@settings(max_examples=examples(100), deadline=None)
@given(keys=st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=1, max_size=9), data=st.data())
def test_text_is_written_by_both_as_its_utf_8_is(keys: list[str | None], data: st.DataObject) -> None:
    count = len(keys)
    values = data.draw(st.lists(_parts, min_size=count, max_size=count))
    raw_keys, raw_values = (
        [p.encode() if isinstance(p, str) else p for p in column] for column in (keys, values)
    )
    bytes_max = data.draw(st.integers(0, 500))
    for codec in (native(), PYTHON):
        expected = codec.encode_batch(raw_keys, raw_values, [7] * count, None, 0, bytes_max)
        assert codec.encode_batch(keys, values, [7] * count, None, 0, bytes_max) == expected


@settings(max_examples=examples(100), deadline=None)
@given(rows=_rows, compression=st.sampled_from(COMPRESSIONS), bytes_max=st.integers(0, 100_000))
def test_both_cut_at_the_same_row_and_stay_within_the_limit(
    rows: list[_Row], compression: str, bytes_max: int
) -> None:
    batch, end = _encode(native(), rows, compression, bytes_max)
    other, other_end = _encode(PYTHON, rows, compression, bytes_max)
    assert end == other_end
    assert len(batch) <= bytes_max or end == 1
    if compression == "none":
        assert batch == other


@settings(max_examples=examples(400), deadline=None)
@given(
    rows=_rows,
    compression=st.sampled_from(COMPRESSIONS),
    damage=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 300),
    is_sealed=st.booleans(),
    fetch_offset=st.integers(0, 12),
    aborted=st.sampled_from([None, [], [(-1, 0)], [(7, 0)]]),
)
def test_both_accept_and_refuse_the_same_damaged_bytes(
    rows: list[_Row],
    compression: str,
    damage: list[tuple[int, int]],
    cut: int,
    is_sealed: bool,
    fetch_offset: int,
    aborted: list[tuple[int, int]] | None,
) -> None:
    compiled = native()
    batch, _ = _encode(compiled, rows, compression)
    damaged = bytearray(batch)
    for topic_partition, byte in damage:
        damaged[topic_partition % len(damaged)] = byte
    data = sealed(bytes(damaged)) if is_sealed else bytes(damaged)
    # The last batch of two is cut off, which leaves the first one whole.
    data = batch + data[: max(len(data) - cut, 0)] if cut else data
    outcome = _outcome(compiled, data, fetch_offset, aborted)
    assert outcome == _outcome(PYTHON, data, fetch_offset, aborted)
    if outcome is not None:
        assert outcome.position == compiled.next_position(data, fetch_offset)
        assert outcome.position == PYTHON.next_position(memoryview(data), fetch_offset)


@settings(max_examples=examples(200), deadline=None)
@given(data=st.binary(max_size=400))
def test_bytes_that_are_nothing_are_refused_or_empty_in_both(data: bytes) -> None:
    assert _outcome(native(), data, 0, None) == _outcome(PYTHON, data, 0, None)


@settings(max_examples=examples(30), deadline=None)
@given(
    rows=st.lists(st.tuples(_contents, _contents, _timestamps, _headers), min_size=1, max_size=3),
    compressions=st.lists(st.sampled_from(COMPRESSIONS), min_size=1, max_size=4),
    bytes_max=st.integers(0, 300_000),
)
def test_both_stop_where_as_much_is_decompressed_as_was_asked_for(
    rows: list[_Row], compressions: list[str], bytes_max: int
) -> None:
    compiled, data, offset = native(), b"", 0
    for compression in compressions:
        batch, count = _encode(compiled, rows, compression)
        data += sealed(struct.pack(">q", offset) + batch[8:])
        offset += count
    at = 0
    while at < offset:
        outcome = _outcome(compiled, data, at, [], bytes_max)
        assert outcome is not None
        assert outcome == _outcome(PYTHON, data, at, [], bytes_max)
        assert outcome.position > at
        at = outcome.position
    assert at == offset


@settings(max_examples=examples(50), deadline=None)
@given(keys=st.lists(st.one_of(st.none(), st.binary(max_size=40))), count=st.integers(1, 1000))
def test_both_choose_the_same_partitions(keys: list[bytes | None], count: int) -> None:
    assert native().partitions(keys, count) == PYTHON.partitions(keys, count)


@pytest.mark.parametrize("name", ["native", "python"])
class TestEach:
    """What each implementation does by itself."""

    @pytest.fixture
    def codec(self, name: str) -> Codec:
        return native() if name == "native" else load(name)

    def test_partitions_are_those_of_java(self, codec: Codec) -> None:
        assert codec.partitions([b"21", b"foobar", None, b""], 1000) == [
            (-973932308 & 0x7FFFFFFF) % 1000,
            (-790332482 & 0x7FFFFFFF) % 1000,
            -1,
            (275646681 & 0x7FFFFFFF) % 1000,
        ]

    def test_views_and_byte_arrays_decode_like_bytes(self, codec: Codec) -> None:
        batch, _ = codec.encode_batch([b"k"], [b"v"], [1], None, 0, 1000)
        framed = b"junk" + batch + b"junk"
        assert codec.decode(memoryview(framed)[4:-4], 0) == codec.decode(batch, 0)
        assert codec.decode(bytearray(batch), 0) == codec.decode(batch, 0)
        assert codec.next_position(memoryview(framed)[4:-4], 0) == 1

    def test_rows_are_taken_from_the_start_that_is_given(self, codec: Codec) -> None:
        batch, end = codec.encode_batch([b"a", b"b", b"c"], [None] * 3, [1, 2, 3], None, 1, 1000)
        assert codec.decode(batch, 0) == Decoded(range(2), [2, 3], [b"b", b"c"], [None, None], None, 2, 16)
        assert end == 3

    def test_the_first_row_is_encoded_even_above_the_limit(self, codec: Codec) -> None:
        batch, end = codec.encode_batch([None, None], [b"x" * 500, b"y"], [1, 1], None, 0, 100)
        assert (len(batch), end) == (570, 1)

    def test_a_row_that_is_no_bytes_is_named(self, codec: Codec) -> None:
        with pytest.raises(TypeError, match="the value of row 1 is int, and must be bytes, text or None"):
            codec.encode_batch([b"a", "b"], [b"1", 2], [1, 2], None, 0, 1000)  # type: ignore[list-item] # the mistake

    def test_half_a_surrogate_pair_is_refused_where_its_row_is_reached(self, codec: Codec) -> None:
        keys = ["a", "b", "\ud800"]
        assert codec.encode_batch(keys, [None] * 3, [1, 2, 3], None, 0, 70)[1] == 1
        with pytest.raises(UnicodeEncodeError):
            codec.encode_batch(keys, [None] * 3, [1, 2, 3], None, 0, 1000)

    def test_negative_timestamps_are_refused(self, codec: Codec) -> None:
        with pytest.raises(ValueError, match="the timestamp of row 0 is -2, which is negative"):
            codec.encode_batch([b"a"], [b"1"], [-2], None, 0, 1000)

    def test_a_compression_that_there_is_not_is_refused(self, codec: Codec) -> None:
        with pytest.raises(ValueError, match="no compression is called brotli"):
            codec.encode_batch([b"a"], [b"1"], [1], None, 0, 1000, compression="brotli")

    def test_no_row_to_encode_is_refused(self, codec: Codec) -> None:
        with pytest.raises(ValueError, match="no row 1: the columns have 1"):
            codec.encode_batch([b"a"], [b"1"], [1], None, 1, 1000)


def test_a_codec_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="HEADRACE_CODEC is 'rust': set it to 'native' or 'python'"):
        load("rust")


@pytest.mark.process
def test_the_missing_compiled_codec_is_said_in_one_line() -> None:
    hidden = "import sys; sys.modules['headrace_native'] = None; "
    program = hidden + "import headrace.kafka.batch.codec as c; print(c.chosen.name)"
    environment = {name: value for name, value in os.environ.items() if name != "HEADRACE_CODEC"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "python\n"
    assert done.stderr.count("\n") == 1
    assert "headrace-native cannot be used" in done.stderr
    assert "pip install --upgrade 'headrace[native]'" in done.stderr


@pytest.mark.process
def test_the_environment_forces_the_codec_in_python_silently() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import headrace.kafka.batch.codec as c; print(c.chosen.name)"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"HEADRACE_CODEC": "python"},
    )
    assert (done.stdout, done.stderr) == ("python\n", "")
