"""What a failed transaction is to whoever called the writer: one of the project's errors."""

from headrace.base.errors import (
    FencedError,
    HeadraceError,
    LogError,
    ProductionError,
    TransactionAbortedError,
    UnknownTopicError,
)
from headrace.kafka.produce_messages import Failure, FailureKind
from headrace.kafka.transaction_state import State

__all__ = ["error_of"]


def error_of(failure: Failure, state: State) -> HeadraceError:
    """Make the error for a failure, found in a state of the producer."""
    if state is State.FENCED:
        return FencedError(failure.message)
    match failure.kind:
        case FailureKind.MISSING:
            return UnknownTopicError(failure.message)
        case FailureKind.REFUSED if failure.place is not None:
            return ProductionError(
                failure.message, topic=failure.place.topic, partition=failure.place.partition
            )
        case FailureKind.HOPELESS | FailureKind.REFUSED:
            return LogError(failure.message)
        case FailureKind.ABORT | FailureKind.DOUBT:
            return TransactionAbortedError(failure.message)
