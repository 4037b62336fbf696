"""The columns that the compiled codec decodes to, against lists of the same rows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.columns import Column, texts_of
from tests.budget import examples
from tests.kafka.batch.codecs import as_installed

pytestmark = pytest.mark.campaign

_parts = st.lists(st.one_of(st.none(), st.binary(max_size=70), st.text(max_size=20).map(str.encode)))
_bounds = st.one_of(st.none(), st.integers(-14, 14))


def columns_of(
    keys: list[bytes | None], values: list[bytes | None], compression: str = "none"
) -> tuple[Column, Column]:
    codec = as_installed()
    batch, end = codec.encode_batch(keys, values, [0] * len(keys), None, 0, 1 << 30, compression=compression)
    assert end == len(keys)
    decoded = codec.decode(batch, 0)
    return decoded.keys, decoded.values


def column_of(parts: list[bytes | None]) -> Column:
    column, _ = columns_of(parts, [None] * len(parts))
    return column


def texts_or_error(column: Column) -> list[str | None] | str:
    try:
        return texts_of(column)
    except UnicodeDecodeError as error:
        return str(error)


@settings(max_examples=examples(150), deadline=None)
@given(parts=_parts.filter(bool), start=_bounds, stop=_bounds, step=st.sampled_from([None, 1, 2, -1]))
def test_it_is_looked_at_as_a_list_is(
    parts: list[bytes | None], start: int | None, stop: int | None, step: int | None
) -> None:
    column = column_of(parts)
    assert len(column) == len(parts)
    assert list(column) == parts
    for index in range(-len(parts), len(parts)):
        assert column[index] == parts[index]
    part = column[start:stop:step]
    assert list(part) == parts[start:stop:step]
    assert list(part[1:]) == parts[start:stop:step][1:]
    assert texts_or_error(part) == texts_or_error(parts[start:stop:step])


@pytest.mark.parametrize("index", [3, -4])
def test_row_that_it_does_not_have_is_an_index_error(index: int) -> None:
    column = column_of([b"a", b"b", b"c"])
    with pytest.raises(IndexError):
        column[index]
    with pytest.raises(IndexError):
        column[:2][2]


def test_it_is_no_place_to_write() -> None:
    column = column_of([b"a"])
    with pytest.raises(TypeError):
        column[0] = b"b"  # type: ignore[index] # the mistake


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_it_outlives_the_bytes_that_it_was_read_from(compression: str) -> None:
    codec = as_installed()
    batch, _ = codec.encode_batch(
        ["k"] * 50, ["v" * 50] * 50, [0] * 50, None, 0, 9999, compression=compression
    )
    received = bytearray(batch * 1)
    values = codec.decode(memoryview(received), 0).values[10:12]
    received[:] = bytes(len(received))
    assert list(values) == [b"v" * 50] * 2


def test_rows_of_several_batches_stand_in_one_column() -> None:
    codec = as_installed()
    first, _ = codec.encode_batch(["a", "b"], [None, "1"], [0, 0], None, 0, 999)
    second, _ = codec.encode_batch(["c", "d"], ["2", b""], [0, 0], None, 0, 999, compression="lz4")
    decoded = codec.decode(first + (2).to_bytes(8, "big") + second[8:], 1)
    assert (list(decoded.keys), list(decoded.values)) == ([b"b", b"c", b"d"], [b"1", b"2", b""])
    assert texts_of(decoded.values) == ["1", "2", ""]


def test_records_that_were_not_asked_for_are_not_kept() -> None:
    codec = as_installed()
    batch, _ = codec.encode_batch([None, None], [bytes(5000), b"1"], [0, 0], None, 0, 9999)
    assert codec.decode(batch, 1).size_bytes == 8
