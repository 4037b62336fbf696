"""Groups of a log as tools see them from outside: which there are, who is in them, and what they have committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrace.base.ids import TaskId, TopicPartition
from headrace.group.application import SubtopologyTopics
from headrace.group.members import Roles
from headrace.group.user_data import Endpoint, TaskProgress

__all__ = ["CommittedOffset", "DescribedGroup", "DescribedMember", "Groups", "ListedGroup"]


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """A group's place in a partition: the next offset to process, and Kafka Streams' metadata text beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class ListedGroup:
    """A group by its name.

    Attributes:
        kind: classic, streams, consumer or share; empty on a log that has no members.
        state: Kafka's: Empty, Stable, PreparingRebalance, Reconciling, …; empty where brokers do not list it.
        protocol_type: of a classic group; consumer, or empty where it has never had a member.
    """

    name: str
    kind: str = ""
    state: str = ""
    protocol_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedMember:
    """A member of a group, as far as it can be told from outside; what cannot is None, or empty.

    Attributes:
        process_id: members of one state directory have the same.
        epoch: of a streams group's member; in the classic protocol the coordinator does not tell it.
        roles: what it has been assigned.
        target: what a streams group wants it to have in the end.
        partitions: what a member of a classic group reads.
        progress: how far the state is that lies with it, by task.
    """

    member_id: str
    instance_id: str | None = None
    client_id: str = ""
    host: str = ""
    rack: str | None = None
    process_id: str = ""
    endpoint: Endpoint | None = None
    epoch: int | None = None
    roles: Roles | None = None
    target: Roles | None = None
    partitions: tuple[TopicPartition, ...] = ()
    progress: Mapping[TaskId, TaskProgress] = field(default_factory=dict)

    def __str__(self) -> str:
        """How people find it: member, client, host."""
        static = f", instance {self.instance_id}" if self.instance_id else ""
        return f"{self.member_id} ({self.client_id or 'client without a name'} at {self.host or '?'}{static})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedGroup:
    """A group and its members.

    Attributes:
        kind, state: as in `ListedGroup`.
        protocol: what the members of a classic group have agreed on; empty while they have not.
        was_joined: whether it ever had members. Offsets alone make a group too.
        epoch: of a streams group; it rises with members and topics.
        assignment_epoch: the epoch that the last assignment was made for.
        subtopologies: what a streams group's members run; the brokers keep it when all have left.
    """

    name: str
    kind: str
    state: str
    protocol: str = ""
    was_joined: bool = False
    epoch: int | None = None
    assignment_epoch: int | None = None
    subtopologies: tuple[SubtopologyTopics, ...] = ()
    members: tuple[DescribedMember, ...] = ()


class Groups(Protocol):
    """Operations on groups from outside of them. Safe to use from several threads.

    All raise a LogError where the log does not answer, or does not allow it.
    """

    def list(self) -> Sequence[ListedGroup]:
        """All groups there are, by name."""

    def describe(self, group: str) -> DescribedGroup | None:
        """Who is in a group; None where there is none of this name."""

    def committed(self, group: str, *, waits: bool = True) -> Mapping[TopicPartition, CommittedOffset]:
        """All offsets that a group has committed.

        Those of transactions that are being decided are waited for, unless told otherwise: then the ones before them.
        """

    def commit(self, group: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Commit offsets for a group in which nobody is; it is made if it is not there.

        Raises:
            UnknownTopicError: of a topic that is not there; other offsets may be committed.
            LogError: members are in it, or a topic may not be read; as above.
        """

    def delete(self, group: str) -> None:
        """Delete a group with all that it has committed; one that is not there is deleted already.

        Raises:
            LogError: members are in it.
        """

    def end_membership(self, group: str, member_id: str, instance_id: str | None = None) -> None:
        """Leave a group in the name of a member, which must be dead: one that lives loses its tasks by that.

        A static member's place is free then too. Nothing happens where there is no such member any more.

        Raises:
            LogError: the group is none that an application can be in.
        """

    def config(self, group: str) -> Mapping[str, str]:
        """The properties that were set on a group; they outlive it."""
