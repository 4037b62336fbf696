"""What the leader of a group knows of its members, and what it tells them: values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.base.ids import TaskId

__all__ = ["ANY_LAG", "AssignmentOptions", "GroupAssignment", "Member", "Process", "Roles", "TaskFacts"]


#: As `acceptable.recovery.lag`: tasks move at once, and restore all of their state where they come.
ANY_LAG = (1 << 63) - 1


class TaskFacts(NamedTuple):
    """What matters of a task. `is_stateful`: it has stores that are restored from changelogs."""

    is_stateful: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One thread, or worker process, with the tasks that it runs and follows now."""

    active: frozenset[TaskId] = frozenset()
    standby: frozenset[TaskId] = frozenset()


@dataclass(frozen=True, slots=True)
class Process:
    """Members that share a state directory, and so a machine: a standby beside its active task would be of no use.

    Attributes:
        members: by member id.
        lags: for each task of which there is state here, how many changelog records it is behind.
        tags: where it runs (`client.tag.*`).
    """

    members: Mapping[str, Member]
    lags: Mapping[TaskId, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def active(self) -> frozenset[TaskId]:
        """What its members run."""
        return frozenset[TaskId]().union(*(member.active for member in self.members.values()))

    @property
    def standby(self) -> frozenset[TaskId]:
        """What its members follow."""
        return frozenset[TaskId]().union(*(member.standby for member in self.members.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentOptions:
    """Properties of Kafka Streams by the same names."""

    num_standby_replicas: int = 0
    acceptable_recovery_lag: int = 10_000
    max_warmup_replicas: int = 2
    rack_aware_assignment_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """What a member is to do: run tasks, follow them, or make itself ready to run them."""

    active: frozenset[TaskId] = frozenset()
    standby: frozenset[TaskId] = frozenset()
    warmup: frozenset[TaskId] = frozenset()

    def joined_with(self, other: "Roles") -> "Roles":
        """Return all tasks of both, each in the one role that matters most."""
        active = self.active | other.active
        standby = (self.standby | other.standby) - active
        return Roles(active, standby, (self.warmup | other.warmup) - active - standby)


@dataclass(frozen=True, slots=True)
class GroupAssignment:
    """What everybody is to do.

    Attributes:
        roles: by member id.
        is_final: whether it is as balanced as it gets. Otherwise tasks will move when warm-ups are ready: the leader
            is to look again after `probing.rebalance.interval.ms`.
    """

    roles: Mapping[str, Roles]
    is_final: bool
