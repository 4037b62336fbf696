"""Punctuations by either clock."""

import pytest

from headrace.engine.punctuation import NEVER, PunctuationQueue


def test_punctuation_runs_at_each_multiple_of_its_interval() -> None:
    queue, ran = PunctuationQueue("stream"), list[int]()
    queue.schedule(10, ran.append, first_due=0)
    for now in (0, 9, 10, 25):
        queue.run_due(now)
    assert ran == [0, 10, 25]


def test_missed_intervals_run_once_and_the_next_is_aligned() -> None:
    queue, ran = PunctuationQueue("wall"), list[int]()
    queue.schedule(10, ran.append, first_due=10)
    queue.run_due(57)
    assert ran == [57]
    assert queue.next_due == 60


def test_cancelled_punctuation_never_runs_again() -> None:
    queue, ran = PunctuationQueue("stream"), list[int]()
    punctuation = queue.schedule(10, ran.append, first_due=0)
    queue.run_due(0)
    punctuation.cancel()
    assert queue.next_due == NEVER
    assert not queue.run_due(100)
    assert ran == [0]


def test_punctuation_may_cancel_itself() -> None:
    queue, ran = PunctuationQueue("stream"), list[int]()

    def once(now: int) -> None:
        ran.append(now)
        punctuation.cancel()

    punctuation = queue.schedule(10, once, first_due=5)
    queue.run_due(5)
    queue.run_due(50)
    assert ran == [5]


def test_failing_punctuation_that_is_resumed_comes_again() -> None:
    queue, ran = PunctuationQueue("stream"), list[int]()

    def fail_first(now: int) -> None:
        ran.append(now)
        if len(ran) == 1:
            raise ValueError("first")

    queue.schedule(10, fail_first, first_due=0)
    with pytest.raises(ValueError, match="first"):
        queue.run_due(0)
    queue.run_due(10)
    assert ran == [0, 10]


def test_equal_due_times_run_in_the_order_of_javas_queue() -> None:
    queue, ran = PunctuationQueue("stream"), list[str]()
    for name in "abc":
        queue.schedule(10, lambda now, name=name: ran.append(name), first_due=0)  # type: ignore[misc]
    queue.run_due(0)
    queue.run_due(10)
    assert "".join(ran) == "acbcba"
