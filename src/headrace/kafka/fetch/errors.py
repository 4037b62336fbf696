"""What each error code means to a fetch, to a question for a bound, and to metadata: one table each."""

from collections.abc import Mapping
from enum import Enum, auto

from headrace.base.errors import LogError, OffsetOutOfRangeError
from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode

__all__ = [
    "FetchRemedy",
    "bound_remedy",
    "fetch_remedy",
    "made_again",
    "metadata_remedy",
    "out_of_range",
    "refused",
    "truncated",
]


class FetchRemedy(Enum):
    """What follows from an error code."""

    TAKE = auto()
    """No error."""
    RETRY = auto()
    """The same broker again, after a pause."""
    FIND_LEADER = auto()
    """The partition is led by somebody else, or was: ask for metadata, then again."""
    FIND_BOUNDS = auto()
    """The position is outside of the log: find out what the log has, then tell whoever polls."""
    MISSING = auto()
    """The topic seems not to exist. A broker may be a moment late to know it: told after a grace."""
    FAIL = auto()
    """Trying again will not help: tell whoever polls."""


_E = ErrorCode

# Source: FetchCollector of Kafka 4.3, except that an unknown topic is told (Java waits for ever).
_FETCH: Mapping[ErrorCode, FetchRemedy] = {
    _E.NONE: FetchRemedy.TAKE,
    _E.OFFSET_OUT_OF_RANGE: FetchRemedy.FIND_BOUNDS,
    _E.NOT_LEADER_OR_FOLLOWER: FetchRemedy.FIND_LEADER,
    _E.LEADER_NOT_AVAILABLE: FetchRemedy.FIND_LEADER,
    _E.REPLICA_NOT_AVAILABLE: FetchRemedy.FIND_LEADER,
    _E.BROKER_NOT_AVAILABLE: FetchRemedy.FIND_LEADER,
    # The broker's disk has failed; the partition's next leader is another one.
    _E.KAFKA_STORAGE_ERROR: FetchRemedy.FIND_LEADER,
    _E.FENCED_LEADER_EPOCH: FetchRemedy.FIND_LEADER,
    # The broker has not heard yet of the leadership that we know.
    _E.UNKNOWN_LEADER_EPOCH: FetchRemedy.FIND_LEADER,
    # A new leader does not know yet how far the others have come.
    _E.OFFSET_NOT_AVAILABLE: FetchRemedy.FIND_LEADER,
    # Whether the topic is gone is for metadata to say: a broker that has just lost a partition answers the same.
    _E.UNKNOWN_TOPIC_OR_PARTITION: FetchRemedy.FIND_LEADER,
    _E.UNKNOWN_TOPIC_ID: FetchRemedy.FIND_LEADER,
    _E.INCONSISTENT_TOPIC_ID: FetchRemedy.FIND_LEADER,
    _E.NEW_LEADER_ELECTED: FetchRemedy.FIND_LEADER,
    _E.UNKNOWN_SERVER_ERROR: FetchRemedy.RETRY,
    _E.REQUEST_TIMED_OUT: FetchRemedy.RETRY,
    _E.NETWORK_EXCEPTION: FetchRemedy.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: FetchRemedy.RETRY,
    # Of the whole answer. We open no sessions, so these come from a broker that is confused for a moment.
    _E.FETCH_SESSION_ID_NOT_FOUND: FetchRemedy.RETRY,
    _E.INVALID_FETCH_SESSION_EPOCH: FetchRemedy.RETRY,
    _E.FETCH_SESSION_TOPIC_ID_ERROR: FetchRemedy.RETRY,
    _E.TOPIC_AUTHORIZATION_FAILED: FetchRemedy.FAIL,
    _E.CORRUPT_MESSAGE: FetchRemedy.FAIL,
    _E.UNSUPPORTED_COMPRESSION_TYPE: FetchRemedy.FAIL,
    _E.UNSUPPORTED_FOR_MESSAGE_FORMAT: FetchRemedy.FAIL,
    _E.UNSUPPORTED_VERSION: FetchRemedy.FAIL,
    _E.INVALID_REQUEST: FetchRemedy.FAIL,
}

_METADATA: Mapping[ErrorCode, FetchRemedy] = {
    _E.NONE: FetchRemedy.TAKE,
    _E.LEADER_NOT_AVAILABLE: FetchRemedy.RETRY,
    _E.REPLICA_NOT_AVAILABLE: FetchRemedy.TAKE,  # says something of a follower; the leader stands beside it
    _E.LISTENER_NOT_FOUND: FetchRemedy.RETRY,
    _E.UNKNOWN_SERVER_ERROR: FetchRemedy.RETRY,
    _E.REQUEST_TIMED_OUT: FetchRemedy.RETRY,
    _E.NETWORK_EXCEPTION: FetchRemedy.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: FetchRemedy.RETRY,
    _E.REBOOTSTRAP_REQUIRED: FetchRemedy.RETRY,
    _E.UNKNOWN_TOPIC_OR_PARTITION: FetchRemedy.MISSING,
    _E.UNKNOWN_TOPIC_ID: FetchRemedy.MISSING,
    _E.TOPIC_AUTHORIZATION_FAILED: FetchRemedy.FAIL,
    _E.CLUSTER_AUTHORIZATION_FAILED: FetchRemedy.FAIL,
    _E.INVALID_TOPIC_EXCEPTION: FetchRemedy.FAIL,
    _E.UNSUPPORTED_VERSION: FetchRemedy.FAIL,
    _E.INVALID_REQUEST: FetchRemedy.FAIL,
}


def fetch_remedy(code: ErrorCode) -> FetchRemedy:
    """Return what follows from a code of a fetch answer; one that no broker should send there fails."""
    return _FETCH.get(code, FetchRemedy.FAIL)


def bound_remedy(code: ErrorCode) -> FetchRemedy:
    """Return what follows from a code of ListOffsets, which knows the same ones as a fetch."""
    remedy = _FETCH.get(code, FetchRemedy.FAIL)
    return FetchRemedy.RETRY if remedy is FetchRemedy.FIND_BOUNDS else remedy


def metadata_remedy(code: ErrorCode) -> FetchRemedy:
    """Return what follows from a code of a topic or a partition in metadata."""
    return _METADATA.get(code, FetchRemedy.FAIL)


_ADVICE: Mapping[ErrorCode, str] = {
    _E.TOPIC_AUTHORIZATION_FAILED: "allow this principal to READ and DESCRIBE the topic",
    _E.CLUSTER_AUTHORIZATION_FAILED: "allow this principal to DESCRIBE the cluster",
    _E.CORRUPT_MESSAGE: "the broker's copy is damaged; restore it from a replica, or skip the record",
    _E.UNSUPPORTED_COMPRESSION_TYPE: "the broker does not hand out this compression to old clients; upgrade it",
    _E.INVALID_TOPIC_EXCEPTION: "correct the topic's name",
}


def refused(topic_partition: TopicPartition, offset: int, code: ErrorCode, detail: str = "") -> LogError:
    """Make the error for a code that trying again does not mend."""
    advice = _ADVICE.get(code, "look into the broker's log")
    found = f"{detail} ({code.name})" if detail else f"the broker answers {code.name}"
    return LogError(f"cannot read {topic_partition} at offset {offset}: {found}; {advice}")


def out_of_range(
    topic_partition: TopicPartition, position: int, first: int, end: int
) -> OffsetOutOfRangeError:
    """Make the error for a position outside of [first, end]."""
    return OffsetOutOfRangeError(
        f"cannot read {topic_partition} from position {position}: the partition has {first} to {end}; "
        f"its records were deleted or never written, so assign a position in that range",
        topic=topic_partition.topic, partition=topic_partition.partition, position=position, first=first, end=end,
    )  # fmt: skip


def truncated(topic_partition: TopicPartition, position: int, first: int, end: int) -> OffsetOutOfRangeError:
    """Make the error for records that were read and are no longer in the log: committed data was lost."""
    where = f"its log parts at {end} from what was read before" if end >= 0 else "its log is another one"
    return OffsetOutOfRangeError(
        f"cannot go on reading {topic_partition} at position {position}: {where}, so committed records were lost. "
        f"Look for an unclean election (unclean.leader.election.enable) or a lost disk with min.insync.replicas=1, "
        f"then assign a position again",
        topic=topic_partition.topic, partition=topic_partition.partition, position=position, first=first, end=end,
        parts_at=end,
    )  # fmt: skip


def made_again(topic_partition: TopicPartition, position: int) -> OffsetOutOfRangeError:
    """Make the error for a topic that was deleted and created while it was read."""
    return OffsetOutOfRangeError(
        f"cannot go on reading {topic_partition} at position {position}: the topic was deleted and made again, so its "
        f"offsets mean other records now; assign a position again",
        topic=topic_partition.topic, partition=topic_partition.partition, position=position,
    )  # fmt: skip
