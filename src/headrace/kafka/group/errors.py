"""What each error code means to a member of a group, and what to say where it is the end."""

from collections.abc import Mapping
from enum import Enum, auto

from headrace.group.classic_member import ClassicRefusal
from headrace.group.streams_member import Refusal
from headrace.kafka.error_codes import ErrorCode

__all__ = [
    "COORDINATOR_MOVED",
    "GroupRequest",
    "classic_refusal",
    "is_name_given",
    "refused",
    "streams_refusal",
]

_E = ErrorCode


class GroupRequest(Enum):
    """What a member asks of its coordinator; a join of a streams group is a heartbeat too."""

    STREAMS_JOIN = auto()
    STREAMS_HEARTBEAT = auto()
    JOIN = auto()
    SYNC = auto()
    HEARTBEAT = auto()


#: After these the coordinator is looked for again.
COORDINATOR_MOVED = frozenset({_E.NOT_COORDINATOR, _E.COORDINATOR_NOT_AVAILABLE})

# A broker says these while it starts, stops, or is busy.
_BUSY = COORDINATOR_MOVED | {
    _E.BROKER_NOT_AVAILABLE,
    _E.COORDINATOR_LOAD_IN_PROGRESS,
    _E.KAFKA_STORAGE_ERROR,
    _E.NETWORK_EXCEPTION,
    _E.NOT_ENOUGH_REPLICAS,
    _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    _E.REQUEST_TIMED_OUT,
    _E.THROTTLING_QUOTA_EXCEEDED,
}


def _streams_table(special: dict[ErrorCode, Refusal]) -> Mapping[ErrorCode, Refusal]:
    table = dict.fromkeys(_E, Refusal.FINAL) | dict.fromkeys(_BUSY, Refusal.TRY_AGAIN)
    return table | {_E.UNKNOWN_MEMBER_ID: Refusal.FENCED, _E.FENCED_MEMBER_EPOCH: Refusal.FENCED} | special


_STREAMS: Mapping[GroupRequest, Mapping[ErrorCode, Refusal]] = {
    # A group that is not found is one of another protocol, for who joins; a member's own group may have expired.
    GroupRequest.STREAMS_JOIN: _streams_table({_E.UNRELEASED_INSTANCE_ID: Refusal.INSTANCE_IN_USE}),
    GroupRequest.STREAMS_HEARTBEAT: _streams_table({_E.GROUP_ID_NOT_FOUND: Refusal.FENCED}),
}


def _classic_table(special: dict[ErrorCode, ClassicRefusal]) -> Mapping[ErrorCode, ClassicRefusal]:
    table = dict.fromkeys(_E, ClassicRefusal.FINAL) | dict.fromkeys(_BUSY, ClassicRefusal.TRY_AGAIN)
    return table | {_E.UNKNOWN_MEMBER_ID: ClassicRefusal.FENCED} | special


_OF_MEMBERS = {
    _E.REBALANCE_IN_PROGRESS: ClassicRefusal.REBALANCE,
    # It slept through a generation: what it has may be another one's by now.
    _E.ILLEGAL_GENERATION: ClassicRefusal.FENCED,
}

# Sources: JoinGroupResponseHandler, SyncGroupResponseHandler, HeartbeatResponseHandler of Kafka 4.4.
_CLASSIC: Mapping[GroupRequest, Mapping[ErrorCode, ClassicRefusal]] = {
    GroupRequest.JOIN: _classic_table({_E.REBALANCE_IN_PROGRESS: ClassicRefusal.TRY_AGAIN}),
    GroupRequest.SYNC: _classic_table(_OF_MEMBERS),
    GroupRequest.HEARTBEAT: _classic_table(_OF_MEMBERS),
}

_OTHERS_IN_GROUP = (
    "the group has members of another kind: Kafka Streams or headrace with the other group.protocol, a consumer with "
    "this group.id, or an earlier headrace. Stop them first, or choose another application.id"
)
_STATIC_ID_TAKEN = (
    "another member of the group has the same group.instance.id, and is alive: give each instance its own"
)
_FULL = "raise the brokers' group.max.size (group.streams.max.size for group.protocol=streams)"

_ATTEMPTS: Mapping[GroupRequest, str] = {
    GroupRequest.STREAMS_JOIN: "join",
    GroupRequest.STREAMS_HEARTBEAT: "stay in",
    GroupRequest.JOIN: "join",
    GroupRequest.SYNC: "hear the assignment of",
    GroupRequest.HEARTBEAT: "stay in",
}

_ADVICE: Mapping[ErrorCode, str] = {
    _E.CLUSTER_AUTHORIZATION_FAILED: "allow this principal to CREATE topics that begin with application.id, or on the "
    "cluster: the broker makes them in its name",
    _E.FENCED_INSTANCE_ID: _STATIC_ID_TAKEN,
    _E.GROUP_AUTHORIZATION_FAILED: "allow this principal to READ the group, which is named by application.id",
    _E.GROUP_ID_NOT_FOUND: _OTHERS_IN_GROUP,
    _E.GROUP_MAX_SIZE_REACHED: _FULL,
    _E.INCONSISTENT_GROUP_PROTOCOL: _OTHERS_IN_GROUP,
    _E.INVALID_GROUP_ID: "application.id, which names the group, cannot be empty",
    _E.INVALID_SESSION_TIMEOUT: "set session.timeout.ms to what the brokers allow (group.min.session.timeout.ms to "
    "group.max.session.timeout.ms)",
    _E.STREAMS_INVALID_TOPOLOGY: "the broker does not take the topology; with group.protocol=classic, it does not look "
    "at it",
    _E.TOPIC_AUTHORIZATION_FAILED: "allow this principal to DESCRIBE all topics of the application, and to CREATE "
    "those that begin with application.id",
    _E.UNRELEASED_INSTANCE_ID: _STATIC_ID_TAKEN,
    _E.UNSUPPORTED_VERSION: "the brokers are too old for group.protocol=streams, which needs 4.2.1 or later with the "
    "feature streams.version; set group.protocol=classic",
}

# The code says no more than that something was wrong; the broker's words say what.
_NEW_TOPOLOGY = (
    "brokers let nobody with another topology into a group with group.protocol=streams, even when it is empty: stop "
    "all instances and run `headrace upgrade-topology`, which keeps the offsets; or choose another application.id"
)


def streams_refusal(request: GroupRequest, code: ErrorCode) -> Refusal:
    """Return what an error of the coordinator of a streams group leads to."""
    return _STREAMS[request][code]


def classic_refusal(request: GroupRequest, code: ErrorCode) -> ClassicRefusal:
    """Return what an error of the coordinator of a classic group leads to."""
    return _CLASSIC[request][code]


def is_name_given(code: ErrorCode) -> bool:
    """Whether an error of JoinGroup is none: the coordinator has made a member id, to join with (KIP-394)."""
    return code is _E.MEMBER_ID_REQUIRED


def refused(request: GroupRequest, group: str, code: ErrorCode, said: str | None = None) -> str:
    """Say what was refused, why, and what to do. `said` is the broker's own message, where it sent one."""
    reason = f"{code.name}: {said}" if said else code.name
    todo = _ADVICE.get(code)
    if code is _E.INVALID_REQUEST and said and "opology" in said:
        todo = _NEW_TOPOLOGY
    advice = f"; {todo}" if todo else ""
    return f"cannot {_ATTEMPTS[request]} group {group!r}: {reason}{advice}"
