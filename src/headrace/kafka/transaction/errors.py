"""What each error code means to the requests of transactions and of group offsets: one table each."""

from collections.abc import Mapping
from enum import Enum, auto

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.transaction.messages import (
    AddOffsets,
    AddPartitions,
    EndTransaction,
    FindCoordinator,
    InitProducer,
    OffsetCommit,
    TransactionalOffsetCommit,
    TransactionRequest,
)

__all__ = ["TransactionRemedy", "advice", "patience", "remedy"]


class TransactionRemedy(Enum):
    """What follows from an error code."""

    TAKE = auto()
    """Done."""
    RETRY = auto()
    """The same again, after a pause."""
    BUSY = auto()
    """The same again, after a very short pause: the transaction before is being completed."""
    FIND_COORDINATOR = auto()
    """Ask who coordinates now, then the same again."""
    MISSING = auto()
    """A topic seems not to exist. A broker may be a moment late to know it: told after a grace."""
    STALE = auto()
    """The group has gone on to another epoch: the same again as the member that it knows then."""
    ABORT = auto()
    """Give this transaction up; the next one may succeed."""
    HOPELESS = auto()
    """Give this transaction up; the next one will fail too until somebody mends what the message says."""
    DOUBT = auto()
    """Our id or epoch was refused: find out by ending the transaction whether another writer has taken over."""
    FENCED = auto()
    """Another writer has taken over."""
    RENEW = auto()
    """The coordinator has no such transaction, or id: ask for a new epoch, naming the one that we had."""
    FATAL = auto()
    """This writer is of no more use."""


_E = ErrorCode
_R = TransactionRemedy

# What every coordinator may say of itself.
_COORDINATOR: Mapping[ErrorCode, TransactionRemedy] = {
    _E.NONE: _R.TAKE,
    _E.NOT_COORDINATOR: _R.FIND_COORDINATOR,
    _E.COORDINATOR_NOT_AVAILABLE: _R.FIND_COORDINATOR,
    _E.COORDINATOR_LOAD_IN_PROGRESS: _R.RETRY,
    _E.REQUEST_TIMED_OUT: _R.FIND_COORDINATOR,
    _E.NETWORK_EXCEPTION: _R.FIND_COORDINATOR,
    _E.NOT_ENOUGH_REPLICAS: _R.RETRY,
    _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND: _R.RETRY,
    _E.KAFKA_STORAGE_ERROR: _R.FIND_COORDINATOR,
    _E.UNKNOWN_SERVER_ERROR: _R.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: _R.RETRY,
    _E.CONCURRENT_TRANSACTIONS: _R.BUSY,
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: _R.FATAL,
    _E.CLUSTER_AUTHORIZATION_FAILED: _R.FATAL,
}

_FIND: Mapping[ErrorCode, TransactionRemedy] = {
    **_COORDINATOR,
    _E.NOT_COORDINATOR: _R.RETRY,
    _E.COORDINATOR_NOT_AVAILABLE: _R.RETRY,
    _E.REQUEST_TIMED_OUT: _R.RETRY,
    _E.NETWORK_EXCEPTION: _R.RETRY,
    _E.KAFKA_STORAGE_ERROR: _R.RETRY,
    _E.CONCURRENT_TRANSACTIONS: _R.RETRY,
    _E.GROUP_AUTHORIZATION_FAILED: _R.HOPELESS,
    _E.INVALID_GROUP_ID: _R.HOPELESS,
}

# Source: TransactionCoordinator.handleInitProducerId of 4.3.
_INIT: Mapping[ErrorCode, TransactionRemedy] = {
    **_COORDINATOR,
    # Only where an identity was expected: somebody else has asked for one since.
    _E.PRODUCER_FENCED: _R.FENCED,
    _E.INVALID_PRODUCER_EPOCH: _R.FENCED,
    _E.TRANSACTION_ABORTABLE: _R.RETRY,
}

# Source: TransactionCoordinator.handleAddPartitionsToTransaction, KafkaApis.handleAddPartitionsToTxnRequest of 4.3.
_ADD_OFFSETS: Mapping[ErrorCode, TransactionRemedy] = {
    **_COORDINATOR,
    _E.PRODUCER_FENCED: _R.DOUBT,
    _E.INVALID_PRODUCER_EPOCH: _R.DOUBT,
    _E.INVALID_PRODUCER_ID_MAPPING: _R.DOUBT,
    _E.UNKNOWN_PRODUCER_ID: _R.DOUBT,
    _E.INVALID_TXN_STATE: _R.DOUBT,
    _E.TRANSACTION_ABORTABLE: _R.ABORT,
    _E.GROUP_AUTHORIZATION_FAILED: _R.HOPELESS,
    _E.INVALID_GROUP_ID: _R.HOPELESS,
}

_ADD_PARTITIONS: Mapping[ErrorCode, TransactionRemedy] = {
    **_ADD_OFFSETS,
    _E.UNKNOWN_TOPIC_OR_PARTITION: _R.MISSING,
    _E.TOPIC_AUTHORIZATION_FAILED: _R.HOPELESS,
    _E.INVALID_TOPIC_EXCEPTION: _R.HOPELESS,
    # Fine itself, but another partition of the request was not; that one decides.
    _E.OPERATION_NOT_ATTEMPTED: _R.TAKE,
}

# Source: GroupCoordinatorService.commitOffsets of 4.3, and what a group coordinator of any age may say.
_OFFSETS: Mapping[ErrorCode, TransactionRemedy] = {
    **_COORDINATOR,
    _E.UNKNOWN_TOPIC_OR_PARTITION: _R.MISSING,
    _E.UNKNOWN_TOPIC_ID: _R.MISSING,
    _E.TOPIC_AUTHORIZATION_FAILED: _R.HOPELESS,
    _E.GROUP_AUTHORIZATION_FAILED: _R.HOPELESS,
    _E.OFFSET_METADATA_TOO_LARGE: _R.HOPELESS,
    _E.INVALID_COMMIT_OFFSET_SIZE: _R.HOPELESS,
    _E.INVALID_GROUP_ID: _R.HOPELESS,
    # A member that the group has dropped; or nobody, who may commit only while it has no members (`wire`).
    _E.UNKNOWN_MEMBER_ID: _R.ABORT,
    _E.FENCED_MEMBER_EPOCH: _R.ABORT,
    _E.FENCED_INSTANCE_ID: _R.ABORT,
    # It is one still: it has not heard yet of the epoch that has begun, or the leader has not assigned in it yet.
    _E.ILLEGAL_GENERATION: _R.STALE,
    _E.STALE_MEMBER_EPOCH: _R.STALE,
    _E.REBALANCE_IN_PROGRESS: _R.STALE,
    _E.GROUP_ID_NOT_FOUND: _R.ABORT,
}

_TRANSACTIONAL_OFFSETS: Mapping[ErrorCode, TransactionRemedy] = {
    **_OFFSETS,
    _E.PRODUCER_FENCED: _R.DOUBT,
    _E.INVALID_PRODUCER_EPOCH: _R.DOUBT,
    _E.INVALID_PRODUCER_ID_MAPPING: _R.DOUBT,
    _E.UNKNOWN_PRODUCER_ID: _R.DOUBT,
    _E.INVALID_TXN_STATE: _R.DOUBT,
    _E.TRANSACTION_ABORTABLE: _R.ABORT,
}

# Source: TransactionCoordinator.endTransaction of 4.3 (its table of states, retries and epochs).
_COMMIT: Mapping[ErrorCode, TransactionRemedy] = {
    **_COORDINATOR,
    # The transaction was aborted, by its time-out, or never was. Said to a retry, too: a commit that has succeeded is
    # answered NONE until the next request of ours, so this one has not.
    _E.INVALID_TXN_STATE: _R.ABORT,
    _E.TRANSACTION_ABORTABLE: _R.ABORT,
    # The epoch is two or more behind: somebody has taken over. Whether the commit had succeeded before is not said.
    _E.PRODUCER_FENCED: _R.FENCED,
    _E.INVALID_PRODUCER_EPOCH: _R.FENCED,
    _E.INVALID_PRODUCER_ID_MAPPING: _R.RENEW,
    _E.UNKNOWN_PRODUCER_ID: _R.RENEW,
}

_ABORT: Mapping[ErrorCode, TransactionRemedy] = {
    **_COORDINATOR,
    # Nothing is open: its time was over, or it was aborted before the coordinator heard of a partition. As was wanted.
    _E.INVALID_TXN_STATE: _R.TAKE,
    _E.TRANSACTION_ABORTABLE: _R.RENEW,
    _E.PRODUCER_FENCED: _R.FENCED,
    _E.INVALID_PRODUCER_EPOCH: _R.FENCED,
    _E.INVALID_PRODUCER_ID_MAPPING: _R.RENEW,
    _E.UNKNOWN_PRODUCER_ID: _R.RENEW,
}

_TABLES: Mapping[type[TransactionRequest], Mapping[ErrorCode, TransactionRemedy]] = {
    FindCoordinator: _FIND,
    InitProducer: _INIT,
    AddPartitions: _ADD_PARTITIONS,
    AddOffsets: _ADD_OFFSETS,
    TransactionalOffsetCommit: _TRANSACTIONAL_OFFSETS,
    OffsetCommit: _OFFSETS,
}

_ADVICE: Mapping[ErrorCode, str] = {
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "allow this principal to WRITE and DESCRIBE the transactional id",
    _E.CLUSTER_AUTHORIZATION_FAILED: "allow this principal IDEMPOTENT_WRITE on the cluster",
    _E.GROUP_AUTHORIZATION_FAILED: "allow this principal to READ the group",
    _E.TOPIC_AUTHORIZATION_FAILED: "allow this principal to READ the topics that it reads and to WRITE to its outputs",
    _E.INVALID_TRANSACTION_TIMEOUT: "lower transaction.timeout.ms, or raise the brokers' transaction.max.timeout.ms",
    _E.OFFSET_METADATA_TOO_LARGE: "raise the brokers' offset.metadata.max.bytes",
    _E.INVALID_COMMIT_OFFSET_SIZE: "raise max.message.bytes of topic __consumer_offsets",
    _E.INVALID_GROUP_ID: "give application.id a value that can be a group's name",
    _E.UNSUPPORTED_VERSION: "upgrade the brokers",
    _E.UNKNOWN_MEMBER_ID: "the group has other members, or has dropped this one",
    _E.ILLEGAL_GENERATION: "the group has rebalanced",
    _E.STALE_MEMBER_EPOCH: "the group has rebalanced",
    _E.FENCED_MEMBER_EPOCH: "the group has dropped this member",
    _E.FENCED_INSTANCE_ID: "another member has taken this one's group.instance.id",
    _E.REBALANCE_IN_PROGRESS: "the group is rebalancing",
    _E.INVALID_TXN_STATE: "the coordinator has aborted it; was it open longer than transaction.timeout.ms?",
}  # fmt: skip


def remedy(request: TransactionRequest, code: ErrorCode) -> TransactionRemedy:
    """Return what follows from a code in the answer to a request; one that no broker should send there is fatal."""
    if isinstance(request, EndTransaction):
        table = _COMMIT if request.is_commit else _ABORT
    else:
        table = _TABLES[type(request)]
    return table.get(code, TransactionRemedy.FATAL)


def patience(code: ErrorCode) -> str:
    """Say what to look at while a code lasts that is tried again."""
    if code is ErrorCode.COORDINATOR_NOT_AVAILABLE:
        return (
            "look whether enough brokers are up for topics __transaction_state and __consumer_offsets "
            "(transaction.state.log.replication.factor, offsets.topic.replication.factor)"
        )
    if code in (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND):
        return (
            "look whether enough in-sync replicas are up (transaction.state.log.min.isr, min.insync.replicas)"
        )
    return "look whether all brokers are up"


def advice(code: ErrorCode) -> str:
    """Say what to do about a code."""
    return _ADVICE.get(code, "look into the broker's log")
