"""What each error code means to a produce request."""

from collections.abc import Iterable, Mapping
from enum import Enum, auto

from headrace.base.records import RawRecord
from headrace.kafka.batch.codec import decode
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.produce.messages import ProduceAnswer, ProduceBatch, Produced
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind

__all__ = ["ProduceRemedy", "describe", "produce_remedy", "refusal"]


class ProduceRemedy(Enum):
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
    """The broker will never take some of these records. If it does not say which, smaller batches find them."""
    FAIL = auto()
    """Nothing will be taken until somebody mends something."""


_E = ErrorCode

# Source: Sender and TransactionManager of Kafka 4.3. Unlike there, an error that is not listed gives up.
_PRODUCE: Mapping[ErrorCode, ProduceRemedy] = {
    _E.NONE: ProduceRemedy.TAKE,
    _E.NOT_LEADER_OR_FOLLOWER: ProduceRemedy.FIND_LEADER,
    _E.LEADER_NOT_AVAILABLE: ProduceRemedy.FIND_LEADER,
    _E.REPLICA_NOT_AVAILABLE: ProduceRemedy.FIND_LEADER,
    _E.BROKER_NOT_AVAILABLE: ProduceRemedy.FIND_LEADER,
    _E.KAFKA_STORAGE_ERROR: ProduceRemedy.FIND_LEADER,
    _E.FENCED_LEADER_EPOCH: ProduceRemedy.FIND_LEADER,
    _E.UNKNOWN_LEADER_EPOCH: ProduceRemedy.FIND_LEADER,
    _E.NEW_LEADER_ELECTED: ProduceRemedy.FIND_LEADER,
    _E.NETWORK_EXCEPTION: ProduceRemedy.FIND_LEADER,
    # A broker that has just lost a partition says the same: metadata decides whether the topic is gone.
    _E.UNKNOWN_TOPIC_OR_PARTITION: ProduceRemedy.FIND_LEADER,
    _E.UNKNOWN_TOPIC_ID: ProduceRemedy.FIND_LEADER,
    _E.INCONSISTENT_TOPIC_ID: ProduceRemedy.FIND_LEADER,
    # Brokers older than the fourth generation say so of what the coordinator has not verified yet, too.
    _E.NOT_ENOUGH_REPLICAS: ProduceRemedy.RETRY,
    # The batch is in the leader's log, perhaps not for good. Sent again it is a duplicate, with the same offset.
    _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ProduceRemedy.RETRY,
    _E.REQUEST_TIMED_OUT: ProduceRemedy.RETRY,
    _E.UNKNOWN_SERVER_ERROR: ProduceRemedy.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: ProduceRemedy.RETRY,
    # Verification with the transaction's coordinator, which moves. Source: ReplicaManager.handleProduceAppend.
    _E.COORDINATOR_LOAD_IN_PROGRESS: ProduceRemedy.RETRY,
    _E.COORDINATOR_NOT_AVAILABLE: ProduceRemedy.RETRY,
    _E.NOT_COORDINATOR: ProduceRemedy.RETRY,
    _E.CONCURRENT_TRANSACTIONS: ProduceRemedy.BUSY,
    _E.MESSAGE_TOO_LARGE: ProduceRemedy.SHRINK,
    _E.RECORD_LIST_TOO_LARGE: ProduceRemedy.SHRINK,
    # The checksum was wrong where it arrived. It was right where it left, so the way is to blame: once more.
    _E.CORRUPT_MESSAGE: ProduceRemedy.RETRY,
    # It is in the log, but so far back that the broker has forgotten at which offset, which the stores must know.
    _E.DUPLICATE_SEQUENCE_NUMBER: ProduceRemedy.ABORT,
    _E.OUT_OF_ORDER_SEQUENCE_NUMBER: ProduceRemedy.ABORT,
    _E.UNKNOWN_PRODUCER_ID: ProduceRemedy.ABORT,
    _E.TRANSACTION_ABORTABLE: ProduceRemedy.ABORT,
    # The partition is not in the transaction, or the transaction ended under us (verification, before KIP-890 part 2).
    _E.INVALID_TXN_STATE: ProduceRemedy.DOUBT,
    _E.INVALID_PRODUCER_EPOCH: ProduceRemedy.DOUBT,
    _E.PRODUCER_FENCED: ProduceRemedy.DOUBT,
    _E.INVALID_PRODUCER_ID_MAPPING: ProduceRemedy.DOUBT,
    _E.TRANSACTION_COORDINATOR_FENCED: ProduceRemedy.ABORT,
    _E.INVALID_RECORD: ProduceRemedy.REFUSE,
    _E.INVALID_TIMESTAMP: ProduceRemedy.REFUSE,
    _E.INVALID_TOPIC_EXCEPTION: ProduceRemedy.FAIL,
    _E.POLICY_VIOLATION: ProduceRemedy.REFUSE,
    _E.TOPIC_AUTHORIZATION_FAILED: ProduceRemedy.FAIL,
    _E.CLUSTER_AUTHORIZATION_FAILED: ProduceRemedy.FAIL,
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: ProduceRemedy.FAIL,
    _E.SECURITY_DISABLED: ProduceRemedy.FAIL,
    _E.UNSUPPORTED_COMPRESSION_TYPE: ProduceRemedy.FAIL,
    _E.UNSUPPORTED_FOR_MESSAGE_FORMAT: ProduceRemedy.FAIL,
    _E.UNSUPPORTED_VERSION: ProduceRemedy.FAIL,
    _E.INVALID_REQUEST: ProduceRemedy.FAIL,
    _E.INVALID_REQUIRED_ACKS: ProduceRemedy.FAIL,
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

_KINDS: Mapping[ProduceRemedy, WriteFailureKind] = {
    ProduceRemedy.SHRINK: WriteFailureKind.ABORT,
    ProduceRemedy.ABORT: WriteFailureKind.ABORT,
    ProduceRemedy.DOUBT: WriteFailureKind.DOUBT,
    # Of several records, when the broker does not say which of them.
    ProduceRemedy.REFUSE: WriteFailureKind.ABORT,
    ProduceRemedy.FAIL: WriteFailureKind.HOPELESS,
}


def produce_remedy(code: ErrorCode) -> ProduceRemedy:
    """Return what follows from a code of a produce answer; one that no broker should send there fails."""
    return _PRODUCE.get(code, ProduceRemedy.FAIL)


def refusal(answer: ProduceAnswer) -> str | None:
    """Say which partition is refused for the time being, if one is, and what to look at if that lasts."""
    for topic_partition, produced in answer.items():
        if produce_remedy(produced.error) in (ProduceRemedy.RETRY, ProduceRemedy.FIND_LEADER):
            found = f"partition {topic_partition} is refused with {produced.error.name}"
            if produced.error in (_E.NOT_ENOUGH_REPLICAS, _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND):
                return (
                    f"{found}; start the brokers that are missing, or lower the topic's min.insync.replicas"
                )
            return f"{found}; look whether all brokers are up"
    return None


def describe(batch: ProduceBatch, produced: Produced, *, request_bytes_max: int) -> WriteFailure:
    """Say why a batch was refused.

    Raises:
        KeyError: its code is one to try again with.
    """
    code = produced.error
    remedy = produce_remedy(code)
    found = f"{produced.detail} ({code.name})" if produced.detail else f"the broker answers {code.name}"
    blamed = range(1) if batch.count == 1 else produced.refused
    count = len(blamed) if remedy is ProduceRemedy.REFUSE and blamed else batch.count
    records = "a record" if count == 1 else f"{count} records"
    attempt = f"cannot write {records} to {batch.topic_partition.in_words()}"
    if remedy is ProduceRemedy.SHRINK and batch.count == 1:
        return WriteFailure(
            WriteFailureKind.REFUSED,
            f"{attempt}: as a batch it has {len(batch.data)} bytes, more than the broker takes ({code.name}); raise "
            f"the topic's max.message.bytes (max.request.size is {request_bytes_max})",
            batch.topic_partition,
            _records(batch, blamed),
        )
    if remedy is ProduceRemedy.REFUSE and blamed:
        advice = _ADVICE.get(code, "look into the broker's log")
        return WriteFailure(
            WriteFailureKind.REFUSED,
            f"{attempt}: {found}; {advice}",
            batch.topic_partition,
            _records(batch, blamed),
        )
    if remedy is ProduceRemedy.REFUSE:
        advice = "it does not say which; smaller batches follow, to find out"
    elif remedy is ProduceRemedy.SHRINK:
        advice = (
            f"{len(batch.data)} bytes are too many; smaller batches follow. See the topic's max.message.bytes"
        )
    else:
        advice = _ADVICE.get(code, "look into the broker's log")
    return WriteFailure(_KINDS[remedy], f"{attempt}: {found}; {advice}", batch.topic_partition)


def _records(batch: ProduceBatch, indices: Iterable[int]) -> tuple[RawRecord, ...]:
    """Read the records that are to blame out of the batch: nobody has kept them."""
    decoded = decode(batch.data, 0)
    return tuple(
        RawRecord(decoded.keys[index], decoded.values[index], decoded.timestamps[index])
        for index in indices
        if index < len(decoded.keys)
    )
