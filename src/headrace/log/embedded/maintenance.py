"""What the embedded log does between stretches: it finds the work that is due, and does it slice by slice."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator

from headrace.base.ids import TopicPartition
from headrace.log.embedded.compaction import CompactionLimits, compact, is_due
from headrace.log.embedded.errors import reported
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.merging import LOOSE_CHUNKS_MIN, merge
from headrace.log.embedded.partitions import PartitionRow
from headrace.log.embedded.retention import drop_expired, sweep_deleted_topics
from headrace.log.embedded.rewrite import Slices, Target
from headrace.log.embedded.topics import StoredTopics

__all__ = ["Maintenance"]

# Work is looked for once a second at most, in so many partitions: it costs about 10 us a partition, and nothing
# becomes urgent faster. With more of them, the next look goes on where this one ended.
_LOOK_EVERY_MS = 1_000
_LOOK_PARTITIONS = 256

# SQLite starts its write-ahead log anew only when no reader is in the middle of it. Where readers never pause all
# at once it grows; at this size new ones are made to wait for a moment.
_WAL_BYTES_MAX = 64 << 20


class Maintenance:
    """Retention, merging and compaction of one log file, on a connection of its own.

    Work goes on where the last call stopped. What is in progress is known to this object alone: after a crash it
    starts again, on chunks that are always whole.
    """

    def __init__(self, file: EmbeddedFile, limits: CompactionLimits) -> None:
        self._file = file
        self._limits = limits
        self._running = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._jobs: deque[Slices[None]] = deque()
        self._looked_ms: int | None = None
        # Of the last partition that was looked at: topic number and partition.
        self._looked_to = (0, -1)

    def run(self, budget_ms: int) -> None:
        """Work for about `budget_ms`, at least one slice of some milliseconds; less if nothing is due.

        Returns at once while another thread is in here.

        Raises:
            LogError: the file cannot be read or written. Nothing committed is lost.
        """
        if not self._running.acquire(blocking=False):
            return
        try:
            deadline = time.monotonic() + budget_ms / 1000
            self._look()
            while self._jobs:
                self._work()
                if time.monotonic() >= deadline:
                    return
        finally:
            self._running.release()

    def _work(self) -> None:
        try:
            with reported("maintain", self._file.path):
                next(self._jobs[0])
        except StopIteration:
            self._jobs.popleft()
        except BaseException:
            # Found again at the next look, if it is still due.
            self._jobs.popleft()
            raise

    def _look(self) -> None:
        """Queue what is due, unless something is queued or the last look was a moment ago."""
        now_ms = self._file.now_ms()
        if self._jobs or (self._looked_ms is not None and 0 <= now_ms - self._looked_ms < _LOOK_EVERY_MS):
            return
        self._looked_ms = now_ms
        if self._connection is None:
            self._connection = self._file.connect(synchronous="NORMAL", lock_wait_ms=20)
        connection = self._connection
        self._bound_wal(connection)
        self._jobs.append(sweep_deleted_topics(self._file, connection))
        with self._file.read(connection, "maintain"):
            names = connection.execute(
                "SELECT topic, partition, name FROM partitions JOIN topics USING (topic) "
                "WHERE (topic, partition) > (?, ?) ORDER BY topic, partition LIMIT ?",
                (*self._looked_to, _LOOK_PARTITIONS),
            ).fetchall()
            self._looked_to = names[-1][:2] if len(names) == _LOOK_PARTITIONS else (0, -1)
            stored_topics = StoredTopics(connection)
            for _, partition, name in names:
                topic, row = stored_topics.partition("maintain", TopicPartition(name, partition))
                self._jobs.extend(self._due(Target(self._file, connection, topic, partition), row))

    def _due(self, target: Target, row: PartitionRow) -> Iterator[Slices[None]]:
        policy = target.topic.policy
        has_limit = (policy.retention_ms, policy.retention_bytes) != (None, None)
        if row.start_offset > 0 or (policy.deletes and has_limit):
            yield drop_expired(target)
        if policy.compacts and is_due(row, self._limits):
            yield compact(target, self._limits)
        if row.loose_chunks >= LOOSE_CHUNKS_MIN:
            yield merge(target, max(row.start_offset, row.merged_to))

    def _bound_wal(self, connection: sqlite3.Connection) -> None:
        if self._file.wal_bytes() > _WAL_BYTES_MAX:
            with reported("maintain", self._file.path):
                # Gives up after the connection's short wait; the next look tries again.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Forget what is in progress and release the connection. Twice is fine."""
        with self._running:
            self._jobs.clear()
            if self._connection is not None:
                self._file.release(self._connection)
                self._connection = None
