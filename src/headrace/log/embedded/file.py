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
from headrace.log.commits import CommitSignal
from headrace.log.embedded.errors import LogBusyError, reported

__all__ = ["EmbeddedFile"]

SCHEMA_VERSION = 1

# "hdrc": tells our files from other SQLite databases.
_APPLICATION_ID = 0x68647263

# 16 KiB pages and a checkpoint every 16 MiB: of the combinations of 4 to 32 KiB and 4 to 64 MiB they write bulk
# data fastest (0.27 us a record of 110 bytes against 0.48 with SQLite's defaults), and a commit of one record
# takes as long with any of them.
_PAGE_BYTES = 16 * 1024
_CHECKPOINT_PAGES = 1024

# The write-ahead log is cut back to this size when it starts anew after a large transaction.
_WAL_KEPT_BYTES = 64 << 20

# Free pages are used again, the file itself never shrinks (auto_vacuum=NONE): moving pages about would cost every
# append an entry in a pointer map, and a log that was once large will be so again. `VACUUM` shrinks a stopped one.
_SCHEMA = """
CREATE TABLE topics (
    topic INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a stale number finds nothing, not another topic
    name TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    partitions INTEGER NOT NULL,
    config TEXT NOT NULL                     -- a JSON object of Kafka's property names and their texts
);
CREATE TABLE partitions (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    start_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0,   -- the next offset to be given; never moves back
    bytes INTEGER NOT NULL DEFAULT 0,        -- of all chunk bodies
    max_timestamp INTEGER NOT NULL DEFAULT -1,
    loose_chunks INTEGER NOT NULL DEFAULT 0, -- small ones behind merged_to
    merged_to INTEGER NOT NULL DEFAULT 0,
    dirty_bytes INTEGER NOT NULL DEFAULT 0,  -- of the chunks behind cleaned_to
    cleaned_to INTEGER NOT NULL DEFAULT 0,   -- before it, a compacted partition has every key at most once
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    base_offset INTEGER NOT NULL,            -- of the first record
    next_offset INTEGER NOT NULL,            -- where reading goes on behind this chunk
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    first_appended_ms INTEGER NOT NULL,      -- wall clock; two, because merged chunks have several
    last_appended_ms INTEGER NOT NULL,
    body BLOB NOT NULL                       -- last, so that the other columns are read without it
);
-- By next_offset, because "the chunk that holds a position, or the one behind it" is then a single seek.
CREATE UNIQUE INDEX chunks_in_order ON chunks (topic, partition, next_offset);
CREATE TABLE committed_offsets (
    group_id TEXT NOT NULL,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (group_id, topic, partition)
) WITHOUT ROWID;
-- Deleted topics whose chunks maintenance has still to remove.
CREATE TABLE doomed_topics (topic INTEGER PRIMARY KEY);
"""


@dataclass(slots=True)
class EmbeddedFile:
    """One log file as this process uses it; shared by the readers, writers and maintenance of an `EmbeddedLog`.

    Attributes:
        now_ms: the wall clock, for retention and the ages of tombstones.
        commits: announces every commit of this process that readers may wait for.
        lock_wait_ms: how long a writer waits for others before it gives up.
    """

    path: Path
    now_ms: Callable[[], int]
    lock_wait_ms: int
    commits: CommitSignal = field(default_factory=CommitSignal)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _connections: list[sqlite3.Connection] = field(default_factory=list)

    def prepare(self) -> None:
        """Create the file with its directory and tables, or check that what is there is an embedded log we can read.

        Raises:
            LogError: it is something else, was made by a newer version, or cannot be opened.
        """
        _make_directory(self.path.parent)
        with reported("open", self.path):
            connection = self._open("rwc", "FULL", self.lock_wait_ms)
            try:
                if _version(connection, self.path) == 0:
                    self._create(connection)
            finally:
                connection.close()

    def _create(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        # Two processes may get here at once: the second one waits for the lock, and finds the work done.
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection, self.path) == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")

    def connect(
        self, *, synchronous: Literal["FULL", "NORMAL"] = "FULL", lock_wait_ms: int | None = None
    ) -> sqlite3.Connection:
        """Open a connection to the prepared file. It may be used from any thread, by one at a time.

        Raises:
            LogError: the file is gone, or cannot be opened.
        """
        with reported("open", self.path):
            wait_ms = self.lock_wait_ms if lock_wait_ms is None else lock_wait_ms
            # Never "rwc": a file deleted under a running application must be an error, not an empty log.
            connection = self._open("rw", synchronous, wait_ms)
            try:
                _use_wal(connection, self.path, wait_ms)
            except BaseException:
                connection.close()
                raise
        self._connections.append(connection)
        return connection

    def _open(self, mode: str, synchronous: str, wait_ms: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
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
        while self._connections:
            self._connections.pop().close()

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except OSError:
            return 0


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of a file; 0 for an empty one."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id == 0 and version == 0:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables == 0:
            return 0
    if application_id != _APPLICATION_ID:
        raise LogError(
            f"cannot open the embedded log {path}: the file is a database of another program; "
            f"choose another path; the file was left as it is"
        )
    if version != SCHEMA_VERSION:
        raise LogError(
            f"cannot open the embedded log {path}: it has format {version} and this headrace knows {SCHEMA_VERSION}; "
            f"upgrade headrace, or choose another path"
        )
    return version


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
            f"cannot create the directory {directory} for the embedded log: {error.strerror}; "
            "choose another path, or give this user permission to create it"
        ) from error
