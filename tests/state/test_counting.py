"""What counts a stretch makes entries of what the store below has, and leaves to its caller what it may not decide."""

from collections.abc import Callable
from typing import Any

import pytest

from headrace.base.compiled import is_compiled_wanted
from headrace.base.errors import StateError
from tests.state.stores import NUMBERS, Stores, store_spec

pytestmark = pytest.mark.skipif(not is_compiled_wanted(), reason="headrace-native is not installed")

OpenStores = Callable[..., Stores]

WINDOW = store_spec(kind="window", value=NUMBERS, caching=True, retention_ms=100_000, size_ms=10)
PLAIN = store_spec(value=NUMBERS, caching=True)


def count(stores: Stores, *records: tuple[bytes, int]) -> int:
    """Count records, each a key and its time, in a window store or a plain one; say how many were counted."""
    state, (keys, times) = stores.only, map(list, zip(*records))
    columns = keys, times, [()] * len(keys), list(range(len(keys))), "in"
    if state.spec.kind == "key_value":
        add = state.counter(is_tumbling=False)
        plain: int = state.counted(
            lambda below, most: add(keys, keys, *columns[1:], 0, 2**62, False, below, most)
        )
        return plain
    add = state.counter(is_tumbling=True)
    found: tuple[int, int, int] = state.counted(
        lambda below, most: add(
            *columns, 0, 2**62, False, below, most, 10, 0, 100_000, -1, state.observed_stream_time
        )
    )
    state.observed_stream_time = found[2]
    return found[0]


@pytest.mark.parametrize("is_plain", [True, False])
def test_counts_go_on_from_what_is_committed(open_stores: OpenStores, is_plain: bool) -> None:
    stores = open_stores(PLAIN if is_plain else WINDOW)
    cell: tuple[Any, ...] = (b"a",) if is_plain else (b"a", 20)
    assert count(stores, (b"a", 25), (b"a", 23)) == 2
    stores.commit()
    stores.only.empty()  # the rows are the database's alone
    assert count(stores, (b"a", 24), (b"b", 21)) == 2
    assert stores.only.get(*cell) == (3, 25)
    stores.commit()
    assert [update[-3:-1] for update in stores.forwarded] == [(None, 25), (2, 25), (None, 21)]


def test_cells_of_a_key_that_somebody_has_asked_for_are_left_to_the_caller(open_stores: OpenStores) -> None:
    stores = open_stores(WINDOW)
    stores.only.put(b"a", 0, 1, 5, ())
    assert stores.only.slots(b"a", 0) == [0]
    assert count(stores, (b"a", 7), (b"a", 15)) == 1
    stores.only.put(b"a", 0, None, 8, ())
    assert count(stores, (b"a", 9)) == 0


def test_what_the_store_below_does_not_answer_is_left_to_the_caller(
    open_stores: OpenStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = open_stores(PLAIN)
    assert count(stores, (b"a", 0)) == 1

    def broken(self: object, key: bytes, slot: int) -> None:
        raise StateError("the disk is gone")

    monkeypatch.setattr(type(stores.only), "_entry_row", broken)
    assert count(stores, (b"a", 1), (b"b", 2), (b"a", 3)) == 1
    with pytest.raises(StateError, match="the disk is gone"):
        stores.only.get(b"b")


def test_clean_entries_leave_for_new_ones_and_dirty_ones_wait_for_their_flush(
    open_stores: OpenStores,
) -> None:
    stores = open_stores(PLAIN, cache_bytes=1_000)
    keys = [b"%d" % number for number in range(100)]
    some = count(stores, *((key, 0) for key in keys))
    assert 2 < some < 10
    assert stores.cache.used_bytes <= 1_000
    for start in range(some, 100, some):
        stores.commit()
        new = keys[start : start + some]
        assert count(stores, *((key, 0) for key in new)) == len(new)
        assert stores.cache.used_bytes <= 1_000
    stores.commit()
    assert [stores.only.get(key) for key in keys] == [(1, 0)] * 100
