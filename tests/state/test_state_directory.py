"""The registry of a state directory: it lends rows to one borrower at a time, keeps them open, and cleans up."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.base.columns import Chunk
from headrace.base.errors import StateError
from headrace.base.ids import GLOBAL_TASK, TaskId
from headrace.state.port import StorePosition
from headrace.state.rocksdb_options import RocksMemory
from headrace.state.state_directory import StateDirectory
from headrace.state.task_rows import TaskRows
from tests.state.stores import store_spec

TASK = TaskId(0, 1)
SPECS = [store_spec(name="s", engine="rocksdb"), store_spec(name="m", engine="memory")]


class Place:
    """A registry with a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.registry = self.opened()

    def opened(self, worker: int | None = None) -> StateDirectory:
        memory = RocksMemory(3 << 20)
        return StateDirectory(
            self.folder,
            memory,
            application_id="app",
            cleanup_delay_ms=600_000,
            now_ms=lambda: time.time_ns() // 1_000_000 + int(self.now * 1000),
            seconds=lambda: self.now,
            worker=worker,
        )

    def filled(self, task_id: TaskId = TASK) -> TaskRows:
        """Rows that are lent, with one row in each store."""
        rows = self.registry.lend(task_id, SPECS)
        for name in ("s", "m"):
            rows.restore(name, Chunk("changelog", 1, range(1), [5], [b"a"], [bytes(8)], None, 1))
            rows.restored(name, StorePosition(1, "id"))
        return rows


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "app")
    yield made
    made.registry.close()


def rows_of(rows: TaskRows, store: str) -> list[bytes]:
    return [key for key, _ in rows.stores[store].database.family(store).scan(None, None)]


def test_rows_that_were_given_back_are_lent_again_as_they_are_open(place: Place) -> None:
    rows = place.filled()
    place.registry.give_back(rows)
    place.now = 599
    place.registry.clean()
    again = place.registry.lend(TASK, SPECS)
    assert again is rows
    assert (rows_of(again, "s"), rows_of(again, "m")) == ([b"a"], [b"a"])
    assert {name: position and position.offset for name, position in again.positions().items()} == {
        "s": 1,
        "m": 1,
    }


def test_what_was_applied_and_not_written_is_read_again_by_the_next_borrower(place: Place) -> None:
    rows = place.filled()
    rows.restore("s", Chunk("changelog", 1, range(1, 2), [6], [b"b"], [bytes(8)], None, 1))
    place.registry.give_back(rows)
    again = place.registry.lend(TASK, SPECS)
    again.restored("m", StorePosition(2, "id"))
    assert rows_of(again, "s") == [b"a"]
    found = again.positions()["s"]
    assert found is not None
    assert found.offset == 1


def test_rows_have_one_borrower(place: Place) -> None:
    rows = place.filled()
    with pytest.raises(StateError, match="task 0_1 are in use by another thread"):
        place.registry.lend(TASK, SPECS)
    place.registry.give_back(rows)
    place.registry.give_back(rows)
    assert place.registry.lend(TASK, SPECS) is rows


def test_what_nobody_has_borrowed_for_long_is_closed_and_deleted(place: Place) -> None:
    place.registry.give_back(place.filled())
    kept = place.filled(TaskId(0, 2))
    place.registry.own_path(TASK, "mine").mkdir(parents=True)
    place.now = 600
    place.registry.clean()
    assert not place.registry.path(TASK).exists()
    assert not place.registry.own_path(TASK, "mine").exists()
    assert place.registry.path(TaskId(0, 2)).exists()
    assert rows_of(kept, "s") == [b"a"]
    assert rows_of(place.registry.lend(TASK, SPECS), "s") == []


def test_what_was_there_before_has_its_time_from_the_start_on(place: Place) -> None:
    place.registry.give_back(place.filled())
    place.registry.close()
    place.now = 10_000
    place.registry = place.opened()
    place.now += 599
    place.registry.clean()
    assert place.registry.path(TASK).exists()
    place.now += 1
    place.registry.clean()
    assert not place.registry.path(TASK).exists()


def test_only_directories_of_tasks_are_deleted(place: Place) -> None:
    place.registry.give_back(place.filled(GLOBAL_TASK))
    mine = [place.folder / name for name in ("my_files", "0_1x", "own")]
    for each in mine:
        each.mkdir(parents=True)
    (place.folder / "instance").write_text("id")
    place.now = 10_000
    place.registry.clean()
    assert all(each.exists() for each in mine)
    assert (place.folder / "instance").exists()
    assert place.registry.path(GLOBAL_TASK).exists()


def test_damaged_rows_that_nobody_has_are_closed_and_deleted(place: Place) -> None:
    place.registry.give_back(place.filled())
    place.registry.destroy(str(place.registry.path(TASK)))
    again = place.registry.lend(TASK, SPECS)
    assert (rows_of(again, "s"), rows_of(again, "m")) == ([], [])


def test_a_task_with_other_stores_than_before_gets_rows_of_its_own(place: Place) -> None:
    rows = place.filled()
    place.registry.give_back(rows)
    other = place.registry.lend(TASK, [store_spec(name="other", engine="rocksdb")])
    assert other is not rows
    assert list(other.positions()) == ["other"]


# ── several processes ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def both(place: Place) -> Iterator[tuple[StateDirectory, StateDirectory]]:
    """The same directory as two workers have it."""
    one, other = place.opened(1), place.opened(2)
    yield one, other
    one.close()
    other.close()


def test_a_task_of_one_worker_is_lent_to_no_other_until_it_is_let_go(
    place: Place, both: tuple[StateDirectory, StateDirectory]
) -> None:
    one, other = both
    place.registry = one
    rows = place.filled()
    assert other.is_lent(TASK)
    with pytest.raises(StateError, match="in use by another process"):
        other.lend(TASK, SPECS)
    one.let_go()
    assert other.is_lent(TASK)
    one.give_back(rows)
    assert other.is_lent(TASK)
    one.let_go()
    assert not other.is_lent(TASK)
    assert rows_of(other.lend(TASK, SPECS), "s") == [b"a"]
    assert one.is_lent(TASK)


def test_a_worker_that_only_looked_stands_in_nobodys_way(both: tuple[StateDirectory, StateDirectory]) -> None:
    one, other = both
    assert not one.is_lent(TASK)
    one.let_go()
    assert not other.is_lent(TASK)


def test_workers_have_global_stores_of_their_own(both: tuple[StateDirectory, StateDirectory]) -> None:
    one, other = both
    one.lend(GLOBAL_TASK, SPECS)
    other.lend(GLOBAL_TASK, SPECS)
    assert one.path(GLOBAL_TASK) != other.path(GLOBAL_TASK)


def test_what_another_worker_has_or_has_had_of_late_is_not_deleted(
    place: Place, both: tuple[StateDirectory, StateDirectory]
) -> None:
    one, other = both
    rows = other.lend(TASK, SPECS)
    place.now += 700
    one.clean()
    assert (place.folder / "0_1").is_dir()
    other.give_back(rows)
    other.let_go()
    place.now = 0
    one.clean()
    assert (place.folder / "0_1").is_dir()
    place.now += 700
    one.clean()
    assert not (place.folder / "0_1").exists()


def test_what_a_worker_had_begun_to_delete_is_deleted_by_who_has_the_task_next(
    place: Place, both: tuple[StateDirectory, StateDirectory]
) -> None:
    left = place.folder / "0_1.deleted"
    left.mkdir(parents=True)
    (left / "rows").touch()
    both[0].remove_destroyed()
    assert left.exists()
    both[0].lend(TASK, SPECS)
    assert not left.exists()
