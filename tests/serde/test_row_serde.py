"""Rows of ready-made aggregations as bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.rows import RowSerde

plain = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary(), st.booleans()
)
rows = st.recursive(plain, lambda inner: st.lists(inner).map(tuple)).map(lambda each: (each,))


def serde(signature: str = "mean") -> RowSerde:
    return RowSerde(signature, lambda row: row[0], is_small=True)


@given(rows)
def test_a_row_comes_back_equal_and_of_the_same_types(row: Any) -> None:
    data = serde().serialize("t", row)
    assert repr(serde().deserialize("t", data)) == repr(row)
    assert serde().serialize("t", serde().deserialize("t", data)) == data


def test_the_bytes_of_a_row_stay_what_they_are() -> None:
    assert serde().serialize("t", (3, 0, 1.5)).hex() == "0170f8efb0" + "9303" + "00" + "cb3ff8000000000000"


def test_rows_of_another_aggregation_are_refused_with_what_to_do() -> None:
    data = serde("sum").serialize("app-totals-changelog", (3,))
    with pytest.raises(
        SerializationError, match="'app-totals-changelog' holds something else than rows of mean"
    ):
        serde("mean").deserialize("app-totals-changelog", data)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\x00\x00\x00\x00\x90"])
def test_bytes_of_anything_else_are_refused(data: bytes) -> None:
    with pytest.raises(SerializationError):
        serde().deserialize("t", data)


@given(st.binary(max_size=40))
def test_damaged_rows_are_refused_or_read_as_rows(tail: bytes) -> None:
    prefix = serde().serialize("t", (1,))[:5]
    try:
        row = serde().deserialize("t", prefix + tail)
    except SerializationError:
        return
    assert isinstance(row, tuple)


def test_what_a_row_cannot_hold_is_refused() -> None:
    with pytest.raises(SerializationError):
        serde().serialize("t", (object(),))
    with pytest.raises(SerializationError):
        serde().serialize("t", (2**70,))


def test_serdes_of_one_aggregation_are_equal() -> None:
    assert serde("mean") == serde("mean")
    assert serde("mean") != serde("sum")
    assert hash(serde("mean")) == hash(serde("mean"))
