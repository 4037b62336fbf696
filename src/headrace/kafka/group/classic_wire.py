"""What a member of a classic group says and hears, between values and kafka-python's messages."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka.protocol.consumer import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from headrace.base.ids import TopicPartition
from headrace.group.classic_member import Heartbeat, Joined, Sync
from headrace.kafka.net.messages import ApiMessage

__all__ = [
    "PROTOCOL",
    "ClassicIdentity",
    "assignment",
    "heartbeat_request",
    "join_request",
    "leave_request",
    "read_assigned",
    "read_joined",
    "read_told",
    "subscription",
    "sync_request",
]

#: Consumers, so that Kafka's tools show the group, its offsets, and who has which partition; of a protocol that no
#: other client has, so that the coordinator lets nobody but headrace in.
_PROTOCOL_TYPE, PROTOCOL = "consumer", "headrace-tasks"

# The oldest version of what consumers tell each other: the newer ones say in fields what our own bytes say.
_VERSION = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicIdentity:
    """What a member says of itself in each request, or when it joins."""

    group: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    instance_id: str | None = None


def subscription(topics: Iterable[str], user_data: bytes) -> bytes:
    """Return what a member tells the leader: for Kafka's tools, and for offsets not to expire, the topics it reads."""
    told: bytes = ConsumerProtocolSubscription(
        version=_VERSION, topics=sorted(topics), user_data=user_data
    ).encode()
    return told


def assignment(partitions: Iterable[TopicPartition], user_data: bytes) -> bytes:
    """Return what the leader tells a member: for Kafka's tools, the partitions that it reads."""
    made = ConsumerProtocolAssignment.TopicPartition
    topics: dict[str, list[int]] = defaultdict(list)
    for topic, partition in sorted(partitions):
        topics[topic].append(partition)
    told: bytes = ConsumerProtocolAssignment(
        version=_VERSION,
        assigned_partitions=[made(topic=topic, partitions=found) for topic, found in topics.items()],
        user_data=user_data,
    ).encode()
    return told


def join_request(identity: ClassicIdentity, member_id: str, metadata: bytes) -> ApiMessage:
    """Make JoinGroup."""
    return JoinGroupRequest(
        group_id=identity.group,
        session_timeout_ms=identity.session_timeout_ms,
        rebalance_timeout_ms=identity.rebalance_timeout_ms,
        member_id=member_id,
        group_instance_id=identity.instance_id,
        protocol_type=_PROTOCOL_TYPE,
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name=PROTOCOL, metadata=metadata)],
    )


def read_joined(answer: ApiMessage) -> tuple[Joined, Mapping[str, bytes]]:
    """Read a good answer to JoinGroup, and what members have told as user data, which only the leader hears."""
    told = {each.member_id: read_told(each.metadata) for each in answer.members}
    leads = answer.leader == answer.member_id
    skips = bool(getattr(answer, "skip_assignment", False))
    return Joined(answer.member_id, answer.generation_id, told if leads else None, skips), told


def read_told(metadata: bytes) -> bytes:
    """Read the user data of what a member tells the leader."""
    return bytes(ConsumerProtocolSubscription.decode(bytes(metadata)).user_data or b"")


def sync_request(identity: ClassicIdentity, sync: Sync, assignments: Mapping[str, bytes]) -> ApiMessage:
    """Make SyncGroup; `assignments` are of the leader alone."""
    made = SyncGroupRequest.SyncGroupRequestAssignment
    return SyncGroupRequest(
        group_id=identity.group,
        generation_id=sync.generation,
        member_id=sync.member_id,
        group_instance_id=identity.instance_id,
        protocol_type=_PROTOCOL_TYPE,
        protocol_name=PROTOCOL,
        assignments=[made(member_id=name, assignment=assignments[name]) for name in sorted(assignments)],
    )


def read_assigned(answer: ApiMessage) -> bytes:
    """Read the user data of a good answer to SyncGroup; empty where the leader did not know of the member."""
    if not answer.assignment:
        return b""
    return bytes(ConsumerProtocolAssignment.decode(bytes(answer.assignment)).user_data or b"")


def heartbeat_request(identity: ClassicIdentity, heartbeat: Heartbeat) -> ApiMessage:
    """Make Heartbeat."""
    return HeartbeatRequest(
        group_id=identity.group,
        generation_id=heartbeat.generation,
        member_id=heartbeat.member_id,
        group_instance_id=identity.instance_id,
    )


def leave_request(group: str, member_id: str, instance_id: str | None = None) -> ApiMessage:
    """Make LeaveGroup, whoever sends it."""
    who = LeaveGroupRequest.MemberIdentity(member_id=member_id, group_instance_id=instance_id)
    # Brokers before 2.4 would take the member's id alone.
    return LeaveGroupRequest(group_id=group, member_id=member_id, members=[who])
