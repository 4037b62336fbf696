"""The member that is alone: all tasks at once, for good."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication
from headrace.group.members import Roles
from headrace.group.membership import Assigned, Ended, EpochChanged, GroupStatus, StatusChanged
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.membership import JoinOptions, MemberIdentity
from headrace.log.memory.log import MemoryLog
from headrace.log.port import Log

A, B = TaskId(0, 0), TaskId(0, 1)
OPTIONS = JoinOptions(process_id="p")


def application(*tasks: TaskId) -> GroupApplication:
    return GroupApplication((), tasks, {})


LOGS: dict[str, Callable[[Path], Log]] = {
    "embedded": lambda folder: EmbeddedLog.open(folder / "log.db"),
    "memory": lambda folder: MemoryLog(),
}


@pytest.mark.parametrize("kind", LOGS)
def test_it_has_all_tasks_at_once(kind: str, tmp_path: Path) -> None:
    log = LOGS[kind](tmp_path)
    member = log.join("app", application(A, B), OPTIONS)
    assert list(member.effects()) == [EpochChanged("alone", 1), Assigned(1, Roles(frozenset({A, B})))]
    with member.committing() as who:
        assert who == member.member == MemberIdentity("app", "alone", 1)
    member.acknowledge(1)
    assert list(member.effects(0.01)) == []
    assert member.trouble is None
    member.close()
    assert list(member.effects()) == [Ended()]
    with member.committing() as nobody:
        assert nobody is None
    log.close()


def test_other_topics_are_another_assignment_and_the_same_ones_are_none() -> None:
    member = MemoryLog().join("app", application(A), OPTIONS)
    member.effects()
    member.rejoin(application(A))
    member.rejoin()
    assert list(member.effects()) == []
    member.rejoin(application(A, B))
    assert list(member.effects()) == [Assigned(2, Roles(frozenset({A, B})))]


def test_it_tells_itself_to_stop() -> None:
    member = MemoryLog().join("app", application(A), OPTIONS)
    member.effects()
    member.stop_application()
    assert list(member.effects()) == [StatusChanged({GroupStatus.SHUTDOWN_APPLICATION: ""})]


def test_who_remains_says_nothing_and_who_leaves_twice_ends_once() -> None:
    member = MemoryLog().join("app", application(A), OPTIONS)
    member.effects()
    member.close(remain=True)
    assert list(member.effects()) == []
    member.leave()
    member.close()
    assert list(member.effects()) == [Ended()]
