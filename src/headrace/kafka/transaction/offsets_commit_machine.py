"""A producer without a transactional id, without IO: its id, and the group's offsets after its records (at least once).

What is durable when: each batch when it is acknowledged, and seen by everybody then; the offsets after all of them. A
crash between the two reads, and writes, the same records again.

# Invariant: offsets are committed only after every batch before them is acknowledged (`CommitRequested` says so).
"""

from collections.abc import Mapping

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.transaction.errors import TransactionRemedy, advice, remedy
from headrace.kafka.transaction.messages import (
    NO_IDENTITY,
    NO_MEMBER,
    AbortRequested,
    Answer,
    Answered,
    CommitFailed,
    CommitRequested,
    CoordinatorKind,
    Event,
    FindCoordinator,
    InitProducer,
    OffsetCommit,
    Opened,
    RequestFailed,
    Touched,
    TransactionLimits,
    TransactionRequest,
)
from headrace.kafka.transaction.pacing import Pacing
from headrace.kafka.transaction.state import LEGAL, SETTLED, IllegalEventError, ProducerState
from headrace.kafka.transaction.text import STOP_OTHERS, attempt, worst
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind
from headrace.log.port import CommittedOffset

__all__ = ["OffsetsCommitMachine"]

_NEVER = float("inf")


class OffsetsCommitMachine:
    """Has the face of `TransactionMachine`, with fewer states: a transaction is what lies between two commits."""

    #: Nothing delayed is kept away: who reads sees all that was ever written.
    waits_for_broker = False

    def __init__(self, group: str, limits: TransactionLimits) -> None:
        self._group = group
        self._limits = limits
        self.state = ProducerState.UNINITIALIZED
        self.identity = NO_IDENTITY
        self.was_committed = False
        self.failure: WriteFailure | None = None
        self.stale_epoch: str | None = None
        self._coordinator: int | None = None
        self._in_flight: TransactionRequest | None = None
        self._pacing = Pacing(limits)
        self._offsets: Mapping[TopicPartition, CommittedOffset] = {}
        self._member = NO_MEMBER

    def is_admitted(self, topic_partition: TopicPartition) -> bool:
        """Whether a partition may be written to: always."""
        return True

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves until somebody asks for something."""
        return self.state in SETTLED

    def next_time(self) -> float:
        """Return when `due` will have a request, if nothing else happens; inf if never."""
        return _NEVER if self._in_flight is not None or self.is_settled else self._pacing.retry_at

    def handle(self, event: Event, now: float) -> None:
        """Take notice of an event.

        Raises:
            IllegalEventError: the state does not know it, or it answers a request that is not under way.
        """
        if type(event) not in LEGAL[self.state]:
            raise IllegalEventError(f"{type(event).__name__} in state {self.state.name}")
        match event:
            case Opened():
                self._start(ProducerState.INITIALIZING)
            case Touched():
                self.state = ProducerState.IN_TRANSACTION
                self.was_committed = False
            case CommitRequested():
                self._commit(event)
            case AbortRequested():
                if self.state is not ProducerState.FATAL:
                    self.failure = None
                    if self.state is not ProducerState.READY:
                        # What is under way belongs to the id that we had; with another one nothing is mistaken.
                        self._start(ProducerState.INITIALIZING)
            case CommitFailed():
                self._fail(event.failure)
            case Answered() | RequestFailed():
                if event.request is not self._in_flight:
                    raise IllegalEventError(f"{type(event.request).__name__} is not under way")
                self._in_flight = None
                if isinstance(event, Answered):
                    self._take(event.request, event.answer, now)
                else:
                    self._lose(event, now)

    def _commit(self, event: CommitRequested) -> None:
        self.was_committed, self.stale_epoch = not event.offsets, None
        self._offsets, self._member = event.offsets, event.member
        self._start(ProducerState.COMMITTING_OFFSETS if event.offsets else ProducerState.READY)

    def _fail(self, failure: WriteFailure) -> None:
        if self.failure is None:
            self.failure = failure
            self._start(ProducerState.ABORT_NEEDED)

    def due(self, now: float) -> TransactionRequest | None:
        """Return the request to send now, if there is one. Each is followed by `Answered` or `RequestFailed`."""
        if self._in_flight is not None or now < self._pacing.retry_at or self.is_settled:
            return None
        if self.state is ProducerState.INITIALIZING:
            self._in_flight = InitProducer(None, None, self._limits.timeout_ms)
        elif self._coordinator is None:
            self._in_flight = FindCoordinator(CoordinatorKind.GROUP, self._group)
        else:
            self._in_flight = OffsetCommit(self._coordinator, self._group, self._member, self._offsets)
        return self._in_flight

    def _take(self, request: TransactionRequest, answer: Answer, now: float) -> None:
        code, topic_partition = worst(request, answer)
        found = remedy(request, code)
        if found is TransactionRemedy.TAKE:
            self._succeed(request, answer)
            return
        if found is TransactionRemedy.MISSING and not self._pacing.is_missing(now):
            found = TransactionRemedy.RETRY
        if found in (TransactionRemedy.RETRY, TransactionRemedy.BUSY, TransactionRemedy.FIND_COORDINATOR):
            if found is TransactionRemedy.FIND_COORDINATOR:
                self._coordinator = None
            self._pacing.pause(now, is_busy=False)
            return
        said = f"{answer.detail} ({code.name})" if answer.detail else f"the broker answers {code.name}"
        where = f", {topic_partition}" if topic_partition is not None else ""
        text = f"{attempt(request)}{where}: {said}; {advice(code)}"
        if self.state is ProducerState.INITIALIZING and not isinstance(request, InitProducer):
            return  # of a commit that was given up meanwhile
        if (
            found is TransactionRemedy.ABORT
            and code is ErrorCode.UNKNOWN_MEMBER_ID
            and self._member == NO_MEMBER
        ):
            # Others process the same records. Each new try would write its records once more.
            text, found = f"{text}. {STOP_OTHERS}", TransactionRemedy.HOPELESS
        if found is TransactionRemedy.STALE:
            self.stale_epoch = text
            self._start(ProducerState.IN_TRANSACTION)
        elif found in (
            TransactionRemedy.ABORT,
            TransactionRemedy.DOUBT,
            TransactionRemedy.RENEW,
            TransactionRemedy.FENCED,
        ):
            self._fail(WriteFailure(WriteFailureKind.ABORT, text, topic_partition))
        elif found is TransactionRemedy.MISSING:
            self._fail(WriteFailure(WriteFailureKind.MISSING, text, topic_partition))
        elif found is TransactionRemedy.HOPELESS:
            self._fail(WriteFailure(WriteFailureKind.HOPELESS, text, topic_partition))
        else:
            self._end(text)

    def _lose(self, event: RequestFailed, now: float) -> None:
        """No answer: asked again. A commit of offsets does no harm twice."""
        self._coordinator = None
        if event.is_fatal:
            self._end(f"{attempt(event.request)}: {event.detail}")
        else:
            self._pacing.pause(now, is_busy=False)

    def _succeed(self, request: TransactionRequest, answer: Answer) -> None:
        if isinstance(request, FindCoordinator):
            self._coordinator = answer.node_id
            self._pacing.begin()
        elif isinstance(request, InitProducer):
            self.identity = answer.identity
            self._start(ProducerState.READY)
        elif self.state is ProducerState.COMMITTING_OFFSETS:
            self.was_committed = True
            self._offsets = {}
            self._start(ProducerState.READY)

    def _start(self, state: ProducerState) -> None:
        self.state = state
        self._pacing.begin()

    def _end(self, text: str) -> None:
        self.failure = WriteFailure(WriteFailureKind.HOPELESS, text)
        self._start(ProducerState.FATAL)
