"""A model of the coordinator of a streams group, as brokers of 4.3.1 and 4.4.0 were seen to behave."""

from dataclasses import dataclass, field

from headrace.base.ids import TaskId
from headrace.group.members import Roles
from headrace.group.streams_member import Heartbeat, HeartbeatAnswer, Refusal

NONE: frozenset[TaskId] = frozenset()


@dataclass
class Known:
    """A member as the coordinator knows it."""

    epoch: int = 0
    previous_epoch: int = 0
    assigned: frozenset[TaskId] = NONE
    followed: frozenset[TaskId] = NONE
    revoked: frozenset[TaskId] = NONE
    """What it has not let go of yet, as far as the coordinator knows."""
    since: dict[TaskId, int] = field(default_factory=dict)
    """The epoch in which each task was assigned."""
    seen: float = 0.0


class Coordinator:
    """Assigns active tasks in turn, and standbys beside them; reconciles member by member."""

    def __init__(self, tasks: list[TaskId], *, session_s: float, standbys: int = 0) -> None:
        self.tasks = tasks
        self.session_s = session_s
        self.standbys = standbys
        self.epoch = 0
        self.members: dict[str, Known] = {}
        self._target: dict[str, frozenset[TaskId]] = {}

    def heartbeat(self, member_id: str, heartbeat: Heartbeat, now: float) -> HeartbeatAnswer | Refusal:
        """Answer a member."""
        self.expire(now)
        if heartbeat.epoch < 0:
            if self.members.pop(member_id, None) is not None:
                self._assign()
            return HeartbeatAnswer(heartbeat.epoch, 5000)
        if heartbeat.joins:
            if member_id not in self.members:
                self.members[member_id] = Known()
                self._assign()
            known = self.members[member_id]
        elif (found := self.members.get(member_id)) is None:
            return Refusal.FENCED
        else:
            known = found
            is_late = heartbeat.epoch == known.previous_epoch and (
                heartbeat.owned is not None and heartbeat.owned.active <= known.assigned
            )
            if heartbeat.epoch != known.epoch and not is_late:
                self._remove(member_id)
                return Refusal.FENCED
        known.seen = now
        before = known.assigned, known.followed
        self._reconcile(member_id, known, None if heartbeat.owned is None else heartbeat.owned.active)
        # Told once: whether the answer is heard, nobody asks.
        has_changed = (known.assigned, known.followed) != before
        roles = self._roles(known) if heartbeat.joins or has_changed else None
        return HeartbeatAnswer(known.epoch, 5000, roles)

    def describe(self, member_id: str) -> Roles | None:
        """Say what a member has been assigned."""
        known = self.members.get(member_id)
        return None if known is None else self._roles(known)

    def _roles(self, known: Known) -> Roles:
        return Roles(known.assigned, known.followed)

    def expire(self, now: float) -> None:
        """Drop members that were silent for too long."""
        for member_id in [each for each, known in self.members.items() if now - known.seen > self.session_s]:
            self._remove(member_id)

    def takes_commit(self, member_id: str, epoch: int, task: TaskId) -> bool:
        """Whether a commit of a task's offsets would be taken: an older epoch counts for what was kept (KIP-1251)."""
        known = self.members.get(member_id)
        return (
            known is not None
            and task in known.assigned | known.revoked
            and known.since.get(task, 0) <= epoch <= known.epoch
        )

    def _remove(self, member_id: str) -> None:
        del self.members[member_id]
        self._assign()

    def _assign(self) -> None:
        self.epoch += 1
        names = sorted(self.members)
        self._target = {
            name: frozenset(self.tasks[number :: len(names)]) for number, name in enumerate(names)
        }

    def _before(self, member_id: str, number: int) -> str:
        names = sorted(self.members)
        return names[names.index(member_id) - number]

    def _reconcile(self, member_id: str, known: Known, owned: frozenset[TaskId] | None) -> None:
        """Go on towards the target; `owned` is what this heartbeat says, None where it does not."""
        target = self._target[member_id]
        known.followed = frozenset(
            task
            for number in range(1, min(self.standbys, len(self.members) - 1) + 1)
            for task in self._target[self._before(member_id, number)]
        )
        known.revoked |= known.assigned - target
        known.assigned &= target
        if known.revoked and (owned is None or owned & known.revoked):
            # The epoch stays until they are let go of.
            return
        known.revoked = NONE
        held = {
            task
            for name, other in self.members.items()
            if name != member_id
            for task in other.assigned | other.revoked
        }
        if known.epoch != self.epoch:
            known.previous_epoch, known.epoch = known.epoch, self.epoch
        known.assigned = frozenset(task for task in target if task not in held)
        known.since = {task: known.since.get(task, known.epoch) for task in known.assigned}
