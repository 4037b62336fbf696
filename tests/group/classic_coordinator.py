"""A model of the coordinator of a classic group. Joins and syncs are answered when all are there, by call-backs."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headrace.group.classic_member import ClassicRefusal, Joined
from headrace.group.members import Roles

Reply = Callable[[object], None]


@dataclass
class Known:
    """A member as the coordinator knows it."""

    metadata: object
    seen: float
    join: Reply | None = None
    sync: Reply | None = None


class ClassicCoordinator:
    """Collects joins until all members have joined, or the time for it is over."""

    def __init__(self, *, session_s: float, rebalance_s: float) -> None:
        self.session_s, self.rebalance_s = session_s, rebalance_s
        self.members: dict[str, Known] = {}
        self.generation = 0
        self.state = "stable"
        self._deadline = 0.0
        self._leader = ""
        self._assignments: Mapping[str, object] = {}
        self._ids = itertools.count()
        self._named: set[str] = set()

    def join(self, member_id: str, metadata: object, now: float, reply: Reply) -> None:
        """Take a member in, or again."""
        if not member_id:
            member_id = f"id-{next(self._ids)}"
            self._named.add(member_id)
            reply(member_id)
            return
        if member_id not in self._named:
            reply(ClassicRefusal.FENCED)
            return
        known = self.members.setdefault(member_id, Known(metadata, now))
        known.metadata, known.seen, known.join = metadata, now, reply
        self._prepare(now)
        self._complete(now)

    def sync(
        self, member_id: str, generation: int, assignments: Mapping[str, object], now: float, reply: Reply
    ) -> None:
        """Hand in assignments, or ask for one's own."""
        if not self._is_current(member_id, generation):
            reply(ClassicRefusal.FENCED)
        elif self.state == "preparing":
            reply(ClassicRefusal.REBALANCE)
        else:
            self.members[member_id].seen = now
            self.members[member_id].sync = reply
            if member_id == self._leader and self.state == "completing":
                self._assignments, self.state = assignments, "stable"
            if self.state == "stable":
                self._answer_syncs()

    def heartbeat(self, member_id: str, generation: int, now: float) -> object:
        """Note that a member is alive."""
        if not self._is_current(member_id, generation):
            return ClassicRefusal.FENCED
        self.members[member_id].seen = now
        return ClassicRefusal.REBALANCE if self.state == "preparing" else None

    def leave(self, member_id: str, now: float) -> None:
        """Let a member go."""
        self._remove(member_id, now)

    def takes_commit(self, member_id: str, generation: int) -> bool:
        """Whether offsets would be taken: nobody asks whose partitions they are."""
        return self._is_current(member_id, generation)

    def tick(self, now: float) -> None:
        """Drop who is silent, or does not join in time."""
        for member_id, known in list(self.members.items()):
            is_waiting = known.join is not None or known.sync is not None
            if not is_waiting and now - known.seen > self.session_s:
                self._remove(member_id, now)
        if self.state == "preparing" and now >= self._deadline:
            for member_id in [each for each, known in self.members.items() if known.join is None]:
                del self.members[member_id]
                self._named.discard(member_id)
            self._complete(now)

    def _is_current(self, member_id: str, generation: int) -> bool:
        return member_id in self.members and generation == self.generation

    def _remove(self, member_id: str, now: float) -> None:
        self._named.discard(member_id)
        if self.members.pop(member_id, None) is not None:
            self._prepare(now)
            self._complete(now)

    def _prepare(self, now: float) -> None:
        if self.state == "preparing":
            return
        self.state, self._deadline = "preparing", now + self.rebalance_s
        for known in self.members.values():
            if known.sync is not None:
                known.sync(ClassicRefusal.REBALANCE)
                known.sync = None

    def _complete(self, now: float) -> None:
        if self.state != "preparing" or any(known.join is None for known in self.members.values()):
            return
        self.generation += 1
        self.state = "completing" if self.members else "stable"
        if self._leader not in self.members:
            self._leader = min(self.members, default="")
        everybody = {member_id: known.metadata for member_id, known in self.members.items()}
        for member_id, known in self.members.items():
            assert known.join is not None
            members = everybody if member_id == self._leader else None
            known.join(Joined(member_id, self.generation, members))
            known.join, known.seen = None, now

    def _answer_syncs(self) -> None:
        for member_id, known in self.members.items():
            if known.sync is not None:
                known.sync(self._assignments.get(member_id, Roles()))
                known.sync = None
