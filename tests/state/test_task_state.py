"""The stores of a task together: restore, commit, discard, positions; and when a store is rebuilt."""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.serde.serde import Serde
from headrace.state.buffer.window_layout import WINDOWS
from headrace.state.port import StorePosition
from headrace.state.rebuilding import must_rebuild
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
from tests.state.stores import DAY_MS, Stores, store_spec

OpenStores = Callable[..., Stores]


def test_import_does_not_load_rocksdb() -> None:
    code = (
        "import sys, headrace, headrace.state.task_state, headrace.stores; print('rocksdict' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_only_stores_on_rocksdb_open_the_database(tmp_path: Path) -> None:
    stores = Stores(store_spec(), path=None)
    stores.only.put(b"a", 1, 1, ())
    stores.commit()
    assert stores.only.get(b"a") == (1, 1)
    stores.close()


def test_position_is_completed_by_the_state(open_stores: OpenStores) -> None:
    stores = open_stores(
        store_spec("s", engine="rocksdb"), store_spec("w", "window", engine="rocksdb", retention_ms=100_000)
    )
    stores["w"].put(b"a", 70_000, 1, 1, ())
    stores.now_ms = 5_000
    inputs = {TopicPartition("in", 0): 12}
    stores.state.flush()
    stores.state.commit({"s": StorePosition(3, "s id", inputs=inputs), "w": StorePosition(4, "w id")})
    stores.close()
    stores.open()
    assert stores.positions() == {
        "s": StorePosition(3, "s id", 5_000, -1, inputs, "key_value 1 timestamped"),
        "w": StorePosition(
            4, "w id", 5_000, 70_000, {}, "window 1 timestamped interval=60000 retention=100000"
        ),
    }


def test_stores_without_a_new_position_keep_theirs(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec("s"), store_spec("t"))
    stores.commit()
    before = stores.positions()["t"]
    stores["s"].put(b"a", 1, 1, ())
    stores.state.commit({"s": StorePosition(9, "id")})
    positions = stores.positions()
    assert positions["s"] == StorePosition(9, "id", 1_000, mark="key_value 1 timestamped")
    assert positions["t"] == before


def test_position_of_a_quiet_store_stays_young(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec("s"), store_spec("t"))
    stores.now_ms = 1_000
    stores.commit()
    for now_ms in (1_000 + DAY_MS, 1_001 + DAY_MS):
        stores.now_ms = now_ms
        stores["s"].put(b"a", 1, 1, ())
        stores.state.commit({"s": StorePosition(9, "id")})
    assert stores.positions()["t"] == StorePosition(
        0, "id of t", 1_000 + DAY_MS, mark="key_value 1 timestamped"
    )


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@pytest.mark.parametrize("caching", [True, False])
def test_discard_takes_back_everything_since_the_commit(
    open_stores: OpenStores, engine: Any, caching: bool
) -> None:
    stores = open_stores(store_spec(engine=engine, caching=caching))
    stores.only.put(b"a", 1, 1, ())
    stores.commit()
    stores.only.put(b"a", 2, 2, ())
    stores.only.put(b"b", 2, 2, ())
    stores.state.flush()
    stores.only.put(b"a", None, 3, ())
    stores.abort()
    assert list(stores.only.range(None, None)) == [(b"a", 1, 1)]
    assert stores.state.buffered_bytes == 0


def test_buffered_bytes_follow_the_rows_that_wait(open_stores: OpenStores) -> None:
    from headrace.serde.primitives import string

    stores = open_stores(
        store_spec(value=string), store_spec("w", "window", value=string, retention_ms=1_000)
    )
    stores["store"].put(b"key", "x" * 100, 1, ())
    assert stores.state.buffered_bytes == 310 + 3 + 100
    stores["store"].put(b"key", "x" * 10, 1, ())
    assert stores.state.buffered_bytes == 310 + 3 + 10
    stores["store"].put(b"key", None, 1, ())
    assert stores.state.buffered_bytes == 310 + 3
    stores["w"].put(b"key", 0, "x" * 10, 1, ())
    stores["w"].put(b"key", 1, "x" * 10, 1, ())
    assert stores.state.buffered_bytes == 310 + 3 + 200 + 3 + 2 * (310 + 10)
    stores.commit()
    assert stores.state.buffered_bytes == 0


def test_restore_applies_the_last_record_of_each_key(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(engine="rocksdb"))
    one, two = b"\0\0\0\0\0\0\0\x01", b"\0\0\0\0\0\0\0\x02"
    stores.restore("store", [(b"a", one, 10, ()), (b"b", one, 11, ()), (b"a", two, 12, ())])
    stores.restore("store", [(b"b", None, 13, ()), (b"c", one, 14, ())])
    stores.restored("store", StorePosition(5, "id"))
    assert list(stores.only.range(None, None)) == [(b"a", 2, 12), (b"c", 1, 14)]
    assert stores.logged() == []
    stores.log["store"] = [(b"", None, 0, ())] * 5
    stores.close()
    stores.open()
    assert list(stores.only.range(None, None)) == [(b"a", 2, 12), (b"c", 1, 14)]


def test_a_restore_that_is_cut_off_leaves_no_position(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(engine="rocksdb"))
    stores.restore("store", [(b"%d" % number, b"\0" * 8, 1, ()) for number in range(50_000)])
    stores.close()
    stores.open()
    assert stores.positions() == {"store": None}


def test_restoring_windows_skips_the_expired_ones(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", engine="rocksdb", retention_ms=100_000))

    def key(start: int) -> bytes:
        return b"a" + start.to_bytes(8, "big") + bytes(4)

    value = b"\0\0\0\0\0\0\0\x01"
    stores.restore(
        "store", [(key(0), value, 1, ()), (key(200_000), value, 2, ()), (key(100_000), value, 3, ())]
    )
    stores.restore("store", [(key(100_001), value, 4, ())])
    stores.restored("store", StorePosition(4, "id"))
    assert stores.only.observed_stream_time == 200_000
    assert list(stores.only.range(None, None, None)) == [(b"a", 100_001, 1, 4), (b"a", 200_000, 1, 2)]


def test_a_standby_follows_in_steps(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(engine="rocksdb", caching=True))
    for number in range(1, 4):
        stores.restore("store", [(b"a", number.to_bytes(8, "big"), number, ())])
        stores.restored("store", StorePosition(number, "id"))
        assert stores.only.get(b"a") == (number, number)
    assert stores.positions()["store"] == StorePosition(3, "id", 1_000, mark="key_value 1 timestamped")


def test_clear_forgets_rows_position_and_updates(open_stores: OpenStores) -> None:
    spec = store_spec("w", "window", engine="rocksdb", caching=True, retention_ms=100_000)
    stores = open_stores(store_spec("s", engine="rocksdb", caching=True), spec)
    for _ in range(2):
        stores["s"].put(b"a", 1, 1, ())
        stores["w"].put(b"a", 500_000, 1, 1, ())
        stores.state.flush()
        stores.state.commit({"s": StorePosition(1, "id"), "w": StorePosition(1, "id")})
    stores["s"].put(b"b", 1, 1, ())
    for name in ("s", "w"):
        stores.state.clear(name)
    assert stores.positions() == {"s": None, "w": None}
    assert list(stores["s"].range(None, None)) == []
    assert list(stores["w"].range(None, None, None)) == []
    assert stores["w"].observed_stream_time == -1
    stores["w"].put(b"a", 0, 2, 1, ())
    assert stores["w"].get(b"a", 0) == (2, 1)


def test_another_retention_means_rebuild(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", engine="rocksdb", retention_ms=200_000))
    stores.only.put(b"a", 500_000, 1, 1, ())
    stores.commit()
    stores.close()
    stores.specs = (store_spec(kind="window", engine="rocksdb", retention_ms=400_000),)
    stores.open()
    assert stores.only.observed_stream_time == -1
    stores.catch_up()
    assert "another format" in stores.rebuilt[0]
    assert stores.only.get(b"a", 500_000) == (1, 1)


def test_fifty_tasks_share_one_bounded_memory(tmp_path: Path) -> None:
    memory = RocksMemory(12 << 20)
    assert memory.used_bytes == 0
    databases = [RocksDatabase(tmp_path / str(number), memory) for number in range(50)]
    rows = {b"%05d" % number: b"x" * 100 for number in range(2_500)}
    for database in databases:
        database.write([("s", rows), ("t", {b"a": b"1"})], {"s": StorePosition(1, "id")})
        # A flush runs in the background, so it may be a memtable behind.
        assert memory.used_bytes < 16 << 20
    for database in databases:
        assert database.family("s").get(b"02499") == b"x" * 100
        database.close()


@pytest.mark.parametrize("caching", [True, False])
def test_queries_from_another_thread_see_a_value_at_all_times(open_stores: OpenStores, caching: bool) -> None:
    """An entry leaves cache and buffer only after the next place has it: no query finds nothing."""
    stores = open_stores(store_spec(engine="rocksdb", caching=caching))
    stores.only.put(b"a", 0, 1, ())
    stores.commit()
    reader = stores.state.read_only("store")
    found: list[int | None] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            found.append(reader.get("a"))
            found.extend(value for _, value in reader.all())

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(1, 300):
        stores.only.put(b"a", number, 1, ())
        stores.commit()
    done.set()
    thread.join()
    assert None not in found
    assert [number for number in found if number is not None] == sorted(n for n in found if n is not None)


class Watched(Serde[int]):
    """Numbers; somebody watches each time one is serialised, which a cache does while it lets go of an entry."""

    immutable = True
    type = int

    def __init__(self) -> None:
        self.watch: Callable[[], object] = lambda: None

    def serialize(self, topic: str, value: int, headers: Headers = ()) -> bytes:
        self.watch()
        return b"%d" % value

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> int:
        return int(data)


def test_range_query_in_the_middle_of_a_flush_sees_what_is_leaving_the_cache(open_stores: OpenStores) -> None:
    watched = Watched()
    stores = open_stores(store_spec(caching=True, value=watched))
    reader = stores.state.read_only("store")
    seen: list[list[tuple[str, int]]] = []
    stores.only.put(b"a", 1, 1, ())
    stores.commit()
    stores.only.put(b"a", 2, 2, ())
    stores.only.put(b"b", 3, 3, ())
    watched.watch = lambda: seen.append(list(reader.all()))
    stores.state.flush()
    assert seen == [[("a", 2), ("b", 3)]] * 2


def test_range_query_in_the_middle_of_a_flush_sees_windows_that_are_leaving_the_cache(
    open_stores: OpenStores,
) -> None:
    watched = Watched()
    stores = open_stores(
        store_spec(kind="window", caching=True, value=watched, retention_ms=DAY_MS, size_ms=10)
    )
    reader = stores.state.read_only("store")
    seen: list[list[int]] = []
    stores.only.put(b"a", 0, 1, 1, ())
    stores.commit()
    stores.only.put(b"a", 0, 2, 2, ())
    stores.only.put(b"a", 10, 3, 3, ())
    watched.watch = lambda: seen.append([value for _, value in reader.range("a")])
    stores.state.flush()
    assert seen == [[2, 3]] * 2


@pytest.mark.parametrize("count", [19_999, 20_000, 20_001, 40_000])
def test_windows_are_found_after_a_restore_of_any_length(open_stores: OpenStores, count: int) -> None:
    """Rows are written 20,000 at a time; a restore may end with the last of them."""
    stores = open_stores(store_spec("store", "window", retention_ms=1_000_000))
    records = [(WINDOWS.changelog_key(b"%d" % number, 70_000), b"\0" * 8, 1, ()) for number in range(count)]
    stores.restore("store", records)
    stores.restored("store", StorePosition(count, "id"))
    assert stores.only.get(b"0", 70_000) is not None
    assert stores.only.entry_row(b"0", 70_000) is not None
    position = stores.positions()["store"]
    assert position is not None
    assert position.stream_time == 70_000


GOOD = StorePosition(10, "id", written_ms=1_000, mark="mark")


def reason(position: StorePosition | None, *, end: int = 20, now_ms: int = 2_000) -> str | None:
    return must_rebuild(
        position, topic_id="id", mark="mark", begin=5, end=end, now_ms=now_ms, delete_retention_ms=DAY_MS
    )


def test_good_position_is_caught_up() -> None:
    assert reason(GOOD) is None
    assert reason(replace(GOOD, offset=5)) is None
    assert reason(replace(GOOD, offset=20)) is None


def test_no_position_means_rebuild() -> None:
    assert reason(None) == "it has no position"


def test_another_topic_means_rebuild() -> None:
    assert (
        reason(replace(GOOD, topic_id="old")) == "its changelog is another topic now (id id, it followed old)"
    )


def test_another_mark_means_rebuild() -> None:
    assert reason(replace(GOOD, mark="old")) == "its rows have another format (old, wanted is mark)"


def test_position_beyond_the_end_means_rebuild() -> None:
    assert (
        reason(replace(GOOD, offset=21))
        == "its position 21 is beyond the changelog's end 20: records were lost"
    )


def test_position_before_the_start_means_rebuild() -> None:
    assert reason(replace(GOOD, offset=4)) == "its position 4 is before the changelog's start 5"


def test_position_at_the_end_is_good_though_all_before_it_was_deleted() -> None:
    emptied = StorePosition(10, "id", written_ms=1_000, mark="mark")
    for end in (10, 11):
        assert (
            must_rebuild(
                emptied,
                topic_id="id",
                mark="mark",
                begin=end,
                end=end,
                now_ms=2_000,
                delete_retention_ms=DAY_MS,
            )
            is None
        )


def test_position_older_than_tombstones_means_rebuild() -> None:
    assert reason(GOOD, now_ms=1_000 + DAY_MS) is None
    assert reason(GOOD, now_ms=1_001 + DAY_MS) == (
        "its position is 86400001 ms old, and tombstones are kept for 86400000 ms"
    )


def test_old_position_at_the_end_has_missed_nothing() -> None:
    assert reason(GOOD, end=10, now_ms=10 * DAY_MS) is None


def test_old_position_before_a_transactions_marker_has_missed_nothing() -> None:
    assert reason(GOOD, end=11, now_ms=10 * DAY_MS) is None
    assert reason(GOOD, end=12, now_ms=10 * DAY_MS) is not None
