"""What is said of brokers that do not answer, and for how long they are waited for."""

import logging

import pytest

from headrace.kafka.net.waiting import ANY_NODE, Waiting


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def waiting(clock: _Clock, caplog: pytest.LogCaptureFixture) -> Waiting:
    caplog.set_level(logging.INFO, "headrace.brokers")
    return Waiting(clock)


def _reason(waiting: Waiting) -> str | None:
    return waiting.reason


def _fail(waiting: Waiting, clock: _Clock, *, seconds: int, node_id: int = 0) -> None:
    for _ in range(seconds):
        waiting.goes_on("reading", node_id, "broker 0 is away")
        clock.now += 1


def test_outage_is_told_at_its_beginning_every_half_minute_and_when_it_ends(
    waiting: Waiting, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    _fail(waiting, clock, seconds=65)
    waiting.is_over("reading", 0)
    waiting.is_over("reading", 0)
    _fail(waiting, clock, seconds=1)
    waiting.is_over("reading", 0)
    assert caplog.messages == [
        "reading waits: broker 0 is away; trying again",
        "reading has waited for 31 s: broker 0 is away; trying again",
        "reading has waited for 61 s: broker 0 is away; trying again",
        "reading goes on, after 65 s",
    ]


def test_outage_is_the_trouble_while_it_lasts(waiting: Waiting, clock: _Clock) -> None:
    _fail(waiting, clock, seconds=1)
    assert _reason(waiting) is None
    _fail(waiting, clock, seconds=1)
    assert _reason(waiting) == "broker 0 is away"
    waiting.is_over("reading", 1)
    assert _reason(waiting) == "broker 0 is away"
    waiting.is_over("reading", 0)
    assert _reason(waiting) is None


def test_outage_that_nobody_tries_to_end_is_forgotten(
    waiting: Waiting, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    _fail(waiting, clock, seconds=2)
    clock.now += 20
    assert _reason(waiting) is None
    _fail(waiting, clock, seconds=2)
    assert caplog.messages == ["reading waits: broker 0 is away; trying again"] * 2


def test_short_refusals_are_not_told(
    waiting: Waiting, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(7):
        if clock.now < 105:
            assert _reason(waiting) is None
        waiting.goes_on("writing", 0, "no leader", after_s=5)
        clock.now += 1
    assert caplog.messages == ["writing has waited for 5 s: no leader; trying again"]
    assert _reason(waiting) == "no leader"


def test_asking_anybody_belongs_to_the_outage_that_is_known(
    waiting: Waiting, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    _fail(waiting, clock, seconds=1)
    _fail(waiting, clock, seconds=40, node_id=ANY_NODE)
    assert _reason(waiting) == "broker 0 is away"
    waiting.is_over("reading", ANY_NODE)
    assert _reason(waiting) == "broker 0 is away"
    waiting.is_over("reading", 0)
    assert _reason(waiting) is None
    assert len(caplog.messages) == 3  # two warnings, and that it is over


def test_hurry_cuts_deadlines_short_and_the_last_one_counts(waiting: Waiting, clock: _Clock) -> None:
    assert waiting.deadline(1000) == 1000
    assert waiting.given_up("request.timeout.ms") == "within request.timeout.ms"
    waiting.hurry(5)
    assert waiting.deadline(1000) == 105
    assert waiting.deadline(101) == 101
    clock.now += 5
    assert waiting.given_up("request.timeout.ms") == "in the time that a stop leaves"
    waiting.hurry(5)
    assert waiting.deadline(1000) == 110
    _fail(waiting, clock, seconds=2)
    assert waiting.given_up("10 s") == "within 10 s (broker 0 is away)"


def test_silence_is_counted_from_the_last_answer(waiting: Waiting, clock: _Clock) -> None:
    waiting.is_over("reading", 0)
    clock.now += 30  # a request waits for as long as it may
    _fail(waiting, clock, seconds=2)
    assert waiting.silence_s == 32
    waiting.is_over("reading", 0)
    assert waiting.silence_s is None
