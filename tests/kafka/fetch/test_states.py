"""Every phase of a partition against every event."""

from collections.abc import Callable

import pytest

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.messages import AskBounds, Fetch, FetchAnswer, FetchedPartition, PartitionFetch
from headrace.kafka.fetch.partition import FetchPhase
from tests.kafka.fetch.drive import Driven, P, nothing, records, told

PHASES = list(FetchPhase)


def stale(driven: Driven) -> None:
    """An answer to a request of an assignment before this one."""
    fetch = Fetch(1, (PartitionFetch(P, 0, 10, 5, -1),), 500, 1, 100, 100, "")
    driven.machine.fetched(fetch, FetchAnswer([records(50, 99)]), driven.now)
    assert not driven.state.runs


def failed(driven: Driven) -> None:
    for request in [each for each in driven.open if isinstance(each, Fetch | AskBounds)]:
        driven.fail(request)


def missing(driven: Driven) -> None:
    driven.hear(told(error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
    driven.now += 1.5
    driven.hear(told(error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))


EVENTS: dict[str, Callable[[Driven], None]] = {
    "assigned again": lambda driven: driven.machine.assign({P: 10}, driven.now),
    "unassigned": lambda driven: driven.machine.unassign([P]),
    "paused": lambda driven: driven.machine.pause([P]),
    "resumed": lambda driven: driven.machine.resume([P]),
    "same leader": lambda driven: driven.hear(told(1, 5)),
    "other leader": lambda driven: driven.hear(told(2, 6)),
    "older leader": lambda driven: driven.hear(told(0, 4)),
    "no leader": lambda driven: driven.hear(told(-1, 6)),
    "doubted": lambda driven: driven.hear(told(error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)),
    "missing": missing,
    "denied": lambda driven: driven.hear(told(error=ErrorCode.TOPIC_AUTHORIZATION_FAILED)),
    "made again": lambda driven: driven.hear(told(1, 0, id="other")),
    "stale answer": stale,
    "request failed": failed,
}

# Where a row says nothing, the phase stays. FETCHING and ASKING are left as soon as another leader is known.
EVERYWHERE = {
    "unassigned": None,
    "missing": FetchPhase.FAILED,
    "denied": FetchPhase.FAILED,
    "made again": FetchPhase.FAILED,
}
ELSEWHERE: dict[tuple[FetchPhase, str], FetchPhase] = {
    (FetchPhase.LEADERLESS, "same leader"): FetchPhase.READY,
    (FetchPhase.LEADERLESS, "other leader"): FetchPhase.READY,
    # The first news of a topic: nothing is older, and no other id is known.
    (FetchPhase.LEADERLESS, "older leader"): FetchPhase.READY,
    (FetchPhase.LEADERLESS, "made again"): FetchPhase.READY,
    (FetchPhase.READY, "assigned again"): FetchPhase.READY,
    **{
        (phase, "other leader"): FetchPhase.READY
        for phase in PHASES
        if phase not in {FetchPhase.LEADERLESS, FetchPhase.FAILED}
    },
    # What is known of the leaders is used at once.
    **{(phase, "assigned again"): FetchPhase.READY for phase in PHASES if phase is not FetchPhase.LEADERLESS},
    **{
        (phase, "request failed"): FetchPhase.LEADERLESS
        for phase in (FetchPhase.FETCHING, FetchPhase.ASKING_FIRST, FetchPhase.ASKING_END)
    },
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_each_event_leads_each_phase_to_the_one_listed(phase: FetchPhase, event: str) -> None:
    driven = Driven().reach(phase)
    assert driven.phase is phase
    EVENTS[event](driven)
    expected = ELSEWHERE.get((phase, event), EVERYWHERE.get(event, phase))
    assert driven.phase is expected


ANSWERS = {
    "NONE": FetchPhase.READY,
    "OFFSET_OUT_OF_RANGE": FetchPhase.WANTS_FIRST,
    "UNKNOWN_SERVER_ERROR": FetchPhase.READY,
    "NOT_LEADER_OR_FOLLOWER": FetchPhase.LEADERLESS,
    "UNKNOWN_TOPIC_OR_PARTITION": FetchPhase.LEADERLESS,
    "FENCED_LEADER_EPOCH": FetchPhase.LEADERLESS,
    "TOPIC_AUTHORIZATION_FAILED": FetchPhase.FAILED,
    "CORRUPT_MESSAGE": FetchPhase.FAILED,
    "INVALID_GROUP_ID": FetchPhase.FAILED,
}


@pytest.mark.parametrize("code", ANSWERS)
def test_answer_to_a_fetch_leads_to_the_phase_listed(code: str) -> None:
    driven = Driven().reach(FetchPhase.FETCHING)
    driven.answer(FetchedPartition(P, ErrorCode[code], next_offset=10))
    assert driven.phase is ANSWERS[code]


def test_fetch_that_names_no_partition_is_sent_again_after_a_pause() -> None:
    driven = Driven().reach(FetchPhase.FETCHING)
    driven.answer()
    assert driven.send() == []
    assert [type(each) for each in driven.wait(0.1)] == [Fetch]


def test_error_of_the_whole_answer_is_one_of_each_partition() -> None:
    driven = Driven().reach(FetchPhase.FETCHING)
    driven.answer(error=ErrorCode.UNSUPPORTED_VERSION)
    assert driven.phase is FetchPhase.FAILED


BOUNDS = {
    "NONE": (FetchPhase.WANTS_END, FetchPhase.FAILED),
    "NOT_LEADER_OR_FOLLOWER": (FetchPhase.LEADERLESS, FetchPhase.LEADERLESS),
    "OFFSET_NOT_AVAILABLE": (FetchPhase.LEADERLESS, FetchPhase.LEADERLESS),
    "UNKNOWN_SERVER_ERROR": (FetchPhase.WANTS_FIRST, FetchPhase.WANTS_END),
    "TOPIC_AUTHORIZATION_FAILED": (FetchPhase.FAILED, FetchPhase.FAILED),
}


@pytest.mark.parametrize("code", BOUNDS)
def test_answer_with_a_bound_leads_to_the_phase_listed(code: str) -> None:
    for asking, expected in zip((FetchPhase.ASKING_FIRST, FetchPhase.ASKING_END), BOUNDS[code], strict=True):
        driven = Driven().reach(asking)
        driven.bound(20, ErrorCode[code])
        assert driven.phase is expected


def test_position_within_the_bounds_is_tried_again_and_given_up_at_the_third_time() -> None:
    driven = Driven().reach(FetchPhase.READY)
    for expected in (FetchPhase.READY, FetchPhase.READY, FetchPhase.FAILED):
        driven.wait(2.0)
        driven.answer(FetchedPartition(P, ErrorCode.OFFSET_OUT_OF_RANGE))
        driven.bound(0)
        driven.bound(20)
        assert driven.phase is expected


def test_empty_answer_asks_at_once_again() -> None:
    driven = Driven().reach(FetchPhase.FETCHING)
    driven.answer(nothing(10))
    assert [type(each) for each in driven.send()] == [Fetch]
