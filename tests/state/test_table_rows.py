"""Restores by files of sorted rows: the rows of their twin, whatever is in them, and whenever the process is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.columns import Chunk
from headrace.base.compiled import is_compiled_wanted
from headrace.base.errors import StateCorruptionError, StateError
from headrace.kafka.batch import codec
from headrace.serde.primitives import raw
from headrace.state import table_rows
from headrace.state.changelog_rows import KeyValueRows
from headrace.state.port import StorePosition
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
from headrace.state.task_rows import TaskRows
from tests.budget import examples, some
from tests.state.stores import store_spec

pytestmark = pytest.mark.skipif(not is_compiled_wanted(), reason="headrace-native is not installed")

#: At how many steps the usual run kills a restore.
KILLS = 8

MEMORY = RocksMemory(3 << 20)
POSITION = StorePosition(7, "topic id")

RESTORED = store_spec("restored", engine="rocksdb", key=raw, value=raw)
KEPT = store_spec("kept", engine="rocksdb", key=raw, value=raw)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


def opened(path: Path) -> TaskRows:
    return TaskRows(
        [RESTORED, KEPT], RocksDatabase.open(path, MEMORY), application_id="app", now_ms=lambda: 1_000
    )


def chunk(rows: list[tuple[bytes | None, bytes | None, int]], *, is_fetched: bool = False) -> Chunk:
    """Records as a list has them, or as they are fetched."""
    keys, values, timestamps = ([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    if not is_fetched:
        return Chunk("changelog", 0, range(len(rows)), timestamps, keys, values, None, 1)
    batch, _ = codec.encode_batch(keys, values, timestamps, None, 0, 1 << 24)
    found = codec.decode(batch, 0)
    return Chunk("changelog", 0, found.offsets, found.timestamps, found.keys, found.values, None, 1)


def copied(rows: TaskRows, path: Path) -> Path:
    """Copy the files as a kill leaves them. None may go meanwhile, so that no compaction may begin before."""
    found: Any = rows.databases["rocksdb"]
    return shutil.copytree(found.path, path)


def without_compactions(rows: TaskRows) -> None:
    found: Any = rows.databases["rocksdb"]
    for store in ("restored", "kept"):
        found.family(store)
        found._database.get_column_family(store).set_options({"disable_auto_compactions": "true"})


def rows_of(rows: TaskRows, store: str = "restored") -> list[tuple[bytes, bytes]]:
    return list(rows.databases["rocksdb"].family(store).scan(None, None))


def files_taken_in(rows: TaskRows) -> int:
    """Files of rows; those of links have two entries."""
    database: Any = rows.databases["rocksdb"]
    return sum(file["num_entries"] >= 500 for file in database._database.live_files())


KEYS = st.none() | st.binary(max_size=12) | st.integers(0, 30).map(lambda number: b"key-in-front-%d" % number)
RECORDS = st.tuples(KEYS, st.none() | st.binary(max_size=40), st.integers(0, 2**45))


@settings(max_examples=examples(60), deadline=None)
@given(
    chunks=st.lists(st.lists(RECORDS, min_size=1, max_size=80), max_size=6),
    timestamped=st.booleans(),
    is_fetched=st.booleans(),
    more=st.lists(RECORDS, min_size=1, max_size=20),
)
def test_rows_are_those_of_the_twin(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[list[tuple[bytes | None, bytes | None, int]]],
    timestamped: bool,
    is_fetched: bool,
    more: list[tuple[bytes | None, bytes | None, int]],
) -> None:
    spec = store_spec("restored", engine="rocksdb", key=raw, value=raw, timestamped=timestamped)
    path = tmp_path_factory.mktemp("rows") / "db"
    twin, database = KeyValueRows(spec), RocksDatabase(path, MEMORY)
    expected: dict[bytes, bytes | None] = {}
    rows = table_rows.TableRows(spec)
    try:
        for records in chunks:
            twin.apply(chunk(records))
            expected.update(twin.take())
            rows.apply(chunk(records, is_fetched=is_fetched))
            if len(rows):
                database.take_in("restored", rows.write)
            assert len(rows) == 0
        twin.apply(chunk(more))
        rest = twin.take()
        rows.apply(chunk(more, is_fetched=is_fetched))
        found = rows.take()
        assert found == rest
        assert list(found) == sorted(found)
        database.write([("restored", found)], {"restored": POSITION})
        expected.update(rest)
        for attempt in range(2):
            family = database.family("restored")
            assert {key: family.get(key) for key in expected} == expected
            assert list(family.scan(None, None)) == sorted(
                (key, value) for key, value in expected.items() if value is not None
            )
            if attempt == 0:
                database.close()
                database = RocksDatabase(path, MEMORY)
    finally:
        database.close()
        shutil.rmtree(path)


def records(first: int, count: int = 500) -> list[tuple[bytes | None, bytes | None, int]]:
    return [(b"%06d" % number, b"value %d" % number, number) for number in range(first, first + count)]


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_rows, "_TABLE_BYTES", 20_000)
    monkeypatch.setattr(table_rows, "_TABLE_BYTES_MIN", 1_000)


@pytest.mark.usefixtures("small_tables")
def test_a_store_without_a_position_is_restored_by_files_and_another_in_batches(path: Path) -> None:
    rows = opened(path)
    for first in range(0, 2_000, 500):
        rows.restore("restored", chunk(records(first)))
    assert files_taken_in(rows) == 4
    rows.restored("restored", POSITION)
    rows.restore("restored", chunk([(b"000000", None, 5), (b"later", b"", 5)]))
    rows.restored("restored", StorePosition(9, "topic id"))
    assert files_taken_in(rows) == 4
    rows.close()
    rows = opened(path)
    found = dict(rows_of(rows))
    assert len(found) == 2_000
    assert found[b"001999"][8:] == b"value 1999"
    assert b"000000" not in found
    position = rows.stores["restored"].position()
    assert position is not None
    assert position.offset == 9
    rows.close()


@pytest.mark.usefixtures("small_tables")
def test_a_restore_that_was_cut_off_is_emptied_and_leaves_other_stores_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = opened(path)
    without_compactions(rows)
    rows.restore("kept", chunk(records(0, 3)))
    rows.restored("kept", POSITION)
    for first in range(0, 2_000, 500):
        rows.restore("restored", chunk(records(first)))
    (path / "restored.rows").write_bytes(b"cut off")
    killed = copied(rows, path.with_name("killed"))
    rows.close()
    rows = opened(killed)
    assert rows_of(rows) == []
    assert len(rows_of(rows, "kept")) == 3
    assert not (killed / "restored.rows").exists()
    rows.restore("restored", chunk(records(500)))
    rows.restored("restored", POSITION)
    rows.close()
    rows = opened(killed)
    assert [key for key, _ in rows_of(rows)] == [b"%06d" % number for number in range(500, 1_000)]
    assert len(rows_of(rows, "kept")) == 3
    rows.close()
    assert caplog.messages == []


@pytest.mark.usefixtures("small_tables")
def test_files_that_the_manifest_has_forgotten_are_missed(path: Path) -> None:
    rows = opened(path)
    without_compactions(rows)
    rows.restore("restored", chunk(records(0)))
    manifest = next(path.glob("MANIFEST-*"))
    before = manifest.read_bytes()
    for first in range(500, 2_000, 500):
        rows.restore("restored", chunk(records(first)))
    rows.restored("restored", POSITION)
    killed = copied(rows, path.with_name("killed"))
    rows.close()
    RocksDatabase(shutil.copytree(killed, path.with_name("whole")), MEMORY).close()
    (killed / manifest.name).write_bytes(before)
    with pytest.raises(StateCorruptionError, match="'restored' are not all there"):
        RocksDatabase(killed, MEMORY)


def test_there_is_no_file_without_rows(tmp_path: Path) -> None:
    rows = table_rows.TableRows(RESTORED)
    rows.apply(chunk([(None, b"no key", 5)]))
    with pytest.raises(ValueError, match="no rows"):
        rows.write(str(tmp_path / "rows"))
    assert rows.take() == {}


def test_a_file_that_cannot_be_written_is_said(path: Path) -> None:
    database = RocksDatabase(path, MEMORY)
    rows = table_rows.TableRows(RESTORED)
    rows.apply(chunk(records(0)))
    database.family("restored")
    (path / "restored.rows").mkdir()
    with pytest.raises(StateError, match="cannot restore store 'restored'"):
        database.take_in("restored", rows.write)
    (path / "restored.rows").rmdir()
    database.close()


RESTORE = """
import json, os, signal, sys
from headrace.state import table_rows
from tests.state.test_table_rows import POSITION, chunk, opened, records
table_rows._TABLE_BYTES, table_rows._TABLE_BYTES_MIN = 20_000, 1_000
kill_at, steps = int(sys.argv[2]), 0

def step(frame, event, argument):
    global steps
    if event == "c_call" and frame.f_globals["__name__"].startswith("headrace.state."):
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(step)
rows = opened(sys.argv[1])
store = rows.stores["restored"]
if store.position() is None:
    store.clear()
    for first in range(0, 1_500, 500):
        rows.restore("restored", chunk(records(first)))
    rows.restored("restored", POSITION)
sys.setprofile(None)
family = store.database.family("restored")
print(json.dumps([steps, [key.decode() for key, _ in family.scan(None, None)]]))
rows.close()
"""


def restored_in_a_process(path: Path, kill_at: int) -> tuple[int, list[str]] | None:
    """Steps that a restore took, and the keys that are there; None if it was killed."""
    done = subprocess.run(
        [sys.executable, "-c", RESTORE, str(path), str(kill_at)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    steps, keys = json.loads(done.stdout)
    return steps, keys


@pytest.mark.process
@pytest.mark.timeout(300)
def test_killed_at_any_step_of_a_restore_the_next_one_has_all_rows(path: Path) -> None:
    whole = restored_in_a_process(path, -1)
    assert whole is not None
    steps, keys = whole
    assert keys == [f"{number:06d}" for number in range(1_500)]
    for kill_at in some(range(1, steps), KILLS):
        shutil.rmtree(path)
        assert restored_in_a_process(path, kill_at) is None
        again = restored_in_a_process(path, -1)
        assert again is not None
        assert again[1] == keys, f"killed at step {kill_at} of {steps}"
