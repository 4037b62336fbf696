"""Small parts that everything stands on: key order, merging, positions as bytes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.base.errors import StateCorruptionError
from headrace.base.ids import TopicPartition
from headrace.state.merge import after, after_prefix, merge
from headrace.state.order import KeyOrder
from headrace.state.port import StorePosition
from headrace.state.position_codec import decode_position, encode_position

KEYS = st.binary(max_size=3)


@given(st.dictionaries(KEYS, st.binary()), st.dictionaries(KEYS, st.none() | st.integers()), st.booleans())
def test_merge_is_the_database_updated_by_the_overlay(
    rows: dict[bytes, bytes], over: dict[bytes, int | None], reverse: bool
) -> None:
    merged = merge(
        sorted(over.items(), reverse=reverse), iter(sorted(rows.items(), reverse=reverse)), reverse=reverse
    )
    expected = {key: value for key, value in {**rows, **over}.items() if value is not None}
    assert list(merged) == sorted(expected.items(), reverse=reverse)


@given(KEYS, KEYS)
def test_bounds_are_the_smallest_key_behind(key: bytes, other: bytes) -> None:
    assert (other >= after(key)) == (other > key)
    end = after_prefix(key)
    assert (key <= other and (end is None or other < end)) == other.startswith(key)


@given(st.lists(st.sets(KEYS), max_size=4), st.none() | KEYS, st.none() | KEYS)
def test_key_order_sorts_what_was_added(
    batches: list[set[bytes]], start: bytes | None, end: bytes | None
) -> None:
    order = KeyOrder()
    known: set[bytes] = set()
    for batch in batches:
        for key in sorted(batch - known, reverse=True):
            order.add(key)
        known |= batch
        wanted = [key for key in known if (start is None or key >= start) and (end is None or key < end)]
        assert order.between(start, end) == sorted(wanted)


def test_position_comes_back() -> None:
    position = StorePosition(7, "id", 8, 9, {TopicPartition("in", 1): 2}, "mark", 3)
    assert decode_position(encode_position(position)) == position


def test_position_bytes_stay_readable() -> None:
    """A release that cannot read these rebuilds every store of its users."""
    position = StorePosition(7, "id", 8, 9, {TopicPartition("in", 1): 2}, "mark", 3)
    assert encode_position(position).hex() == "9707a2696408099193a2696e0102a46d61726b03"
    assert decode_position(bytes.fromhex("9607a26964080990a46d61726b")) == StorePosition(
        7, "id", 8, 9, {}, "mark", 0
    )


@given(st.binary())
@example(bytes.fromhex("9600a3000080"))  # text that is no UTF-8
def test_other_bytes_are_corruption(data: bytes) -> None:
    try:
        position = decode_position(data)
    except StateCorruptionError:
        return
    assert decode_position(encode_position(position)) == position


def test_position_cut_short_is_corruption() -> None:
    data = encode_position(StorePosition(7, "id", 8))
    for length in range(len(data) - 1):
        with pytest.raises(StateCorruptionError):
            decode_position(data[:length])
