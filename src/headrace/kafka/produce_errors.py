"""What each error code means to a produce request."""

from collections.abc import Mapping
from enum import Enum, auto

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.produce_messages import Batch, Failure, FailureKind, ProduceAnswer, Produced

__all__ = ["Reaction", "describe", "produce_reaction", "refusal"]


class Reaction(Enum):
    """What follows from an error code."""

    TAKE = auto()
    """The batch is in the log."""
    RETRY = auto()
    """The same batch to the same broker, after a pause."""
    BUSY = auto()
    """The same, after a very short one: the last transaction is being completed."""
    FIND_LEADER = auto()
    """Somebody else leads the partition: ask for metadata, then the same batch again."""
    SHRINK = auto()
    """The batch is too large: smaller ones from now on. What was cut cannot be cut again: its sequence is stamped."""
    ABORT = auto()
    """Whether the batch is in the log, or at which offset, is not known: give the transaction up."""
    DOUBT = auto()
    """Find out whether another writer has taken over."""
    REFUSE = auto()
    """The broker will never take these records."""
    FAIL = auto()
    """Nothing will be taken until somebody mends something."""


_E = ErrorCode

# Source: Sender and TransactionManager of Kafka 4.3. Unlike there, an error that is not listed gives up.
_PRODUCE: Mapping[ErrorCode, Reaction] = {
    _E.NONE: Reaction.TAKE,
    _E.NOT_LEADER_OR_FOLLOWER: Reaction.FIND_LEADER,
    _E.LEADER_NOT_AVAILABLE: Reaction.FIND_LEADER,
    _E.REPLICA_NOT_AVAILABLE: Reaction.FIND_LEADER,
    _E.BROKER_NOT_AVAILABLE: Reaction.FIND_LEADER,
    _E.KAFKA_STORAGE_ERROR: Reaction.FIND_LEADER,
    _E.FENCED_LEADER_EPOCH: Reaction.FIND_LEADER,
    _E.UNKNOWN_LEADER_EPOCH: Reaction.FIND_LEADER,
    _E.NEW_LEADER_ELECTED: Reaction.FIND_LEADER,
    _E.NETWORK_EXCEPTION: Reaction.FIND_LEADER,
    # A broker that has just lost a partition says the same: metadata decides whether the topic is gone.
    _E.UNKNOWN_TOPIC_OR_PARTITION: Reaction.FIND_LEADER,
    _E.UNKNOWN_TOPIC_ID: Reaction.FIND_LEADER,
    _E.INCONSISTENT_TOPIC_ID: Reaction.FIND_LEADER,
    # Brokers older than the fourth generation say so of what the coordinator has not verified yet, too.
    _E.NOT_ENOUGH_REPLICAS: Reaction.RETRY,
    # The batch is in the leader's log, perhaps not for good. Sent again it is a duplicate, with the same offset.
    _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Reaction.RETRY,
    _E.REQUEST_TIMED_OUT: Reaction.RETRY,
    _E.UNKNOWN_SERVER_ERROR: Reaction.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: Reaction.RETRY,
    # Verification with the transaction's coordinator, which moves. Source: ReplicaManager.handleProduceAppend.
    _E.COORDINATOR_LOAD_IN_PROGRESS: Reaction.RETRY,
    _E.COORDINATOR_NOT_AVAILABLE: Reaction.RETRY,
    _E.NOT_COORDINATOR: Reaction.RETRY,
    _E.CONCURRENT_TRANSACTIONS: Reaction.BUSY,
    _E.MESSAGE_TOO_LARGE: Reaction.SHRINK,
    _E.RECORD_LIST_TOO_LARGE: Reaction.SHRINK,
    # The checksum was wrong where it arrived. It was right where it left, so the way is to blame: once more.
    _E.CORRUPT_MESSAGE: Reaction.RETRY,
    # It is in the log, but so far back that the broker has forgotten at which offset, which the stores must know.
    _E.DUPLICATE_SEQUENCE_NUMBER: Reaction.ABORT,
    _E.OUT_OF_ORDER_SEQUENCE_NUMBER: Reaction.ABORT,
    _E.UNKNOWN_PRODUCER_ID: Reaction.ABORT,
    _E.TRANSACTION_ABORTABLE: Reaction.ABORT,
    # The partition is not in the transaction, or the transaction ended under us (verification, before KIP-890 part 2).
    _E.INVALID_TXN_STATE: Reaction.DOUBT,
    _E.INVALID_PRODUCER_EPOCH: Reaction.DOUBT,
    _E.PRODUCER_FENCED: Reaction.DOUBT,
    _E.INVALID_PRODUCER_ID_MAPPING: Reaction.DOUBT,
    _E.TRANSACTION_COORDINATOR_FENCED: Reaction.ABORT,
    _E.INVALID_RECORD: Reaction.REFUSE,
    _E.INVALID_TIMESTAMP: Reaction.REFUSE,
    _E.INVALID_TOPIC_EXCEPTION: Reaction.FAIL,
    _E.POLICY_VIOLATION: Reaction.REFUSE,
    _E.TOPIC_AUTHORIZATION_FAILED: Reaction.FAIL,
    _E.CLUSTER_AUTHORIZATION_FAILED: Reaction.FAIL,
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Reaction.FAIL,
    _E.SECURITY_DISABLED: Reaction.FAIL,
    _E.UNSUPPORTED_COMPRESSION_TYPE: Reaction.FAIL,
    _E.UNSUPPORTED_FOR_MESSAGE_FORMAT: Reaction.FAIL,
    _E.UNSUPPORTED_VERSION: Reaction.FAIL,
    _E.INVALID_REQUEST: Reaction.FAIL,
    _E.INVALID_REQUIRED_ACKS: Reaction.FAIL,
}

_ADVICE: Mapping[ErrorCode, str] = {
    _E.INVALID_RECORD: "the topic's brokers refuse the record; a compacted topic needs keys",
    _E.INVALID_TIMESTAMP: "see the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    _E.POLICY_VIOLATION: "see the brokers' policies",
    _E.TOPIC_AUTHORIZATION_FAILED: "allow this principal to WRITE to the topic",
    _E.CLUSTER_AUTHORIZATION_FAILED: "allow this principal IDEMPOTENT_WRITE on the cluster",
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "allow this principal to WRITE to the transactional id",
    _E.UNSUPPORTED_COMPRESSION_TYPE: "set compression.type to one that the brokers know",
    _E.INVALID_TOPIC_EXCEPTION: "choose another topic; this one belongs to the cluster",
    _E.TRANSACTION_ABORTABLE: "the broker wants the transaction aborted",
    _E.INVALID_PRODUCER_EPOCH: "was the transaction open longer than transaction.timeout.ms?",
    _E.INVALID_TXN_STATE: "was the transaction open longer than transaction.timeout.ms?",
    _E.DUPLICATE_SEQUENCE_NUMBER: "it is in the log already, at an offset that the broker has forgotten",
    _E.OUT_OF_ORDER_SEQUENCE_NUMBER: "the log lacks a batch before it",
    _E.UNKNOWN_PRODUCER_ID: "the log has forgotten this producer",
}

_KINDS: Mapping[Reaction, FailureKind] = {
    Reaction.SHRINK: FailureKind.ABORT,
    Reaction.ABORT: FailureKind.ABORT,
    Reaction.DOUBT: FailureKind.DOUBT,
    Reaction.REFUSE: FailureKind.REFUSED,
    Reaction.FAIL: FailureKind.HOPELESS,
}


def produce_reaction(code: ErrorCode) -> Reaction:
    """Return what follows from a code of a produce answer; one that no broker should send there fails."""
    return _PRODUCE.get(code, Reaction.FAIL)


def refusal(answer: ProduceAnswer) -> str | None:
    """Say which partition is refused for the time being, if one is, and what to look at if that lasts."""
    for place, produced in answer.items():
        if produce_reaction(produced.error) in (Reaction.RETRY, Reaction.FIND_LEADER):
            found = f"partition {place} is refused with {produced.error.name}"
            if produced.error in (_E.NOT_ENOUGH_REPLICAS, _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND):
                return (
                    f"{found}; start the brokers that are missing, or lower the topic's min.insync.replicas"
                )
            return f"{found}; look whether all brokers are up"
    return None


def describe(batch: Batch, produced: Produced, *, request_bytes_max: int) -> Failure:
    """Say why a batch was refused.

    Raises:
        KeyError: its code is one to try again with.
    """
    code = produced.error
    reaction = produce_reaction(code)
    found = f"{produced.detail} ({code.name})" if produced.detail else f"the broker answers {code.name}"
    records = "a record" if batch.count == 1 else f"{batch.count} records"
    attempt = f"cannot write {records} to partition {batch.place.partition} of topic {batch.place.topic!r}"
    if reaction is Reaction.SHRINK and batch.count == 1:
        return Failure(
            FailureKind.REFUSED,
            f"{attempt}: as a batch it has {len(batch.data)} bytes, more than the broker takes ({code.name}); raise "
            f"the topic's max.message.bytes (max.request.size is {request_bytes_max})",
            batch.place,
        )
    if reaction is Reaction.SHRINK:
        advice = (
            f"{len(batch.data)} bytes are too many; smaller batches follow. See the topic's max.message.bytes"
        )
    else:
        advice = _ADVICE.get(code, "look into the broker's log")
    return Failure(_KINDS[reaction], f"{attempt}: {found}; {advice}", batch.place)
