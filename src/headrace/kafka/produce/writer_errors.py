"""What a failed transaction is to whoever called the writer: one of the project's errors."""

from headrace.base.errors import (
    FencedError,
    HeadraceError,
    LogError,
    RecordsRefusedError,
    TransactionAbortedError,
    UnknownTopicError,
)
from headrace.kafka.transaction.state import ProducerState
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind

__all__ = ["error_of"]


def error_of(failure: WriteFailure, state: ProducerState) -> HeadraceError:
    """Make the error for a failure, found in a state of the producer."""
    if state is ProducerState.FENCED:
        return FencedError(failure.message)
    match failure.kind:
        case WriteFailureKind.MISSING:
            return UnknownTopicError(failure.message)
        case WriteFailureKind.REFUSED if failure.topic_partition is not None:
            return RecordsRefusedError(
                failure.message,
                topic=failure.topic_partition.topic,
                partition=failure.topic_partition.partition,
                records=failure.records,
            )
        case WriteFailureKind.HOPELESS | WriteFailureKind.REFUSED:
            return LogError(failure.message)
        case WriteFailureKind.ABORT | WriteFailureKind.DOUBT:
            return TransactionAbortedError(failure.message)
