"""The states of a producer, and the events that each of them knows."""

from collections.abc import Mapping
from enum import Enum, auto

from headrace.kafka.transaction.messages import (
    AbortRequested,
    Answered,
    CommitFailed,
    CommitRequested,
    Event,
    Opened,
    RequestFailed,
    Touched,
)

__all__ = ["LEGAL", "SETTLED", "IllegalEventError", "ProducerState"]


class ProducerState(Enum):
    """Where the producer stands."""

    UNINITIALIZED = auto()
    """It has no identity."""
    INITIALIZING = auto()
    """It asks for one."""
    READY = auto()
    """It has one, and no transaction is open anywhere."""
    IN_TRANSACTION = auto()
    """Records may be at brokers."""
    COMMITTING_OFFSETS = auto()
    """All records are acknowledged; the group's offsets are on their way."""
    ENDING_COMMIT = auto()
    """The commit was asked for: from here on only the coordinator knows the outcome."""
    ABORT_NEEDED = auto()
    """The transaction cannot be committed any more; whoever writes has yet to take notice."""
    ENDING_ABORT = auto()
    """The coordinator is asked to abort."""
    FENCED = auto()
    """Another writer has taken over: nothing is sent any more."""
    FATAL = auto()
    """Nothing is sent any more."""


_TALK = frozenset({Answered, RequestFailed})

#: The events that each state knows. Any other pair is a mistake of the caller's.
LEGAL: Mapping[ProducerState, frozenset[type[Event]]] = {
    ProducerState.UNINITIALIZED: frozenset({Opened}),
    ProducerState.INITIALIZING: _TALK,
    ProducerState.READY: frozenset({Touched, CommitRequested, AbortRequested}),
    ProducerState.IN_TRANSACTION: frozenset({Touched, CommitRequested, AbortRequested, CommitFailed}) | _TALK,
    ProducerState.COMMITTING_OFFSETS: frozenset({AbortRequested, CommitFailed}) | _TALK,
    ProducerState.ENDING_COMMIT: _TALK,
    ProducerState.ABORT_NEEDED: frozenset({AbortRequested, CommitFailed}) | _TALK,
    ProducerState.ENDING_ABORT: _TALK,
    ProducerState.FENCED: frozenset({AbortRequested, CommitFailed}),
    ProducerState.FATAL: frozenset({AbortRequested, CommitFailed}),
}


class IllegalEventError(Exception):
    """The machine was told something that cannot happen in its state: a defect of its driver."""


#: The states in which nothing moves until somebody asks for something.
SETTLED = frozenset(ProducerState) - {
    ProducerState.INITIALIZING,
    ProducerState.COMMITTING_OFFSETS,
    ProducerState.ENDING_COMMIT,
    ProducerState.ENDING_ABORT,
}
