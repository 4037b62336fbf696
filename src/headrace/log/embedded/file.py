"""The file of the embedded log: its tables, its connections, its write transactions.

What is durable when. A transaction of a writer is durable when `commit` returns: its pages were appended to the
write-ahead log and fsynced (`synchronous=FULL`) before SQLite made it visible, so whatever a reader sees is durable
too. The write-ahead log has a checksum in each frame: after a power loss it ends at the last whole transaction.
Maintenance (retention, merging, compaction) does not fsync (`synchronous=NORMAL`): its transactions are as atomic,
a power loss can only undo the last of them, and the work is then done again.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headrace.base.errors import LogError
from headrace.base.file_advice import file_advice
from headrace.log.commits import CommitSignal
from headrace.log.embedded.errors import LogBusyError, reported
from headrace.log.embedded.forks import ensure_not_inherited
from headrace.log.embedded.identity import (
    FileIdentity,
    being_made,
    check_in_place,
    check_not_lost,
    identity_of,
    resolved,
)
from headrace.log.embedded.schema import create_tables, has_unchecked_chunks, is_current, upgrade
from headrace.log.embedded.small_tables import check_small_tables

__all__ = ["EmbeddedFile"]

# 16 KiB pages and a checkpoint every 16 MiB: of the combinations of 4 to 32 KiB and 4 to 64 MiB they write bulk
# data fastest (0.27 us a record of 110 bytes against 0.48 with SQLite's defaults), and a commit of one record
# takes as long with any of them.
_PAGE_BYTES = 16 * 1024
_CHECKPOINT_PAGES = 1024

# The write-ahead log is cut back to this size when it starts anew after a large transaction.
_WAL_KEPT_BYTES = 64 << 20

# Free pages are used again, the file itself never shrinks (auto_vacuum=NONE): moving pages about would cost every
# append an entry in a pointer map, and a log that was once large will be so again. `VACUUM` shrinks a stopped one.


@dataclass(slots=True)
class EmbeddedFile:
    """One log file as this process uses it; shared by the readers, writers and maintenance of an `EmbeddedLog`.

    Attributes:
        now_ms: the wall clock, for retention and the ages of tombstones.
        commits: announces every commit of this process that readers may wait for.
        lock_wait_ms: how long a writer waits for others before it gives up.
        identity: which file it is. Each new connection and each write looks whether it still is that one.
        is_checked: whether every chunk has checksums; else those of format 1 have none.
    """

    path: Path
    now_ms: Callable[[], int]
    lock_wait_ms: int
    identity: FileIdentity
    commits: CommitSignal = field(default_factory=CommitSignal)
    is_checked: bool = True
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _connections: list[sqlite3.Connection] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path, now_ms: Callable[[], int], lock_wait_ms: int) -> "EmbeddedFile":
        """Make the file with its directory and tables, or check that what is there is an embedded log we can read.

        A file of the version before is upgraded.

        Raises:
            LogError: it is something else, damaged or lost, was made by a newer version, or cannot be opened.
        """
        path = resolved(path)
        _make_directory(path.parent)
        with reported("open", path):
            identity = identity_of(path)
            if identity is None:
                identity = _made(path)
            ensure_not_inherited(path, identity)
            file = cls(path, now_ms, lock_wait_ms, identity)
            file._prepare()
        return file

    def _prepare(self) -> None:
        connection = self._open("FULL", self.lock_wait_ms)
        try:
            if not is_current(connection, self.path):
                with self.write(connection, "upgrade"):
                    upgrade(connection, self.path)
            with self.read(connection, "open"):
                check_small_tables(connection)
                self.is_checked = not has_unchecked_chunks(connection)
        finally:
            connection.close()

    def connect(
        self, *, synchronous: Literal["FULL", "NORMAL"] = "FULL", lock_wait_ms: int | None = None
    ) -> sqlite3.Connection:
        """Open a connection to the prepared file. It may be used from any thread, by one at a time.

        Raises:
            LogError: the file is gone, or cannot be opened.
        """
        with reported("open", self.path):
            wait_ms = self.lock_wait_ms if lock_wait_ms is None else lock_wait_ms
            check_in_place(self.path, self.identity)
            connection = self._open(synchronous, wait_ms)
            try:
                _use_wal(connection, self.path, wait_ms)
                check_in_place(self.path, self.identity)
            except BaseException:
                connection.close()
                raise
        self._connections.append(connection)
        return connection

    def _open(self, synchronous: str, wait_ms: int) -> sqlite3.Connection:
        # Never "rwc": a file deleted under a running application must be an error, not an empty log.
        connection = _connection(self.path, "rw")
        try:
            connection.execute(f"PRAGMA busy_timeout={wait_ms}")
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT_BYTES}")
            # Some distributions overwrite deleted data with zeros unless told not to: twice the writing.
            connection.execute("PRAGMA secure_delete=OFF")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def read(self, connection: sqlite3.Connection, attempt: str) -> Iterator[None]:
        """Run a short read transaction: one consistent state of the file.

        # Invariant: nothing is decoded, computed or waited for within it, because an open one keeps the
        # write-ahead log from starting anew.
        """
        with reported(attempt, self.path):
            connection.execute("BEGIN")
            try:
                yield
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def write(
        self, connection: sqlite3.Connection, attempt: str, lock_wait_ms: int | None = None
    ) -> Iterator[None]:
        """Run a write transaction: all of it happens, or, when an exception leaves the block, nothing.

        Threads of this process wait for each other at a lock, which wakes them at once; other processes are waited
        for by SQLite, which looks again every few milliseconds.

        Raises:
            LogBusyError: others did not let us in within the wait; nothing happened.
            LogError: nothing happened.
        """
        wait_ms = self.lock_wait_ms if lock_wait_ms is None else lock_wait_ms
        if not self._writing.acquire(timeout=wait_ms / 1000):
            raise LogBusyError(
                f"cannot {attempt} the embedded log {self.path}: another thread of this process kept it locked for "
                f"{wait_ms} ms; check whether its disk hangs"
            )
        try:
            with reported(attempt, self.path):
                check_in_place(self.path, self.identity)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    connection.execute("COMMIT")
                except BaseException:
                    # SQLite has rolled back already after a full disk or an IO error.
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        finally:
            self._writing.release()

    def release(self, connection: sqlite3.Connection) -> None:
        """Close a connection. Twice is fine."""
        if connection in self._connections:
            self._connections.remove(connection)
        connection.close()

    def release_all(self) -> None:
        """Close whatever connections are left."""
        if self._connections:
            self._part_from_moved(self._connections[-1])
        while self._connections:
            self._connections.pop().close()

    def _part_from_moved(self, connection: sqlite3.Connection) -> None:
        """Bring a file that was moved up to date, and empty the write-ahead log that it has left behind.

        SQLite would leave that as it is, and apply it to whatever file has the name next.
        """
        try:
            check_in_place(self.path, self.identity)
        except LogError:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except OSError:
            return 0


def _connection(path: Path, mode: Literal["rw", "rwc"]) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )


def _made(path: Path) -> FileIdentity:
    """Make a log with empty tables, all at once: there is never a moment at which the file is there but is no log."""
    with being_made(path) as draft:
        found = identity_of(path)
        if found is not None:
            return found
        check_not_lost(path)
        connection = _connection(draft, "rwc")
        try:
            connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN")
            create_tables(connection)
            connection.execute("COMMIT")
        finally:
            connection.close()
    made = identity_of(path)
    if made is None:
        raise LogError(f"cannot open the embedded log {path}: it vanished as it was made; make it again")
    return made


def _use_wal(connection: sqlite3.Connection, path: Path, wait_ms: int) -> None:
    deadline = time.monotonic() + wait_ms / 1000
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:
            # The first change to WAL needs the file for itself, and SQLite does not wait for that.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise LogError(
            f"cannot open the embedded log {path}: its file system has no shared memory for a write-ahead log "
            f"(journal mode is {mode!r}); put the file on a local disk"
        )


def _make_directory(directory: Path) -> None:
    """Create a directory with its parents, durably.

    SQLite fsyncs the directory of its file but not the ones above: without this, a power loss could take a new
    directory away with everything committed in it.
    """
    try:
        missing = [path for path in (directory, *directory.parents) if not path.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        for path in missing if os.name == "posix" else []:  # elsewhere directories cannot be opened
            descriptor = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise LogError(
            f"cannot create the directory {directory} for the embedded log: {error.strerror or error}; "
            f"{file_advice(error, 'choose another path')}"
        ) from error
