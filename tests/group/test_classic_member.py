"""A member of a classic group: every state against every answer, and whole groups in virtual time."""

import heapq
import itertools
import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from headrace.base.ids import TaskId
from headrace.group.assignor import assign
from headrace.group.classic_member import (
    ClassicMember,
    ClassicRefusal,
    ClassicState,
    Heartbeat,
    Join,
    Joined,
    Lead,
    Leave,
    Request,
    Sync,
)
from headrace.group.handover import handed_over
from headrace.group.members import AssignmentOptions, Member, Process, Roles, TaskFacts
from headrace.group.membership import Assigned, Ended, EpochChanged, Lost
from tests.group.classic_coordinator import ClassicCoordinator

A, B = TaskId(0, 0), TaskId(0, 1)
MINE = Roles(frozenset({A}))
MORE = Roles(frozenset({A, B}))
S = ClassicState


def new_member(*, is_static: bool = False) -> ClassicMember:
    return ClassicMember(is_static=is_static, heartbeat_s=3.0, now=0.0)


def follower() -> ClassicMember:
    member = new_member()
    assert member.due(0.0) == Join("")
    member.named("m", 0.0)
    assert member.due(0.0) == Join("m")
    assert member.joined(Joined("m", 4), 1.0) == [EpochChanged("m", 4)]
    return member


def leader() -> ClassicMember:
    member = new_member()
    member.due(0.0)
    members = {"m": "mine", "n": "other"}
    assert member.joined(Joined("m", 4, members), 1.0) == [EpochChanged("m", 4), Lead(4, members)]
    return member


def reconciling() -> ClassicMember:
    member = follower()
    assert member.due(1.0) == Sync("m", 4, {})
    assert member.synced(MINE, 1.0) == [Assigned(1, MINE)]
    return member


def stable() -> ClassicMember:
    member = reconciling()
    member.acknowledge(1, 1.5)
    return member


def fenced() -> ClassicMember:
    member = stable()
    member.due(9.0)
    assert member.refused(ClassicRefusal.FENCED, "unknown", 9.0) == [Lost("unknown")]
    return member


def leaving() -> ClassicMember:
    member = stable()
    assert member.leave(2.0, for_good=True) == []
    return member


def ended() -> ClassicMember:
    member = leaving()
    assert member.due(2.0) == Leave("m")
    assert member.left() == [Ended()]
    return member


STATES: dict[ClassicState, Callable[[], ClassicMember]] = {
    S.JOINING: new_member,
    S.LEADING: leader,
    S.SYNCING: follower,
    S.RECONCILING: reconciling,
    S.STABLE: stable,
    S.FENCED: fenced,
    S.LEAVING: leaving,
    S.ENDED: ended,
}

LOST_ALL = [Lost("said")]

#: (state, refusal of the request that it sends) -> (effects, next state).
TABLE: dict[tuple[ClassicState, ClassicRefusal], tuple[object, ClassicState]] = {
    **{
        (state, ClassicRefusal.TRY_AGAIN): ([], state)
        for state in (S.JOINING, S.LEADING, S.SYNCING, S.RECONCILING, S.STABLE)
    },
    (S.JOINING, ClassicRefusal.REBALANCE): ([], S.JOINING),
    (S.LEADING, ClassicRefusal.REBALANCE): ([], S.JOINING),
    (S.SYNCING, ClassicRefusal.REBALANCE): ([], S.JOINING),
    (S.RECONCILING, ClassicRefusal.REBALANCE): ([], S.RECONCILING),
    (S.STABLE, ClassicRefusal.REBALANCE): ([], S.JOINING),
    (S.JOINING, ClassicRefusal.FENCED): ([], S.JOINING),
    (S.LEADING, ClassicRefusal.FENCED): ([], S.JOINING),
    (S.SYNCING, ClassicRefusal.FENCED): ([], S.JOINING),
    (S.RECONCILING, ClassicRefusal.FENCED): (LOST_ALL, S.FENCED),
    (S.STABLE, ClassicRefusal.FENCED): (LOST_ALL, S.FENCED),
    (S.JOINING, ClassicRefusal.FINAL): ([Ended("said")], S.ENDED),
    (S.LEADING, ClassicRefusal.FINAL): ([Ended("said")], S.ENDED),
    (S.SYNCING, ClassicRefusal.FINAL): ([Ended("said")], S.ENDED),
    (S.RECONCILING, ClassicRefusal.FINAL): ([*LOST_ALL, Ended("said")], S.ENDED),
    (S.STABLE, ClassicRefusal.FINAL): ([*LOST_ALL, Ended("said")], S.ENDED),
}
ASKING = (S.JOINING, S.LEADING, S.SYNCING, S.RECONCILING, S.STABLE)


def test_heartbeats_are_close_while_another_assignment_is_to_follow_but_not_for_ever() -> None:
    member = follower()
    member.due(1.0)
    member.synced(MINE, 1.0, is_all=False)
    member.acknowledge(1, 1.0)
    times = [member.next_time()]
    for now in (1.1, 10.9, 11.0):
        assert member.due(now) == Heartbeat("m", 4)
        member.heard()
        times.append(member.next_time())
    assert times == pytest.approx([1.1, 1.2, 11.0, 11.5])


def test_heartbeats_are_no_further_apart_than_was_wished() -> None:
    member = ClassicMember(is_static=False, heartbeat_s=0.2, now=0.0, member_id="m")
    member.due(0.0)
    member.joined(Joined("m", 4), 0.0)
    member.due(0.0)
    member.synced(MINE, 0.0)
    assert member.next_time() == 0.2


@pytest.mark.parametrize(("state", "refusal"), TABLE)
def test_each_state_knows_each_refusal(state: ClassicState, refusal: ClassicRefusal) -> None:
    member = STATES[state]()
    assert member.state is state
    assert member.due(20.0) is not None
    effects, following = TABLE[state, refusal]
    assert member.refused(refusal, "said", 20.0) == effects
    assert member.state is following


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == {(state, refusal) for state in ASKING for refusal in ClassicRefusal}


@pytest.mark.parametrize("state", ASKING)
def test_a_request_without_an_answer_is_sent_again(state: ClassicState) -> None:
    member = STATES[state]()
    request = member.due(20.0)
    assert request is not None
    assert member.unanswered(request, 20.0) == []
    assert member.due(20.0) is None
    assert member.due(20.1) == request


@pytest.mark.parametrize("state", [S.FENCED, S.ENDED])
def test_who_is_no_member_says_nothing(state: ClassicState) -> None:
    member = STATES[state]()
    assert member.due(1000.0) is None
    assert member.next_time() == float("inf")


def test_the_leader_hands_in_what_it_has_assigned_and_lives_meanwhile() -> None:
    member = leader()
    assert member.due(4.0) == Heartbeat("m", 4)
    member.heard()
    member.lead(3, {"m": "stale"}, 5.0)
    assert member.state is S.LEADING
    member.lead(4, {"m": "a", "n": "b"}, 5.0)
    assert member.due(5.0) == Sync("m", 4, {"m": "a", "n": "b"})


def test_a_static_leader_that_comes_back_does_not_assign() -> None:
    member = new_member(is_static=True)
    member.due(0.0)
    assert member.joined(Joined("m", 4, {"m": "mine"}, skips_assignment=True), 1.0) == [EpochChanged("m", 4)]
    assert member.due(1.0) == Sync("m", 4, {})


def test_who_gives_tasks_up_joins_again_so_that_others_get_them() -> None:
    member = follower()
    member.due(1.0)
    member.synced(MORE, 1.0)
    member.acknowledge(1, 1.1)
    member.due(5.0)
    member.refused(ClassicRefusal.REBALANCE, "", 5.0)
    assert member.due(5.0) == Join("m")
    member.joined(Joined("m", 5), 5.1)
    member.due(5.1)
    assert member.synced(MINE, 5.2) == [Assigned(2, MINE)]
    member.acknowledge(2, 5.3)
    assert member.due(5.3) == Join("m")


def test_a_rebalance_waits_until_the_worker_has_what_it_was_told() -> None:
    member = reconciling()
    member.due(4.0)
    member.refused(ClassicRefusal.REBALANCE, "", 4.0)
    assert member.due(7.0) == Heartbeat("m", 4)
    member.heard()
    member.acknowledge(1, 8.0)
    assert member.due(8.0) == Join("m")


def test_a_wish_to_join_again_is_kept_until_it_can_be() -> None:
    member = reconciling()
    member.rejoin(2.0)
    member.acknowledge(1, 2.5)
    assert member.due(2.5) == Join("m")


def test_a_fenced_member_asks_for_a_new_id_when_the_worker_has_dropped_everything() -> None:
    member = fenced()
    assert member.due(9.5) is None
    member.released(10.0)
    assert member.due(10.0) == Join("")


def test_a_static_member_leaves_without_a_word_unless_for_good() -> None:
    for for_good, said in [(False, None), (True, Leave("m"))]:
        member = new_member(is_static=True)
        member.due(0.0)
        member.joined(Joined("m", 4), 0.0)
        effects = member.leave(1.0, for_good=for_good)
        assert effects == ([] if for_good else [Ended()])
        assert member.due(1.0) == said


# ── whole groups ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Instance:
    """A member with its worker, which takes its time, leads if it must, may be stopped for long, and may die."""

    def __init__(self, name: str, group: "Group") -> None:
        self.name, self.group = name, group
        self.member = ClassicMember(is_static=False, heartbeat_s=1.0, now=group.now)
        self.tasks: frozenset[TaskId] = frozenset()
        self.committed_as = ("", -1)
        self.is_alive = True
        self.stopped_until = 0.0

    def turn(self) -> None:
        """Ask for what is due."""
        request = self.member.due(self.group.now)
        if request is not None:
            self.group.send(self, request)
        if self.member.next_time() < float("inf"):
            self.group.later(max(0.01, self.member.next_time() - self.group.now), self, self.turn)

    def hear(self, effects: list[Any]) -> None:
        dice = self.group.dice
        for effect in effects:
            match effect:
                case EpochChanged(member_id=member_id, epoch=epoch):
                    self.committed_as = (member_id, epoch)
                case Lead(generation=generation, members=members):
                    assigned = self.group.assigned(members)
                    self.group.later(
                        dice.choice([0.0, 0.2, 4.0]), self, partial(self.lead, generation, assigned)
                    )
                case Assigned(number=number, roles=roles):
                    self.group.later(dice.choice([0.0, 0.05, 2.0]), self, partial(self.drop, number, roles))
                case Lost():
                    self.tasks = frozenset()
                    self.group.later(dice.choice([0.0, 0.5]), self, self.released)
        self.turn()

    def lead(self, generation: int, roles: dict[str, Roles]) -> None:
        self.member.lead(generation, roles, self.group.now)
        self.turn()

    def drop(self, number: int, roles: Roles) -> None:
        if number == self.member._number and self.member.state is S.RECONCILING:
            self.tasks &= roles.active
            self.group.later(self.group.dice.choice([0.0, 0.1]), self, partial(self.take, number, roles))

    def take(self, number: int, roles: Roles) -> None:
        if number == self.member._number and self.member.state is S.RECONCILING:
            self.tasks = roles.active
            self.member.acknowledge(number, self.group.now)
            self.turn()

    def released(self) -> None:
        self.member.released(self.group.now)
        self.turn()


class _Wire(Instance):
    def __init__(self) -> None:
        self.is_alive, self.stopped_until = True, 0.0


_WIRE = _Wire()


class Group:
    """Instances and their coordinator in virtual time; requests and answers are delayed, and may be lost."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = 0.0
        self.tasks = [TaskId(0, number) for number in range(self.dice.randint(1, 7))]
        self.coordinator = ClassicCoordinator(session_s=6.0, rebalance_s=10.0)
        self.instances: list[Instance] = []
        self.trouble = 0.1
        self._order = itertools.count()
        self._events: list[tuple[float, int, Instance, Callable[[], None]]] = []
        self.tick()

    def tick(self) -> None:
        """Let the coordinator look at its clock."""
        self.coordinator.tick(self.now)
        self.later(0.5, _WIRE, self.tick)

    def later(self, seconds: float, instance: Instance, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), instance, action))

    def start(self) -> None:
        instance = Instance(f"i{len(self.instances)}", self)
        self.instances.append(instance)
        instance.turn()

    def assigned(self, members: Any) -> dict[str, Roles]:
        """Do the leader's work: place, and hand over only what nobody has."""
        processes = {name: Process({name: Member(active)}) for name, active in members.items()}
        facts = {task: TaskFacts(is_stateful=False) for task in self.tasks}
        wanted = assign(facts, processes, AssignmentOptions())
        return dict(handed_over(wanted, processes)[0])

    def send(self, instance: Instance, request: Request) -> None:
        delay = self.dice.choice([0.001, 0.01, 0.3])
        is_heard = self.dice.random() >= self.trouble
        is_answered = self.dice.random() >= self.trouble
        metadata = instance.tasks
        coordinator = self.coordinator

        def reply(answer: object) -> None:
            self.later(delay, instance, lambda: arrive_back(answer if is_answered else _LOST))

        def arrive() -> None:
            if not is_heard:
                reply(_LOST)
                return
            match request:
                case Join(member_id):
                    coordinator.join(member_id, metadata, self.now, reply)
                case Sync(member_id, generation, assignments):
                    coordinator.sync(member_id, generation, assignments, self.now, reply)
                case Heartbeat(member_id, generation):
                    reply(coordinator.heartbeat(member_id, generation, self.now))
                case Leave(member_id):
                    coordinator.leave(member_id, self.now)
                    reply(None)

        def arrive_back(answer: object) -> None:
            member = instance.member
            match answer:
                case _ if answer is _LOST:
                    instance.hear([*member.unanswered(request, self.now)])
                case ClassicRefusal():
                    instance.hear([*member.refused(answer, "said", self.now)])
                case Joined():
                    instance.hear(member.joined(answer, self.now))
                case Roles():
                    instance.hear([*member.synced(answer, self.now)])
                case str():
                    member.named(answer, self.now)
                    instance.turn()
                case _:
                    member.heard()
                    instance.turn()

        self.later(delay, _WIRE, arrive)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, instance, action = heapq.heappop(self._events)
            if not instance.is_alive:
                continue
            if instance.stopped_until > self.now:
                self.later(instance.stopped_until - self.now, instance, action)
                continue
            action()
            self.check()
        self.now = until

    def check(self) -> None:
        """Nobody can commit what somebody else can commit; who was stopped may try when it wakes."""
        for task in self.tasks:
            able = [
                each.name
                for each in self.instances
                if each.is_alive and task in each.tasks and self.coordinator.takes_commit(*each.committed_as)
            ]
            assert len(able) <= 1, f"{task} can be committed by {able}"

    def check_settled(self) -> None:
        """Every task runs somewhere, once, and all is even."""
        alive = [each for each in self.instances if each.is_alive]
        assert sorted(task for each in alive for task in each.tasks) == self.tasks
        counts = [len(each.tasks) for each in alive]
        assert max(counts) - min(counts) <= 1
        assert {each.member.state for each in alive} == {S.STABLE}


_LOST = object()

#: More of them by hand: GROUP_SCHEDULES=100000.
SCHEDULES = int(os.environ.get("GROUP_SCHEDULES", "150"))


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_group_is_whole_again_whatever_happens(seed: int) -> None:
    group = Group(seed)
    dice = group.dice
    group.start()
    for _ in range(dice.randint(2, 10)):
        group.run(dice.choice([0.1, 1.0, 5.0, 15.0]))
        alive = [each for each in group.instances if each.is_alive]
        match dice.choice(["start", "kill", "stop", "rejoin", "nothing"]):
            case "start" if len(alive) < 5:
                group.start()
            case "kill" if len(alive) > 1:
                dice.choice(alive).is_alive = False
            case "stop":
                dice.choice(alive).stopped_until = group.now + dice.choice([1.0, 5.0, 20.0])
            case "rejoin":
                dice.choice(alive).member.rejoin(group.now)
    group.trouble = 0.0
    group.run(90.0)
    group.check_settled()
