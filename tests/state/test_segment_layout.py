"""How cells of segmented stores stand in rows and changelogs."""

from collections.abc import Callable
from struct import Struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.window_layout import DUPLICATES, WINDOWS
from tests.state.stores import Stores, store_spec

#: What a store of sessions needs: the end is their time.
SESSIONS = SegmentLayout("session", Struct(">qq"), 63, lambda end, start: 0 <= start <= end)

LAYOUTS = (WINDOWS, DUPLICATES, SESSIONS)


def test_window_stands_behind_its_key_and_before_that_its_segment_in_a_row() -> None:
    on_changelog = b"key" + bytes.fromhex("00000000000186a0 00000000")
    assert WINDOWS.changelog_key(b"key", 100_000) == on_changelog
    assert WINDOWS.row_key(b"key", 100_000, 60_000) == bytes.fromhex("000000000000ea60") + on_changelog


def test_duplicate_has_its_number_behind_the_start() -> None:
    key = DUPLICATES.changelog_key(b"key", 100_000 << 31 | 7)
    assert key == b"key" + bytes.fromhex("00000000000186a0 00000007")


@pytest.mark.parametrize("layout", LAYOUTS)
@given(key=st.binary(max_size=9), time=st.integers(0, 2**63 - 1), rest=st.integers(0))
def test_row_is_split_into_what_it_was_made_of(
    layout: SegmentLayout, key: bytes, time: int, rest: int
) -> None:
    rest &= layout.rest_max
    row_key = layout.row_key(key, time << layout.rest_bits | rest, 60_000)
    assert layout.split(row_key) == (key, time, rest)
    assert layout.time(row_key) == time


@pytest.mark.parametrize("layout", LAYOUTS)
@given(slots=st.lists(st.integers(0), unique=True))
def test_slots_of_a_key_are_in_the_order_of_its_rows(layout: SegmentLayout, slots: list[int]) -> None:
    slots = [slot % (1 << 63 + layout.rest_bits) for slot in slots]
    rows = [layout.row_key(b"key", slot, 60_000) for slot in sorted(slots)]
    assert rows == sorted(rows)


def test_numbers_of_duplicates_begin_again_when_they_are_used_up(open_stores: Callable[..., Stores]) -> None:
    store = open_stores(
        store_spec(kind="window", retention_ms=60_000, size_ms=1, retain_duplicates=True)
    ).only
    store.restored(5, 2**31 - 1)
    for value in (1, 2):
        store.put(b"key", 5, value, 5, ())
    assert [row[2] for row in store.range(b"key", None, None)] == [1, 2]
