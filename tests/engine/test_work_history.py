"""An hour of what a thread has done."""

from headrace.engine.thread_figures import ThreadFigures
from headrace.engine.work_history import SAMPLES_MAX, WorkHistory, WorkSample, merged


class Thread:
    """A thread's figures, by a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.figures = ThreadFigures(lambda: self.now)
        self.history = WorkHistory(self.figures)

    def work(self, until: float, records: int, *commits: float) -> None:
        self.now = until
        if records:
            self.figures.turns.record(1.0, until, records)
        for took in commits:
            self.figures.commits.record(took, until)
        self.history.note(until)


def test_samples_tell_what_was_done_in_each() -> None:
    thread = Thread()
    thread.work(1004.0, 40)
    thread.work(1010.0, 60, 5.0, 7.0)
    thread.work(1013.0, 30)
    assert thread.history.samples(1015.0) == [
        WorkSample(100, 10.0, 100.0, 2, 12.0, 7.0),
        WorkSample(101, 5.0, 30.0, 0, 0.0, 7.0),
    ]


def test_turn_that_takes_long_is_told_evenly() -> None:
    thread = Thread()
    thread.work(1030.0, 300, 9.0)
    assert [(each.number, each.records, each.commits) for each in thread.history.samples(1030.0)] == [
        (100, 100.0, 0),
        (101, 100.0, 0),
        (102, 100.0, 1),
        (103, 0.0, 0),
    ]


def test_what_is_older_than_an_hour_is_forgotten() -> None:
    thread = Thread()
    for number in range(1, 2 * SAMPLES_MAX):
        thread.work(1000.0 + 10 * number, 1)
    found = thread.history.samples(thread.now)
    assert (len(found), found[-1].number - found[0].number) == (SAMPLES_MAX, SAMPLES_MAX - 1)
    [last] = thread.history.samples(thread.now + 3600.0)[-1:]
    assert last.number == int(thread.now + 3600) // 10


def test_threads_are_added_up() -> None:
    one, other = WorkSample(7, 10.0, 3.0, 1, 5.0, 5.0), WorkSample(7, 4.0, 4.0, 1, 2.0, 2.0)
    assert merged([[one], [other, WorkSample(8, 10.0, 1.0, 0, 0.0, 0.0)]]) == [
        WorkSample(7, 10.0, 7.0, 2, 7.0, 5.0),
        WorkSample(8, 10.0, 1.0, 0, 0.0, 0.0),
    ]
