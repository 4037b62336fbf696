"""Every stage of a partition against every event."""

from collections.abc import Callable

import pytest

from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.fetch.messages import AskBounds, Fetch, FetchAnswer, FetchedPartition, PartitionFetch
from headrace.kafka.fetch.partition import Stage
from tests.kafka.fetch.drive import Driven, P, nothing, records, told

STAGES = list(Stage)


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

# Where a row says nothing, the stage stays. FETCHING and ASKING are left as soon as another leader is known.
EVERYWHERE = {
    "unassigned": None,
    "missing": Stage.FAILED,
    "denied": Stage.FAILED,
    "made again": Stage.FAILED,
}
ELSEWHERE: dict[tuple[Stage, str], Stage] = {
    (Stage.LEADERLESS, "same leader"): Stage.READY,
    (Stage.LEADERLESS, "other leader"): Stage.READY,
    # The first news of a topic: nothing is older, and no other id is known.
    (Stage.LEADERLESS, "older leader"): Stage.READY,
    (Stage.LEADERLESS, "made again"): Stage.READY,
    (Stage.READY, "assigned again"): Stage.READY,
    **{
        (stage, "other leader"): Stage.READY
        for stage in STAGES
        if stage not in {Stage.LEADERLESS, Stage.FAILED}
    },
    # What is known of the leaders is used at once.
    **{(stage, "assigned again"): Stage.READY for stage in STAGES if stage is not Stage.LEADERLESS},
    **{
        (stage, "request failed"): Stage.LEADERLESS
        for stage in (Stage.FETCHING, Stage.ASKING_FIRST, Stage.ASKING_END)
    },
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_each_event_leads_each_stage_to_the_one_listed(stage: Stage, event: str) -> None:
    driven = Driven().reach(stage)
    assert driven.stage is stage
    EVENTS[event](driven)
    expected = ELSEWHERE.get((stage, event), EVERYWHERE.get(event, stage))
    assert driven.stage is expected


ANSWERS = {
    "NONE": Stage.READY,
    "OFFSET_OUT_OF_RANGE": Stage.WANTS_FIRST,
    "UNKNOWN_SERVER_ERROR": Stage.READY,
    "NOT_LEADER_OR_FOLLOWER": Stage.LEADERLESS,
    "UNKNOWN_TOPIC_OR_PARTITION": Stage.LEADERLESS,
    "FENCED_LEADER_EPOCH": Stage.LEADERLESS,
    "TOPIC_AUTHORIZATION_FAILED": Stage.FAILED,
    "CORRUPT_MESSAGE": Stage.FAILED,
    "INVALID_GROUP_ID": Stage.FAILED,
}


@pytest.mark.parametrize("code", ANSWERS)
def test_answer_to_a_fetch_leads_to_the_stage_listed(code: str) -> None:
    driven = Driven().reach(Stage.FETCHING)
    driven.answer(FetchedPartition(P, ErrorCode[code], next_offset=10))
    assert driven.stage is ANSWERS[code]


def test_fetch_that_names_no_partition_is_sent_again_after_a_pause() -> None:
    driven = Driven().reach(Stage.FETCHING)
    driven.answer()
    assert driven.send() == []
    assert [type(each) for each in driven.wait(0.1)] == [Fetch]


def test_error_of_the_whole_answer_is_one_of_each_partition() -> None:
    driven = Driven().reach(Stage.FETCHING)
    driven.answer(error=ErrorCode.UNSUPPORTED_VERSION)
    assert driven.stage is Stage.FAILED


BOUNDS = {
    "NONE": (Stage.WANTS_END, Stage.FAILED),
    "NOT_LEADER_OR_FOLLOWER": (Stage.LEADERLESS, Stage.LEADERLESS),
    "OFFSET_NOT_AVAILABLE": (Stage.LEADERLESS, Stage.LEADERLESS),
    "UNKNOWN_SERVER_ERROR": (Stage.WANTS_FIRST, Stage.WANTS_END),
    "TOPIC_AUTHORIZATION_FAILED": (Stage.FAILED, Stage.FAILED),
}


@pytest.mark.parametrize("code", BOUNDS)
def test_answer_with_a_bound_leads_to_the_stage_listed(code: str) -> None:
    for asking, expected in zip((Stage.ASKING_FIRST, Stage.ASKING_END), BOUNDS[code], strict=True):
        driven = Driven().reach(asking)
        driven.bound(20, ErrorCode[code])
        assert driven.stage is expected


def test_position_within_the_bounds_is_tried_again_and_given_up_at_the_third_time() -> None:
    driven = Driven().reach(Stage.READY)
    for expected in (Stage.READY, Stage.READY, Stage.FAILED):
        driven.wait(2.0)
        driven.answer(FetchedPartition(P, ErrorCode.OFFSET_OUT_OF_RANGE))
        driven.bound(0)
        driven.bound(20)
        assert driven.stage is expected


def test_empty_answer_asks_at_once_again() -> None:
    driven = Driven().reach(Stage.FETCHING)
    driven.answer(nothing(10))
    assert [type(each) for each in driven.send()] == [Fetch]
