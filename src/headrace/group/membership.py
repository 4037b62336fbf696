"""What a member of a group hears of its place in it, whichever protocol tells: effects, in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from headrace.group.members import Roles

__all__ = [
    "UNAVAILABLE",
    "Assigned",
    "Effect",
    "Ended",
    "EndpointTasks",
    "EndpointsChanged",
    "EpochChanged",
    "GroupStatus",
    "Lost",
    "StatusChanged",
]


#: Stands for host and port of an instance that has said none. Source: `HostInfo.unavailable`.
UNAVAILABLE = ("unavailable", -1)


class GroupStatus(Enum):
    """What a group says of itself beside assignments; the numbers are those of Kafka's streams groups."""

    STALE_TOPOLOGY = 0
    MISSING_SOURCE_TOPICS = 1
    INCORRECTLY_PARTITIONED_TOPICS = 2
    MISSING_INTERNAL_TOPICS = 3
    SHUTDOWN_APPLICATION = 4
    ASSIGNMENT_DELAYED = 5
    MISSING_CLIENT_TAGS = 6


@dataclass(frozen=True, slots=True)
class EpochChanged:
    """From here on, commits carry this epoch (a generation, in the classic protocol)."""

    member_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """These are the roles now: commit and drop what is not among them, then take up the rest, then acknowledge.

    `number` tells assignments apart: an acknowledgement of an earlier one counts for nothing.
    """

    number: int
    roles: Roles


@dataclass(frozen=True, slots=True)
class Lost:
    """Nothing is owned any more: drop all tasks without a commit, then say so. Others may run them already."""

    reason: str


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """What the group says of itself, with the broker's words; empty when there is nothing to say any more."""

    statuses: Mapping[GroupStatus, str]


@dataclass(frozen=True, slots=True)
class EndpointTasks:
    """The partitions that an instance has, by topic: those of tasks that it runs, and of those that it follows."""

    active: Mapping[str, Sequence[int]] = field(default_factory=dict)
    standby: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndpointsChanged:
    """Where (host, port) the instances of the application answer queries."""

    endpoints: Mapping[tuple[str, int], EndpointTasks]


@dataclass(frozen=True, slots=True)
class Ended:
    """It is no member any more, and will not be one: it has left, or `reason` says what is wrong."""

    reason: str | None = None


Effect: TypeAlias = EpochChanged | Assigned | Lost | StatusChanged | EndpointsChanged | Ended
