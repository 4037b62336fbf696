"""Plain values: Kafka's bytes, there and back, and what is refused."""

import enum
import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.primitives import boolean, float32, float64, int32, int64, raw, string, uuid
from headrace.serde.serde import Serde

ID = UUID("c81d4e2e-bcf2-11e6-869b-7df92533d2db")
ALL: list[Serde[Any]] = [boolean, float32, float64, int32, int64, raw, string, uuid]


@pytest.mark.parametrize(
    ("serde", "value", "data"),
    [
        (string, "grüß", b"gr\xc3\xbc\xc3\x9f"),
        (string, "", b""),
        (raw, b"\x00\xff", b"\x00\xff"),
        (int32, -2, b"\xff\xff\xff\xfe"),
        (int64, 258, b"\x00\x00\x00\x00\x00\x00\x01\x02"),
        (int64, -1, b"\xff" * 8),
        (float32, 1.5, b"\x3f\xc0\x00\x00"),
        (float64, -2.0, b"\xc0\x00\x00\x00\x00\x00\x00\x00"),
        (boolean, True, b"\x01"),
        (boolean, False, b"\x00"),
        (uuid, ID, b"c81d4e2e-bcf2-11e6-869b-7df92533d2db"),
    ],
)
def test_bytes_are_those_of_kafka(serde: Serde[Any], value: object, data: bytes) -> None:
    assert serde.serialize("t", value) == data
    assert serde.serializer("t")(value) == data
    for found in (serde.deserialize("t", data), serde.deserializer("t")(data)):
        assert found == value
        assert type(found) is type(value)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_comes_back(value: str) -> None:
    assert string.deserialize("t", string.serialize("t", value)) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_number_comes_back(value: int) -> None:
    assert int64.deserialize("t", int64.serialize("t", value)) == value


@given(st.floats())
def test_number_comes_back(value: float) -> None:
    found = float64.deserialize("t", float64.serialize("t", value))
    assert found == value or (math.isnan(found) and math.isnan(value))


@given(st.uuids())
def test_uuid_comes_back(value: UUID) -> None:
    assert uuid.deserialize("t", uuid.serialize("t", value)) == value


@pytest.mark.parametrize(
    ("serde", "value"),
    [
        (string, b"x"),
        (string, 5),
        (string, "\ud800"),
        (raw, "x"),
        (raw, 5),
        (raw, bytearray(b"x")),
        (int32, 2**31),
        (int32, True),
        (int64, "5"),
        (int64, 5.0),
        (int64, True),
        (int64, 2**63),
        (int64, -(2**63) - 1),
        (float32, 1e300),
        (float64, "1"),
        (float64, False),
        (float64, 10**400),
        (boolean, 1),
        (uuid, str(ID)),
        *((serde, None) for serde in ALL),
    ],
)
def test_other_value_is_refused(serde: Serde[Any], value: object) -> None:
    with pytest.raises(SerializationError) as refused:
        serde.serialize("t", value)
    assert refused.value.__cause__ is not None
    # Invariant: the quick form refuses the same, with an error of any class.
    with pytest.raises(Exception):  # noqa: B017
        serde.serializer("t")(value)


def test_message_says_what_was_expected_and_found() -> None:
    with pytest.raises(SerializationError) as refused:
        int64.serialize("counts", "5")  # type: ignore[arg-type]  # the mistake under test
    assert str(refused.value) == (
        "cannot serialize for topic 'counts': int64 expects an int of 8 bytes, found a str: not an int"
    )
    with pytest.raises(SerializationError) as unreadable:
        int64.deserialize("counts", b"123")
    assert str(unreadable.value) == (
        "cannot deserialize from topic 'counts': int64 expects an int of 8 bytes, found 3 bytes: "
        "unpack requires a buffer of 8 bytes"
    )


def test_message_does_not_repeat_the_value() -> None:
    with pytest.raises(SerializationError) as refused:
        int64.serialize("t", "a secret")  # type: ignore[arg-type]  # the mistake under test
    assert "secret" not in str(refused.value)


def test_int_stands_in_for_a_float() -> None:
    assert float64.serialize("t", 2) == float64.serialize("t", 2.0)


def test_member_of_an_int_enumeration_is_an_int() -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    assert int64.serialize("t", Level.HIGH) == int64.serialize("t", 3)


@pytest.mark.parametrize(
    ("serde", "data"),
    [
        (string, b"\xff"),
        (int32, b""),
        (int32, b"12345"),
        (int64, b"1234567"),
        (float32, b"12345"),
        (float64, b""),
        (boolean, b"\x02"),
        (boolean, b""),
        (uuid, b"c81d4e2ebcf211e6869b7df92533d2db"),
        (uuid, b"{c81d4e2e-bcf2-11e6-869b-7df92533d2d"),
        (uuid, b"c81d4e2e-bcf2-11e6-869b-7df92533d2_b"),
    ],
)
def test_other_bytes_are_refused(serde: Serde[Any], data: bytes) -> None:
    with pytest.raises(SerializationError):
        serde.deserialize("t", data)


@pytest.mark.parametrize("serde", ALL, ids=repr)
@given(data=st.binary(max_size=40))
def test_hostile_bytes_give_a_value_or_the_error(serde: Serde[Any], data: bytes) -> None:
    try:
        value = serde.deserialize("t", data)
    except SerializationError:
        return
    if value == value and serde is not uuid:  # not-a-number has many bytes; hexadecimal digits two cases
        assert serde.serialize("t", value) == data


def test_only_float32_changes_what_it_is_given() -> None:
    assert [serde for serde in ALL if not serde.immutable] == [float32]
    assert float32.deserialize("t", float32.serialize("t", 0.1)) != 0.1


def test_serdes_equal_only_themselves() -> None:
    assert len(set(ALL)) == len(ALL)
    assert all(one == one for one in ALL)
    assert int32 != int64


def test_int_with_more_digits_than_a_float_is_refused() -> None:
    with pytest.raises(SerializationError, match="an int that has more digits than a float"):
        float64.serialize("t", 2**53 + 1)
    assert float64.serialize("t", 2**53) == float64.serialize("t", 2.0**53)


def test_value_that_a_serde_accepts_unseen_is_one_that_it_writes() -> None:
    for serde, value in [(int64, 2**63), (int32, -(2**31) - 1), (string, "\ud800")]:
        assert not serde.accepts(value)  # type: ignore[attr-defined]  # a serde each
    for serde, value in [
        (int64, 2**63 - 1),
        (string, "text"),
        (float64, math.nan),
        (boolean, False),
        (raw, b""),
    ]:
        assert serde.accepts(value)  # type: ignore[attr-defined]  # a serde each


def test_text_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(SerializationError, match=r"string expects text in UTF-8, found an int: not a str$"):
        string.serialize("t", 5)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(SerializationError, match=r"raw expects bytes, found None: not bytes$"):
        raw.serialize("t", None)  # type: ignore[arg-type]  # the mistake under test
