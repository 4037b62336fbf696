"""A member of a group that hears what a test lets it hear."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.members import Roles
from headrace.group.membership import Assigned, Effect, Ended, EpochChanged, Lost
from headrace.group.user_data import TaskProgress
from headrace.log.local_group import LocalMembership
from headrace.log.membership import MemberIdentity

__all__ = ["ScriptedMembership"]


class ScriptedMembership(LocalMembership):
    """What it says is kept: `said`, in order. It is nobody until it hears of an epoch.

    Attributes:
        on_effects: called when effects are taken.
        reported: the last progress that it was told.
    """

    def __init__(self, application: GroupApplication) -> None:
        self.said: list[tuple[str, object]] = []
        self.reported: Mapping[TaskId, TaskProgress] = {}
        self.on_effects: Callable[[], None] = lambda: None
        self._waiting: list[Effect] = []
        self._number = 0
        self.member: MemberIdentity | None = None

    def tell(self, *effects: Effect) -> None:
        """Let it hear something."""
        self._waiting.extend(effects)

    def tell_tasks(
        self, *tasks: TaskId, epoch: int = 1, standby: Iterable[TaskId] = (), warmup: Iterable[TaskId] = ()
    ) -> None:
        """Let it hear of an epoch, and of its tasks."""
        self._number += 1
        self.tell(
            EpochChanged("member", epoch),
            Assigned(self._number, Roles(frozenset(tasks), frozenset(standby), frozenset(warmup))),
        )

    def effects(self, timeout_s: float = 0.0) -> Sequence[Effect]:
        """See `Membership.effects`."""
        taken, self._waiting = self._waiting, []
        if taken:
            self.on_effects()
        for effect in taken:
            if isinstance(effect, EpochChanged):
                self.member = MemberIdentity("app", effect.member_id, effect.epoch)
            elif isinstance(effect, Lost | Ended):
                self.member = None
        return taken

    def acknowledge(self, number: int) -> None:
        """Keep it."""
        self.said.append(("acknowledge", number))

    def dropped(self) -> None:
        """Keep it."""
        self.said.append(("dropped", None))

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """Keep it."""
        self.reported = progress

    def rejoin(self, application: GroupApplication | None = None) -> None:
        """Keep it."""
        self.said.append(("rejoin", application))

    def close(self, *, remain: bool = False) -> None:
        """Keep it."""
        self.said.append(("close", remain))
