"""A transactional producer's life without IO: events in, one request at a time out.

What is durable when: nothing of a transaction before its commit (`EndTransaction`) is in the coordinator's log; all of
it, records and offsets, from then on. The answer follows that write; markers reach the partitions a little later.

# Invariant: a commit that may have been sent is asked for again, with the same id and epoch, until the coordinator says
# what became of it. It can: to a repeated commit it answers NONE where the first one succeeded, INVALID_TXN_STATE where
# the transaction was aborted, and PRODUCER_FENCED only after another writer's InitProducerId. The last hides the
# outcome, but such a writer writes nothing more, and whoever follows reads committed offsets.
# (TransactionCoordinator.endTransaction of 4.3; with transactions V2 a repeat carries the epoch before the current.)
# Guarded by test_transaction_simulation.py.

Two protocols. With transactions V2 (KIP-890) brokers add partitions and offsets to the transaction themselves, and
each end of one brings the next epoch, so that nothing delayed can reach the next transaction. In the older one
partitions are added first, the epoch stays, and we ask for the next one (KIP-360) after aborts and lost answers.
"""

from collections.abc import Mapping

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.transaction.errors import TransactionRemedy, advice, remedy
from headrace.kafka.transaction.messages import (
    NO_IDENTITY,
    NO_MEMBER,
    AbortRequested,
    AddOffsets,
    AddPartitions,
    Answer,
    Answered,
    CommitFailed,
    CommitRequested,
    CoordinatorKind,
    EndTransaction,
    Event,
    FindCoordinator,
    InitProducer,
    Opened,
    ProducerIdentity,
    RequestFailed,
    Touched,
    TransactionalOffsetCommit,
    TransactionLimits,
    TransactionRequest,
)
from headrace.kafka.transaction.pacing import Pacing
from headrace.kafka.transaction.state import LEGAL, SETTLED, IllegalEventError, ProducerState
from headrace.kafka.transaction.text import STOP_OTHERS, attempt, taken_over, worst
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind
from headrace.log.port import CommittedOffset

__all__ = ["TransactionMachine"]

_NEVER = float("inf")

_KINDS = {
    TransactionRemedy.ABORT: WriteFailureKind.ABORT,
    TransactionRemedy.HOPELESS: WriteFailureKind.HOPELESS,
    TransactionRemedy.MISSING: WriteFailureKind.MISSING,
}


class TransactionMachine:
    """Decides what to ask coordinators. Time is in seconds of any clock that never goes back.

    Attributes:
        state: see `State`.
        identity: the producer's id and epoch, to be stamped on batches; changes with each transaction, or at need.
        was_committed: whether the last transaction is known to be durable.
        failure: why it cannot be, or was not, committed; cleared by `AbortRequested`. In FENCED and FATAL it stays.
        stale_epoch: what the group has said to the member's epoch, where that is why the last commit was none. The
            transaction is as it was before: it can be committed as the member that the group knows by then.
    """

    def __init__(
        self, transactional_id: str, group: str, limits: TransactionLimits, *, is_newest_protocol: bool
    ) -> None:
        self._transactional_id = transactional_id
        self._group = group
        self._limits = limits
        self._is_newest = is_newest_protocol
        self.state = ProducerState.UNINITIALIZED
        self.identity = NO_IDENTITY
        self.was_committed = False
        self.failure: WriteFailure | None = None
        self.stale_epoch: str | None = None
        self._coordinators: dict[CoordinatorKind, int] = {}
        self._in_flight: TransactionRequest | None = None
        self._pacing = Pacing(limits)
        self._expected = NO_IDENTITY
        self._wanted: dict[TopicPartition, None] = {}
        self._added: set[TopicPartition] = set()
        self._has_added_offsets = False
        self._opened_at: float | None = None
        self._has_lost_answer = False
        self._may_be_committed = False
        self._offsets: Mapping[TopicPartition, CommittedOffset] = {}
        self._member = NO_MEMBER

    # ── what others ask ──────────────────────────────────────────────────────────────────────────────────────────

    def is_admitted(self, topic_partition: TopicPartition) -> bool:
        """Whether a partition may be written to in this transaction."""
        return self._is_newest or topic_partition in self._added

    @property
    def is_settled(self) -> bool:
        """Whether nothing moves until somebody asks for something."""
        return self.state in SETTLED

    @property
    def waits_for_broker(self) -> bool:
        """Whether delayed batches could still get into the transaction: then an abort waits for their answers."""
        return not self._is_newest

    def next_time(self) -> float:
        """Return when `due` will have a request, if nothing else happens; inf if never."""
        if self._in_flight is not None or self._wish() is None:
            return _NEVER
        return self._pacing.retry_at

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, event: Event, now: float) -> None:
        """Take notice of an event.

        Raises:
            IllegalEventError: the state does not know it, or it answers a request that is not under way.
        """
        if type(event) not in LEGAL[self.state]:
            raise IllegalEventError(f"{type(event).__name__} in state {self.state.name}")
        match event:
            case Opened():
                self._initialize(NO_IDENTITY)
            case Touched():
                self._touch(event)
            case CommitRequested():
                self._begin_commit(event)
            case AbortRequested():
                self._begin_abort()
            case CommitFailed():
                self._fail(event.failure)
            case Answered():
                self._check_under_way(event.request)
                self._take(event.request, event.answer, now)
            case RequestFailed():
                self._check_under_way(event.request)
                self._lose(event, now)

    def _check_under_way(self, request: TransactionRequest) -> None:
        if request is not self._in_flight:
            raise IllegalEventError(f"{type(request).__name__} is not under way in state {self.state.name}")

    def _touch(self, event: Touched) -> None:
        self.state = ProducerState.IN_TRANSACTION
        self.was_committed = False
        for topic_partition in event.topic_partitions:
            if topic_partition not in self._added:
                self._wanted[topic_partition] = None

    def _begin_commit(self, event: CommitRequested) -> None:
        if not self._is_newest and self._wanted:
            raise IllegalEventError("a commit before all partitions are in the transaction")
        if self._in_flight is not None:
            raise IllegalEventError("a commit while partitions are being added")
        self.was_committed, self.stale_epoch = False, None
        self._offsets, self._member = event.offsets, event.member
        if self._offsets:
            self.state = ProducerState.COMMITTING_OFFSETS
        elif self.state is ProducerState.IN_TRANSACTION:
            self.state = ProducerState.ENDING_COMMIT
        else:
            raise IllegalEventError("a commit of nothing")

    def _begin_abort(self) -> None:
        if self.state in (ProducerState.FENCED, ProducerState.FATAL):
            return
        self.failure = None
        if self.state is not ProducerState.READY:
            self._start(ProducerState.ENDING_ABORT)

    def _fail(self, failure: WriteFailure) -> None:
        if self.failure is not None:
            return
        self.failure = failure
        if failure.kind is WriteFailureKind.DOUBT:
            self._start(ProducerState.ENDING_ABORT)
        else:
            self.state = ProducerState.ABORT_NEEDED

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: float) -> TransactionRequest | None:
        """Return the request to send now, if there is one. Each is followed by `Answered` or `RequestFailed`."""
        if self._in_flight is not None or now < self._pacing.retry_at:
            return None
        wish = self._wish()
        if wish is None:
            return None
        if isinstance(wish, CoordinatorKind):
            key = self._group if wish is CoordinatorKind.GROUP else self._transactional_id
            self._in_flight = FindCoordinator(wish, key)
        else:
            self._in_flight = wish
        if self._opened_at is None and isinstance(wish, AddPartitions | AddOffsets):
            self._opened_at = now
        return self._in_flight

    def _wish(self) -> TransactionRequest | CoordinatorKind | None:
        """The request that the state calls for, or the coordinator to find before it."""
        kind = CoordinatorKind.TRANSACTION
        if self.state is ProducerState.COMMITTING_OFFSETS and (self._is_newest or self._has_added_offsets):
            kind = CoordinatorKind.GROUP
        elif self.state is ProducerState.IN_TRANSACTION:
            if self._is_newest or not self._wanted:
                return None
        elif self.is_settled:
            return None
        node_id = self._coordinators.get(kind)
        return kind if node_id is None else self._make(node_id)

    def _make(self, node_id: int) -> TransactionRequest:
        name = self._transactional_id
        match self.state:
            case ProducerState.INITIALIZING:
                return InitProducer(node_id, name, self._limits.timeout_ms, self._expected)
            case ProducerState.IN_TRANSACTION:
                return AddPartitions(node_id, name, self.identity, tuple(self._wanted))
            case ProducerState.COMMITTING_OFFSETS:
                if self._is_newest or self._has_added_offsets:
                    return TransactionalOffsetCommit(
                        node_id, name, self.identity, self._group, self._member, self._offsets
                    )
                return AddOffsets(node_id, name, self.identity, self._group)
            case _:
                return EndTransaction(
                    node_id, name, self.identity, is_commit=self.state is ProducerState.ENDING_COMMIT
                )

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, request: TransactionRequest, answer: Answer, now: float) -> None:
        self._in_flight = None
        code, topic_partition = worst(request, answer)
        found = remedy(request, code)
        if found is TransactionRemedy.TAKE:
            self._pacing.begin()
            self._succeed(request, answer)
            return
        if found is TransactionRemedy.MISSING and not self._pacing.is_missing(now):
            found = TransactionRemedy.RETRY
        if found in (TransactionRemedy.RETRY, TransactionRemedy.BUSY, TransactionRemedy.FIND_COORDINATOR):
            if found is TransactionRemedy.FIND_COORDINATOR:
                self._forget_coordinator(request)
            self._pacing.pause(now, is_busy=found is TransactionRemedy.BUSY)
        else:
            self._pacing.begin()
            self._give_up(request, code, topic_partition, found, answer.detail, now)

    def _lose(self, event: RequestFailed, now: float) -> None:
        """No answer: the request may have been carried out. It is asked again, of whoever coordinates now."""
        self._in_flight = None
        request = event.request
        if event.was_sent and not isinstance(request, FindCoordinator):
            self._has_lost_answer = True
            self._may_be_committed |= isinstance(request, EndTransaction) and request.is_commit
        self._forget_coordinator(request)
        if event.is_fatal:
            self._end(ProducerState.FATAL, WriteFailureKind.HOPELESS, f"{attempt(request)}: {event.detail}")
        else:
            self._pacing.pause(now, is_busy=False)

    def _forget_coordinator(self, request: TransactionRequest) -> None:
        is_groups = isinstance(request, TransactionalOffsetCommit)
        self._coordinators.pop(CoordinatorKind.GROUP if is_groups else CoordinatorKind.TRANSACTION, None)

    def _succeed(self, request: TransactionRequest, answer: Answer) -> None:
        match request:
            case FindCoordinator():
                self._coordinators[request.kind] = answer.node_id
            case InitProducer():
                self._renewed(answer.identity)
            case AddPartitions():
                for topic_partition in request.topic_partitions:
                    self._wanted.pop(topic_partition, None)
                    self._added.add(topic_partition)
            case AddOffsets():
                self._has_added_offsets = True
            case TransactionalOffsetCommit():
                if self.state is ProducerState.COMMITTING_OFFSETS:
                    self._start(ProducerState.ENDING_COMMIT)
            case EndTransaction():
                self._ended(request, answer)

    def _ended(self, request: EndTransaction, answer: Answer) -> None:
        self.was_committed = request.is_commit
        if self._is_newest and answer.identity != NO_IDENTITY:
            self._renewed(answer.identity)
        elif request.is_commit and not self._is_newest and not self._has_lost_answer:
            self._renewed(self.identity)
        else:
            # The older protocol keeps the epoch, and something delayed could still reach the next transaction.
            self._initialize(self.identity)

    def _initialize(self, expected: ProducerIdentity) -> None:
        self._expected = expected
        self._start(ProducerState.INITIALIZING)

    def _renewed(self, identity: ProducerIdentity) -> None:
        """No transaction is open now, and nothing of an older one can come after this."""
        self.identity = identity
        self._wanted.clear()
        self._added.clear()
        self._has_added_offsets = False
        self._opened_at = None
        self._has_lost_answer = False
        self._may_be_committed = False
        self._offsets = {}
        self._start(ProducerState.READY)

    def _start(self, state: ProducerState) -> None:
        self.state = state
        self._pacing.begin()

    # ── what cannot be done ──────────────────────────────────────────────────────────────────────────────────────

    def _give_up(
        self,
        request: TransactionRequest,
        code: ErrorCode,
        topic_partition: TopicPartition | None,
        found: TransactionRemedy,
        detail: str,
        now: float,
    ) -> None:
        said = f"{detail} ({code.name})" if detail else f"the coordinator answers {code.name}"
        text = f"{attempt(request)}: {said}"
        if topic_partition is not None:
            text = f"{attempt(request)}, {topic_partition}: {said}"
        todo = advice(code)
        if (
            found is TransactionRemedy.ABORT
            and code is ErrorCode.UNKNOWN_MEMBER_ID
            and self._member == NO_MEMBER
        ):
            # Not tried again: what would be committed when the others have just left was read before they committed.
            todo, found = f"{todo}. {STOP_OTHERS}", TransactionRemedy.HOPELESS
        is_lost = isinstance(request, FindCoordinator) and request.kind is CoordinatorKind.TRANSACTION
        if found is TransactionRemedy.FATAL or is_lost:
            self._end(ProducerState.FATAL, WriteFailureKind.HOPELESS, f"{text}; {advice(code)}")
        elif found is TransactionRemedy.FENCED:
            self._refused(request, text, now)
        elif self.state is ProducerState.ENDING_ABORT and not isinstance(request, EndTransaction):
            # What an older request says of the transaction does not matter: it is being aborted.
            return
        elif found is TransactionRemedy.STALE:
            self.stale_epoch = f"{text}; {todo}"
            self.state = ProducerState.IN_TRANSACTION
        elif found is TransactionRemedy.RENEW:
            self._set_failure(WriteFailureKind.ABORT, f"{text}; {self._doubts()}{advice(code)}")
            self._initialize(self.identity)
        elif found is TransactionRemedy.DOUBT:
            self._set_failure(WriteFailureKind.DOUBT, f"{text}; {advice(code)}")
            self._start(ProducerState.ENDING_ABORT)
        else:
            self._set_failure(_KINDS[found], f"{text}; {todo}", topic_partition)
            self.state = ProducerState.ABORT_NEEDED

    def _refused(self, request: TransactionRequest, text: str, now: float) -> None:
        """The epoch is old. Either another writer has taken over, or (older protocol) the coordinator gave up waiting.

        A time-out there adds 1 to the epoch and gives it to nobody; another writer's start adds 1 to end an open
        transaction, and another 1 for itself. So where the transaction was certainly open, and no commit was sent,
        asking for a new epoch with "mine is one more" succeeds only if nobody else has asked.
        """
        if isinstance(request, EndTransaction) and request.is_commit and not self._may_be_committed:
            self._set_failure(WriteFailureKind.DOUBT, text)
            self._start(ProducerState.ENDING_ABORT)
            return
        is_certain = (
            isinstance(request, EndTransaction) and not self._is_newest and not self._may_be_committed
        )
        if is_certain and self._has_timed_out(now):
            self._set_failure(
                WriteFailureKind.ABORT, f"{text}; it was open for longer than transaction.timeout.ms"
            )
            self._initialize(ProducerIdentity(self.identity.producer_id, self.identity.epoch + 1))
            return
        if self.failure is not None:
            text = self.failure.message
        self._end(
            ProducerState.FENCED,
            WriteFailureKind.DOUBT,
            f"{text}: {taken_over(self._transactional_id, self._limits.timeout_ms)}; {self._doubts()}this one writes "
            f"nothing more",
        )

    def _has_timed_out(self, now: float) -> bool:
        was_open = bool(self._added) or self._has_added_offsets
        opened_at = now if self._opened_at is None else self._opened_at
        return was_open and (now - opened_at) * 1000 >= self._limits.timeout_ms

    def _doubts(self) -> str:
        return "the outcome of the last commit is not known; " if self._may_be_committed else ""

    def _set_failure(
        self, kind: WriteFailureKind, text: str, topic_partition: TopicPartition | None = None
    ) -> None:
        if self.failure is None:
            self.failure = WriteFailure(kind, text, topic_partition)

    def _end(self, state: ProducerState, kind: WriteFailureKind, text: str) -> None:
        if state is ProducerState.FATAL and self.state is ProducerState.ENDING_COMMIT:
            text += "; whether the transaction was committed is not known"
        self.failure = WriteFailure(kind, text)
        self._start(state)
