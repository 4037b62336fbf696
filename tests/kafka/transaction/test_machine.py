"""A transactional producer's machine: every (state, event) pair, every error code of every request, and the rules."""

import pytest

from headrace.base.ids import TopicPartition
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.transaction.errors import TransactionRemedy, advice, remedy
from headrace.kafka.transaction.machine import TransactionMachine
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
    GroupMember,
    InitProducer,
    OffsetCommit,
    Opened,
    ProducerIdentity,
    RequestFailed,
    Touched,
    TransactionalOffsetCommit,
    TransactionLimits,
    TransactionRequest,
)
from headrace.kafka.transaction.offsets_commit_machine import OffsetsCommitMachine
from headrace.kafka.transaction.state import LEGAL, IllegalEventError, ProducerState
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind
from headrace.log.port import CommittedOffset

A0 = TopicPartition("a", 0)
IN0 = TopicPartition("in", 0)
OFFSETS = {IN0: CommittedOffset(7, "m")}
MINE = ProducerIdentity(5, 3)
NEXT = ProducerIdentity(5, 4)
E = ErrorCode
BROKEN = WriteFailure(WriteFailureKind.ABORT, "broken")


class Talk:
    """A machine with somebody who answers it. `now` moves by a second with each question."""

    def __init__(self, *, is_newest: bool = True) -> None:
        limits = TransactionLimits(timeout_ms=10_000)
        self.machine = TransactionMachine("app", "group", limits, is_newest_protocol=is_newest)
        self.now = 0.0

    def tell(self, event: Event) -> "Talk":
        self.machine.handle(event, self.now)
        return self

    def asked(self) -> TransactionRequest:
        self.now += 1
        request = self.machine.due(self.now)
        assert request is not None
        return request

    def answer(self, code: ErrorCode = E.NONE, identity: ProducerIdentity = NO_IDENTITY) -> "Talk":
        """Answer the next request, finding coordinators on the way."""
        request = self.asked()
        while isinstance(request, FindCoordinator):
            self.tell(Answered(request, Answer(node_id=1)))
            request = self.asked()
        errors = {}
        if isinstance(request, AddPartitions):
            errors = dict.fromkeys(request.topic_partitions, code)
        elif isinstance(request, TransactionalOffsetCommit):
            errors = dict.fromkeys(request.offsets, code)
        return self.tell(Answered(request, Answer(E.NONE if errors else code, errors, identity=identity)))

    def lose(self) -> "Talk":
        """Let the answer to the next request be lost."""
        request = self.asked()
        while isinstance(request, FindCoordinator):
            self.tell(Answered(request, Answer(node_id=1)))
            request = self.asked()
        return self.tell(RequestFailed(request, was_sent=True))


def ready(*, is_newest: bool = True) -> Talk:
    return Talk(is_newest=is_newest).tell(Opened()).answer(identity=MINE)


def in_state(state: ProducerState) -> Talk:
    """Lead a machine of the newest protocol into a state."""
    if state is ProducerState.UNINITIALIZED:
        return Talk()
    if state is ProducerState.INITIALIZING:
        return Talk().tell(Opened())
    talk = ready()
    if state is ProducerState.READY:
        return talk
    if state is ProducerState.FATAL:
        return talk.tell(CommitRequested(OFFSETS)).answer(E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if state is ProducerState.COMMITTING_OFFSETS:
        return talk.tell(CommitRequested(OFFSETS))
    talk.tell(Touched((A0,)))
    if state is ProducerState.ENDING_COMMIT:
        talk.tell(CommitRequested({}))
    elif state is ProducerState.ABORT_NEEDED:
        talk.tell(CommitFailed(BROKEN))
    elif state is ProducerState.ENDING_ABORT:
        talk.tell(AbortRequested())
    elif state is ProducerState.FENCED:
        talk.tell(AbortRequested()).answer(E.PRODUCER_FENCED)
    return talk


def event_of(kind: type[Event], talk: Talk) -> Event:
    request = talk.machine.due(talk.now + 1) or FindCoordinator(CoordinatorKind.GROUP, "other")
    answered: dict[type[Event], Event] = {
        Answered: Answered(request, Answer(node_id=1)),
        RequestFailed: RequestFailed(request, was_sent=True),
        Opened: Opened(),
        Touched: Touched((A0,)),
        CommitRequested: CommitRequested(OFFSETS),
        AbortRequested: AbortRequested(),
        CommitFailed: CommitFailed(BROKEN),
    }
    return answered[kind]


KINDS: list[type[Event]] = [
    Opened, Touched, CommitRequested, AbortRequested, CommitFailed, Answered, RequestFailed
]  # fmt: skip

#: The state after each event, where a state takes it; of answers, those of a coordinator just found.
AFTER = {
    (ProducerState.UNINITIALIZED, Opened): ProducerState.INITIALIZING,
    (ProducerState.INITIALIZING, Answered): ProducerState.INITIALIZING,
    (ProducerState.INITIALIZING, RequestFailed): ProducerState.INITIALIZING,
    (ProducerState.READY, Touched): ProducerState.IN_TRANSACTION,
    (ProducerState.READY, CommitRequested): ProducerState.COMMITTING_OFFSETS,
    (ProducerState.READY, AbortRequested): ProducerState.READY,
    (ProducerState.IN_TRANSACTION, Touched): ProducerState.IN_TRANSACTION,
    (ProducerState.IN_TRANSACTION, CommitRequested): ProducerState.COMMITTING_OFFSETS,
    (ProducerState.IN_TRANSACTION, AbortRequested): ProducerState.ENDING_ABORT,
    (ProducerState.IN_TRANSACTION, CommitFailed): ProducerState.ABORT_NEEDED,
    (ProducerState.COMMITTING_OFFSETS, AbortRequested): ProducerState.ENDING_ABORT,
    (ProducerState.COMMITTING_OFFSETS, CommitFailed): ProducerState.ABORT_NEEDED,
    (ProducerState.COMMITTING_OFFSETS, Answered): ProducerState.COMMITTING_OFFSETS,
    (ProducerState.COMMITTING_OFFSETS, RequestFailed): ProducerState.COMMITTING_OFFSETS,
    (ProducerState.ENDING_COMMIT, Answered): ProducerState.INITIALIZING,  # an answer without the next epoch
    (ProducerState.ENDING_COMMIT, RequestFailed): ProducerState.ENDING_COMMIT,
    (ProducerState.ABORT_NEEDED, AbortRequested): ProducerState.ENDING_ABORT,
    (ProducerState.ABORT_NEEDED, CommitFailed): ProducerState.ABORT_NEEDED,
    (ProducerState.ENDING_ABORT, Answered): ProducerState.INITIALIZING,
    (ProducerState.ENDING_ABORT, RequestFailed): ProducerState.ENDING_ABORT,
    (ProducerState.FENCED, AbortRequested): ProducerState.FENCED,
    (ProducerState.FENCED, CommitFailed): ProducerState.FENCED,
    (ProducerState.FATAL, AbortRequested): ProducerState.FATAL,
    (ProducerState.FATAL, CommitFailed): ProducerState.FATAL,
}


@pytest.mark.parametrize("state", ProducerState)
@pytest.mark.parametrize("kind", KINDS)
def test_every_state_takes_an_event_or_refuses_it(state: ProducerState, kind: type[Event]) -> None:
    talk = in_state(state)
    assert talk.machine.state is state
    event = event_of(kind, talk)
    after = AFTER.get((state, kind))
    if after is not None:
        assert kind in LEGAL[state]
        talk.tell(event)
        assert talk.machine.state is after
        return
    # Answers are legal wherever a request may be left from before, but here none is under way.
    with pytest.raises(IllegalEventError):
        talk.tell(event)
    assert talk.machine.state is state


REQUESTS: list[TransactionRequest] = [
    FindCoordinator(CoordinatorKind.TRANSACTION, "app"),
    FindCoordinator(CoordinatorKind.GROUP, "group"),
    InitProducer(1, "app", 10_000),
    InitProducer(1, "app", 10_000, MINE),
    AddPartitions(1, "app", MINE, (A0,)),
    AddOffsets(1, "app", MINE, "group"),
    TransactionalOffsetCommit(1, "app", MINE, "group", NO_MEMBER, OFFSETS),
    OffsetCommit(1, "group", NO_MEMBER, OFFSETS),
    EndTransaction(1, "app", MINE, is_commit=True),
    EndTransaction(1, "app", MINE, is_commit=False),
]


def reach(kind: TransactionRequest) -> tuple[Talk, TransactionRequest]:
    """Lead a machine to where it sends such a request."""
    is_newest = not isinstance(kind, AddPartitions | AddOffsets)
    if isinstance(kind, InitProducer | FindCoordinator) and not (
        isinstance(kind, FindCoordinator) and kind.kind is CoordinatorKind.GROUP
    ):
        talk = Talk().tell(Opened())
    else:
        talk = ready(is_newest=is_newest)
        if isinstance(kind, AddPartitions):
            talk.tell(Touched((A0,)))
        elif isinstance(kind, EndTransaction):
            talk.tell(Touched((A0,))).tell(CommitRequested({}) if kind.is_commit else AbortRequested())
        else:
            talk.tell(CommitRequested(OFFSETS))
    while True:
        request = talk.asked()
        if type(request) is type(kind):
            return talk, request
        talk.tell(Answered(request, Answer(node_id=1)))


@pytest.mark.parametrize(
    "request_", [each for each in REQUESTS if not isinstance(each, OffsetCommit)], ids=str
)
def test_every_code_of_every_request_leads_on(request_: TransactionRequest) -> None:
    for code in ErrorCode:
        talk, request = reach(request_)
        before = talk.machine.state
        talk.tell(Answered(request, Answer(code, identity=NEXT, node_id=1)))
        machine, found = talk.machine, remedy(request, code)
        again = (
            TransactionRemedy.RETRY,
            TransactionRemedy.BUSY,
            TransactionRemedy.FIND_COORDINATOR,
            TransactionRemedy.MISSING,
        )
        if found in again:
            assert (machine.state, machine.failure) == (before, None)
            assert machine.due(talk.now + 0.0001) is None
            assert machine.due(talk.now + 2) is not None
        elif found is TransactionRemedy.STALE:
            assert (machine.state, machine.failure) == (ProducerState.IN_TRANSACTION, None)
            assert code.name in (machine.stale_epoch or "")
        elif found is not TransactionRemedy.TAKE:
            assert machine.failure is not None
            assert code.name in machine.failure.message
            expected = {
                TransactionRemedy.ABORT: {ProducerState.ABORT_NEEDED},
                TransactionRemedy.HOPELESS: {ProducerState.ABORT_NEEDED, ProducerState.FATAL},
                TransactionRemedy.DOUBT: {ProducerState.ENDING_ABORT},
                TransactionRemedy.RENEW: {ProducerState.INITIALIZING},
                # A first commit that is refused is no proof yet; the abort that follows is.
                TransactionRemedy.FENCED: {ProducerState.ENDING_ABORT}
                if before is ProducerState.ENDING_COMMIT
                else {ProducerState.FENCED},
                TransactionRemedy.FATAL: {ProducerState.FATAL},
            }
            assert machine.state in expected[found], code


def test_every_code_of_an_offset_commit_leads_on() -> None:
    for code in ErrorCode:
        machine = OffsetsCommitMachine("group", TransactionLimits())
        machine.handle(Opened(), 0)
        for answer in (Answer(identity=MINE), Answer(node_id=1)):
            if machine.state is ProducerState.READY:
                machine.handle(CommitRequested(OFFSETS), 0)
            request = machine.due(0)
            assert request is not None
            machine.handle(Answered(request, answer), 0)
        request = machine.due(0)
        assert isinstance(request, OffsetCommit)
        machine.handle(Answered(request, Answer(errors={IN0: code})), 0)
        if code is E.NONE:
            assert machine.was_committed
        elif machine.stale_epoch is not None:
            assert (machine.state, machine.failure) == (ProducerState.IN_TRANSACTION, None)
            assert code.name in machine.stale_epoch
        elif machine.failure is None:
            assert machine.state is ProducerState.COMMITTING_OFFSETS
            assert (machine.due(0), machine.due(2) is not None) == (None, True)
        else:
            assert machine.state in (ProducerState.ABORT_NEEDED, ProducerState.FATAL)
            assert code.name in machine.failure.message


def offsets_refused(code: ErrorCode, member: GroupMember) -> OffsetsCommitMachine:
    machine = OffsetsCommitMachine("group", TransactionLimits())
    machine.handle(Opened(), 0)
    for answer in (Answer(identity=MINE), Answer(node_id=1), Answer(errors={IN0: code})):
        if machine.state is ProducerState.READY:
            machine.handle(CommitRequested(OFFSETS, member), 0)
        request = machine.due(0)
        assert request is not None
        machine.handle(Answered(request, answer), 0)
    return machine


def test_offsets_that_a_living_group_refuses_are_not_tried_again_with_all_records() -> None:
    nobody = offsets_refused(E.UNKNOWN_MEMBER_ID, NO_MEMBER).failure
    assert nobody is not None
    assert nobody.kind is WriteFailureKind.HOPELESS
    assert "the group has other members" in nobody.message and "Stop those" in nobody.message
    member = offsets_refused(E.UNKNOWN_MEMBER_ID, GroupMember("m", 3)).failure
    assert member is not None
    assert member.kind is WriteFailureKind.ABORT


def test_transaction_whose_offsets_a_living_group_refuses_is_not_tried_again() -> None:
    nobody = ready().tell(CommitRequested(OFFSETS)).answer(E.UNKNOWN_MEMBER_ID).machine
    assert nobody.state is ProducerState.ABORT_NEEDED
    assert nobody.failure is not None
    assert nobody.failure.kind is WriteFailureKind.HOPELESS
    member = ready().tell(CommitRequested(OFFSETS, GroupMember("m", 3))).answer(E.UNKNOWN_MEMBER_ID).machine
    assert member.failure is not None
    assert member.failure.kind is WriteFailureKind.ABORT


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "WRITE and DESCRIBE the transactional id"),
        (E.GROUP_AUTHORIZATION_FAILED, "READ the group"),
        (E.INVALID_TRANSACTION_TIMEOUT, "transaction.max.timeout.ms"),
        (E.OFFSET_METADATA_TOO_LARGE, "offset.metadata.max.bytes"),
    ],
)
def test_refusals_name_what_to_mend(code: ErrorCode, text: str) -> None:
    assert text in advice(code)


OLD, NEW = GroupMember("m", 3), GroupMember("m", 4)


@pytest.mark.parametrize("is_newest", [True, False])
def test_transaction_whose_member_is_an_epoch_behind_is_committed_as_that_of_the_next(
    is_newest: bool,
) -> None:
    talk = ready(is_newest=is_newest).tell(CommitRequested(OFFSETS, OLD))
    while not isinstance(request := talk.asked(), TransactionalOffsetCommit):
        talk.tell(Answered(request, Answer(node_id=1)))
    talk.tell(Answered(request, Answer(errors={IN0: E.ILLEGAL_GENERATION})))
    machine = talk.machine
    assert (machine.is_settled, machine.was_committed, machine.failure) == (True, False, None)
    assert machine.stale_epoch == (
        "cannot commit offsets of group 'group', in-0: "
        "the coordinator answers ILLEGAL_GENERATION; the group has rebalanced"
    )
    again = talk.tell(CommitRequested(OFFSETS, NEW)).asked()
    assert isinstance(again, TransactionalOffsetCommit)
    assert again.member == NEW
    talk.tell(Answered(again, Answer())).answer(identity=NEXT)
    assert machine.was_committed


def test_offsets_of_a_member_that_is_an_epoch_behind_are_committed_as_that_of_the_next() -> None:
    machine = offsets_refused(E.ILLEGAL_GENERATION, OLD)
    assert (machine.is_settled, machine.was_committed, machine.failure) == (True, False, None)
    machine.handle(CommitRequested(OFFSETS, NEW), 1)
    request = machine.due(1)
    assert isinstance(request, OffsetCommit)
    assert request.member == NEW
    machine.handle(Answered(request, Answer()), 1)
    assert machine.was_committed


# ── the newest protocol ──────────────────────────────────────────────────────────────────────────────────────────────


def test_commit_with_the_newest_protocol_asks_for_offsets_and_end_alone() -> None:
    talk = ready().tell(Touched((A0,)))
    assert talk.machine.is_admitted(A0)
    assert talk.machine.due(9) is None
    talk.tell(CommitRequested(OFFSETS)).answer().answer(identity=NEXT)
    machine = talk.machine
    assert (machine.state, machine.was_committed, machine.identity) == (ProducerState.READY, True, NEXT)


def test_lost_answer_to_a_commit_is_asked_for_with_the_same_epoch() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitRequested({})).lose()
    assert talk.machine.state is ProducerState.ENDING_COMMIT
    request = talk.asked()
    assert isinstance(request, FindCoordinator)
    talk.tell(Answered(request, Answer(node_id=2)))
    assert talk.asked() == EndTransaction(2, "app", MINE, is_commit=True)


def test_commit_repeated_after_a_time_out_is_known_to_have_failed() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitRequested({})).lose().answer(E.INVALID_TXN_STATE)
    assert (talk.machine.state, talk.machine.was_committed) == (ProducerState.ABORT_NEEDED, False)
    talk.tell(AbortRequested()).answer(identity=NEXT)
    assert (talk.machine.state, talk.machine.identity) == (ProducerState.READY, NEXT)


@pytest.mark.parametrize("is_newest", [True, False])
def test_abort_of_what_is_not_open_leaves_no_failure(is_newest: bool) -> None:
    talk = ready(is_newest=is_newest).tell(Touched((A0,))).tell(AbortRequested()).answer(E.INVALID_TXN_STATE)
    assert (talk.machine.state, talk.machine.failure) == (ProducerState.INITIALIZING, None)
    talk.answer(identity=NEXT)
    assert (talk.machine.state, talk.machine.failure) == (ProducerState.READY, None)


def test_commit_repeated_after_a_rival_came_says_that_its_outcome_is_not_known() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitRequested({})).lose().answer(E.PRODUCER_FENCED)
    assert talk.machine.state is ProducerState.FENCED
    assert talk.machine.failure is not None
    assert "outcome of the last commit is not known" in talk.machine.failure.message


def test_refused_epoch_is_a_time_out_where_the_abort_succeeds() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitFailed(WriteFailure(WriteFailureKind.DOUBT, "refused")))
    assert talk.machine.state is ProducerState.ENDING_ABORT
    talk.answer(identity=NEXT)
    assert (talk.machine.state, talk.machine.failure) == (
        ProducerState.READY,
        WriteFailure(WriteFailureKind.DOUBT, "refused"),
    )


def test_refused_epoch_is_a_rival_where_the_abort_is_refused_too() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitFailed(WriteFailure(WriteFailureKind.DOUBT, "refused")))
    assert talk.answer(E.PRODUCER_FENCED).machine.state is ProducerState.FENCED


def test_busy_coordinator_is_asked_again_within_milliseconds() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitRequested({})).answer(E.CONCURRENT_TRANSACTIONS)
    assert talk.machine.next_time() == talk.now + 0.002


def test_producer_id_that_was_used_up_is_replaced_at_the_end_of_a_transaction() -> None:
    talk = ready().tell(Touched((A0,))).tell(CommitRequested({}))
    talk.answer(identity=ProducerIdentity(9, 0))
    assert talk.machine.identity == ProducerIdentity(9, 0)


def test_forgotten_transactional_id_is_renewed_naming_the_old_one() -> None:
    talk = ready().tell(Touched((A0,))).tell(AbortRequested()).answer(E.INVALID_PRODUCER_ID_MAPPING)
    assert talk.asked() == InitProducer(1, "app", 10_000, MINE)


# ── the older protocol ───────────────────────────────────────────────────────────────────────────────────────────────


def test_older_protocol_adds_partitions_and_offsets_first_and_keeps_the_epoch() -> None:
    talk = ready(is_newest=False).tell(Touched((A0,)))
    assert not talk.machine.is_admitted(A0)
    talk.answer()
    assert talk.machine.is_admitted(A0)
    talk.tell(CommitRequested(OFFSETS))
    request = talk.asked()
    assert request == AddOffsets(1, "app", MINE, "group")
    talk.tell(Answered(request, Answer())).answer().answer()
    assert (talk.machine.state, talk.machine.was_committed, talk.machine.identity) == (
        ProducerState.READY,
        True,
        MINE,
    )


def test_older_protocol_takes_a_new_epoch_after_a_lost_answer() -> None:
    talk = ready(is_newest=False).tell(Touched((A0,))).answer().tell(CommitRequested({})).lose().answer()
    assert talk.machine.was_committed
    assert talk.asked() == InitProducer(1, "app", 10_000, MINE)


def test_older_protocol_takes_a_new_epoch_after_an_abort() -> None:
    talk = ready(is_newest=False).tell(Touched((A0,))).answer().tell(AbortRequested()).answer()
    talk.answer(identity=NEXT)
    assert (talk.machine.state, talk.machine.identity) == (ProducerState.READY, NEXT)


def test_older_protocol_tells_a_time_out_from_a_rival_by_asking_one_epoch_later() -> None:
    talk = ready(is_newest=False).tell(Touched((A0,))).answer()
    talk.now += 20
    talk.tell(CommitFailed(WriteFailure(WriteFailureKind.DOUBT, "refused"))).answer(E.PRODUCER_FENCED)
    assert talk.asked() == InitProducer(1, "app", 10_000, NEXT)


def test_older_protocol_is_fenced_where_no_time_out_is_possible() -> None:
    talk = ready(is_newest=False).tell(Touched((A0,))).answer()
    talk.tell(CommitFailed(WriteFailure(WriteFailureKind.DOUBT, "refused"))).answer(E.PRODUCER_FENCED)
    assert talk.machine.state is ProducerState.FENCED
