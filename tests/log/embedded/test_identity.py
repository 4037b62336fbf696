"""Which file a log is: links, relative paths, files that are lost, cut, moved or replaced."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from tests.log.records import create, numbered, read, write

A0 = TopicPartition("a", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_file_cut_to_nothing_is_refused(path: Path) -> None:
    EmbeddedLog.open(path).close()
    os.truncate(path, 0)
    with pytest.raises(
        LogError, match=r"the file is empty.*cut to nothing; restore it from a backup.*delete the"
    ):
        EmbeddedLog.open(path)
    assert path.stat().st_size == 0


@pytest.mark.parametrize("size", [1, 100, 511, 512, 16_384, 50_000])
def test_file_that_was_cut_is_refused(path: Path, size: int) -> None:
    EmbeddedLog.open(path).close()
    os.truncate(path, size)
    with pytest.raises(LogError, match=r"cannot (open|read) .*"):
        read(EmbeddedLog.open(path), "a")
    assert path.stat().st_size == size


@pytest.mark.parametrize("trace", ["log.db-wal", "log.db-shm", "log.db-shop.lock"])
def test_lost_file_is_not_made_anew(path: Path, trace: str) -> None:
    path.with_name(trace).write_bytes(b"1")
    with pytest.raises(
        LogError,
        match=rf"the file is not there, but {trace} beside it is: .*to begin a new log, delete these",
    ):
        EmbeddedLog.open(path)
    assert not path.exists()
    path.with_name(trace).unlink()
    EmbeddedLog.open(path).close()


def test_what_a_killed_process_left_while_making_a_log_is_no_hindrance(path: Path) -> None:
    path.with_name("log.db-new").write_bytes(b"half")
    path.with_name("log.db-new-journal").write_bytes(b"half")
    EmbeddedLog.open(path).close()
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["log.db"]


def test_relative_path_is_the_same_file_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        EmbeddedLog.open(tmp_path / name / "log.db").close()
    monkeypatch.chdir(tmp_path / "here")
    log = EmbeddedLog.open("log.db")
    monkeypatch.chdir(tmp_path / "there")
    create(log, "a")
    write(log, "a", numbered(1))
    assert list(EmbeddedLog.open("log.db").topics()) == []
    assert read(EmbeddedLog.open(tmp_path / "here" / "log.db"), "a") == [(0, b"v0")]


def test_symbolic_link_is_the_file_that_it_leads_to(tmp_path: Path, path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    by_link = EmbeddedLog.open(link)
    create(by_link, "a")
    by_name = EmbeddedLog.open(path)
    write(by_name, "a", numbered(1))
    write(by_link, "a", numbered(1, first=1))
    assert read(by_name, "a") == [(0, b"v0"), (1, b"v1")]
    assert [entry.name for entry in link.parent.iterdir()] == ["link.db"]


def test_links_in_a_circle_are_told(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(LogError, match="cannot open the embedded log"):
        EmbeddedLog.open(path)


def test_second_name_of_a_file_is_refused(tmp_path: Path, path: Path) -> None:
    EmbeddedLog.open(path).close()
    other = tmp_path / "other.db"
    other.hardlink_to(path)
    for name in (path, other):
        with pytest.raises(LogError, match=r"the file has 2 names \(hard links\).*remove the other names"):
            EmbeddedLog.open(name)


def replaced(path: Path) -> None:
    other = EmbeddedLog.open(path.with_name("other.db"))
    create(other, "a")
    other.close()
    path.rename(path.with_name("old.db"))
    path.with_name("other.db").rename(path)


def moved(path: Path) -> None:
    path.rename(path.with_name("old.db"))


@pytest.mark.parametrize(
    ("how", "told"), [(moved, "was deleted or moved"), (replaced, "was replaced by another file")]
)
def test_file_that_is_no_longer_there_is_not_written(
    path: Path, how: Callable[[Path], None], told: str
) -> None:
    log = EmbeddedLog.open(path)
    create(log, "a")
    writer = log.writer("g")
    writer.append("a", 0, numbered(1))
    writer.commit({})
    how(path)
    writer.append("a", 0, numbered(1, first=1))
    with pytest.raises(LogError, match=f"the file {told} while it was open"):
        writer.commit({})
    with pytest.raises(LogError, match=told):
        log.reader()
    log.close()
    # What was committed before is all in the file that was moved, and nothing is left for the one in its place.
    assert read(EmbeddedLog.open(path.with_name("old.db")), "a") == [(0, b"v0")]
    if path.exists():
        assert read(EmbeddedLog.open(path), "a") == []
    wal = path.with_name("log.db-wal")
    assert not wal.exists() or wal.stat().st_size == 0


def test_file_that_was_put_back_is_used_again(path: Path) -> None:
    log = EmbeddedLog.open(path)
    create(log, "a")
    moved(path)
    with pytest.raises(LogError):
        write(log, "a", numbered(1))
    shutil.move(path.with_name("old.db"), path)
    write(log, "a", numbered(1))
    assert read(log, "a") == [(0, b"v0")]


def test_pipe_is_refused_at_once(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(LogError, match="check that the path is a file"):
        EmbeddedLog.open(path)
