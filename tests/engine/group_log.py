"""A memory log with a group behind it, which may have gone on to another epoch than the one that a worker knows."""

from collections.abc import Mapping

from headrace.base.errors import StaleMemberEpochError
from headrace.base.ids import TopicPartition
from headrace.log.membership import MemberIdentity
from headrace.log.memory import MemoryLog
from headrace.log.memory.contents import Contents
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicSpec

__all__ = ["GroupLog"]


class GroupLog(MemoryLog):
    """Has topics of two partitions.

    Attributes:
        has_gone_on: whether the group `app` refuses offsets now.
        committed_as: who its offsets were committed as, and were taken.
    """

    def __init__(self, *topics: str) -> None:
        super().__init__()
        self.create_topics([TopicSpec(name, 2) for name in topics])
        self.has_gone_on = False
        self.committed_as: list[MemberIdentity | None] = []

    def writer(self, group: str, transactional_id: str | None = None) -> MemoryWriter:
        """See `Log.writer`."""
        return _GroupWriter(self._contents, group, self) if group == "app" else super().writer(group)


class _GroupWriter(MemoryWriter):
    """See `Writer`."""

    def __init__(self, contents: Contents, group: str, log: GroupLog) -> None:
        super().__init__(contents, group)
        self._log = log

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        """See `Writer.commit`."""
        if self._log.has_gone_on:
            raise StaleMemberEpochError(f"the group does not know {member} in this epoch")
        self._log.committed_as.append(member)
        return super().commit(offsets, member)
