"""Groups of a log that one process has for itself: they are what has committed offsets, and nobody is in them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.groups import CommittedOffset, DescribedGroup, ListedGroup
from headrace.log.port import Writer

__all__ = ["LoneGroups"]

_STATE = "Empty"


class LoneGroups:
    """See `Groups`. That an application runs is told by its lock, not by its group."""

    def __init__(
        self,
        names: Callable[[], Iterable[str]],
        committed: Callable[[str], Mapping[TopicPartition, CommittedOffset]],
        delete: Callable[[str], None],
        writer: Callable[[str], Writer],
    ) -> None:
        self._names = names
        self._committed = committed
        self._delete = delete
        self._writer = writer

    def list(self) -> Sequence[ListedGroup]:
        """See `Groups.list`."""
        return [ListedGroup(name, state=_STATE) for name in sorted(self._names())]

    def describe(self, group: str) -> DescribedGroup | None:
        """See `Groups.describe`."""
        return DescribedGroup(name=group, kind="", state=_STATE) if self._committed(group) else None

    def committed(self, group: str, *, waits: bool = True) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Groups.committed`."""
        return self._committed(group)

    def commit(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """See `Groups.commit`."""
        writer = self._writer(group)
        try:
            writer.commit(offsets)
        finally:
            writer.close()

    def delete(self, group: str) -> None:
        """See `Groups.delete`."""
        self._delete(group)

    def end_membership(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        """Refuse: there is none.

        Raises:
            LogError: always.
        """
        raise LogError(
            f"cannot end the membership of {member_id!r} in group {group!r}: an application on this log is alone, and "
            f"its lock ends with its process"
        )

    def config(self, group: str) -> Mapping[str, str]:
        """See `Groups.config`: there are none."""
        return {}
