"""What each error code means to a fetch, to a question for a bound, and to metadata: one table each."""

from collections.abc import Mapping
from enum import Enum, auto

from headrace.base.errors import LogError, OffsetOutOfRangeError
from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode

__all__ = [
    "Reaction",
    "bound_reaction",
    "fetch_reaction",
    "made_again",
    "metadata_reaction",
    "out_of_range",
    "refused",
    "truncated",
]


class Reaction(Enum):
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
_FETCH: Mapping[ErrorCode, Reaction] = {
    _E.NONE: Reaction.TAKE,
    _E.OFFSET_OUT_OF_RANGE: Reaction.FIND_BOUNDS,
    _E.NOT_LEADER_OR_FOLLOWER: Reaction.FIND_LEADER,
    _E.LEADER_NOT_AVAILABLE: Reaction.FIND_LEADER,
    _E.REPLICA_NOT_AVAILABLE: Reaction.FIND_LEADER,
    _E.BROKER_NOT_AVAILABLE: Reaction.FIND_LEADER,
    # The broker's disk has failed; the partition's next leader is another one.
    _E.KAFKA_STORAGE_ERROR: Reaction.FIND_LEADER,
    _E.FENCED_LEADER_EPOCH: Reaction.FIND_LEADER,
    # The broker has not heard yet of the leadership that we know.
    _E.UNKNOWN_LEADER_EPOCH: Reaction.FIND_LEADER,
    # A new leader does not know yet how far the others have come.
    _E.OFFSET_NOT_AVAILABLE: Reaction.FIND_LEADER,
    # Whether the topic is gone is for metadata to say: a broker that has just lost a partition answers the same.
    _E.UNKNOWN_TOPIC_OR_PARTITION: Reaction.FIND_LEADER,
    _E.UNKNOWN_TOPIC_ID: Reaction.FIND_LEADER,
    _E.INCONSISTENT_TOPIC_ID: Reaction.FIND_LEADER,
    _E.NEW_LEADER_ELECTED: Reaction.FIND_LEADER,
    _E.UNKNOWN_SERVER_ERROR: Reaction.RETRY,
    _E.REQUEST_TIMED_OUT: Reaction.RETRY,
    _E.NETWORK_EXCEPTION: Reaction.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: Reaction.RETRY,
    # Of the whole answer. We open no sessions, so these come from a broker that is confused for a moment.
    _E.FETCH_SESSION_ID_NOT_FOUND: Reaction.RETRY,
    _E.INVALID_FETCH_SESSION_EPOCH: Reaction.RETRY,
    _E.FETCH_SESSION_TOPIC_ID_ERROR: Reaction.RETRY,
    _E.TOPIC_AUTHORIZATION_FAILED: Reaction.FAIL,
    _E.CORRUPT_MESSAGE: Reaction.FAIL,
    _E.UNSUPPORTED_COMPRESSION_TYPE: Reaction.FAIL,
    _E.UNSUPPORTED_FOR_MESSAGE_FORMAT: Reaction.FAIL,
    _E.UNSUPPORTED_VERSION: Reaction.FAIL,
    _E.INVALID_REQUEST: Reaction.FAIL,
}

_METADATA: Mapping[ErrorCode, Reaction] = {
    _E.NONE: Reaction.TAKE,
    _E.LEADER_NOT_AVAILABLE: Reaction.RETRY,
    _E.REPLICA_NOT_AVAILABLE: Reaction.TAKE,  # says something of a follower; the leader stands beside it
    _E.LISTENER_NOT_FOUND: Reaction.RETRY,
    _E.UNKNOWN_SERVER_ERROR: Reaction.RETRY,
    _E.REQUEST_TIMED_OUT: Reaction.RETRY,
    _E.NETWORK_EXCEPTION: Reaction.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: Reaction.RETRY,
    _E.REBOOTSTRAP_REQUIRED: Reaction.RETRY,
    _E.UNKNOWN_TOPIC_OR_PARTITION: Reaction.MISSING,
    _E.UNKNOWN_TOPIC_ID: Reaction.MISSING,
    _E.TOPIC_AUTHORIZATION_FAILED: Reaction.FAIL,
    _E.CLUSTER_AUTHORIZATION_FAILED: Reaction.FAIL,
    _E.INVALID_TOPIC_EXCEPTION: Reaction.FAIL,
    _E.UNSUPPORTED_VERSION: Reaction.FAIL,
    _E.INVALID_REQUEST: Reaction.FAIL,
}


def fetch_reaction(code: ErrorCode) -> Reaction:
    """Return what follows from a code of a fetch answer; one that no broker should send there fails."""
    return _FETCH.get(code, Reaction.FAIL)


def bound_reaction(code: ErrorCode) -> Reaction:
    """Return what follows from a code of ListOffsets, which knows the same ones as a fetch."""
    reaction = _FETCH.get(code, Reaction.FAIL)
    return Reaction.RETRY if reaction is Reaction.FIND_BOUNDS else reaction


def metadata_reaction(code: ErrorCode) -> Reaction:
    """Return what follows from a code of a topic or a partition in metadata."""
    return _METADATA.get(code, Reaction.FAIL)


_ADVICE: Mapping[ErrorCode, str] = {
    _E.TOPIC_AUTHORIZATION_FAILED: "allow this principal to READ and DESCRIBE the topic",
    _E.CLUSTER_AUTHORIZATION_FAILED: "allow this principal to DESCRIBE the cluster",
    _E.CORRUPT_MESSAGE: "the broker's copy is damaged; restore it from a replica, or skip the record",
    _E.UNSUPPORTED_COMPRESSION_TYPE: "the broker does not hand out this compression to old clients; upgrade it",
    _E.INVALID_TOPIC_EXCEPTION: "correct the topic's name",
}


def refused(place: TopicPartition, offset: int, code: ErrorCode, detail: str = "") -> LogError:
    """Make the error for a code that trying again does not mend."""
    advice = _ADVICE.get(code, "look into the broker's log")
    found = f"{detail} ({code.name})" if detail else f"the broker answers {code.name}"
    return LogError(f"cannot read {place} at offset {offset}: {found}; {advice}")


def out_of_range(place: TopicPartition, position: int, first: int, end: int) -> OffsetOutOfRangeError:
    """Make the error for a position outside of [first, end]."""
    return OffsetOutOfRangeError(
        f"cannot read {place} from position {position}: the partition has {first} to {end}; "
        f"its records were deleted or never written, so assign a position in that range",
        topic=place.topic, partition=place.partition, position=position, first=first, end=end,
    )  # fmt: skip


def truncated(place: TopicPartition, position: int, first: int, end: int) -> OffsetOutOfRangeError:
    """Make the error for records that were read and are no longer in the log: committed data was lost."""
    where = f"its log parts at {end} from what was read before" if end >= 0 else "its log is another one"
    return OffsetOutOfRangeError(
        f"cannot go on reading {place} at position {position}: {where}, so committed records were lost. Look for an "
        f"unclean election (unclean.leader.election.enable) or a lost disk with min.insync.replicas=1, then assign a "
        f"position again",
        topic=place.topic, partition=place.partition, position=position, first=first, end=end, parts_at=end,
    )  # fmt: skip


def made_again(place: TopicPartition, position: int) -> OffsetOutOfRangeError:
    """Make the error for a topic that was deleted and created while it was read."""
    return OffsetOutOfRangeError(
        f"cannot go on reading {place} at position {position}: the topic was deleted and made again, so its offsets "
        f"mean other records now; assign a position again",
        topic=place.topic, partition=place.partition, position=position,
    )  # fmt: skip
