"""Standbys: stores of tasks that run elsewhere, kept up with their changelogs, and taken over without a restore."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import LogUnavailableError, StateCorruptionError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.status import LagInfo
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicInfo, TopicSpec
from tests.engine.test_assignment import IN_MEMORY, NUMBERS, SUMS, TASKS, Pair, pair, summing, task_of

__all__ = ["pair"]

TASK = TASKS[0]


def in_memory() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().reduce(lambda total, value: total + value, store=IN_MEMORY)
    return builder.build()


def lags(both: Pair) -> Mapping[str, int | None]:
    return both.other.worker.standby_lags()[TASK]


def offset_of(both: Pair, store: str) -> int:
    position = both.other.worker._standbys._following[TASK].rows.positions()[store]
    assert position is not None
    return position.offset


def started(both: Pair, *values: int) -> None:
    """Let one worker run the task and the other follow it, which has caught up."""
    both.one.open(TASK)
    both.other.open_idle()
    both.other.worker.follow([TASK])
    both.write(0, *values)
    both.one.turn()
    both.one.worker.commit()
    both.other.turn()


@pytest.mark.parametrize(("topology", "store"), [(summing, "sums"), (in_memory, "by-parity")])
def test_a_standby_that_has_caught_up_takes_over_without_a_restore(
    pair: Callable[..., Pair],
    caplog: pytest.LogCaptureFixture,
    topology: Callable[[], hr.Topology],
    store: str,
) -> None:
    caplog.set_level("INFO")
    both = pair(topology())
    started(both, *range(1, 100))
    assert lags(both) == {store: 0}
    both.one.worker.lost([TASK])
    both.other.worker.assign([TASK])
    both.write(0, 1000)
    both.settle()
    assert both.stored(store) == {"0": sum(range(1, 100)) + 1000}
    assert "restored" not in caplog.text


def test_a_standby_that_is_behind_takes_over_with_the_rest(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    both = pair(statestore_cache_max_bytes=0)
    started(both, *range(1, 100))
    both.write(0, 5, 6, 7)
    both.one.turn()
    both.one.worker.revoke([TASK])
    both.other.worker.assign([TASK])
    both.check()
    assert "store 'sums' restored 3 records (the gap since its last commit)" in caplog.text


def test_a_task_becomes_a_standby_and_runs_again_with_its_stores_open(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    both = pair()
    both.one.open_idle()
    both.other.open(TASK)
    both.write(0, 1, 2)
    both.other.turn()
    rows = task_of(both.other, TASK).stores.rows
    both.other.worker.revoke([TASK])
    both.other.worker.follow([TASK])
    both.one.worker.assign([TASK])
    both.write(0, 3)
    both.one.turn()
    both.one.worker.commit()
    both.other.turn()
    assert both.other.worker._standbys._following[TASK].rows is rows
    both.one.worker.revoke([TASK])
    caplog.clear()
    both.other.worker.assign([TASK])
    both.check()
    assert task_of(both.other, TASK).stores.rows is rows
    assert "restored" not in caplog.text


def test_a_standby_knows_how_far_it_is(pair: Callable[..., Pair]) -> None:
    both = pair(statestore_cache_max_bytes=0)
    started(both, 1, 2, 3)
    assert (lags(both), offset_of(both, "sums")) == ({"sums": 0}, 3)
    both.write(0, 4, 5)
    both.one.turn()
    both.one.worker.commit()
    assert lags(both) == {"sums": 2}
    both.other.turn()
    both.other.clock.advance(1_000)
    both.other.turn()
    assert (lags(both), offset_of(both, "sums")) == ({"sums": 0}, 5)
    (status,) = both.other.worker.status().standbys
    assert (status.id, status.state, status.remaining) == (TASK, "standby", 0)


def test_what_is_not_committed_is_not_followed(pair: Callable[..., Pair]) -> None:
    both = pair(statestore_cache_max_bytes=0)
    started(both, 1)
    both.write(0, 2)
    both.one.turn()
    both.other.turn()
    both.one.worker.lost([TASK])
    both.other.worker.assign([TASK])
    both.check()


def test_a_standby_that_dies_reads_again_what_it_had_not_written(pair: Callable[..., Pair]) -> None:
    both = pair(statestore_cache_max_bytes=0)
    started(both, 1, 2, 3)
    both.write(0, 4)
    both.one.turn()
    both.one.worker.commit()
    both.other.worker.step(0)
    both.other.close()  # without a last write
    both.one.worker.revoke([TASK])
    both.other.open(TASK)
    both.check()


def test_a_standby_that_is_given_up_writes_how_far_it_is(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    both = pair()
    started(both, *range(1, 100))
    both.other.worker.unfollow([TASK])
    assert both.other.worker.standby_lags() == {}
    both.one.worker.revoke([TASK])
    both.other.close()
    caplog.clear()
    both.other.open(TASK)
    both.check()
    assert "restored" not in caplog.text


def test_tables_own_topic_is_followed_as_far_as_the_group_has_processed_it(pair: Callable[..., Pair]) -> None:
    builder = hr.StreamsBuilder(optimize="all")
    builder.table(NUMBERS, store=stores.key_value("numbers", key=str, value=int))
    both = pair(builder.build())
    both.one.open(TASK)
    both.other.open_idle()
    both.other.worker.follow([TASK])
    both.write(0, 1)
    both.one.turn()
    both.one.worker.commit()
    both.write(0, 2, 3)
    both.other.turn()
    both.other.clock.advance(1_000)
    both.other.turn()
    assert (lags(both), offset_of(both, "numbers")) == ({"numbers": 2}, 1)
    both.one.turn()
    both.one.worker.commit()
    both.other.clock.advance(1_000)
    both.other.turn()
    both.other.clock.advance(1_000)
    both.other.turn()
    assert (lags(both), offset_of(both, "numbers")) == ({"numbers": 0}, 3)


def test_windows_that_have_expired_are_deleted_in_a_standby_too(pair: Callable[..., Pair]) -> None:
    hourly = stores.window("hourly", key=str, value=int, retention="2h")
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().windowed_by(hr.TimeWindows("1h", grace="0s")).count(store=hourly)
    both = pair(builder.build())
    started(both, 1)
    both.write(0, 100 * 3_600_000)
    both.one.turn()
    both.one.worker.commit()
    both.other.turn()
    both.other.clock.advance(1_000)
    both.other.turn()
    rows = both.other.worker._standbys._following[TASK].rows
    assert len(list(rows.stores["hourly"].database.family("hourly").scan(None, None))) == 1


def test_a_standby_that_retention_has_overtaken_is_built_anew(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    hourly = stores.window("hourly", key=str, value=int, retention="2h")
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().windowed_by(hr.TimeWindows("1h", grace="0s")).count(store=hourly)
    both = pair(builder.build(), statestore_cache_max_bytes=0)
    started(both, 1, 2)
    both.write(0, 3, 4, 5)
    both.one.turn()
    both.one.worker.commit()
    both.log.delete_records({TopicPartition("app-hourly-changelog", 0): 4})
    both.other.turn()
    both.other.clock.advance(1_000)
    both.other.turn()
    assert "the standby of store 'hourly' is rebuilt: retention has overtaken it" in caplog.text
    assert (lags(both), offset_of(both, "hourly")) == ({"hourly": 0}, 5)
    both.one.worker.revoke([TASK])
    both.other.worker.assign([TASK])
    both.other.turn()
    assert both.other.worker.query("hourly")[0].get("0", start=0) == 5


def test_many_standbys_begin_a_few_in_a_turn_and_ask_the_log_once(pair: Callable[..., Pair]) -> None:
    both = pair()
    log = both.log = both.one.log = both.other.log = Away()
    log.create_topics([TopicSpec(name, 10) for name in ("numbers", "copies")])
    both.other.open_idle()
    many = [TaskId(0, partition) for partition in range(10)]
    both.other.worker.follow(many)
    log.asked = 0
    opened = []
    for _ in range(4):
        both.other.worker.step(0)
        opened.append(sum(bool(of_task) for of_task in both.other.worker.standby_lags().values()))
    assert opened == [4, 8, 10, 10]
    assert log.asked == 1


def test_damage_of_a_standby_costs_it_its_rows_and_running_tasks_nothing(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.one.open(TASK)
    both.other.open(TASKS[1])
    both.other.worker.follow([TASK])
    both.write(0, 1, 2, 3)
    both.write(1, 4)
    both.one.turn()
    both.one.worker.commit()
    both.other.turn()
    stays = task_of(both.other, TASKS[1])
    before = both.other.worker._standbys._following[TASK].rows
    damaged = StateCorruptionError("damaged", path=str(both.other.folder / str(TASK)))
    both.other.worker._standbys._delete(damaged)
    both.other.turn()
    assert both.other.worker._standbys._following[TASK].rows is not before
    assert lags(both) == {"sums": 0}
    assert task_of(both.other, TASKS[1]) is stays
    with pytest.raises(StateCorruptionError):
        both.other.worker._standbys._delete(damaged)


class Away(MemoryLog):
    """A log that is away when told to."""

    is_away = False
    asked = 0

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        self.asked += 1
        if self.is_away:
            raise LogUnavailableError("no broker answers")
        return super().topics(names)


def test_a_log_that_is_away_is_waited_for_and_stops_no_task(pair: Callable[..., Pair]) -> None:
    both = pair()
    log = both.log = both.one.log = both.other.log = Away()
    log.create_topics([TopicSpec(name, 4) for name in ("numbers", "copies")])
    both.one.open(TASK)
    both.other.open(TASKS[1])
    both.write(0, 1)
    both.one.turn()
    both.one.worker.commit()
    log.is_away = True
    both.other.worker.follow([TASK])
    both.write(1, 2)
    both.other.turn()
    assert lags(both) == {}
    log.is_away = False
    both.other.worker.commit()
    both.other.clock.advance(1_000)
    both.other.turn()
    assert lags(both) == {"sums": 0}
    assert both.copies() == Counter(both.written)


def test_a_task_that_runs_is_not_followed_any_more(pair: Callable[..., Pair]) -> None:
    both = pair()
    started(both, 1)
    both.one.worker.revoke([TASK])
    both.other.worker.assign([TASK])
    assert both.other.worker.standby_lags() == {}
    assert [task.id for task in both.other.worker.tasks] == [TaskId(0, 0)]


def test_each_store_has_its_own_lag_while_its_task_restores_and_where_it_is_followed(
    pair: Callable[..., Pair],
) -> None:
    both = pair(two_stores(), statestore_cache_max_bytes=0)
    started(both, 1, 2, 3)
    both.other.worker.reporting.begin(0.0)
    both.other.turn()
    (followed,) = both.other.worker.status().standbys
    assert followed.stores == {"sums": LagInfo(3, 3, 0), "odd": LagInfo(2, 2, 0)}
    both.write(0, 4, 6)
    both.one.turn()
    both.one.worker.commit()
    both.one.worker.reporting.begin(0.0)
    both.one.turn()
    (running,) = both.one.worker.status().tasks
    assert running.stores == {"sums": LagInfo(5, 5, 0), "odd": LagInfo(2, 2, 0)}
    both.one.worker.revoke([TASK])
    both.other.worker.assign([TASK])
    both.other.worker._changelog_reader._open(0.0)
    (restoration,) = both.other.worker._changelog_reader.under_way.values()
    assert {each.store: each.lag for each in restoration.progress()} == {
        "sums": LagInfo(3, 5, 2),
        "odd": LagInfo(2, 2, 0),
    }


def two_stores() -> hr.Topology:
    builder = hr.StreamsBuilder()
    numbers = builder.stream(NUMBERS)
    numbers.group_by_key().reduce(lambda total, value: total + value, store=SUMS)
    odd = numbers.filter(lambda key, value: value % 2 == 1)
    odd.group_by_key().reduce(
        lambda total, value: total + value, store=stores.key_value("odd", key=str, value=int)
    )
    return builder.build()
