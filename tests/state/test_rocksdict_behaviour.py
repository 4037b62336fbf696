"""What rocksdict does unexpectedly. state/rocksdb.py works around each; a new version may mend it."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

rocksdict = pytest.importorskip("rocksdict")


def opened(path: Path, *families: str) -> Any:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    named = {name: rocksdict.Options(raw_mode=True) for name in ("default", *families)}
    return rocksdict.Rdict(str(path), options=options, column_families=named)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    made = opened(tmp_path / "db", "store")
    for number in range(5):
        made[b"k%d" % number] = b"v"
    yield made
    made.close()


def test_the_lower_bound_sets_the_upper_bound(database: Any) -> None:
    options = rocksdict.ReadOptions()
    options.set_iterate_lower_bound(b"k2")
    assert list(database.keys(read_opt=options)) == [b"k0", b"k1"]


def test_the_upper_bound_is_exclusive(database: Any) -> None:
    options = rocksdict.ReadOptions()
    options.set_iterate_upper_bound(b"k2")
    assert list(database.keys(read_opt=options)) == [b"k0", b"k1"]
    assert list(database.keys(backwards=True, read_opt=options)) == [b"k1", b"k0"]


def test_an_iterator_of_a_snapshot_sees_later_writes(database: Any) -> None:
    snapshot = database.snapshot()
    database[b"k9"] = b"later"
    assert b"k9" in list(snapshot.keys())


def test_an_open_iterator_does_not_see_later_writes(database: Any) -> None:
    keys = database.keys()
    database[b"k9"] = b"later"
    del database[b"k4"]
    assert list(keys) == [b"k0", b"k1", b"k2", b"k3", b"k4"]


@pytest.mark.parametrize("what", ["iterator", "snapshot", "family", "handle"])
def test_whatever_is_alive_keeps_the_lock_after_close(tmp_path: Path, what: str) -> None:
    database = opened(tmp_path / "db", "store")
    database[b"k"] = b"v"
    makers = {
        "iterator": database.items,
        "snapshot": database.snapshot,
        "family": lambda: database.get_column_family("store"),
        "handle": lambda: database.get_column_family_handle("store"),
    }
    alive = [makers[what]()]
    makers.clear()
    database.close()
    if what == "handle":
        alive.clear()  # a handle alone does not keep it, and need not be invalidated first
    else:
        with pytest.raises(Exception, match="lock hold by current process"):
            opened(tmp_path / "db", "store")
    alive.clear()
    gc.collect()
    opened(tmp_path / "db", "store").close()


def test_opening_must_name_every_family(tmp_path: Path) -> None:
    opened(tmp_path / "db", "store").close()
    with pytest.raises(Exception, match="Column families not opened: store"):
        opened(tmp_path / "db")
    assert sorted(rocksdict.Rdict.list_cf(str(tmp_path / "db"))) == ["default", "store"]


def test_a_batch_is_used_up_even_by_a_failed_write(tmp_path: Path) -> None:
    opened(tmp_path / "db").close()
    reader = rocksdict.Rdict(
        str(tmp_path / "db"),
        options=rocksdict.Options(raw_mode=True),
        access_type=rocksdict.AccessType.read_only(),
    )
    batch = rocksdict.WriteBatch(raw_mode=True)
    batch.put(b"k", b"v")
    with pytest.raises(Exception, match="Not supported operation in read only mode"):
        reader.write(batch)
    with pytest.raises(Exception, match="this batch is already consumed"):
        reader.write(batch)
    reader.close()


def test_a_write_that_would_wait_says_write_stall(database: Any) -> None:
    database.set_options(
        {
            "level0_file_num_compaction_trigger": "1000",
            "level0_slowdown_writes_trigger": "1",
            "level0_stop_writes_trigger": "1",
        }
    )
    database.flush()
    options = rocksdict.WriteOptions()
    options.no_slowdown = True
    with pytest.raises(Exception, match="Write stall"):
        database.put(b"k", b"v", options)


def test_items_end_silently_at_a_damaged_block_where_an_iterator_tells(tmp_path: Path) -> None:
    database = opened(tmp_path / "db")
    for number in range(2_000):
        database[b"%05d" % number] = b"x" * 100
    database.flush()
    database.close()
    (table,) = (tmp_path / "db").glob("*.sst")
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    database = opened(tmp_path / "db")
    assert 0 < len(list(database.keys())) < 2_000
    rows = database.iter()
    rows.seek_to_first()
    while rows.valid():
        rows.next()
    with pytest.raises(Exception, match="Corruption"):
        rows.status()
    del rows
    database.close()


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = opened(tmp_path / "db")
    database.close()
    with pytest.raises(rocksdict.DbClosedError):
        database.get(b"k")
