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


def test_transaction_is_not_open_for_longer_than_half_of_its_life_however_slow_commits_are() -> None:
    schedule = CommitSchedule(100, transaction_timeout_ms=10_000)
    schedule.committed(20.0, 22.0)
    assert not schedule.is_due(26.9, is_busy=True)
    assert schedule.is_due(27.0, is_busy=True)


def test_interval_that_was_set_holds_also_above_half_of_a_transactions_life() -> None:
    schedule = CommitSchedule(8_000, transaction_timeout_ms=10_000)
    schedule.committed(20.0, 20.1)
    assert not schedule.is_due(28.0, is_busy=True)
    assert schedule.is_due(28.1, is_busy=True)
