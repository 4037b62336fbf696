"""The bytes of what a join of streams keeps without a match: Kafka Streams' own, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.primitives import int32, string
from headrace.serde.unmatched import (
    UnmatchedKey,
    UnmatchedKeySerde,
    UnmatchedValue,
    UnmatchedValuesSerde,
    entries_of,
    entry_count,
    with_entry,
)

KEYS = UnmatchedKeySerde(string)
VALUES = UnmatchedValuesSerde(string, int32)


def test_key_is_time_then_side_then_key() -> None:
    left = UnmatchedKey(258, True, "k3")
    assert KEYS.serialize("t", left) == bytes.fromhex("0000000000000102016b33")
    assert KEYS.serialize("t", left._replace(is_left=False)) == bytes.fromhex("0000000000000102006b33")
    assert KEYS.deserialize("t", bytes.fromhex("0000000000000102016b33")) == left


def test_rows_stand_in_the_order_of_time_then_right_before_left_then_key() -> None:
    places = [(1, False, "b"), (1, True, "a"), (1, True, "b"), (256, False, "a")]
    keys = [KEYS.serialize("t", UnmatchedKey(*place)) for place in places]
    assert keys == sorted(keys)


def test_value_is_kafkas_list_of_side_and_value() -> None:
    one = bytes.fromhex("01000000010000000c0168656c6c6f20776f726c64")
    assert with_entry(None, True, b"hello world") == one
    assert VALUES.serialize("t", [UnmatchedValue(True, "hello world")]) == one
    two = bytes.fromhex("0100000002000000020161000000050000000007")
    assert with_entry(with_entry(None, True, b"a"), False, b"\0\0\0\7") == two
    assert VALUES.deserialize("t", two) == [UnmatchedValue(True, "a"), UnmatchedValue(False, 7)]
    assert entry_count(two) == 2


@given(st.lists(st.tuples(st.booleans(), st.binary())))
def test_entries_come_back_in_their_order(entries: list[tuple[bool, bytes]]) -> None:
    row = VALUES.serialize("t", [])
    for is_left, value in entries:
        row = with_entry(row, is_left, value)
    assert entries_of(row) == entries


@given(st.binary(max_size=40))
def test_hostile_bytes_are_refused_or_come_back_the_same(data: bytes) -> None:
    try:
        entries = entries_of(data)
    except ValueError:
        return
    row = bytes.fromhex("0100000000")
    for is_left, value in entries:
        row = with_entry(row, is_left, value)
    assert row == data


@pytest.mark.parametrize(
    "data", ["", "00", "0100000001", "01000000010000000100ff", "010000000100000000", "0100000001000000020261"]
)
def test_what_is_no_list_of_a_join_is_told(data: str) -> None:
    with pytest.raises(SerializationError, match="cannot deserialize from topic 't' with unmatched_values"):
        VALUES.deserialize("t", bytes.fromhex(data))


@pytest.mark.parametrize("data", ["", "0000000000000001", "000000000000000102", "800000000000000100"])
def test_what_is_no_key_of_a_join_is_told(data: str) -> None:
    with pytest.raises(SerializationError, match="finds no time and side"):
        KEYS.deserialize("t", bytes.fromhex(data))


def test_value_of_another_type_is_told() -> None:
    with pytest.raises(SerializationError, match="expects an UnmatchedKey"):
        KEYS.serialize("t", ("k", 1))  # type: ignore[arg-type]  # the mistake


def test_serdes_are_the_same_if_theirs_are() -> None:
    assert KEYS == UnmatchedKeySerde(string) != UnmatchedKeySerde(int32)
    assert VALUES == UnmatchedValuesSerde(string, int32) != UnmatchedValuesSerde(int32, string)
