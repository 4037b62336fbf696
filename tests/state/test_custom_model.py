"""Stores of a user's own against a dictionary: in any order, with aborts, crashes and lost disks between."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from headrace.base.errors import StateCorruptionError, StateError
from headrace.serde.primitives import raw
from headrace.state.port import StorePosition
from headrace.state.spec import Engine, StoreSpec
from tests.state.crashing import CrashingMachine
from tests.state.own_stores import FileShelf, Shelf
from tests.state.stores import Stores, store_spec

pytestmark = pytest.mark.campaign

KEYS = st.sampled_from(["", "a", "b", "c"])
TEXTS = st.none() | st.sampled_from(["x", "y", ""])


def spec_of(make: type[Shelf], *, logging: bool = True) -> StoreSpec:
    persistent = make is FileShelf
    engine: Engine = "rocksdb" if persistent else "memory"
    return store_spec(
        kind="custom", key=raw, value=raw, engine=engine, make=make, persistent=persistent,
        timestamped=False, logging=logging,
    )  # fmt: skip


class CustomMachine(CrashingMachine):
    """`model` is what should be there, `committed` what was at the last commit."""

    make: type[Shelf] = Shelf

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.stores = Stores(spec_of(self.make), path=self.folder / "db")
        self.model: dict[str, str] = {}
        self.committed: dict[str, str] = {}

    @property
    def shelf(self) -> Any:
        return self.stores.only.hand_out()

    @rule(key=KEYS, value=TEXTS)
    def put(self, key: str, value: str | None) -> None:
        self.shelf.put(key, value)
        self.model.pop(key, None)
        if value is not None:
            self.model[key] = value

    def remember(self) -> None:
        self.committed = dict(self.model)

    def go_back(self) -> None:
        self.model = dict(self.committed)

    @rule()
    def abort(self) -> None:
        """As a task does it: what was handed out is given up, and the gap is restored before there is another one."""
        self.stores.abort()
        self.stores.catch_up()
        self.go_back()

    @rule()
    def crash_after_the_flush(self) -> None:
        """The files have it, the position has not."""
        self.stores.commit_log()
        self.remember()
        self.stores.only.changes()
        self.crash()

    @invariant()
    def store_has_what_it_should(self) -> None:
        assert self.shelf.rows == self.model


@pytest.mark.parametrize("make", [Shelf, FileShelf])
def test_store_has_what_was_committed_and_nothing_else(make: type[Shelf]) -> None:
    machine = type("Machine", (CustomMachine,), {"make": make})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=10 if make is FileShelf else 40,
            stateful_step_count=30,
            derandomize=True,
            deadline=None,
            database=None,
        ),
    )


def test_store_with_files_restores_the_gap_alone(tmp_path: Path) -> None:
    stores = Stores(spec_of(FileShelf), path=tmp_path / "db")
    stores.only.hand_out().put("a", "1")
    stores.commit()
    stores.only.hand_out().put("b", "2")
    stores.commit_log()
    stores.crash()
    shelf = stores.only.hand_out()
    assert shelf.calls == ["init", "restore 1", "flush"]
    assert shelf.rows == {"a": "1", "b": "2"}
    stores.close()
    assert shelf.calls[-1] == "close"


def test_object_that_was_let_go_of_logs_nothing_more() -> None:
    stores = Stores(spec_of(Shelf))
    shelf = stores.only.hand_out()
    stores.abort()
    with pytest.raises(StateError, match="log a change of store 'store'"):
        shelf.put("a", "1")
    assert stores.logged() == []


def test_store_without_a_changelog_logs_into_nothing() -> None:
    stores = Stores(spec_of(Shelf, logging=False))
    stores.only.hand_out().put("a", "1")
    assert stores.only.hand_out().rows == {"a": "1"}


def test_what_fails_in_a_store_says_where() -> None:
    class Broken(Shelf):
        def flush(self) -> None:
            raise OSError("the disk is full")

    stores = Stores(spec_of(Broken))
    stores.only.hand_out().put("a", "1")
    with pytest.raises(
        StateError, match=r"store 'store': its flush\(\) failed: OSError\('the disk is full'\)"
    ):
        stores.commit()


def test_change_that_no_record_can_hold_is_refused() -> None:
    shelf = Stores(spec_of(Shelf)).only.hand_out()
    with pytest.raises(TypeError, match="logs the key 'a': bytes are wanted"):
        shelf.context.log("a", b"")
    with pytest.raises(TypeError, match="logs the value 1: bytes are wanted"):
        shelf.context.log(b"a", 1)
    with pytest.raises(ValueError, match="negative timestamp"):
        shelf.context.log(b"a", b"", timestamp=-1)


def test_store_whose_files_are_gone_is_restored_in_full(tmp_path: Path) -> None:
    stores = Stores(spec_of(FileShelf), path=tmp_path / "db")
    stores.only.hand_out().put("a", "1")
    stores.commit()
    stores.close()
    shutil.rmtree(tmp_path / "own")
    stores.open()
    stores.catch_up()
    assert stores.only.hand_out().rows == {"a": "1"}
    stores.close()


def test_changelog_of_nothing_but_what_was_aborted_is_followed_by_a_store_that_had_no_files_yet(
    tmp_path: Path,
) -> None:
    stores = Stores(spec_of(FileShelf), path=tmp_path / "db")
    stores.rows.restored("store", StorePosition(3, "changelog"))
    stores.only.hand_out().put("a", "1")
    stores.commit()
    stores.crash()
    assert stores.only.hand_out().rows == {"a": "1"}
    stores.rows.clear("store")
    stores.rows.restored("store", StorePosition(3, "changelog"))
    assert stores.only.hand_out().rows == {}
    stores.close()


def test_files_that_go_while_the_store_is_used_are_damage_of_its_task(tmp_path: Path) -> None:
    stores = Stores(spec_of(FileShelf), path=tmp_path / "db")
    stores.only.hand_out().put("a", "1")
    stores.commit()
    shutil.rmtree(tmp_path / "own")
    stores.only.hand_out().put("b", "2")
    with pytest.raises(StateCorruptionError, match="was deleted while it was in use") as damage:
        stores.commit()
    assert damage.value.path == str(tmp_path / "db")
    stores.abort()
    with pytest.raises(StateCorruptionError):
        stores.only.hand_out()
    stores.crash()
    assert stores.only.hand_out().rows == {"a": "1", "b": "2"}
    stores.close()
