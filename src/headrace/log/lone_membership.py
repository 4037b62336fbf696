"""The member of a group that has no others: where a log is one process's own, it has all tasks at once, for good."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import SimpleQueue

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.members import Roles
from headrace.group.membership import Assigned, Effect, Ended, EpochChanged, GroupStatus, StatusChanged
from headrace.group.user_data import TaskProgress
from headrace.log.membership import MemberIdentity, taken_from

__all__ = ["LoneMembership"]

_NAME, _EPOCH = "alone", 1


class LoneMembership:
    """See `Membership`. Nothing is ever lost; an application with other topics is assigned anew."""

    trouble = None

    def __init__(self, group: str, application: GroupApplication) -> None:
        self._identity = MemberIdentity(group, _NAME, _EPOCH)
        self._effects: SimpleQueue[Effect] = SimpleQueue()
        self._tasks = application.tasks
        self._number = 0
        self._is_over = False
        self.member: MemberIdentity | None = None
        self._effects.put(EpochChanged(_NAME, _EPOCH))
        self._assign()

    def _assign(self) -> None:
        self._number += 1
        self._effects.put(Assigned(self._number, Roles(frozenset(self._tasks))))

    def effects(self, timeout_s: float = 0.0) -> Sequence[Effect]:
        """See `Membership.effects`."""
        taken = taken_from(self._effects, timeout_s)
        for effect in taken:
            if isinstance(effect, EpochChanged):
                self.member = self._identity
            elif isinstance(effect, Ended):
                self.member = None
        return taken

    @contextmanager
    def committing(self) -> Iterator[MemberIdentity | None]:
        """See `Membership.committing`."""
        yield self.member

    def acknowledge(self, number: int) -> None:
        """Do nothing: nobody waits for it."""

    def dropped(self) -> None:
        """Do nothing: nothing is ever lost."""

    def polled(self) -> None:
        """Do nothing: nobody would take over."""

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """Do nothing: there is one place for each task."""

    def rejoin(self, application: GroupApplication | None = None) -> None:
        """See `Membership.rejoin`."""
        if application is not None and application.tasks != self._tasks:
            self._tasks = application.tasks
            self._assign()

    def stop_application(self) -> None:
        """See `Membership.stop_application`."""
        self._effects.put(StatusChanged({GroupStatus.SHUTDOWN_APPLICATION: ""}))

    def ask_for_endpoints(self) -> None:
        """Do nothing: there are no others."""

    def leave(self, *, for_good: bool = False) -> None:
        """See `Membership.leave`."""
        if not self._is_over:
            self._is_over = True
            self._effects.put(Ended())

    def close(self, *, remain: bool = False) -> None:
        """See `Membership.close`."""
        if not remain:
            self.leave()
