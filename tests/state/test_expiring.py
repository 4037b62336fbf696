"""Rows that expire, where the model does not get to: many at once, what a crash leaves behind, and queues."""

from collections.abc import Callable
from typing import Any

import pytest

from headrace.state.expiry_queue import NEVER, ExpiryQueue
from tests.state.stores import Stores, store_spec


def rows_on_disk(stores: Stores) -> list[bytes]:
    buffer: Any = stores.state._stores["store"].buffer
    return [key for key, _ in buffer._stored.scan(None, None)]


@pytest.mark.parametrize("caching", [False, True])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@pytest.mark.parametrize("commit", [False, True], ids=["waiting", "stored"])
def test_many_rows_that_expire_at_once_are_hidden_at_once_and_deleted_by_and_by(
    open_stores: Callable[..., Stores], engine: Any, caching: bool, commit: bool
) -> None:
    stores = open_stores(store_spec(engine=engine, caching=caching, ttl_ms=100), cache_bytes=1 << 24)
    store = stores.only
    store.advance(5)
    for number in range(2_500):
        store.put(b"%04d" % number, number, 5, ())
    if commit:
        stores.commit()
    store.advance(105)
    assert (list(store.range(None, None)), store.get(b"2000")) == ([], None)
    deleted = []
    for _ in range(3):
        stores.commit()
        deleted.append(sum(1 for _, raw, _, _ in stores.log["store"] if raw is None))
        store.advance(105)
    # Of what was put and has expired between two flushes of a cache, nobody hears.
    assert deleted == ([0, 1000, 1500] if caching and not commit else [1000, 2000, 2500])
    stores.commit()
    assert rows_on_disk(stores) == []


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_a_second_row_that_a_crash_within_a_commit_has_left_deletes_nothing_and_goes(
    open_stores: Callable[..., Stores], engine: Any
) -> None:
    stores = open_stores(store_spec(engine=engine, ttl_ms=100))
    store = stores.only
    store.advance(50)
    store.put(b"a", 1, 50, ())
    stores.commit()
    database: Any = stores.rows.databases[engine]
    stale = [b"\x01" + time.to_bytes(8, "big") + key for time, key in ((7, b"a"), (8, b"gone"))]
    database.write([("store", dict.fromkeys(stale, b""))], {})
    stores.abort()  # looks from the beginning again
    store.advance(110)
    assert store.get(b"a") == (1, 50)
    store.put(b"b", 2, 110, ())
    stores.commit()
    assert [key for key in rows_on_disk(stores) if key in stale] == []
    store.advance(150)
    assert store.get(b"a") is None


def test_a_key_that_is_put_again_and_again_has_one_entry() -> None:
    queue, now = ExpiryQueue(), {b"a": 0}
    for time in range(1_000):
        queue.add(b"a", time)
        now[b"a"] = time
    assert len(queue._entries) == 1
    assert queue.take(500, now.get, 10) == []
    assert queue.oldest == 999
    assert queue.take(999, now.get, 10) == [(999, b"a")]
    assert queue.oldest == NEVER


def test_a_row_that_gets_an_earlier_time_is_due_by_that() -> None:
    queue = ExpiryQueue()
    queue.add(b"a", 10)
    queue.add(b"a", 5)
    assert queue.take(5, {b"a": 5}.get, 10) == [(5, b"a")]
    assert queue.take(10, {b"a": 5}.get, 10) == []
