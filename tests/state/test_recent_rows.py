"""Rows of the last commits in memory: what is read of a store without a cache, and how much of it there is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.base.ids import Location
from headrace.serde.primitives import string
from headrace.state.buffer.live_cells import LiveBudget
from headrace.state.buffer.recent_rows import RecentRows
from headrace.state.spec import StoreSpec
from tests.state.stores import Stores

SPEC = StoreSpec("s", "key_value", True, string, string, "rocksdb", False, True, Location("test.py", 1))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    stores = Stores(SPEC, path=tmp_path)
    yield stores
    stores.close()


def look_ups(stores: Stores) -> list[bytes]:
    """The keys that the database is asked for from now on."""
    store: Any = stores.state.state("s")
    asked: list[bytes] = []
    get = store._family.get

    class Watched:
        def get(self, key: bytes) -> Any:
            asked.append(key)
            return get(key)

    store._family = Watched()
    return asked


def test_committed_row_is_read_without_the_database(stores: Stores) -> None:
    store: Any = stores.state.state("s")
    store.put(b"a", "1", 5, ())
    store.put(b"b", None, 6, ())
    stores.commit()
    asked = look_ups(stores)
    assert store.get(b"a") == ("1", 5)
    assert store.get_encoded(b"a") == (b"1", 5)
    assert store.get(b"b") is None
    assert asked == []
    assert store.get(b"c") is None
    assert asked == [b"c"]


def test_row_is_read_as_the_last_of_several_commits_left_it(stores: Stores) -> None:
    store: Any = stores.state.state("s")
    for value in ("1", "2"):
        store.put(b"a", value, 5, ())
        stores.commit()
    store.put(b"a", "3", 5, ())
    stores.abort()
    assert store.get(b"a") == ("2", 5)


def test_an_abort_lets_go_of_all_and_leaves_the_budget(stores: Stores) -> None:
    store: Any = stores.state.state("s")
    store.put(b"a", "1", 5, ())
    stores.commit()
    assert stores.live.used_bytes > 0
    stores.abort()
    assert stores.live.used_bytes == 0
    asked = look_ups(stores)
    assert store.get(b"a") == ("1", 5)
    assert asked == [b"a"]


def test_rows_are_let_go_of_when_they_exceed_the_budget() -> None:
    budget = LiveBudget(100)
    one, two = RecentRows(budget), RecentRows(budget)
    one.add({b"a": None}, 60)
    two.add({b"b": None}, 50)
    assert (list(one.rows), list(two.rows), budget.used_bytes) == ([], [b"b"], 50)


def test_a_store_keeps_eight_megabytes_at_most() -> None:
    rows = RecentRows(LiveBudget(1 << 30))
    rows.add({b"a": None}, 5 << 20)
    rows.add({b"b": None}, 4 << 20)
    assert (list(rows.rows), rows.used_bytes) == ([b"b"], 4 << 20)
    rows.add({b"c": None}, 9 << 20)
    assert (list(rows.rows), rows.used_bytes) == ([], 0)
