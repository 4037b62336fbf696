"""The embedded log: one SQLite file instead of a broker, behind the log port.

A row is a *chunk*, up to 5,000 records of one partition as a blob of columns. `file` says what is durable
when; `writer` and `reader` are the hot paths; `maintenance` keeps the file small.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from headrace.base.errors import StateError
from headrace.base.ids import TopicPartition
from headrace.group.application import GroupApplication
from headrace.log.embedded.compaction import CompactionLimits
from headrace.log.embedded.errors import reported
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.forks import left, used
from headrace.log.embedded.maintenance import Maintenance
from headrace.log.embedded.partitions import PartitionRow, save_partitions
from headrace.log.embedded.reader import EmbeddedReader
from headrace.log.embedded.topics import (
    StoredTopics,
    create,
    delete,
    delete_offsets,
    groups_of,
    infos,
    load_offsets,
)
from headrace.log.embedded.writer import EmbeddedWriter
from headrace.log.local_group import LocalGroups
from headrace.log.lone_groups import LoneGroups
from headrace.log.membership import JoinOptions, Membership
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec
from headrace.log.searching import search_offsets

__all__ = ["EmbeddedLog"]

# Longer than any transaction of ours on a slow disk; shorter than a user's patience with a hanging process.
_LOCK_WAIT_MS = 10_000


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _random_id() -> str:
    return str(uuid.uuid4())


class EmbeddedLog:
    """Topics and offsets in one file. Made by `open`.

    Several processes may have the file open, and several threads may use this object; each reader and each writer
    belongs to one thread. Nothing may be carried over a `fork`.
    """

    def __init__(
        self, file: EmbeddedFile, limits: CompactionLimits, new_topic_id: Callable[[], str] = _random_id
    ) -> None:
        self._file = file
        self._new_topic_id = new_topic_id
        self._lock = threading.Lock()
        self._connection = file.connect()
        used(file.identity)
        self._maintenance = Maintenance(file, limits)
        self._local_groups = LocalGroups()
        self._is_closed = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        now_ms: Callable[[], int] = _wall_clock_ms,
        new_topic_id: Callable[[], str] = _random_id,
        lock_wait_ms: int = _LOCK_WAIT_MS,
        limits: CompactionLimits = CompactionLimits(),  # noqa: B008 - immutable
    ) -> "EmbeddedLog":
        """Open a log file; create it, with its directory, where there is none.

        `now_ms` is the wall clock, which ages records for retention and compaction. `lock_wait_ms` is how long a
        writer waits for writers of other processes before it fails.

        Raises:
            LogError: the path is no log file, was written by a newer version, or cannot be opened or created.
        """
        return cls(EmbeddedFile.open(Path(path), now_ms, lock_wait_ms), limits, new_topic_id)

    makes_user_topics = True

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        """See `Log.topics`."""
        # No read transaction: it would take longer than looking for one name.
        with self._exclusive(), reported("read", self._file.path):
            return infos(self._connection, names)

    def partition_counts(self, names: Iterable[str] | None = None) -> Mapping[str, int]:
        """See `Log.partition_counts`."""
        return {name: info.partitions for name, info in self.topics(names).items()}

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See `Log.create_topics`. Creates all or none."""
        ids = [self._new_topic_id() for _ in topics]
        with self._exclusive(), self._file.write(self._connection, "create topics in"):
            create(self._connection, topics, ids)

    def delete_topics(self, names: Iterable[str]) -> None:
        """See `Log.delete_topics`. Committed offsets of the topics go too; the space is freed by `maintain`."""
        with self._exclusive(), self._file.write(self._connection, "delete topics of"):
            delete(self._connection, names)

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Log.beginning_offsets`."""
        rows = self._rows("find the start of", partitions)
        return {topic_partition: row.start_offset for topic_partition, row in rows.items()}

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, committed: bool = True
    ) -> Mapping[TopicPartition, int]:
        """See `Log.end_offsets`. Open transactions have no offsets yet, so `committed` makes no difference."""
        rows = self._rows("find the end of", partitions)
        return {topic_partition: row.end_offset for topic_partition, row in rows.items()}

    def _rows(self, attempt: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, PartitionRow]:
        with self._exclusive(), self._file.read(self._connection, "read"):
            stored_topics = StoredTopics(self._connection)
            return {
                topic_partition: stored_topics.partition(attempt, topic_partition)[1]
                for topic_partition in partitions
            }

    def offsets_for_times(self, timestamps: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """See `Log.offsets_for_times`."""
        return search_offsets(self, timestamps)

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Log.committed`."""
        with self._exclusive(), self._file.read(self._connection, "read"):
            stored_topics = StoredTopics(self._connection)
            found = {each: stored_topics.committed(group, each) for each in partitions}
            return {each: offset for each, offset in found.items() if offset is not None}

    @property
    def groups(self) -> LoneGroups:
        """See `Log.groups`."""
        return LoneGroups(self._groups, self._all_committed, self._delete_group, self.writer)

    def _groups(self) -> list[str]:
        with self._exclusive(), reported("read", self._file.path):
            return groups_of(self._connection)

    def _all_committed(self, group: str) -> Mapping[TopicPartition, CommittedOffset]:
        with self._exclusive(), self._file.read(self._connection, "read"):
            return load_offsets(self._connection, group)

    def _delete_group(self, group: str) -> None:
        with self._exclusive(), self._file.write(self._connection, "delete a group of"):
            delete_offsets(self._connection, group)

    def join(self, group: str, application: GroupApplication, options: JoinOptions) -> Membership:
        """See `Log.join`."""
        return self._local_groups.join(group, application, options)

    def reader(self) -> EmbeddedReader:
        """See `Log.reader`."""
        self._check_open()
        return EmbeddedReader(self._file)

    def writer(self, group: str, transactional_id: str | None = None) -> EmbeddedWriter:
        """See `Log.writer`. The transactional id is not needed: the application's lock fences its older self."""
        self._check_open()
        return EmbeddedWriter(self._file, group)

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """See `Log.delete_records`. The start moves now, `maintain` frees the space of whole chunks below it.

        A topic that is only compacted ignores it: Kafka forbids it there.
        """
        with self._exclusive(), self._file.write(self._connection, "delete records of"):
            stored_topics = StoredTopics(self._connection)
            for topic_partition, offset in before.items():
                topic, row = stored_topics.partition("delete records of", topic_partition)
                if topic.policy.deletes:
                    start = max(row.start_offset, min(offset, row.end_offset))
                    moved = row._replace(start_offset=start)
                    save_partitions(self._connection, [(topic.number, topic_partition.partition, moved)])

    def maintain(self, budget_ms: int) -> None:
        """See `Log.maintain`. Another thread's call in progress makes this one return at once."""
        self._check_open()
        self._maintenance.run(budget_ms)

    def hurry(self, seconds: float) -> None:
        """Do nothing: a file answers, or fails."""

    @property
    def trouble(self) -> str | None:
        """None: a file answers, or fails."""
        return None

    @property
    def silence_s(self) -> float | None:
        """None, as `trouble`."""
        return None

    def close(self) -> None:
        """See `Log.close`. Readers and writers that are still open are closed; no thread may be using one."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            left(self._file.identity)
            self._maintenance.close()
            with reported("close", self._file.path):
                self._file.release_all()

    def _exclusive(self) -> threading.Lock:
        self._check_open()
        return self._lock

    def _check_open(self) -> None:
        if self._is_closed:
            raise StateError(f"the embedded log {self._file.path} is closed; open it again")
