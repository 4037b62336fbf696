"""The writer of the in-memory log: what is appended becomes chunks at the commit, all together."""

from collections.abc import Mapping

from headrace.base.columns import Columns
from headrace.base.errors import LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.log.admission import (
    check_columns,
    check_times,
)
from headrace.log.membership import MemberIdentity
from headrace.log.memory.contents import RECORD_OVERHEAD_BYTES, Contents
from headrace.log.port import CommittedOffset

__all__ = ["MemoryWriter"]


class MemoryWriter:
    """Writes a memory log. See `Writer`."""

    is_atomic = True
    takes_text = False

    def __init__(self, contents: Contents, group: str) -> None:
        self._contents = contents
        self._group = group
        self._pending: dict[TopicPartition, Columns] = {}
        self._pending_bytes = 0
        self._has_failed = False
        self._is_closed = False

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        """See `Writer.append`. Copies the lists."""
        self._check_usable("append")
        topic_partition = TopicPartition(topic, partition)
        with self._contents.lock:
            self._contents.partition("append to", topic_partition)
            policy = self._contents.topics[topic].policy
        check_columns(topic, policy, columns)
        check_times(topic, columns.timestamps)
        if not columns:
            return
        pending = self._pending.setdefault(topic_partition, Columns())
        pending.keys += columns.keys
        pending.values += columns.values
        pending.timestamps += columns.timestamps
        pending.headers += columns.headers
        self._pending_bytes += sum(map(len, filter(None, columns.keys)))
        self._pending_bytes += sum(map(len, filter(None, columns.values)))
        self._pending_bytes += RECORD_OVERHEAD_BYTES * len(columns)

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        """See `Writer.commit`."""
        self._check_usable("commit")
        self._has_failed = True
        ends: dict[TopicPartition, int] = {}
        with self._contents.lock:
            # Everything that can fail comes before the first change: all or nothing.
            targets = {
                topic_partition: self._contents.partition("append to", topic_partition)
                for topic_partition in self._pending
            }
            for topic_partition in offsets:
                self._contents.partition("commit an offset of", topic_partition)
            for topic_partition, columns in self._pending.items():
                targets[topic_partition].add(topic_partition, columns)
                ends[topic_partition] = targets[topic_partition].end
            self._contents.offsets.setdefault(self._group, {}).update(offsets)
        self.abort()
        self._contents.commits.announce()
        return ends

    def barrier(self) -> None:
        """Do nothing: all is durable with the commit."""

    def send(self) -> None:
        """Do nothing: all is seen at the commit."""

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._pending = {}
        self._pending_bytes = 0
        self._has_failed = False

    @property
    def pending_bytes(self) -> int:
        """See `Writer.pending_bytes`."""
        return self._pending_bytes

    def close(self) -> None:
        """See `Writer.close`."""
        self.abort()
        self._is_closed = True

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the writer is closed; make a new one")
        if self._has_failed:
            raise LogError(f"cannot {attempt}: the last commit failed; abort the transaction first")
