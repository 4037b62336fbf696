"""Files of a store damaged while the application is stopped: it says so, and rebuilds the store by itself."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.errors import StateCorruptionError
from headrace.engine.clock import SystemClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.embedded import EmbeddedLog
from tests.budget import IS_LONG
from tests.faults import application, plain
from tests.faults.site import Site


def worker_at(folder: Path, log: EmbeddedLog) -> Worker:
    return build_worker(
        application.build(),
        log,
        EngineOptions.of({"commit.interval.ms": 1, **application.OPTIONS}),
        application_id=application.APPLICATION_ID,
        state_dir=folder / "state",
        clock=SystemClock(),
    )


def run_to_the_end(worker: Worker, log: EmbeddedLog) -> None:
    """Process all inputs, internal ones too: what is written to these is there to be read after a commit."""
    while not application.is_drained(log):
        while worker.step(0):
            pass
        worker.commit()


def work(folder: Path) -> None:
    """Run the application to the end of its input, and stop it in good order."""
    log = EmbeddedLog.open(folder / "log.db")
    worker = worker_at(folder, log)
    try:
        worker.open()
        run_to_the_end(worker, log)
    finally:
        worker.close()
        log.close()


def cut_to_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for at in range(0, len(content), 16):
        content[at] ^= 0xFF
    file.write_bytes(bytes(content))


def flipped_in_the_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(bytes(content))


def flipped_at_the_beginning(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[10] ^= 0xFF
    file.write_bytes(bytes(content))


DAMAGES = [cut_to_half, emptied, flipped, flipped_in_the_middle, flipped_at_the_beginning, Path.unlink]
FILES = ["*.sst", "MANIFEST-*", "CURRENT"]

#: Each damage meets each file when there is time; else, each one file, and each file two damages.
HURT = [
    (FILES[(place + turn) % 3], damage) for turn in range(3) for place, damage in enumerate(DAMAGES)
]  # `tests/state/test_damage.py` has every file of a database


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("files", "damage"), HURT if IS_LONG else HURT[: len(DAMAGES)])
def test_damaged_files_are_replaced_from_the_changelog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: str, damage: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    feed = plain.Feed(Site(tmp_path), seed=5)
    feed.write(4_000)
    work(tmp_path)
    found = sorted((tmp_path / "state").rglob(files))
    assert found
    for file in found:
        damage(file)
    feed.write(4_000)
    feed.close()
    work(tmp_path)
    plain.check(Site(tmp_path), feed.written)


def test_damage_found_by_a_read_deletes_nothing_but_the_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = str(application.SUMS.name)
    (tmp_path / store).mkdir()
    mine = tmp_path / store / "report.txt"
    mine.write_text("mine")
    feed = plain.Feed(Site(tmp_path), seed=5)
    feed.write(4_000)
    work(tmp_path)
    for file in (tmp_path / "state").rglob("*.sst"):
        flipped_at_the_beginning(file)
    feed.write(4_000)
    feed.close()
    work(tmp_path)
    assert mine.read_text() == "mine"


@pytest.mark.timeout(300)
def test_state_directory_deleted_under_a_running_application_is_made_again(tmp_path: Path) -> None:
    feed = plain.Feed(Site(tmp_path), seed=9)
    feed.write(4_000)
    log = EmbeddedLog.open(tmp_path / "log.db")
    worker = worker_at(tmp_path, log)
    worker.open()
    while worker.step(0):
        pass
    shutil.rmtree(tmp_path / "state")
    feed.write(4_000)
    feed.close()
    while worker.step(0):
        pass
    with contextlib.suppress(
        StateCorruptionError
    ):  # of the store of its own, unless a step has found it already
        worker.commit()
    worker.close()
    log.close()
    plain.drain(Site(tmp_path))
    plain.check(Site(tmp_path), feed.written)


@pytest.mark.timeout(300)
def test_damage_found_by_a_running_application_is_mended_while_it_runs(tmp_path: Path) -> None:
    feed = plain.Feed(Site(tmp_path), seed=13)
    feed.write(4_000)
    work(tmp_path)
    log = EmbeddedLog.open(tmp_path / "log.db")
    worker = worker_at(tmp_path, log)
    worker.open()
    for file in (tmp_path / "state").rglob("*.sst"):
        flipped(file)
    feed.write(4_000)
    feed.close()
    run_to_the_end(worker, log)
    worker.close()
    log.close()
    plain.check(Site(tmp_path), feed.written)


@pytest.mark.timeout(300)
def test_files_of_its_own_store_deleted_under_a_running_application_come_back_while_it_runs(
    tmp_path: Path,
) -> None:
    feed = plain.Feed(Site(tmp_path), seed=9)
    feed.write(4_000)
    work(tmp_path)
    log = EmbeddedLog.open(tmp_path / "log.db")
    worker = worker_at(tmp_path, log)
    worker.open()
    while worker.step(0):
        pass
    shutil.rmtree(tmp_path / "state" / "own")
    feed.write(4_000)
    feed.close()
    run_to_the_end(worker, log)
    worker.close()
    log.close()
    plain.check(Site(tmp_path), feed.written)
