"""What each error code means to each request of the control plane, and what to say where it is the end."""

from collections.abc import Mapping
from enum import Enum

from headrace.kafka.error_codes import ErrorCode

__all__ = ["ControlRemedy", "ControlRequest", "advice", "remedy"]

_E = ErrorCode


class ControlRequest(Enum):
    """The requests of the control plane; where an answer has codes on several levels, one table serves all."""

    METADATA = "Metadata"
    DESCRIBE_CONFIGS = "DescribeConfigs"
    CREATE_TOPICS = "CreateTopics"
    DELETE_TOPICS = "DeleteTopics"
    LIST_OFFSETS = "ListOffsets"
    DELETE_RECORDS = "DeleteRecords"
    FIND_COORDINATOR = "FindCoordinator"
    OFFSET_FETCH = "OffsetFetch"
    OFFSET_COMMIT = "OffsetCommit"
    DESCRIBE_GROUPS = "DescribeGroups"
    DESCRIBE_STREAMS_GROUPS = "StreamsGroupDescribe"
    DESCRIBE_GROUP_CONFIGS = "DescribeConfigs of groups"
    LIST_GROUPS = "ListGroups"
    DELETE_GROUPS = "DeleteGroups"
    LEAVE_GROUP = "LeaveGroup"
    LOOK = "what a doctor asks: DescribeProducers, DescribeTransactions, ListTransactions, DescribeLogDirs, …"


class ControlRemedy(Enum):
    """What happens next."""

    TAKE = "the answer holds"
    ABSENT = "there is no such thing, which is an answer too"
    EXISTS = "it is there already: compare"
    RETRY = "again after retry.backoff.ms, until default.api.timeout.ms is over"
    REFRESH = "the same, after asking anew who leads the partition, or who coordinates the group"
    WARN = "go on without it, and say so once"
    IGNORE = "go on without it"
    FAIL = "an error for the caller"


# A broker says these while it starts, stops or is busy, whatever it was asked.
_BUSY = frozenset(
    {
        _E.REQUEST_TIMED_OUT,
        _E.BROKER_NOT_AVAILABLE,
        _E.NETWORK_EXCEPTION,
        _E.COORDINATOR_LOAD_IN_PROGRESS,
        _E.COORDINATOR_NOT_AVAILABLE,
        _E.LEADER_NOT_AVAILABLE,
        _E.LISTENER_NOT_FOUND,
        _E.NOT_CONTROLLER,
        _E.THROTTLING_QUOTA_EXCEEDED,
        _E.UNKNOWN_CONTROLLER_ID,
        _E.KAFKA_STORAGE_ERROR,
    }
)
_MOVED = frozenset(
    {
        _E.NOT_LEADER_OR_FOLLOWER,
        _E.LEADER_NOT_AVAILABLE,
        _E.REPLICA_NOT_AVAILABLE,
        _E.FENCED_LEADER_EPOCH,
        _E.UNKNOWN_LEADER_EPOCH,
        _E.OFFSET_NOT_AVAILABLE,
        _E.KAFKA_STORAGE_ERROR,
        _E.LISTENER_NOT_FOUND,
        # A broker that has just become the leader may not know the topic yet; Metadata decides whether it exists.
        _E.UNKNOWN_TOPIC_OR_PARTITION,
        _E.UNKNOWN_TOPIC_ID,
        _E.INCONSISTENT_TOPIC_ID,
    }
)
_COORDINATOR_MOVED = frozenset({_E.NOT_COORDINATOR, _E.COORDINATOR_NOT_AVAILABLE})
_NO_TOPIC = frozenset({_E.UNKNOWN_TOPIC_OR_PARTITION, _E.UNKNOWN_TOPIC_ID})
_DENIED = frozenset({_E.TOPIC_AUTHORIZATION_FAILED, _E.CLUSTER_AUTHORIZATION_FAILED})


def _table(
    special: Mapping[ControlRemedy, frozenset[ErrorCode]], *, otherwise: ControlRemedy = ControlRemedy.FAIL
) -> Mapping[ErrorCode, ControlRemedy]:
    table = dict.fromkeys(ErrorCode, otherwise)
    if otherwise is ControlRemedy.FAIL:
        table |= dict.fromkeys(_BUSY, ControlRemedy.RETRY)
    for each, codes in special.items():
        table |= dict.fromkeys(codes, each)
    return table | {_E.NONE: ControlRemedy.TAKE}


_TABLES: Mapping[ControlRequest, Mapping[ErrorCode, ControlRemedy]] = {
    ControlRequest.METADATA: _table({ControlRemedy.ABSENT: _NO_TOPIC}),
    # Without the right to read them, an application runs on defaults.
    ControlRequest.DESCRIBE_CONFIGS: _table({ControlRemedy.ABSENT: _NO_TOPIC, ControlRemedy.WARN: _DENIED}),
    ControlRequest.CREATE_TOPICS: _table({ControlRemedy.EXISTS: frozenset({_E.TOPIC_ALREADY_EXISTS})}),
    ControlRequest.DELETE_TOPICS: _table({ControlRemedy.ABSENT: _NO_TOPIC}),
    ControlRequest.LIST_OFFSETS: _table({ControlRemedy.REFRESH: _MOVED}),
    # A hint: whatever fails is tried again at the next purge, with leaders asked anew.
    ControlRequest.DELETE_RECORDS: _table(
        {ControlRemedy.IGNORE: _BUSY | _MOVED | {_E.POLICY_VIOLATION, _E.OFFSET_OUT_OF_RANGE}},
        otherwise=ControlRemedy.WARN,
    ),
    ControlRequest.FIND_COORDINATOR: _table({}),
    ControlRequest.OFFSET_FETCH: _table(
        {
            ControlRemedy.REFRESH: _COORDINATOR_MOVED,
            # Offsets of a transaction whose markers are on their way: what is committed is known when they are there.
            ControlRemedy.RETRY: frozenset({_E.UNSTABLE_OFFSET_COMMIT}),
            ControlRemedy.ABSENT: _NO_TOPIC | {_E.GROUP_ID_NOT_FOUND},
        }
    ),
    ControlRequest.OFFSET_COMMIT: _table({ControlRemedy.REFRESH: _COORDINATOR_MOVED}),
    ControlRequest.DESCRIBE_GROUPS: _table(
        {ControlRemedy.REFRESH: _COORDINATOR_MOVED, ControlRemedy.ABSENT: frozenset({_E.GROUP_ID_NOT_FOUND})}
    ),
    # A group of another kind is not found; brokers with the feature streams.version off have none of this kind.
    ControlRequest.DESCRIBE_STREAMS_GROUPS: _table(
        {
            ControlRemedy.REFRESH: _COORDINATOR_MOVED,
            ControlRemedy.ABSENT: frozenset({_E.GROUP_ID_NOT_FOUND, _E.UNSUPPORTED_VERSION}),
        }
    ),
    # Brokers before 4.0 do not know that groups can have properties.
    ControlRequest.DESCRIBE_GROUP_CONFIGS: _table(
        {
            ControlRemedy.ABSENT: frozenset(
                {_E.INVALID_REQUEST, _E.UNSUPPORTED_VERSION, _E.INVALID_GROUP_ID, _E.GROUP_ID_NOT_FOUND}
            ),
            ControlRemedy.WARN: frozenset({_E.GROUP_AUTHORIZATION_FAILED, _E.CLUSTER_AUTHORIZATION_FAILED}),
        }
    ),
    ControlRequest.LIST_GROUPS: _table({ControlRemedy.REFRESH: _COORDINATOR_MOVED}),
    ControlRequest.DELETE_GROUPS: _table(
        {ControlRemedy.REFRESH: _COORDINATOR_MOVED, ControlRemedy.ABSENT: frozenset({_E.GROUP_ID_NOT_FOUND})}
    ),
    # Who is not in the group any more has left it.
    ControlRequest.LEAVE_GROUP: _table(
        {ControlRemedy.RETRY: _BUSY - _COORDINATOR_MOVED, ControlRemedy.REFRESH: _COORDINATOR_MOVED},
        otherwise=ControlRemedy.IGNORE,
    ),
    # Whoever only looks goes on without what it cannot see, and says so.
    ControlRequest.LOOK: _table(
        {ControlRemedy.RETRY: _BUSY, ControlRemedy.REFRESH: _MOVED | _COORDINATOR_MOVED},
        otherwise=ControlRemedy.WARN,
    ),
}

_ADVICE: Mapping[ErrorCode, str] = {
    _E.INVALID_TOPIC_EXCEPTION: "names of topics have letters, digits, '.', '_' and '-', at most 249, and two of them "
    "may not differ in '.' and '_' alone",
    _E.INVALID_REPLICATION_FACTOR: "set replication.factor to at most the number of brokers, or to -1",
    _E.INVALID_PARTITIONS: "ask for another number of partitions",
    _E.INVALID_CONFIG: "correct the topic's properties",
    _E.POLICY_VIOLATION: "the cluster's create.topic.policy.class.name forbids it; create the topic by hand",
    _E.TOPIC_DELETION_DISABLED: "set the brokers' delete.topic.enable, or delete it by hand",
    _E.INVALID_GROUP_ID: "application.id, which names the group, cannot be empty",
    _E.UNSUPPORTED_VERSION: "the broker is too old for this; headrace needs Kafka 2.5 or later",
    _E.INCONSISTENT_GROUP_PROTOCOL: "somebody else lives in the group, such as an application of Kafka Streams with "
    "the same application.id: stop it, or choose another application.id",
    _E.INVALID_SESSION_TIMEOUT: "set session.timeout.ms to what the brokers allow (group.min.session.timeout.ms to "
    "group.max.session.timeout.ms)",
    _E.GROUP_MAX_SIZE_REACHED: "raise the brokers' group.max.size",
    _E.NON_EMPTY_GROUP: "it has members: stop them first, or wait until the session of one that is dead has ended",
    _E.UNKNOWN_MEMBER_ID: "somebody is in the group: stop it first",
    _E.UNSTABLE_OFFSET_COMMIT: "a transaction of another instance is still open; it ends after its "
    "transaction.timeout.ms, unless a broker that crashed has lost its end: `headrace doctor` finds such ones, "
    "and says what ends them",
    _E.CLUSTER_AUTHORIZATION_FAILED: "allow this principal the operation on the cluster",
    _E.COORDINATOR_NOT_AVAILABLE: "look whether enough brokers are up for topic __consumer_offsets "
    "(offsets.topic.replication.factor)",
}

# The operation that an ACL has to allow, on the resource that the code names.
_OPERATIONS: Mapping[ControlRequest, str] = {
    ControlRequest.METADATA: "DESCRIBE",
    ControlRequest.DESCRIBE_CONFIGS: "DESCRIBE_CONFIGS",
    ControlRequest.CREATE_TOPICS: "CREATE",
    ControlRequest.DELETE_TOPICS: "DELETE",
    ControlRequest.LIST_OFFSETS: "DESCRIBE",
    ControlRequest.DELETE_RECORDS: "DELETE",
    ControlRequest.FIND_COORDINATOR: "DESCRIBE",
    ControlRequest.OFFSET_FETCH: "DESCRIBE",
    ControlRequest.OFFSET_COMMIT: "READ",
    ControlRequest.DESCRIBE_GROUPS: "DESCRIBE",
    ControlRequest.DESCRIBE_STREAMS_GROUPS: "DESCRIBE",
    ControlRequest.DESCRIBE_GROUP_CONFIGS: "DESCRIBE_CONFIGS",
    ControlRequest.LIST_GROUPS: "DESCRIBE",
    ControlRequest.DELETE_GROUPS: "DELETE",
    ControlRequest.LEAVE_GROUP: "READ",
    ControlRequest.LOOK: "DESCRIBE",
}
# Whoever is told of the least that is wanted would be told of the rest one after the other.
_IMPLIED: Mapping[tuple[str, ErrorCode], str] = {
    ("DESCRIBE", _E.TOPIC_AUTHORIZATION_FAILED): " (READ for an input and WRITE for an output include that)",
    ("DESCRIBE", _E.GROUP_AUTHORIZATION_FAILED): " (READ, which an application wants, includes that)",
}
_RESOURCES: Mapping[ErrorCode, str] = {
    _E.TOPIC_AUTHORIZATION_FAILED: "the topic",
    _E.GROUP_AUTHORIZATION_FAILED: "the group",
    _E.CLUSTER_AUTHORIZATION_FAILED: "the cluster",
}


def remedy(request: ControlRequest, code: ErrorCode) -> ControlRemedy:
    """Return what to do about a code in an answer."""
    return _TABLES[request][code]


def advice(request: ControlRequest, code: ErrorCode, said: str | None = None) -> str:
    """Say what a code is and what to do about it. `said` is the broker's own message, where it sent one."""
    reason = f"{code.name}: {said}" if said else code.name
    resource = _RESOURCES.get(code)
    if resource is not None:
        operation = _OPERATIONS[request]
        implied = _IMPLIED.get((operation, code), "")
        return f"not authorised ({reason}); allow this principal to {operation} {resource}{implied}"
    todo = _ADVICE.get(code)
    return f"{reason}; {todo}" if todo else reason
