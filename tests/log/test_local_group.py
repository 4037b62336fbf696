"""The group of workers that have a log of their own process."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.members import Roles
from headrace.group.membership import (
    Assigned,
    Effect,
    Ended,
    EndpointsChanged,
    EndpointTasks,
    EpochChanged,
    GroupStatus,
    StatusChanged,
)
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.local_group import LocalGroup, LocalMembership
from headrace.log.membership import JoinOptions, MemberIdentity
from headrace.log.memory.log import MemoryLog
from headrace.log.port import Log


def application(tasks: int) -> GroupApplication:
    parts = (SubtopologyTopics(id=0, source_topics=frozenset({"numbers"}), is_stateful=True),)
    return GroupApplication(parts, tuple(TaskId(0, each) for each in range(tasks)), {"numbers": tasks})


class Worker:
    """Does what it is told, when it is let."""

    def __init__(self, group: LocalGroup, tasks: int, member_id: str = "") -> None:
        self.membership = LocalMembership(group, application(tasks), member_id)
        self.has: frozenset[TaskId] = frozenset()
        self.heard: list[Effect] = []
        self._told: list[Assigned] = []

    def hear(self) -> None:
        taken = self.membership.effects()
        self.heard += taken
        self._told += [each for each in taken if isinstance(each, Assigned)]

    def obey(self) -> None:
        self.hear()
        if self._told:
            newest = self._told[-1]
            self._told = []
            self.has = newest.roles.active
            self.membership.acknowledge(newest.number)


def settle(*workers: Worker) -> None:
    for _ in range(5):
        for worker in workers:
            worker.obey()


LOGS: dict[str, Callable[[Path], Log]] = {
    "embedded": lambda folder: EmbeddedLog.open(folder / "log.db"),
    "memory": lambda folder: MemoryLog(),
}


@pytest.mark.parametrize("kind", LOGS)
def test_who_is_alone_on_a_log_has_all_tasks_at_once_as_a_member(kind: str, tmp_path: Path) -> None:
    log = LOGS[kind](tmp_path)
    member = log.join("app", application(2), JoinOptions(process_id="p"))
    roles = Roles(frozenset(application(2).tasks))
    assert list(member.effects())[:2] == [EpochChanged("member-1", 1), Assigned(1, roles)]
    who = [member.member]
    member.acknowledge(1)
    assert list(member.effects(0.01)) == []
    assert member.trouble is None
    member.close()
    assert list(member.effects()) == [Ended()]
    who.append(member.member)
    assert who == [MemberIdentity("app", "member-1", 1), None]
    log.close()


def test_who_comes_gets_its_share_when_the_others_have_let_go() -> None:
    group = LocalGroup("app")
    first = Worker(group, 4)
    first.obey()
    second = Worker(group, 4)
    second.obey()
    assert second.has == frozenset()
    first.obey()
    assert len(first.has) == 2
    second.obey()
    assert second.has == frozenset(application(4).tasks) - first.has


def test_who_leaves_gives_its_tasks_to_the_others_which_keep_theirs() -> None:
    group = LocalGroup("app")
    workers = [Worker(group, 6) for _ in range(3)]
    settle(*workers)
    before = workers[1].has
    workers[0].membership.leave()
    workers[0].hear()
    assert workers[0].heard[-1] == Ended()
    assert workers[0].membership.member is None
    settle(*workers[1:])
    assert before <= workers[1].has
    assert workers[1].has | workers[2].has == set(application(6).tasks)


def test_who_comes_back_by_its_id_has_its_tasks_and_nobody_else_hears_of_it() -> None:
    group = LocalGroup("app")
    first, second = Worker(group, 4, "one"), Worker(group, 4, "two")
    settle(first, second)
    had = first.has
    second.heard.clear()
    first.membership.close(remain=True)
    again = Worker(group, 4, "one")
    settle(again, second)
    assert again.has == had
    assert second.heard == []


def test_more_tasks_are_assigned_when_a_member_knows_of_them() -> None:
    group = LocalGroup("app")
    worker = Worker(group, 1)
    worker.obey()
    worker.membership.rejoin(application(1))
    worker.membership.rejoin()
    assert list(worker.membership.effects()) == []
    worker.membership.rejoin(application(2))
    worker.obey()
    assert len(worker.has) == 2


def test_all_members_hear_that_the_application_is_to_stop() -> None:
    group = LocalGroup("app")
    workers = [Worker(group, 2), Worker(group, 2)]
    workers[0].membership.stop_application()
    for worker in workers:
        worker.hear()
        assert StatusChanged({GroupStatus.SHUTDOWN_APPLICATION: ""}) in worker.heard


@pytest.mark.parametrize("seed", range(50))
def test_no_task_has_two_workers_and_in_the_end_each_has_one(seed: int) -> None:
    chance = random.Random(seed)
    group, tasks = LocalGroup("app"), chance.randrange(1, 12)
    workers = [Worker(group, tasks)]
    for _ in range(60):
        what = chance.random()
        if what < 0.1 and len(workers) < 5:
            workers.append(Worker(group, tasks))
        elif what < 0.2 and len(workers) > 1:
            workers.pop(chance.randrange(len(workers))).membership.leave()
        elif what < 0.5:
            chance.choice(workers).hear()
        else:
            chance.choice(workers).obey()
        owned = [task for worker in workers for task in worker.has]
        assert len(owned) == len(set(owned))
    settle(*workers)
    owned = [task for worker in workers for task in worker.has]
    assert sorted(owned) == sorted(application(tasks).tasks)
    counts = [len(worker.has) for worker in workers]
    assert max(counts) - min(counts) <= 1


def test_all_members_hear_that_all_partitions_are_with_the_endpoint_of_their_process() -> None:
    group = LocalGroup("app")
    first, second = (LocalMembership(group, application(4), endpoint=("here", 80)) for _ in range(2))
    for member in (first, second):
        (found,) = [each for each in member.effects() if isinstance(each, EndpointsChanged)]
        assert found.endpoints == {("here", 80): EndpointTasks({"numbers": range(4)})}
    first.rejoin(application(6))
    (found,) = [each for each in second.effects() if isinstance(each, EndpointsChanged)]
    assert found.endpoints == {("here", 80): EndpointTasks({"numbers": range(6)})}
