"""The group of an application whose log is one process's own: its workers share the tasks, as on a cluster.

There is no coordinator and nothing to wait for: whoever joins, leaves or acknowledges decides anew what everybody does
(`group.leader`), under one lock. Nobody is ever lost. A worker that is alone has all tasks at once, for good. All of
them are one instance, which has one endpoint.
"""

import threading
from collections.abc import Mapping, Sequence
from itertools import count
from queue import SimpleQueue

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.leader import decide
from headrace.group.members import AssignmentOptions, Roles
from headrace.group.membership import (
    UNAVAILABLE,
    Assigned,
    Effect,
    Ended,
    EndpointsChanged,
    EndpointTasks,
    EpochChanged,
    GroupStatus,
    StatusChanged,
)
from headrace.group.user_data import Endpoint, MemberWord, TaskProgress
from headrace.log.membership import JoinOptions, MemberIdentity, taken_from

__all__ = ["LocalGroup", "LocalGroups", "LocalMembership"]

_EPOCH = 1
_PROCESS = "here"


class LocalGroup:
    """The members of one application. From any thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.RLock()
        self._members: dict[str, LocalMembership] = {}
        self._application: GroupApplication | None = None
        self._endpoint: Endpoint = UNAVAILABLE
        self._names = count(1)

    def join(
        self,
        member: "LocalMembership",
        application: GroupApplication,
        member_id: str,
        endpoint: Endpoint | None,
    ) -> str:
        """Take a member in, and return its id. One that has it already is gone: what that one had is the new one's."""
        with self._lock:
            name = member_id or f"member-{next(self._names)}"
            if (former := self._members.get(name)) is not None:
                member.held = former.held
            self._members[name] = member
            self._application = application
            self._endpoint = endpoint or UNAVAILABLE
            self._assign()
            member.tell(self._endpoints())
            return name

    def has_changed(self, application: GroupApplication) -> None:
        """Assign anew, where the application has other tasks now."""
        with self._lock:
            if self._application is None or application.tasks != self._application.tasks:
                self._application = application
                self._assign()
                for member in self._members.values():
                    member.tell(self._endpoints())

    def acknowledge(self, member: "LocalMembership", number: int) -> None:
        """Take notice that a member has done what it was told, if that was the last word."""
        with self._lock:
            if number == member.number and member.told is not None and member.held != member.told:
                member.held = member.told
                self._assign()

    def leave(self, name: str) -> None:
        """Give what a member has to the others."""
        with self._lock:
            if self._members.pop(name, None) is not None and self._members:
                self._assign()

    def stop_application(self) -> None:
        """Let all members hear of it."""
        with self._lock:
            for member in self._members.values():
                member.tell(StatusChanged({GroupStatus.SHUTDOWN_APPLICATION: ""}))

    def _endpoints(self) -> EndpointsChanged:
        assert self._application is not None
        topics = {topic: range(count) for topic, count in self._application.partitions.items()}
        return EndpointsChanged({self._endpoint: EndpointTasks(topics)})

    def _assign(self) -> None:
        assert self._application is not None
        words = {name: MemberWord(_PROCESS, each.held) for name, each in self._members.items()}
        decision = decide(words, self._application, AssignmentOptions())
        for name, member in self._members.items():
            member.assign(decision.words[name].roles)


class LocalGroups:
    """The groups of one log, by their names. From any thread."""

    def __init__(self) -> None:
        self._groups: dict[str, LocalGroup] = {}

    def join(self, group: str, application: GroupApplication, options: JoinOptions) -> "LocalMembership":
        """See `Log.join`."""
        found = self._groups.setdefault(group, LocalGroup(group))
        return LocalMembership(found, application, options.member_id, options.endpoint)


class LocalMembership:
    """See `Membership`. Whoever made it is in the group.

    Attributes:
        told: its roles by the last word to it, of this `number`; None before the first.
        held: what it may have now, those that it was told to take up too.
    """

    trouble = None
    #: Nobody else has a log of one process.
    vouched_until = float("inf")

    def __init__(
        self,
        group: LocalGroup,
        application: GroupApplication,
        member_id: str = "",
        endpoint: Endpoint | None = None,
    ) -> None:
        self._group = group
        self._effects: SimpleQueue[Effect] = SimpleQueue()
        self.number = 0
        self.told: Roles | None = None
        self.held = Roles()
        self._is_over = False
        self.member: MemberIdentity | None = None
        name = group.join(self, application, member_id, endpoint)
        self._identity = MemberIdentity(group.name, name, _EPOCH)

    # ── the group's side, under its lock ─────────────────────────────────────────────────────────────────────────

    def tell(self, effect: Effect) -> None:
        """Let it hear something."""
        self._effects.put(effect)

    def assign(self, roles: Roles) -> None:
        """Tell it what to do, if that is something else than before."""
        if roles == self.told:
            return
        self.number += 1
        self.told = roles
        # What it gives up is its own until it says so; what it takes up may be so from now on.
        self.held = Roles(self.held.active | roles.active)
        self.tell(Assigned(self.number, roles))

    # ── the worker's side ────────────────────────────────────────────────────────────────────────────────────────

    def effects(self, timeout_s: float = 0.0) -> Sequence[Effect]:
        """See `Membership.effects`."""
        taken = taken_from(self._effects, timeout_s)
        if self.member is None and not self._is_over and taken:
            self.member = self._identity
            taken.insert(0, EpochChanged(self._identity.member_id, _EPOCH))
        if any(isinstance(effect, Ended) for effect in taken):
            self.member = None
        return taken

    def acknowledge(self, number: int) -> None:
        """See `Membership.acknowledge`."""
        self._group.acknowledge(self, number)

    def dropped(self) -> None:
        """Do nothing: nothing is ever lost."""

    def polled(self) -> None:
        """Do nothing: it is waited for."""

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """Do nothing: all state lies in one place."""

    def rejoin(self, application: GroupApplication | None = None) -> None:
        """See `Membership.rejoin`."""
        if application is not None:
            self._group.has_changed(application)

    def stop_application(self) -> None:
        """See `Membership.stop_application`."""
        self._group.stop_application()

    def ask_for_endpoints(self) -> None:
        """Do nothing: there are no other instances."""

    def leave(self, *, for_good: bool = False) -> None:
        """See `Membership.leave`."""
        if not self._is_over:
            self._is_over = True
            self._group.leave(self._identity.member_id)
            self.tell(Ended())

    def close(self, *, remain: bool = False) -> None:
        """See `Membership.close`. Where it remains, its tasks wait for who comes with the same member id."""
        if not remain:
            self.leave()
