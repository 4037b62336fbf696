"""What a worker does at the word of its group, on a memory log that anybody may commit to."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.errors import ApplicationStoppedError, LogError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.clock import ManualClock
from headrace.engine.instance import Instance as Shared
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.group.application import GroupApplication
from headrace.group.membership import (
    Ended,
    EndpointsChanged,
    EndpointTasks,
    EpochChanged,
    GroupStatus,
    Lost,
    StatusChanged,
)
from headrace.log.membership import MemberIdentity, Membership
from headrace.log.memory import MemoryLog
from tests.engine.group_log import GroupLog
from tests.engine.scripted_membership import ScriptedMembership

ONE, OTHER = TaskId(0, 0), TaskId(0, 1)


def copying() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("in", value=str)).to(hr.Topic("out", value=str))
    return builder.build()


class Instance:
    """A worker, by default one that copies `in` to `out`, two partitions each, and its membership."""

    def __init__(self, log: MemoryLog, folder: Path, topology: hr.Topology | None = None) -> None:
        self.known_as: list[str] = []
        self.clock = ManualClock()
        self.worker: Worker = build_worker(
            topology or copying(),
            log,
            EngineOptions.of({"commit.interval.ms": 3_600_000}),
            application_id="app",
            state_dir=folder,
            clock=self.clock,
            join=self._join,
            known_as=self.known_as.append,
        )
        self.worker.open()

    def _join(self, application: GroupApplication) -> Membership:
        self.membership = ScriptedMembership(application)
        return self.membership

    def turn(self) -> None:
        while self.worker.step(0):
            pass

    @property
    def tasks(self) -> set[TaskId]:
        return {task.id for task in self.worker.tasks}


class Records:
    """What is in the topics."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    def write(self, partition: int, *values: str) -> None:
        columns = Columns()
        for value in values:
            columns.append(b"k", value.encode(), 1, ())
        writer = self._log.writer("feed")
        writer.append("in", partition, columns)
        writer.commit({})
        writer.close()

    def committed(self, partition: int) -> int:
        place = TopicPartition("in", partition)
        found = self._log.committed("app", [place])
        return found[place].offset if place in found else 0

    def copied(self, partition: int) -> list[str]:
        reader = self._log.reader()
        reader.assign({TopicPartition("out", partition): 0})
        found = [(value or b"").decode() for chunk in reader.poll(0) for value in chunk.values]
        reader.close()
        return found


@pytest.fixture
def log() -> GroupLog:
    return GroupLog("in", "out")


@pytest.fixture
def records(log: MemoryLog) -> Records:
    return Records(log)


@pytest.fixture
def instance(log: MemoryLog, tmp_path: Path) -> Iterator[Instance]:
    made = Instance(log, tmp_path)
    yield made
    made.worker.close()


def test_it_has_no_tasks_and_says_that_it_is_starting_until_the_group_has_spoken(instance: Instance) -> None:
    instance.turn()
    assert not instance.tasks
    assert instance.worker.status().state == "starting"
    instance.membership.tell_tasks()
    instance.turn()
    instance.worker.reporting.begin(0.0)
    instance.turn()
    assert instance.worker.status().state == "running"


def test_what_is_taken_away_is_committed_before_the_group_hears_that_it_is_given_up(
    instance: Instance, log: GroupLog, records: Records
) -> None:
    instance.membership.tell_tasks(ONE, OTHER)
    instance.turn()
    records.write(0, "a")
    records.write(1, "b")
    instance.turn()
    assert records.committed(0) == records.committed(1) == 0
    instance.membership.tell_tasks(OTHER, epoch=2)
    instance.turn()
    assert instance.tasks == {OTHER}
    assert records.committed(0) == 1
    assert instance.membership.said == [("acknowledge", 1), ("acknowledge", 2)]
    assert log.committed_as[-1] == MemberIdentity("app", "member", 2)


def test_who_is_no_member_any_more_gives_all_up_without_a_commit_and_says_so(
    instance: Instance, records: Records
) -> None:
    instance.membership.tell_tasks(ONE, OTHER)
    instance.turn()
    records.write(0, "a")
    instance.turn()
    instance.membership.tell(Lost("the session is over"))
    instance.turn()
    assert not instance.tasks
    assert records.committed(0) == 0
    assert records.copied(0) == []
    assert instance.membership.said[-1] == ("dropped", None)
    instance.membership.tell_tasks(ONE, epoch=1)
    instance.turn()
    instance.worker.commit()
    assert records.copied(0) == ["a"]


def test_an_assignment_from_before_the_loss_is_not_acted_on(instance: Instance, records: Records) -> None:
    instance.membership.tell_tasks(ONE)
    instance.turn()
    records.write(0, "a")
    instance.turn()
    instance.membership.tell_tasks(OTHER, epoch=2)
    instance.membership.tell(Lost("the session is over"))
    instance.turn()
    assert instance.membership.said == [("acknowledge", 1), ("dropped", None)]
    assert records.committed(0) == 0


def test_nothing_is_committed_while_the_group_is_ahead_and_all_of_it_later(
    instance: Instance, log: GroupLog, records: Records
) -> None:
    instance.membership.tell_tasks(ONE)
    instance.turn()
    records.write(0, "a", "b")
    instance.turn()
    log.has_gone_on = True
    instance.worker.commit()
    assert records.committed(0) == 0
    log.has_gone_on = False
    instance.worker.commit()
    assert records.committed(0) == 2
    assert records.copied(0) == ["a", "b"]


def test_who_stops_while_the_group_is_ahead_commits_when_it_has_heard_of_it(
    instance: Instance, log: GroupLog, records: Records
) -> None:
    instance.membership.tell_tasks(ONE)
    instance.turn()
    records.write(0, "a")
    instance.turn()
    log.has_gone_on = True
    instance.membership.tell_tasks(ONE, epoch=2)
    instance.membership.on_effects = lambda: setattr(log, "has_gone_on", False)
    instance.worker._commit_at_last()
    assert records.copied(0) == ["a"]
    assert log.committed_as[-1] == MemberIdentity("app", "member", 2)


def test_a_task_that_is_taken_away_goes_when_a_commit_is_taken(
    instance: Instance, log: GroupLog, records: Records
) -> None:
    instance.membership.tell_tasks(ONE, OTHER)
    instance.turn()
    records.write(0, "a")
    instance.turn()
    log.has_gone_on = True
    instance.membership.tell_tasks(OTHER, epoch=2)
    instance.turn()
    assert instance.tasks == {ONE, OTHER}
    assert instance.membership.said == [("acknowledge", 1)]
    log.has_gone_on = False
    instance.turn()
    assert instance.tasks == {OTHER}
    assert records.committed(0) == 1
    assert instance.membership.said == [("acknowledge", 1), ("acknowledge", 2)]


def test_tasks_to_follow_are_followed_until_they_are_taken_away_or_run_here(
    instance: Instance,
) -> None:
    instance.membership.tell_tasks(ONE, standby=[OTHER])
    instance.turn()
    assert set(instance.worker.standby_lags()) == {OTHER}
    instance.membership.tell_tasks(ONE, OTHER, epoch=2)
    instance.turn()
    assert instance.tasks == {ONE, OTHER}
    assert not instance.worker.standby_lags()
    instance.membership.tell_tasks(standby=[ONE, OTHER], epoch=3)
    instance.turn()
    assert not instance.tasks
    assert set(instance.worker.standby_lags()) == {ONE, OTHER}
    instance.membership.tell(Lost("the session is over"))
    instance.turn()
    assert not instance.worker.standby_lags()


def test_a_task_that_the_plan_does_not_know_asks_for_a_new_plan_and_is_not_acknowledged(
    instance: Instance,
) -> None:
    instance.membership.tell_tasks(ONE, TaskId(0, 2))
    instance.turn()
    assert instance.membership.said == []
    instance.worker.run()  # ends by itself: the next worker has the next plan
    assert instance.membership.said == [("close", True)]


def test_an_instance_that_all_are_told_to_stop_with_ends_with_that_as_reason(instance: Instance) -> None:
    instance.membership.tell(StatusChanged({GroupStatus.SHUTDOWN_APPLICATION: ""}))
    with pytest.raises(ApplicationStoppedError, match="has told all of them to stop"):
        instance.turn()


def test_a_status_of_the_group_is_told_once(instance: Instance, caplog: pytest.LogCaptureFixture) -> None:
    stale = StatusChanged({GroupStatus.STALE_TOPOLOGY: "another topology is in force"})
    with caplog.at_level(logging.WARNING, "headrace.group"):
        instance.membership.tell(stale, stale)
        instance.turn()
    assert [record.message for record in caplog.records] == ["the group says: another topology is in force"]


def test_topics_that_the_group_cannot_work_with_for_long_are_the_end(instance: Instance) -> None:
    missing = StatusChanged({GroupStatus.MISSING_SOURCE_TOPICS: "there is no topic 'in'"})
    for _ in range(2):
        instance.membership.tell(missing)
        instance.turn()
        instance.clock.advance(14_000)
        instance.turn()
        instance.membership.tell(StatusChanged({}))  # it has found it
        instance.turn()
    instance.membership.tell(missing)
    instance.turn()
    instance.clock.advance(15_000)
    with pytest.raises(
        LogError, match="the group cannot assign tasks: there is no topic 'in'; mend the topics"
    ):
        instance.turn()


def test_who_cannot_be_a_member_ends_with_the_reason_of_the_group(instance: Instance) -> None:
    instance.membership.tell(Ended("the group 'app' is one of consumers"))
    with pytest.raises(LogError, match="the group 'app' is one of consumers"):
        instance.turn()


def test_member_id_is_kept_for_the_next_process_and_forgotten_by_who_leaves(
    instance: Instance, log: MemoryLog, tmp_path: Path
) -> None:
    instance.membership.tell(EpochChanged("m1", 1))
    instance.turn()
    assert instance.known_as == ["m1"]
    other = Instance(log, tmp_path / "other")
    other.worker.leaves_group = False
    other.worker.close()
    assert (other.membership.said, other.known_as) == ([("close", True)], [])
    third = Instance(log, tmp_path / "third")
    third.worker.close()
    assert (third.membership.said, third.known_as) == ([("close", False)], [""])


def test_the_group_hears_how_far_the_state_is_and_at_once_of_a_task_that_is_warm(
    log: MemoryLog, tmp_path: Path
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("in", value=str)).group_by_key().count(store="counts")
    topology = builder.build()
    runs, warms = (Instance(log, tmp_path / name, topology) for name in ("runs", "warms"))
    runs.membership.tell_tasks(ONE)
    Records(log).write(0, *map(str, range(30)))
    runs.turn()
    runs.worker.commit()
    warms.membership.tell_tasks(warmup=[ONE])
    for each in (runs, warms):
        each.turn()
        each.clock.advance(1_000)
        each.turn()
    (reported,) = {each.membership.reported[ONE] for each in (runs, warms)}
    assert reported.offset == reported.end > 0
    assert ("rejoin", None) not in runs.membership.said
    assert warms.membership.said.count(("rejoin", None)) == 1
    warms.clock.advance(1_000)
    warms.turn()
    assert warms.membership.said.count(("rejoin", None)) == 1  # once is enough
    for each in (runs, warms):
        each.worker.close()


def test_where_tasks_run_is_known_as_the_group_said_it_last_also_before_all_was_lost(
    log: MemoryLog, tmp_path: Path
) -> None:
    clock = ManualClock()
    options = EngineOptions.of({})
    shared = Shared(log, options, application_id="app", state_dir=tmp_path, clock=clock)
    memberships: list[ScriptedMembership] = []

    def join(application: GroupApplication) -> Membership:
        memberships.append(ScriptedMembership(application))
        return memberships[-1]

    workers = [
        build_worker(copying(), log, options, application_id="app", clock=clock, instance=shared, join=join)
        for _ in range(2)
    ]
    one, other = memberships
    assert shared.places.endpoints == {}
    both = {("a", 1): EndpointTasks({"in": [0]}), ("b", 2): EndpointTasks({"in": [1]})}
    one.tell(EndpointsChanged(both))
    workers[0].step(0)
    assert shared.places.endpoints == both
    last = {("a", 1): EndpointTasks({"in": [0, 1]})}
    other.tell(EndpointsChanged(last), Lost("it was away"))
    workers[1].step(0)
    assert shared.places.endpoints == last
    assert shared.places.planned is not None
    assert shared.places.planned.partitions["in"] == 2
    for worker in workers:
        worker.close()
