"""When the next commit is due."""

from headrace.engine.commit_schedule import CommitSchedule


def test_commit_is_due_after_the_interval() -> None:
    schedule = CommitSchedule(100)
    schedule.begin(10.0)
    assert not schedule.is_due(10.09, is_busy=True)
    assert schedule.is_due(10.1, is_busy=True)
    assert schedule.idle_wait_ms(10.05) == 49  # cut, not rounded: floats


def test_slow_commits_take_at_most_a_tenth_of_a_busy_workers_time() -> None:
    schedule = CommitSchedule(100)
    schedule.committed(20.0, 20.5)
    assert not schedule.is_due(24.9, is_busy=True)
    assert schedule.is_due(25.0, is_busy=True)


def test_idle_worker_commits_after_the_interval_however_slow_the_last_commit_was() -> None:
    schedule = CommitSchedule(100)
    schedule.committed(20.0, 20.5)
    assert not schedule.is_due(20.55, is_busy=False)
    assert schedule.is_due(20.61, is_busy=False)
