"""Records as JSON lines."""

import time

import msgspec
import pytest

from headrace.base.columns import Chunk
from headrace.cli.formats import AUTO, FORMATS
from headrace.cli.lines import LineError, read_line, write_chunk


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
        (b"ann", "it is no JSON"),
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
