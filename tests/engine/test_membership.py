"""A worker commits as the member that its group knows, and not while the group would refuse it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.group.application import GroupApplication
from headrace.log.local_group import LocalGroup, LocalMembership
from headrace.log.membership import MemberIdentity, Membership
from headrace.log.memory import MemoryLog
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import TopicSpec
from tests.engine.bench import Bench, eight
from tests.engine.test_assignment import COPIES, NUMBERS, TASKS

ME = MemberIdentity("app", "member-1", 1)


class Telling(MemoryLog):
    """A log that remembers as whom was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.create_topics([TopicSpec(name, 2) for name in ("numbers", "copies")])
        self.members: list[MemberIdentity | None] = []

    def writer(self, group: str, transactional_id: str | None = None) -> MemoryWriter:
        log, writer = self, super().writer(group, transactional_id)
        commit = writer.commit

        def committed(offsets: Any, member: MemberIdentity | None = None) -> Any:
            if group == "app":
                log.members.append(member)
            return commit(offsets, member)

        writer.commit = committed  # type: ignore[method-assign] # it remembers
        return writer


class Wavering(LocalMembership):
    """A member whose group is about to go on when told so."""

    goes_on = False
    is_lent = False

    @contextmanager
    def committing(self) -> Iterator[MemberIdentity | None]:
        if self.goes_on:
            yield None
            return
        with super().committing() as member:
            self.is_lent = True
            yield member
            self.is_lent = False


class Member(Bench):
    """A worker that has a place in a group."""

    def __init__(self, topology: hr.Topology, folder: Path, **config: Any) -> None:
        super().__init__(topology, folder, **config)
        self.log = Telling()
        self.membership = Wavering(LocalGroup("app"), GroupApplication((), TASKS[:2], {}))
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


def test_a_commit_is_made_as_the_member_which_is_lent_meanwhile(member: Callable[..., Member]) -> None:
    app = member()
    lent: list[bool] = []
    app.reached = lambda step: lent.append(app.membership.is_lent)
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.worker.commit()
    assert isinstance(app.log, Telling)
    assert app.log.members == [ME]
    assert lent
    assert all(lent)


def test_while_the_group_goes_on_nothing_is_committed_and_nothing_lost(member: Callable[..., Member]) -> None:
    app = member()
    app.open()
    app.membership.goes_on = True
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.clock.advance(100)
    app.turn()
    assert not app.worker.commit()
    assert copies(app) == []
    app.membership.goes_on = False
    app.clock.advance(100)
    app.turn()
    assert copies(app) == [eight(1)]


def test_a_revoke_while_the_group_goes_on_changes_nothing(member: Callable[..., Member]) -> None:
    app = member()
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.membership.goes_on = True
    assert not app.worker.revoke([TASKS[0]])
    assert [task.id for task in app.worker.tasks] == list(TASKS[:2])
    app.membership.goes_on = False
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
    app.membership.goes_on = True
    app.turn()
    assert 0 < app.worker._wait_ms(100) <= 20


def test_starts_that_could_not_be_committed_are_committed_with_the_next_commit(tmp_path: Path) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset="latest").to(COPIES)
    app = Member(builder.build(), tmp_path)
    app.membership.goes_on = True
    app.open_idle()
    app.worker.assign(app.application.tasks)
    app.membership.goes_on = False
    app.worker.commit()
    assert isinstance(app.log, Telling)
    assert app.log.members == [ME]
    app.close()
