"""RocksDB under stores: what survives, what is refused, and in which words."""

import contextlib
import gc
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.base.errors import (
    AlreadyRunningError,
    StateCorruptionError,
    StateError,
    StoreUnavailableError,
)
from headrace.base.ids import TopicPartition
from headrace.state.port import StorePosition
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_errors import translated
from headrace.state.rocksdb_options import RocksMemory
from headrace.state.task_directory import remove_destroyed

MEMORY = RocksMemory(3 << 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "task"


@pytest.fixture
def database(path: Path) -> Iterator[RocksDatabase]:
    made = RocksDatabase(path, MEMORY)
    yield made
    made.close()


def rows_of(database: RocksDatabase, store: str) -> list[tuple[bytes, bytes]]:
    return list(database.family(store).scan(None, None))


def test_rows_and_positions_are_there_after_reopening(path: Path) -> None:
    position = StorePosition(7, "topic id", 1_000, 50, {TopicPartition("in", 3): 9}, "mark", 4)
    database = RocksDatabase(path, MEMORY)
    database.write([("s", {b"b": b"2", b"a": b"1"}), ("t", {b"c": b""})], {"s": position})
    database.close()
    database = RocksDatabase(path, MEMORY)
    assert rows_of(database, "s") == [(b"a", b"1"), (b"b", b"2")]
    assert rows_of(database, "t") == [(b"c", b"")]
    assert database.position("s") == position
    assert database.position("t") is None
    database.close()


@pytest.mark.parametrize(("at_once", "batches"), [(False, 4), (True, 1)])
def test_rows_and_positions_may_be_written_at_once(
    database: RocksDatabase, monkeypatch: pytest.MonkeyPatch, at_once: bool, batches: int
) -> None:
    database.write([("s", {b"x": b""}), ("t", {b"x": b""})], {})
    written: list[str] = []
    write = RocksDatabase._write_batch

    def noticing(self: RocksDatabase, attempt: str, *rest: Any) -> None:
        written.append(attempt)
        write(self, attempt, *rest)

    monkeypatch.setattr(RocksDatabase, "_write_batch", noticing)
    rows = {b"%05d" % number: b"" for number in range(3_000)}
    database.write([("s", rows), ("t", rows)], {"s": StorePosition(7, "topic id")}, at_once=at_once)
    assert written == ["write"] * batches
    assert len(rows_of(database, "s")) == len(rows_of(database, "t")) == 3_001
    assert database.position("s") == StorePosition(7, "topic id")


def test_scan_bounds_hold_up_and_down(database: RocksDatabase) -> None:
    database.write([("s", {b"%03d" % number: b"" for number in range(100)})], {})
    family = database.family("s")
    random_bounds = random.Random(1)
    for _ in range(300):
        low, high = sorted(random_bounds.sample(range(100), 2))
        start, end = b"%03d" % low, b"%03d" % high
        expected = [b"%03d" % number for number in range(low, high)]
        scans = family.scan(start, end), family.scan(start, end, reverse=True)
        garbage = [
            random_bounds.randbytes(3) for _ in range(50)
        ]  # takes the place of options freed too early
        assert [key for key, _ in scans[0]] == expected
        assert [key for key, _ in scans[1]] == expected[::-1]
        assert len(garbage) == 50


def test_scan_does_not_see_later_writes(database: RocksDatabase) -> None:
    database.write([("s", {b"a": b"1", b"b": b"2"})], {})
    scan = database.family("s").scan(None, None)
    database.write([("s", {b"a": None, b"b": b"3", b"c": b"4"})], {})
    assert list(scan) == [(b"a", b"1"), (b"b", b"2")]


def test_close_releases_the_lock_in_spite_of_open_scans_and_families(path: Path) -> None:
    database = RocksDatabase(path, MEMORY)
    database.write([("s", {b"a": b"1", b"b": b"2"})], {})
    family = database.family("s")
    scan, fresh, done = family.scan(None, None), family.scan(None, None), family.scan(None, None)
    next(scan)
    list(done)
    database.close()
    database.close()
    RocksDatabase(path, MEMORY).close()
    with pytest.raises(StoreUnavailableError, match="closed while its rows were read"):
        next(scan)
    with pytest.raises(StoreUnavailableError, match="closed while its rows were read"):
        next(fresh)
    assert list(done) == []
    with pytest.raises(StoreUnavailableError, match="store 's' is closed"):
        family.get(b"a")
    with pytest.raises(StoreUnavailableError, match="store 's' is closed"):
        family.scan(None, None)
    with pytest.raises(StoreUnavailableError, match="are closed"):
        database.position("s")


def test_clearing_deletes_rows_and_position_of_one_store(database: RocksDatabase) -> None:
    position = StorePosition(1, "id")
    database.write(
        [("s", {b"": b"1", b"\xff\xff": b"2"}), ("t", {b"a": b"3"})], {"s": position, "t": position}
    )
    database.clear("s")
    database.clear("s")
    assert rows_of(database, "s") == []
    assert database.position("s") is None
    assert rows_of(database, "t") == [(b"a", b"3")]
    assert database.position("t") == position


def test_delete_range_excludes_its_end(database: RocksDatabase) -> None:
    database.write([("s", {b"a": b"", b"b": b"", b"c": b""})], {})
    database.delete_range("s", b"a", b"c")
    assert rows_of(database, "s") == [(b"c", b"")]


def test_approximate_count_is_exact_for_new_keys(database: RocksDatabase) -> None:
    database.write([("s", {b"%d" % number: b"" for number in range(100)})], {})
    assert database.approximate_count("s") == 100


def test_second_opening_is_refused(
    database: RocksDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.state.rocksdb._RELEASE_SECONDS_MAX", 0.05)
    with pytest.raises(AlreadyRunningError, match="another process or task has it open"):
        RocksDatabase(path, MEMORY)


@pytest.mark.process
def test_opening_what_another_process_has_open_is_refused(path: Path) -> None:
    code = (
        "import sys; from headrace.state.rocksdb import RocksDatabase; "
        "from headrace.state.rocksdb_options import RocksMemory\n"
        "database = RocksDatabase(sys.argv[1], RocksMemory()); print('open', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    with owner, owner.stdout, owner.stdin:
        assert owner.stdout.readline() == b"open\n"
        with pytest.raises(
            AlreadyRunningError, match="stop it, or give this application another state directory"
        ):
            RocksDatabase(path, MEMORY)
        owner.stdin.close()
    RocksDatabase(path, MEMORY).close()


def damaged(path: Path, pattern: str) -> None:
    """Overwrite the middle of the largest file."""
    file = max(path.glob(pattern), key=lambda found: found.stat().st_size)
    content = bytearray(file.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 64] = bytes(64)
    file.write_bytes(content)


def with_table_file(path: Path) -> None:
    """Leave the rows in one table file and nothing in the log."""
    database = RocksDatabase(path, MEMORY)
    database.write([("s", {b"%05d" % number: b"x" * 100 for number in range(2_000)})], {})
    database._database.get_column_family("s").flush()
    database.close()


def test_damaged_rows_are_corruption_and_not_absence(path: Path) -> None:
    with_table_file(path)
    damaged(path, "*.sst")
    database = RocksDatabase(path, MEMORY)
    with pytest.raises(StateCorruptionError, match="damaged"):
        for number in range(2_000):
            database.family("s").get(b"%05d" % number)
    with pytest.raises(StateCorruptionError, match="damaged"):
        rows_of(database, "s")
    with pytest.raises(StateCorruptionError, match="damaged"):
        list(database.family("s").scan(None, None, reverse=True))
    database.close()


def test_damaged_directory_is_corruption(path: Path) -> None:
    with_table_file(path)
    damaged(path, "MANIFEST-*")
    with pytest.raises(StateCorruptionError, match="cannot open the stores"):
        RocksDatabase(path, MEMORY)
    RocksDatabase.destroy(path)
    RocksDatabase.destroy(path)
    database = RocksDatabase(path, MEMORY)
    assert rows_of(database, "s") == []
    database.close()


def test_missing_table_file_is_corruption(path: Path) -> None:
    with_table_file(path)
    next(path.glob("*.sst")).unlink()
    with pytest.raises(StateCorruptionError, match="cannot open the stores"):
        RocksDatabase(path, MEMORY)


def test_damaged_position_is_corruption(path: Path) -> None:
    database = RocksDatabase(path, MEMORY)
    database._database[b"position:s"] = b"nonsense"
    with pytest.raises(StateCorruptionError, match="position cannot be read"):
        database.position("s")
    database.close()


def test_directory_without_current_is_refused_and_left_as_it_is(path: Path) -> None:
    with_table_file(path)
    (path / "CURRENT").unlink()
    before = sorted(os.listdir(path))
    for _ in range(2):
        with pytest.raises(StateCorruptionError, match="the file CURRENT is missing beside"):
            RocksDatabase(path, MEMORY)
    assert sorted(os.listdir(path)) == before


def with_position(path: Path) -> None:
    """Leave a row and a position of store `s`."""
    database = RocksDatabase(path, MEMORY)
    database.write([("s", {b"a": b"1"})], {"s": StorePosition(1, "id")})
    database.close()


def opened_raw(path: Path, *families: str) -> Any:
    """What another program would open, and change as it likes."""
    rocksdict = pytest.importorskip("rocksdict")
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    named = {name: rocksdict.Options(raw_mode=True) for name in ("default", *families)}
    return rocksdict.Rdict(str(path), options=options, column_families=named)


def test_family_that_was_emptied_is_refused(path: Path) -> None:
    with_position(path)
    database = opened_raw(path, "s")
    database.get_column_family("s").delete_range(b"", b"\xff" * 50)
    database.close()
    with pytest.raises(StateCorruptionError, match="the rows of store 's' are not all there"):
        RocksDatabase(path, MEMORY)


def test_family_that_was_made_anew_is_refused(path: Path) -> None:
    with_position(path)
    database = opened_raw(path, "s")
    database.drop_column_family("s")
    database.create_column_family("s", pytest.importorskip("rocksdict").Options(raw_mode=True))
    database.close()
    with pytest.raises(StateCorruptionError, match="the rows of store 's' are not all there"):
        RocksDatabase(path, MEMORY)


def test_family_that_is_gone_is_refused(path: Path) -> None:
    with_position(path)
    database = opened_raw(path, "s")
    database.drop_column_family("s")
    database.close()
    with pytest.raises(StateCorruptionError, match="the rows of store 's' are gone"):
        RocksDatabase(path, MEMORY)


def test_rows_whose_positions_are_gone_are_refused(path: Path) -> None:
    with_position(path)
    database = opened_raw(path, "s")
    database.delete_range(b"", b"\xff")
    database.close()
    with pytest.raises(StateCorruptionError, match="nothing vouches for the rows of store 's'"):
        RocksDatabase(path, MEMORY)


def test_stores_of_a_version_without_marks_are_made_anew_once_and_that_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = opened_raw(path, "s")
    database.get_column_family("s")[b"a"] = b"1"
    database[b"position:s"] = b"any"
    database.close()
    for _ in range(2):
        opened = RocksDatabase.open(path, MEMORY)
        assert rows_of(opened, "s") == []
        opened.close()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"cannot open the stores at {path}: nothing vouches for the rows of store 's': a version before this one wrote "
        "them, or a part of them is lost. They are deleted, and restored from their changelogs"
    ]


def test_what_vouches_for_the_rows_is_not_seen(database: RocksDatabase) -> None:
    rows = {b"": b"1", b"a": b"2", b"\xff" * 9: b"3", b"\xff" * 40: b"4"}
    for key, value in rows.items():
        database.write([("s", {key: value})], {"s": StorePosition(1, "id")})
    family = database.family("s")
    assert list(family.scan(None, None)) == list(rows.items())
    assert list(family.scan(None, None, reverse=True)) == list(rows.items())[::-1]
    assert list(family.scan(b"b", None)) == list(rows.items())[2:]
    assert list(family.scan(b"\xff" * 10, None, reverse=True)) == list(rows.items())[3:]
    assert list(family.scan(None, b"\xff" * 40)) == list(rows.items())[:3]
    assert list(family.scan(b"\xff" * 30, b"\xff" * 50)) == list(rows.items())[3:]
    assert database.approximate_count("s") == 4
    database.clear("s")
    assert rows_of(database, "s") == []


def test_destroying_renames_before_it_deletes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_position(path)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            RocksDatabase.destroy(path)
    assert os.listdir(path.parent) == ["task.deleted"]
    with_position(path)
    RocksDatabase.destroy(path)
    assert os.listdir(path.parent) == []


def test_what_was_renamed_is_deleted_by_the_next_start(path: Path) -> None:
    with_position(path)
    path.rename(path.with_name("0_0.deleted"))
    with_position(path)
    remove_destroyed(path.parent)
    assert os.listdir(path.parent) == ["task"]


@pytest.mark.parametrize(
    ("said", "kind", "meant"),
    [
        ("While lock file: {}/LOCK: Resource temporarily unavailable", AlreadyRunningError, "has it open"),
        (
            "lock hold by current process, acquire time 1 acquiring thread 2: {}/LOCK: No locks available",
            AlreadyRunningError,
            "has it open",
        ),
        (
            "While open a file for lock: {}/LOCK: Too many open files",
            StateError,
            "no more files can be opened",
        ),
        ("While open a file for lock: {}/LOCK: Too many open files in system", StateError, "no more files"),
        ("While open a file for lock: {}/LOCK: No space left on device", StateError, "the disk is full"),
        ("While open a file for lock: {}/LOCK: Permission denied", StateError, "no permission"),
        ("While open a file for lock: {}/LOCK: Read-only file system", StateError, "no permission"),
        ("While lock file: {}/LOCK: Function not implemented", StateError, "Function not implemented"),
        ("While open a file for lock: {}/LOCK: No such file or directory", StateCorruptionError, "damaged"),
    ],
)
def test_errors_at_the_lock_are_told_by_their_cause(said: str, kind: type[Exception], meant: str) -> None:
    path = "/state/corrupt/no space/0_0"
    with pytest.raises(kind, match=meant) as raised, translated(path, "open the stores"):
        raise RuntimeError(f"IO error: {said.format(path)}")
    assert type(raised.value) is kind


def test_error_that_somebody_keeps_does_not_keep_the_lock(path: Path) -> None:
    with_table_file(path)
    damaged(path, "*.sst")
    database = RocksDatabase(path, MEMORY)
    kept = []
    for reverse in (False, True):
        try:
            list(database.family("s").scan(None, None, reverse=reverse))
        except StateCorruptionError as error:
            kept.append(error)
    database.close()
    RocksDatabase(path, MEMORY).close()
    assert len(kept) == 2


def test_damage_found_by_a_compaction_is_told_by_the_next_write_and_can_be_deleted(path: Path) -> None:
    with_table_file(path)
    database = RocksDatabase(path, MEMORY)
    damaged(path, "*.sst")
    rows = database._database.get_column_family("s")
    rows.set_options({"level0_file_num_compaction_trigger": "1"})
    database.write([("s", {b"00000": b"1", b"02000": b"2"})], {"s": StorePosition(1, "id")})
    with contextlib.suppress(Exception):  # may be told of it first
        rows.flush()
    del rows
    kept = None
    for number in range(10_000):  # the compaction runs in the background
        try:
            database.write([("s", {b"a": b"%d" % number})], {"s": StorePosition(number, "id")})
        except StateCorruptionError as error:
            kept = error
            break
    assert "cannot write" in str(kept)
    database.close()
    RocksDatabase.destroy(path)
    database = RocksDatabase(path, MEMORY)
    assert rows_of(database, "s") == []
    database.close()


@pytest.mark.process
def test_after_a_full_disk_the_same_process_opens_the_stores_again(path: Path) -> None:
    """A limit on the size of files stands for a disk that is full; the error is kept, as whoever decides keeps it."""
    code = """
import resource, signal, sys
from headrace.base.errors import StateError
from headrace.state.port import StorePosition
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = RocksDatabase(sys.argv[1], RocksMemory())
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
kept = []
try:
    for commit in range(1000):
        rows = {b"%d" % (commit * 1000 + number): b"x" * 100 for number in range(1000)}
        database.write([("s", rows)], {"s": StorePosition(commit, "id")})
except StateError as error:
    kept.append(error)
database.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
database = RocksDatabase(sys.argv[1], RocksMemory())
print(len(kept), database.position("s") is None)
database.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "1 True\n"


def test_a_file_in_place_of_the_directory_is_named(path: Path) -> None:
    path.write_text("not a directory")
    with pytest.raises(
        StateError,
        match=r"cannot make the state directory .*: File exists; a file is where a directory is wanted",
    ):
        RocksDatabase(path, MEMORY)


@pytest.mark.process
def test_full_disk_is_said_clearly(path: Path) -> None:
    """A limit on the size of files stands for a disk that is full."""
    code = """
import resource, signal, sys
from headrace.base.errors import StateError
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
database = RocksDatabase(sys.argv[1], RocksMemory())
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    for commit in range(1000):
        database.write([("s", {b"%d" % (commit * 1000 + number): b"x" * 100 for number in range(1000)})], {})
except StateError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "the disk is full" in done.stdout
    assert "free space and start again" in done.stdout


def test_a_stall_is_waited_for_without_stopping_other_threads(path: Path) -> None:
    database = RocksDatabase(path, MEMORY)
    database.write([("s", {b"a": b"1"})], {})
    rows = database._database.get_column_family("s")
    stalled = {
        "level0_file_num_compaction_trigger": "1000",
        "level0_slowdown_writes_trigger": "1",
        "level0_stop_writes_trigger": "1",
    }
    rows.set_options(stalled)
    rows.flush()
    assert rows.property_int_value("rocksdb.is-write-stopped") == 1
    relief = {"level0_slowdown_writes_trigger": "100", "level0_stop_writes_trigger": "100"}
    relieved = threading.Timer(0.05, rows.set_options, [relief])
    relieved.start()
    database.write([("s", {b"b": b"2"})], {"s": StorePosition(2, "id")})
    relieved.join()
    assert rows_of(database, "s") == [(b"a", b"1"), (b"b", b"2")]
    assert database.position("s") == StorePosition(2, "id")
    del rows, relieved
    gc.collect()
    database.close()


COMMITS = 12
ROWS = 2_500  # more than a batch takes


def written_commits(path: Path, *, flush_after: int) -> Path:
    """Write commits of two stores, and return a copy of the directory as it is before it is closed.

    The rows of commit n have the value n, and their position the offset n.
    """
    database = RocksDatabase(path, RocksMemory())  # with room for everything: nothing is flushed by itself
    for commit in range(1, COMMITS + 1):
        rows = {b"%06d" % number: b"%d" % commit for number in range(ROWS)}
        position = StorePosition(commit, "id")
        database.write([("s", rows), ("t", {b"only": b"%d" % commit})], {"s": position, "t": position})
        if commit == flush_after:
            database._database.flush()
    copy = path.with_name("copy")
    copy.mkdir()
    for name in os.listdir(path):
        # Logs that a flush has made obsolete are deleted in the background.
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(path / name, copy / name)
    database.close()
    return copy


def assert_no_position_is_ahead(path: Path) -> int:
    """Rows may be newer than the position, since replay is idempotent, but never older."""
    database = RocksDatabase(path, MEMORY)
    try:
        position = database.position("s")
        assert position == database.position("t")
        reached = 0 if position is None else position.offset
        values = [int(value) for _, value in database.family("s").scan(None, None)]
        assert all(value in (reached, reached + 1) for value in values)
        assert len(values) == ROWS or reached == 0
        only = database.family("t").get(b"only")
        assert (0 if only is None else int(only)) in (reached, reached + 1)
        return reached
    finally:
        database.close()


@pytest.mark.parametrize("flush_after", [0, 5])
def test_after_a_loss_of_power_no_position_is_ahead_of_its_rows(path: Path, flush_after: int) -> None:
    """The log is not synced, so a loss of power may cut it anywhere."""
    copy = written_commits(path, flush_after=flush_after)
    log = max(copy.glob("*.log"))
    whole = log.read_bytes()
    cuts = random.Random(5)
    reached = set()
    for _ in range(25):
        cut = path.with_name("cut")
        shutil.copytree(copy, cut)
        (cut / log.name).write_bytes(whole[: cuts.randrange(len(whole))])
        reached.add(assert_no_position_is_ahead(cut))
        shutil.rmtree(cut)
    assert len(reached) > 4
    assert min(reached) >= flush_after


@pytest.mark.process
def test_after_kill_9_everything_written_is_there(path: Path) -> None:
    code = """
import sys
from headrace.state.port import StorePosition
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
database = RocksDatabase(sys.argv[1], RocksMemory(3 << 20))
for commit in range(1, 100_000):
    position = StorePosition(commit, "id")
    rows = {b"%06d" % number: b"%d" % commit for number in range(2_500)}
    database.write([("s", rows), ("t", {b"only": b"%d" % commit})], {"s": position, "t": position})
    print(commit, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        with writer.stdout:
            for line in writer.stdout:
                if int(line) == 20:
                    os.kill(writer.pid, signal.SIGKILL)
                    break
            last = [int(line) for line in writer.stdout.read().split()]
    assert assert_no_position_is_ahead(path) >= max([20, *last])


def test_options_of_a_store_may_be_changed_but_not_the_bounds_of_memory(path: Path) -> None:
    asked: list[str] = []

    def smaller_blocks(store: str, options: Any, blocks: Any) -> None:
        asked.append(store)
        if store == "s":
            blocks.set_block_size(1_000)
            blocks.disable_cache()

    memory = RocksMemory(3 << 20, configure=smaller_blocks)
    database = RocksDatabase(path, memory)
    for store in ("s", "t"):
        database.write([(store, {b"%d" % number: bytes(100) for number in range(1_000)})], {})
    (file,) = sorted(path.glob("OPTIONS-*"))[-1:]
    sizes = re.findall(
        r'TableOptions/BlockBasedTable "(\w+)"\].*?\n\s*block_size=(\d+)', file.read_text(), re.DOTALL
    )
    assert dict(sizes) == {"default": "4096", "s": "1000", "t": "4096"}
    assert memory.used_bytes > 200_000, (
        "what waits in memtables is charged to the cache, whoever set the options"
    )
    database.close()
    RocksDatabase(path, memory).close()
    assert sorted(asked) == ["s", "s", "t", "t"]
