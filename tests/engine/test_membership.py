"""A worker commits as the member that it has heard of, and once more where its group has gone on since."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.group.application import GroupApplication
from headrace.log.local_group import LocalGroup, LocalMembership
from headrace.log.membership import MemberIdentity, Membership
from tests.engine.bench import Bench, eight
from tests.engine.group_log import GroupLog
from tests.engine.test_assignment import COPIES, NUMBERS, TASKS

ME = MemberIdentity("app", "member-1", 1)


class Member(Bench):
    """A worker that has a place in a group."""

    log: GroupLog

    def __init__(self, topology: hr.Topology, folder: Path, **config: Any) -> None:
        super().__init__(topology, folder, **config)
        self.log = GroupLog("numbers", "copies")
        self.membership = LocalMembership(LocalGroup("app"), GroupApplication((), TASKS[:2], {}))
        self.membership.effects()

    def joined(self, application: GroupApplication) -> Membership:
        return self.membership


@pytest.fixture
def member(tmp_path: Path) -> Iterator[Callable[..., Member]]:
    made: list[Member] = []

    def make(**config: Any) -> Member:
        builder = hr.StreamsBuilder()
        builder.stream(NUMBERS).to(COPIES)
        one = Member(builder.build(), tmp_path / "state", **config)
        made.append(one)
        return one

    yield make
    for each in made:
        each.close()


def copies(app: Member) -> list[bytes | None]:
    return [record[3] for record in app.log.records("copies")]


def test_a_commit_is_made_as_the_member_that_the_worker_has_heard_of(member: Callable[..., Member]) -> None:
    app = member()
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.worker.commit()
    assert app.log.committed_as == [ME]


def test_what_the_group_refuses_since_it_has_gone_on_is_committed_later(
    member: Callable[..., Member],
) -> None:
    app = member()
    app.open()
    app.log.has_gone_on = True
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.clock.advance(100)
    app.turn()
    assert not app.worker.commit()
    assert copies(app) == []
    app.log.has_gone_on = False
    app.clock.advance(100)
    app.turn()
    assert copies(app) == [eight(1)]


def test_a_revoke_whose_commit_the_group_refuses_changes_nothing(member: Callable[..., Member]) -> None:
    app = member()
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.log.has_gone_on = True
    assert not app.worker.revoke([TASKS[0]])
    assert [task.id for task in app.worker.tasks] == list(TASKS[:2])
    app.log.has_gone_on = False
    assert app.worker.revoke([TASKS[0]])
    assert [task.id for task in app.worker.tasks] == [TASKS[1]]
    assert copies(app) == [eight(1)]


def test_an_idle_worker_whose_commit_is_put_off_does_not_try_without_a_pause(
    member: Callable[..., Member],
) -> None:
    app = member()
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.clock.advance(100)
    app.log.has_gone_on = True
    app.turn()
    assert 0 < app.worker._wait_ms(100) <= 20


def test_starts_that_could_not_be_committed_are_committed_with_the_next_commit(tmp_path: Path) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset="latest").to(COPIES)
    app = Member(builder.build(), tmp_path)
    app.log.has_gone_on = True
    app.open_idle()
    app.worker.assign(app.application.tasks)
    app.log.has_gone_on = False
    app.worker.commit()
    assert app.log.committed_as == [ME]
    app.close()


def test_tasks_go_back_to_their_last_commit_when_the_group_has_refused_their_epoch_for_long(
    member: Callable[..., Member], caplog: pytest.LogCaptureFixture
) -> None:
    app = member()
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.log.has_gone_on = True
    for _ in range(2):
        app.clock.advance(6_000)
        app.turn()
        assert ("go back to their last commit" in caplog.text) is False
    app.clock.advance(6_000)
    app.turn()
    assert "all tasks go back to their last commit" in caplog.text
    app.log.has_gone_on = False
    app.clock.advance(6_000)
    app.turn()
    assert copies(app) == [eight(1)]
