"""A model of brokers: who has which task, whose transaction is open, and what becomes of it.

Source: GroupCoordinator and TransactionCoordinator of Kafka 4.4, as far as an application can tell.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafka.protocol.consumer import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    LeaveGroupRequest,
    LeaveGroupResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)

from headrace.base.errors import FencedError, StaleMemberEpochError, TransactionAbortedError
from headrace.base.ids import TaskId, TopicPartition
from headrace.group.application import GroupApplication
from headrace.group.classic_member import ClassicRefusal, Joined
from headrace.group.members import Roles
from headrace.group.streams_member import Heartbeat, Refusal
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.group.streams_messages import (
    StreamsGroupDescribeRequest,
    StreamsGroupDescribeResponse,
    StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
)
from headrace.kafka.net.messages import ApiMessage
from headrace.log.membership import MemberIdentity
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset
from tests.group.classic_coordinator import ClassicCoordinator
from tests.group.coordinator import Coordinator
from tests.simulation.world import World

__all__ = ["Brokers", "ClassicGroup", "Group", "OpenTransaction", "StreamsGroup", "Transactions"]

SESSION_S = 6.0
REBALANCE_S = 10.0
TRANSACTION_S = 4.0

Reply = Callable[[ApiMessage], None]


class Group(Protocol):
    """The coordinator of the group, in messages."""

    def receive(self, message: Any, now: float, reply: Reply) -> None:
        """Answer a request, now or later."""

    def has_member(self, member_id: str) -> bool:
        """Whether it knows a member."""

    def takes_commit(self, member: MemberIdentity, task: TaskId) -> bool:
        """Whether a member may commit offsets of a task's inputs."""

    def tick(self, now: float) -> None:
        """Look at the clock."""


class StreamsGroup:
    """See `Group`."""

    def __init__(self, tasks: Iterable[TaskId], *, standbys: int) -> None:
        self._coordinator = Coordinator(sorted(tasks), session_s=SESSION_S, standbys=standbys)

    def receive(self, message: Any, now: float, reply: Reply) -> None:
        """See `Group.receive`."""
        if isinstance(message, StreamsGroupDescribeRequest):
            reply(self._described())
            return
        assert isinstance(message, StreamsGroupHeartbeatRequest)
        owned = None
        if message.active_tasks is not None:
            owned = Roles(
                _read(message.active_tasks), _read(message.standby_tasks), _read(message.warmup_tasks)
            )
        heartbeat = Heartbeat(message.member_epoch, message.topology is not None, owned, 0, False)
        answer = self._coordinator.heartbeat(message.member_id, heartbeat, now)
        made = StreamsGroupHeartbeatResponse
        if isinstance(answer, Refusal):
            reply(made(version=1, error_code=int(ErrorCode.UNKNOWN_MEMBER_ID), error_message="unknown"))
            return
        roles = answer.roles
        reply(
            made(
                version=1,
                member_epoch=answer.epoch,
                heartbeat_interval_ms=1000,
                task_offset_interval_ms=60_000,
                status=[],
                active_tasks=None if roles is None else _told(roles.active, made.TaskIds),
                standby_tasks=None if roles is None else _told(roles.standby, made.TaskIds),
                warmup_tasks=None if roles is None else _told(roles.warmup, made.TaskIds),
            )
        )

    def _described(self) -> ApiMessage:
        made = StreamsGroupDescribeResponse.DescribedGroup
        assignment_made = made.Member.Assignment
        members = []
        for member_id in self._coordinator.members:
            roles = self._coordinator.describe(member_id) or Roles()
            assignment = assignment_made(
                active_tasks=_told(roles.active, assignment_made.TaskIds),
                standby_tasks=_told(roles.standby, assignment_made.TaskIds),
                warmup_tasks=[],
            )
            members.append(made.Member(member_id=member_id, assignment=assignment))
        return StreamsGroupDescribeResponse(version=0, groups=[made(error_code=0, members=members)])

    def has_member(self, member_id: str) -> bool:
        """See `Group.has_member`."""
        return member_id in self._coordinator.members

    def takes_commit(self, member: MemberIdentity, task: TaskId) -> bool:
        """See `Group.takes_commit`."""
        return self._coordinator.takes_commit(member.member_id, member.epoch, task)

    def tick(self, now: float) -> None:
        """See `Group.tick`."""
        self._coordinator.expire(now)


def _told(tasks: Iterable[TaskId], made: Any) -> list[Any]:
    return [
        made(
            subtopology_id=str(number),
            partitions=[each.partition for each in sorted(tasks) if each.subtopology == number],
        )
        for number in sorted({each.subtopology for each in tasks})
    ]


def _read(told: Iterable[Any]) -> frozenset[TaskId]:
    return frozenset(TaskId(int(each.subtopology_id), number) for each in told for number in each.partitions)


_REFUSED = {
    ClassicRefusal.FENCED: ErrorCode.UNKNOWN_MEMBER_ID,
    ClassicRefusal.REBALANCE: ErrorCode.REBALANCE_IN_PROGRESS,
}


class ClassicGroup:
    """See `Group`."""

    def __init__(self) -> None:
        self._coordinator = ClassicCoordinator(session_s=SESSION_S, rebalance_s=REBALANCE_S)

    def receive(self, message: Any, now: float, reply: Reply) -> None:
        """See `Group.receive`."""
        coordinator = self._coordinator
        match message:
            case JoinGroupRequest():
                (told,) = message.protocols

                def joined(answer: Any) -> None:
                    reply(_joined(answer))

                coordinator.join(message.member_id, bytes(told.metadata), now, joined)
            case SyncGroupRequest():
                assignments = {each.member_id: bytes(each.assignment) for each in message.assignments}

                def synced(answer: Any) -> None:
                    if isinstance(answer, ClassicRefusal):
                        reply(SyncGroupResponse(version=5, error_code=int(_REFUSED[answer])))
                    else:
                        given = answer if isinstance(answer, bytes) else b""
                        reply(SyncGroupResponse(version=5, error_code=0, assignment=given))

                coordinator.sync(message.member_id, message.generation_id, assignments, now, synced)
            case HeartbeatRequest():
                answer: Any = coordinator.heartbeat(message.member_id, message.generation_id, now)
                code = ErrorCode.NONE if answer is None else _REFUSED[answer]
                reply(HeartbeatResponse(version=4, error_code=int(code)))
            case LeaveGroupRequest():
                coordinator.leave(message.member_id, now)
                reply(LeaveGroupResponse(version=5, error_code=0, members=[]))
            case _:
                raise AssertionError(message)

    def has_member(self, member_id: str) -> bool:
        """See `Group.has_member`."""
        return member_id in self._coordinator.members

    def takes_commit(self, member: MemberIdentity, task: TaskId) -> bool:
        """See `Group.takes_commit`."""
        return self._coordinator.takes_commit(member.member_id, member.epoch)

    def tick(self, now: float) -> None:
        """See `Group.tick`."""
        self._coordinator.tick(now)


def _joined(answer: Any) -> ApiMessage:
    if isinstance(answer, str):
        return JoinGroupResponse(version=9, error_code=int(ErrorCode.MEMBER_ID_REQUIRED), member_id=answer)
    if isinstance(answer, ClassicRefusal):
        return JoinGroupResponse(version=9, error_code=int(_REFUSED[answer]))
    assert isinstance(answer, Joined)
    made = JoinGroupResponse.JoinGroupResponseMember
    members: Mapping[str, Any] = answer.members or {}
    return JoinGroupResponse(
        version=9,
        error_code=0,
        generation_id=answer.generation,
        leader=answer.member_id if answer.members is not None else "another",
        member_id=answer.member_id,
        members=[made(member_id=name, metadata=metadata) for name, metadata in members.items()],
    )


def _moved(message: Any) -> ApiMessage:
    code = int(ErrorCode.NOT_COORDINATOR)
    match message:
        case StreamsGroupHeartbeatRequest():
            return StreamsGroupHeartbeatResponse(version=1, error_code=code)
        case StreamsGroupDescribeRequest():
            group = StreamsGroupDescribeResponse.DescribedGroup(error_code=code, members=[])
            return StreamsGroupDescribeResponse(version=0, groups=[group])
        case JoinGroupRequest():
            return JoinGroupResponse(version=9, error_code=code)
        case SyncGroupRequest():
            return SyncGroupResponse(version=5, error_code=code)
        case HeartbeatRequest():
            return HeartbeatResponse(version=4, error_code=code)
        case _:
            return LeaveGroupResponse(version=5, error_code=code, members=[])


@dataclass
class OpenTransaction:
    """What a transaction has so far: records, and the offsets that wait for its end."""

    records: MemoryWriter
    since: float
    offsets: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)


class Transactions:
    """Who writes under which transactional id, and what it has open."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._open: dict[str, OpenTransaction] = {}

    def begin_epoch(self, transactional_id: str) -> int:
        """Fence who had the id, and abort what that has left open (InitProducerId)."""
        self._open.pop(transactional_id, None)
        self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        return self._epochs[transactional_id]

    def is_current(self, transactional_id: str, epoch: int) -> bool:
        """Whether nobody has come after."""
        return self._epochs[transactional_id] == epoch

    def open(self, transactional_id: str, epoch: int, transaction: OpenTransaction) -> None:
        """Begin a transaction."""
        if self.is_current(transactional_id, epoch):
            self._open[transactional_id] = transaction

    def take_offsets(
        self,
        transactional_id: str,
        epoch: int,
        transaction: OpenTransaction,
        offsets: Mapping[TopicPartition, CommittedOffset],
    ) -> None:
        """Let offsets wait for the end of the transaction (TxnOffsetCommit)."""
        self._check(transactional_id, epoch, transaction)
        transaction.offsets = dict(offsets)

    def end(
        self, transactional_id: str, epoch: int, transaction: OpenTransaction
    ) -> Mapping[TopicPartition, int]:
        """Commit it (EndTxn)."""
        self._check(transactional_id, epoch, transaction)
        del self._open[transactional_id]
        return transaction.records.commit(transaction.offsets)

    def abort(self, transactional_id: str, epoch: int) -> int:
        """Abort what is open; nothing that is said of it later counts. Returns the next epoch.

        Raises:
            FencedError: another writer has the id.
        """
        if not self.is_current(transactional_id, epoch):
            raise FencedError(f"another writer has {transactional_id!r}")
        return self.begin_epoch(transactional_id)

    def _check(self, transactional_id: str, epoch: int, transaction: OpenTransaction) -> None:
        if not self.is_current(transactional_id, epoch):
            raise FencedError(f"another writer has {transactional_id!r}")
        if self._open.get(transactional_id) is not transaction:
            raise TransactionAbortedError("its time was over")

    def expire(self, now: float) -> None:
        """Abort what has been open for too long."""
        for name in [each for each, found in self._open.items() if now - found.since > TRANSACTION_S]:
            del self._open[name]

    def unstable(self, partitions: Iterable[TopicPartition]) -> bool:
        """Whether an open transaction has offsets of any of these."""
        wanted = set(partitions)
        return any(wanted & found.offsets.keys() for found in self._open.values())


class Brokers:
    """All of it, by one clock."""

    def __init__(self, world: World, group: Group, application: GroupApplication) -> None:
        self._world = world
        self.group = group
        self.transactions = Transactions()
        self._tasks = {place: task for task in application.tasks for place in application.inputs(task)}
        self._tick()

    def _tick(self) -> None:
        self.group.tick(self._world.now)
        self.transactions.expire(self._world.now)
        self._world.later(0.5, self._tick)

    def receive(self, message: Any, reply: Reply) -> None:
        """Take what a member says to the coordinator of its group, which now and then has just moved."""
        if self._world.dice.random() < self._world.trouble / 4:
            reply(_moved(message))
        else:
            self.group.receive(message, self._world.now, reply)

    def ensure_member(self, member: MemberIdentity | None, partitions: Iterable[TopicPartition]) -> None:
        """Refuse offsets of who may not commit them.

        Raises:
            TransactionAbortedError: the group has gone on without this member.
            StaleMemberEpochError: or with it, in another epoch.
        """
        assert member is not None, "offsets are committed as nobody"
        if not self.group.has_member(member.member_id):
            raise TransactionAbortedError(f"the group has gone on without {member}")
        tasks = {self._tasks[place] for place in partitions}
        if not all(self.group.takes_commit(member, task) for task in sorted(tasks)):
            raise StaleMemberEpochError(f"the group has gone on to another epoch than that of {member}")
