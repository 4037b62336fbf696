"""Records as JSON lines."""

import base64
import time

import msgspec
import pytest

from headrace.base.columns import Chunk
from headrace.cli.lines import LineError, read_line, write_chunk
from headrace.query.formats import AUTO, FORMATS, Format


def test_a_line_has_key_value_timestamp_headers_and_partition() -> None:
    line = b'{"key": "ann", "value": {"n": 1}, "timestamp": 5, "headers": {"h": "x", "none": null}, "partition": 2}'
    record = read_line(line, AUTO, AUTO)
    assert (record.key, record.value, record.timestamp, record.partition) == (b"ann", b'{"n":1}', 5, 2)
    assert record.headers == (("h", b"x"), ("none", None))


def test_what_is_missing_is_null_and_now() -> None:
    before = time.time_ns() // 1_000_000
    record = read_line(b"{}", AUTO, AUTO)
    assert (record.key, record.value, record.headers, record.partition) == (None, None, (), None)
    assert before <= record.timestamp <= time.time_ns() // 1_000_000


def test_headers_may_be_pairs_so_that_a_name_occurs_twice() -> None:
    record = read_line(b'{"headers": [["a", "1"], ["a", "2"]]}', AUTO, AUTO)
    assert record.headers == (("a", b"1"), ("a", b"2"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"ann", r'it is no JSON: .*; write \{"key": …, "value": …\}'),
        (b"[1]", "it is no object"),
        (b'{"kee": 1}', "it has the field 'kee'"),
        (b'{"timestamp": "now"}', "its timestamp is 'now'"),
        (b'{"timestamp": -1}', "its timestamp is -1"),
        (b'{"timestamp": true}', "its timestamp is True"),
        (b'{"headers": [1]}', "its headers are neither"),
        (b'{"partition": "x"}', "its partition is 'x'"),
        (b'{"key": "x"}', "its key cannot be written"),
        (b"\xff", "it is no JSON"),
    ],
)
def test_a_line_that_is_no_record_says_why(line: bytes, said: str) -> None:
    with pytest.raises(LineError, match=said):
        read_line(line, FORMATS["int64"], AUTO)


@pytest.mark.parametrize(
    ("timestamp", "wanted"),
    [
        ('"2013-01-01T00:00:00Z"', 1_356_998_400_000),
        ('"2013-01-01T01:00:00.250+01:00"', 1_356_998_400_250),
        ('"2013-01-01"', 1_356_998_400_000),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_timestamp_is_a_number_or_a_time(timestamp: str, wanted: int) -> None:
    assert read_line(f'{{"timestamp": {timestamp}}}'.encode(), AUTO, AUTO).timestamp == wanted


_DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"timestamp": 9223372036854775808}', "its timestamp is 9223372036854775808, but must be"),
        (b'{"timestamp": "1969-12-31"}', "its timestamp is '1969-12-31', but must be epoch milliseconds, or"),
        (b'{"timestamp": "yesterday"}', "its timestamp is 'yesterday'"),
        (b'{"timestamp": 1e999}', "it is no JSON: Number out of range"),
        (b'{"timestamp": true}', "its timestamp is True"),
        (b'{"partition": 1e3}', "its partition is 1000.0"),
        (b'{"headers": ""}', "its headers are neither"),
        (b'{"headers": false}', "its headers are neither"),
        (b'{"value": ' + b"9" * 5000 + b"}", "it is no JSON: Integer value out of range"),
        (b'{"value": ' + _DEEP + b"}", "it is nested too deeply"),
        (b'{"headers": {"a": ' + _DEEP + b"}}", "it is nested too deeply"),
        ('{"value": {"base64": "é"}}'.encode(), "'é' is not base64"),
        ('{"value": "x"}'.encode("utf-16-le"), "save it as UTF-8, it looks like UTF-16"),
    ],
)
def test_line_beyond_all_bounds_says_why(line: bytes, said: str) -> None:
    with pytest.raises(LineError) as caught:
        read_line(line, AUTO, AUTO)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


def test_line_of_a_serde_that_raises_what_it_likes_says_so() -> None:
    def refuse(document: object) -> bytes:
        raise OverflowError("too much")

    with pytest.raises(LineError, match="its value cannot be written: OverflowError: too much"):
        read_line(b'{"value": 1}', AUTO, Format(AUTO.show, refuse))


@pytest.mark.parametrize("depth", [900, *range(980, 1_010), 100_000])
def test_value_that_is_nested_without_end_is_shown(depth: int) -> None:
    value = b"[" * depth + b"]" * depth
    shown = write_chunk(Chunk("t", 0, range(1), [0], [None], [value], None, 0), 0, 1, AUTO, AUTO)
    assert value in shown or base64.b64encode(value) in shown


def test_records_are_written_with_where_they_were() -> None:
    chunk = Chunk("t", 1, range(7, 9), [5, 6], [b"a", None], [b"x", None], [(("h", b"\xff"),), ()], 0)
    lines = write_chunk(chunk, 0, 2, AUTO, AUTO).splitlines()
    assert [msgspec.json.decode(line) for line in lines] == [
        {
            "topic": "t",
            "partition": 1,
            "offset": 7,
            "timestamp": 5,
            "key": "a",
            "value": "x",
            "headers": [["h", {"base64": "/w=="}]],
        },
        {
            "topic": "t",
            "partition": 1,
            "offset": 8,
            "timestamp": 6,
            "key": None,
            "value": None,
            "headers": [],
        },
    ]


def test_a_line_that_was_read_can_be_written_elsewhere() -> None:
    chunk = Chunk("t", 1, range(7, 8), [5], [b"a"], [b"x"], None, 0)
    record = read_line(write_chunk(chunk, 0, 1, AUTO, AUTO), AUTO, AUTO)
    assert (record.key, record.value, record.timestamp, record.partition) == (b"a", b"x", 5, 1)
