"""The face of group membership: what a worker hears of its place among the instances of an application, and says.

A worker takes effects in their order (`headrace.group.membership`) and does what they say:

| effect | the worker | then |
| --- | --- | --- |
| `EpochChanged` | commits as `member` from here on | |
| `Assigned` | commits, drops what is not among its roles, takes up the rest | `acknowledge(number)` |
| `Lost` | drops all tasks without a commit, and aborts what it has written | `dropped()` |
| `StatusChanged`, `EndpointsChanged` | tells who asks for it | |
| `Ended` | is no member any more: where there is a reason, that is an error of the application | `close()` |

# Invariant: whoever commits does so as the member that it has heard of in the queue. An epoch that was told after
# `Lost` is never known to who still has the tasks from before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple, Protocol

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.members import AssignmentOptions
from headrace.group.membership import Effect
from headrace.group.user_data import Endpoint, TaskProgress

__all__ = ["JoinOptions", "MemberIdentity", "Membership", "taken_from"]


class MemberIdentity(NamedTuple):
    """Who commits offsets of a group. `epoch` is a generation in the classic protocol."""

    group: str
    member_id: str
    epoch: int
    instance_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOptions:
    """What one member is, and how its group works; properties of Kafka by the same names.

    Attributes:
        process_id: stands for the state directory, over restarts too: members that share it never have a task twice.
        member_id: what it was called in its former life in this directory; nobody else may be using it. With it, a
            member that was killed has its tasks again at once, and nobody else hears of it. Empty if there was none.
        protocol: `group.protocol`.
        instance_id: `group.instance.id`.
        max_poll_interval_ms: how long the worker may be silent (`Membership.polled`), and how long others wait for it.
        progress: how far the state is that lies there already, of tasks that it may have.
        endpoint: `application.server`, host and port.
        client_tags: `client.tag.*`.
        assignment: properties of the assignor. With `streams`, the brokers have such properties of their own.
    """

    process_id: str
    member_id: str = ""
    protocol: Literal["classic", "streams"] = "classic"
    instance_id: str | None = None
    max_poll_interval_ms: int = 300_000
    probing_rebalance_interval_ms: int = 600_000
    progress: Mapping[TaskId, TaskProgress] = field(default_factory=dict)
    endpoint: Endpoint | None = None
    client_tags: Mapping[str, str] = field(default_factory=dict)
    assignment: AssignmentOptions = field(default_factory=AssignmentOptions)


class Membership(Protocol):
    """One member of a group, from its join to its end. For one worker; what it says may come from any thread."""

    def effects(self, timeout_s: float = 0.0) -> Sequence[Effect]:
        """Take what has happened since, in order; wait up to `timeout_s` for something if nothing has."""

    @property
    def member(self) -> MemberIdentity | None:
        """Whom to commit as, by the effects that were taken; None while it is nobody.

        The group may have gone on since, and refuse it (`StaleMemberEpochError`): then there are effects to take.
        """

    def acknowledge(self, number: int) -> None:
        """Say that what an assignment takes away is dropped, and the rest taken up. An earlier number says nothing."""

    def dropped(self) -> None:
        """Say that all tasks are dropped after `Lost`: the member joins anew. Without `Lost`, it says nothing."""

    def polled(self) -> None:
        """Say that the worker is alive, as taking effects does.

        Who does not for `max.poll.interval.ms` leaves the group, and hears `Lost`.
        """

    def report(self, progress: Mapping[TaskId, TaskProgress]) -> None:
        """Tell how far the state is that lies here, of all tasks: what is told replaces what was told before."""

    def rejoin(self, application: GroupApplication | None = None) -> None:
        """Let the group assign anew: a warm-up is ready, or topics have changed, and with them the application.

        Where the brokers assign, they see both themselves.
        """

    def stop_application(self) -> None:
        """Let all members hear `GroupStatus.SHUTDOWN_APPLICATION`."""

    def ask_for_endpoints(self) -> None:
        """Have all endpoints told again: a broker may keep one of who is gone."""

    def leave(self, *, for_good: bool = False) -> None:
        """Leave; all tasks are dropped. `Ended` follows. A static member's place is kept, unless it is for good."""

    @property
    def vouched_until(self) -> float:
        """Until when (of the monotonic clock, in seconds) nobody else can have been given what this member has.

        It is put off by each answer of the coordinator, and not before what was lost is dropped. It does not know of
        who joins under the same `group.instance.id`, and has all of it at once. From any thread.
        """

    @property
    def trouble(self) -> str | None:
        """What it waits for, for people to read; None where all is well."""

    def close(self, *, remain: bool = False) -> None:
        """Leave, if it has not, and release everything; blocks a few seconds at most. Twice is fine.

        With `remain` nothing is said: for the group it is as if the process were killed.
        """


def taken_from(queue: SimpleQueue[Effect], timeout_s: float) -> list[Effect]:
    """Take the effects that wait, in their order; wait up to `timeout_s` for one if there is none."""
    taken: list[Effect] = []
    try:
        taken.append(queue.get(timeout=timeout_s) if timeout_s > 0 else queue.get_nowait())
        while True:
            taken.append(queue.get_nowait())
    except Empty:
        return taken
