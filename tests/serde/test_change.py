"""Updates of a table in a repartition topic: the bytes that Kafka Streams writes and reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.change import ChangeSerde, decode_change, encode_change
from headrace.serde.primitives import int64, string

VALUES = st.none() | st.binary(max_size=300)


@pytest.mark.parametrize(
    ("new", "old", "data"),
    [
        (b"new", None, b"new\x01"),
        (None, b"old", b"old\x00"),
        (b"new", b"old", b"\x06newold\x02"),
        (b"", b"old", b"\x00old\x02"),
        (b"", None, b"\x01"),
        (b"x" * 64, b"y", b"\x80\x01" + b"x" * 64 + b"y\x02"),
    ],
)
def test_bytes_are_those_of_kafka_streams(new: bytes | None, old: bytes | None, data: bytes) -> None:
    assert encode_change(new, old) == data
    assert decode_change(data) == (new, old, True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"old\x00\x03", (None, b"old", False)),
        (b"new\x01\x04", (b"new", None, True)),
        (b"\x06newold\x00\x05", (b"new", b"old", False)),
    ],
)
def test_markers_with_the_latest_flag_are_read(
    data: bytes, expected: tuple[bytes | None, bytes | None, bool]
) -> None:
    assert decode_change(data) == expected


@given(VALUES, VALUES)
def test_every_update_comes_back(new: bytes | None, old: bytes | None) -> None:
    if new is not None or old is not None:
        assert decode_change(encode_change(new, old)) == (new, old, True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x\x06",
        b"\x02",
        b"\x08new\x02",
        b"\x01new\x02",
        b"\xff\xff\xff\xff\xff\x01\x02",
        b"\x03",
        b"x\x02\x03",
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SerializationError):
        ChangeSerde(string).deserialize("t", data)


@given(st.binary(max_size=40))
def test_hostile_bytes_give_an_update_or_the_error(data: bytes) -> None:
    try:
        new, old, _ = ChangeSerde(string).deserialize("t", data)
    except SerializationError:
        return
    assert new is not None or old is not None


def test_values_go_through_the_inner_serde() -> None:
    serde = ChangeSerde(int64)
    data = b"\x10" + b"\x00" * 7 + b"\x02" + b"\x00" * 7 + b"\x01\x02"
    assert serde.serialize("t", (2, 1, True)) == data
    assert serde.serializer("t")((2, 1, False)) == data
    assert serde.deserialize("t", data) == (2, 1, True)
    assert serde.deserializer("t")(data) == (2, 1, True)


def test_update_without_values_is_refused() -> None:
    with pytest.raises(SerializationError, match="needs a new or an old value"):
        ChangeSerde(int64).serialize("t", (None, None, True))


def test_serdes_of_the_same_values_are_equal() -> None:
    assert ChangeSerde(string) == ChangeSerde(string)
    assert ChangeSerde(string) != ChangeSerde(int64)
    assert ChangeSerde(string) != string
