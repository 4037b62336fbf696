"""What the machines for transactions and group offsets say of a request: its purpose, and the worst of its errors."""

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.transaction.errors import TransactionRemedy, remedy
from headrace.kafka.transaction.messages import (
    AddOffsets,
    AddPartitions,
    Answer,
    EndTransaction,
    FindCoordinator,
    InitProducer,
    OffsetCommit,
    TransactionalOffsetCommit,
    TransactionRequest,
)

__all__ = ["STOP_OTHERS", "attempt", "taken_over", "worst"]

#: What to do where nobody's offsets are refused: a group with members takes those of its members alone.
STOP_OTHERS = "Stop those, such as Kafka Streams, and start again when they have left"

# Where an answer has several errors, the one that ends most decides.
_SEVERITY = {each: rank for rank, each in enumerate(TransactionRemedy)}


def attempt(request: TransactionRequest) -> str:
    """Say what was attempted."""
    match request:
        case FindCoordinator():
            return f"cannot find the coordinator of {request.kind.name.lower()} {request.key!r}"
        case InitProducer(transactional_id=None):
            return "cannot get a producer id"
        case InitProducer():
            return f"cannot begin with transactional id {request.transactional_id!r}"
        case AddPartitions():
            return f"cannot add partitions to the transaction of {request.transactional_id!r}"
        case AddOffsets():
            return f"cannot add offsets of group {request.group!r} to the transaction of {request.transactional_id!r}"
        case TransactionalOffsetCommit() | OffsetCommit():
            return f"cannot commit offsets of group {request.group!r}"
        case EndTransaction():
            verb = "commit" if request.is_commit else "abort"
            return f"cannot {verb} the transaction of {request.transactional_id!r}"


def taken_over(transactional_id: str, timeout_ms: int) -> str:
    """Say what an old epoch means, behind a colon."""
    return (
        f"another instance with transactional id {transactional_id!r} has taken over, or the transaction was open for "
        f"longer than transaction.timeout.ms={timeout_ms}"
    )


def worst(request: TransactionRequest, answer: Answer) -> tuple[ErrorCode, TopicPartition | None]:
    """Return the code of an answer that decides, and the partition that it is about, if it is about one."""
    code: ErrorCode = answer.error
    topic_partition: TopicPartition | None = None
    for each, found in answer.errors.items():
        if _SEVERITY[remedy(request, found)] > _SEVERITY[remedy(request, code)]:
            code, topic_partition = found, each
    return code, topic_partition
