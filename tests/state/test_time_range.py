"""Windows and queries at the ends of the time range: what is asked for may lie outside, what is stored may touch it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.state.stores import Stores, store_spec

HOUR_MS = 3_600_000
LAST = 2**63 - 1

#: Times that a query may name, far outside of all windows too.
ASKED = [-(2**70), -(2**63) - 1, -(2**63), -1, 0, LAST - 1, LAST, LAST + 1, 2**70]


@pytest.fixture(params=["memory", "rocksdb"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("committed", [True, False])
def test_after_the_last_time_of_all_only_its_window_is_left(
    open_stores: Callable[..., Stores], engine: Any, caching: bool, committed: bool
) -> None:
    stores = open_stores(store_spec(kind="window", engine=engine, caching=caching, retention_ms=HOUR_MS))
    store = stores.only
    for number, start in enumerate([1_000, LAST, 2_000, LAST - 60_000]):
        store.put(b"a", start, number, number, ())
        store.put(b"b", start, number, number, ())
    if committed:
        stores.commit()
    rows = [(b"a", LAST - 60_000, 3, 3), (b"a", LAST, 1, 1), (b"b", LAST - 60_000, 3, 3), (b"b", LAST, 1, 1)]
    by_time = [rows[0], rows[1]]
    for reverse in (False, True):
        assert sorted(store.range(None, None, None, reverse)) == rows
        assert list(store.range(b"a", None, None, reverse)) == (by_time[::-1] if reverse else by_time)
        for first in ASKED:
            for last in ASKED:
                found = [row for row in rows if first <= row[1] <= last]
                assert sorted(store.range(None, first, last, reverse)) == found
                assert sorted(store.range(b"a", first, last, reverse)) == found[: len(found) // 2]
    assert [store.get(b"a", start) for start in ASKED] == [None] * 6 + [(1, 1)] + [None] * 2


@pytest.mark.parametrize("caching", [True, False])
def test_a_query_of_another_thread_may_ask_for_any_time(
    open_stores: Callable[..., Stores], engine: Any, caching: bool
) -> None:
    stores = open_stores(store_spec(kind="window", engine=engine, caching=caching, retention_ms=HOUR_MS))
    stores.only.put(b"a", LAST, 7, 7, ())
    stores.commit()
    for is_committed in (True, False):
        reader = stores.state.read_only("store", committed=is_committed)
        assert [reader.get("a", start) for start in ASKED] == [None] * 6 + [7] + [None] * 2
        for start in ASKED:
            found = [value for _, value in reader.range(start=start)]
            assert found == ([7] if start <= LAST else [])
            assert [value for _, value in reader.range("a", end=start)] == ([7] if start >= LAST else [])


def test_windows_before_any_was_put_are_none(open_stores: Callable[..., Stores], engine: Any) -> None:
    stores = open_stores(store_spec(kind="window", engine=engine, retention_ms=HOUR_MS))
    assert [stores.only.get(b"a", start) for start in ASKED] == [None] * 9
    assert list(stores.only.range(None, -(2**70), 2**70)) == []


def test_expiry_up_to_the_last_time_leaves_the_stores_whole(
    open_stores: Callable[..., Stores], engine: Any
) -> None:
    stores = open_stores(store_spec(kind="window", engine=engine, retention_ms=HOUR_MS))
    for start in (0, LAST):
        stores.only.put(b"a", start, 1, 1, ())
        stores.commit()
    stores.close()
    stores.open()
    stores.catch_up()
    assert list(stores.only.range(None, None, None)) == [(b"a", LAST, 1, 1)]
    assert stores.rebuilt == ([] if engine == "rocksdb" else ["it has no position"])
