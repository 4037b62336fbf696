"""What the embedded log says when the disk, the file or another process is in the way."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.base.errors import HeadraceError, LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.embedded.errors import LogBusyError
from headrace.log.port import CommittedOffset
from tests.log.records import columns_of, create, numbered, read, write

A0 = TopicPartition("a", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[EmbeddedLog]:
    opened = EmbeddedLog.open(path, lock_wait_ms=30)
    create(opened, "a")
    yield opened
    opened.close()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def test_file_is_made_with_its_directories(tmp_path: Path) -> None:
    EmbeddedLog.open(tmp_path / "x" / "y" / "log.db").close()
    assert (tmp_path / "x" / "y" / "log.db").is_file()


def test_name_with_special_characters_is_taken_literally(tmp_path: Path) -> None:
    EmbeddedLog.open(tmp_path / "a b?mode=memory#100%.db").close()
    assert (tmp_path / "a b?mode=memory#100%.db").is_file()


def test_full_disk_fails_the_commit_and_loses_nothing(log: EmbeddedLog) -> None:
    write(log, "a", numbered(1))
    writer = log.writer("g")
    connection = writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 4}")
    writer.append("a", 0, columns_of([(b"k", bytes(1_000_000))]))
    with pytest.raises(
        LogError, match=r"cannot commit to the embedded log .*: the disk is full .*free some space"
    ):
        writer.commit({})
    writer.abort()
    assert read(log, "a") == [(0, b"v0")]
    connection.execute("PRAGMA max_page_count=1000000")
    writer.append("a", 0, numbered(1, first=1))
    assert writer.commit({}) == {A0: 2}


def test_after_a_full_disk_the_same_log_goes_on_with_other_writers_and_nothing_half_written(
    log: EmbeddedLog, path: Path
) -> None:
    create(log, "b")
    reader = log.reader()
    reader.assign({A0: 0, TopicPartition("b", 0): 0})
    failing = log.writer("g")
    pages = failing._connection.execute("PRAGMA page_count").fetchone()[0]
    failing._connection.execute(f"PRAGMA max_page_count={pages + 4}")
    failing.append("a", 0, numbered(1))
    failing.append("b", 0, columns_of([(b"k", bytes(1_000_000))]))
    with pytest.raises(LogError, match="the disk is full"):
        failing.commit({A0: CommittedOffset(1)})
    failing.close()
    assert reader.poll(0) == []
    assert log.committed("g", [A0]) == {}
    log.maintain(1_000)
    replacement = log.writer("g")
    replacement.append("a", 0, numbered(1))
    assert replacement.commit({A0: CommittedOffset(1)}) == {A0: 1}
    assert [chunk.values for chunk in reader.poll(0)] == [[b"v0"]]
    log.close()
    assert read(EmbeddedLog.open(path), "a") == [(0, b"v0")]


def test_directory_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"cannot be opened .*check that the path is a file"):
        EmbeddedLog.open(tmp_path)


def test_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogError, match=r"cannot create the directory .*name another directory"):
        EmbeddedLog.open(tmp_path / "file" / "log.db")


def test_text_file_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("my diary\n" * 1_000)
    with pytest.raises(LogError, match="the file is not an embedded log"):
        EmbeddedLog.open(path)
    assert path.read_text() == "my diary\n" * 1_000


def test_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE diary (line TEXT)")
    before = path.read_bytes()
    with pytest.raises(LogError, match="database of another program"):
        EmbeddedLog.open(path)
    assert path.read_bytes() == before


def test_newer_format_is_refused(log: EmbeddedLog, path: Path) -> None:
    change(path, "PRAGMA user_version=3")
    with pytest.raises(LogError, match="has format 3 and this headrace knows 2; upgrade headrace"):
        EmbeddedLog.open(path)


def test_damaged_pages_are_reported(log: EmbeddedLog, path: Path) -> None:
    write(log, "a", columns_of([(b"k", os.urandom(100_000))] * 10))
    log.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(16 * 1024)
        file.write(b"\xff" * (size - 16 * 1024))
    with pytest.raises(LogError, match=r"the file is damaged .*restore it from a backup"):
        read(EmbeddedLog.open(path), "a")


@pytest.mark.parametrize("body", ["x''", "x'c1'", "x'95c0c400909090'", "x'95c0c4080000000000000000909090'"])
def test_damaged_chunk_is_reported_with_its_place(log: EmbeddedLog, path: Path, body: str) -> None:
    write(log, "a", numbered(1))
    change(path, f"UPDATE chunks SET body = {body}")
    with pytest.raises(LogError, match=r"cannot read a-0 at offset 0 .*the chunk is damaged"):
        read(log, "a")


def test_damage_moves_no_position(log: EmbeddedLog, path: Path) -> None:
    write(log, "a", numbered(1))
    reader = log.reader()
    reader.assign({A0: 0})
    change(path, "UPDATE chunks SET body = x''")
    with pytest.raises(LogError):
        reader.poll(0)
    assert reader.position(A0) == 0


def test_writer_waits_for_a_lock_only_so_long(log: EmbeddedLog, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer = log.writer("g")
    writer.append("a", 0, numbered(1))
    with pytest.raises(LogBusyError, match="another process kept it locked"):
        writer.commit({})
    other.execute("ROLLBACK")
    other.close()
    writer.abort()
    writer.append("a", 0, numbered(1))
    assert writer.commit({}) == {A0: 1}


def test_maintenance_gives_way_to_a_lock_and_works_later(log: EmbeddedLog, path: Path) -> None:
    write(log, "a", numbered(1))
    log.delete_topics(["a"])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.maintain(1)
    other.execute("ROLLBACK")
    log.maintain(1_000)
    assert other.execute("SELECT count(*) FROM chunks").fetchone() == (0,)
    other.close()


def test_closed_log_says_so_and_closes_twice(log: EmbeddedLog) -> None:
    log.close()
    log.close()
    for call in (log.topics, log.reader, lambda: log.writer("g"), lambda: log.maintain(1)):
        with pytest.raises(StateError, match="is closed; open it again"):
            call()


def test_record_beyond_the_largest_blob_is_refused(log: EmbeddedLog) -> None:
    writer = log.writer("g")
    writer._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000)
    writer.append("a", 0, columns_of([(b"k", bytes(2_000))]))
    with pytest.raises(LogError, match="larger than"):
        writer.commit({})


def refusal_for_nobody(path: Path) -> str:
    """Open a log in a child that has no rights of root; return what the error said."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65_534)
                os.setuid(65_534)
            EmbeddedLog.open(path)
            os.write(sending, b"opened")
        except HeadraceError as error:
            os.write(sending, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that every user can reach: pytest's own are closed to others."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


@pytest.mark.process
def test_missing_permission_for_the_directory_is_named(public_directory: Path) -> None:
    public_directory.chmod(0o555)
    assert refusal_for_nobody(public_directory / "log.db").startswith(
        "LogError: cannot open the embedded log"
    )
    said = refusal_for_nobody(public_directory / "x" / "log.db")
    assert said.startswith("LogError: cannot create the directory")
    assert "Permission denied" in said


@pytest.mark.process
def test_missing_permission_for_the_file_is_named(public_directory: Path) -> None:
    path = public_directory / "log.db"
    EmbeddedLog.open(path).close()
    path.chmod(0o444)
    public_directory.chmod(0o555)
    said = refusal_for_nobody(path)
    assert said.startswith("LogError: cannot open the embedded log")
    assert "permission" in said or "may read and write" in said
