"""A member of a streams group: every state against every event, and whole groups in virtual time."""

import heapq
import itertools
import os
import random
from collections.abc import Callable

import pytest

from headrace.base.ids import TaskId
from headrace.group.members import Roles
from headrace.group.membership import (
    Assigned,
    Ended,
    EndpointsChanged,
    EndpointTasks,
    EpochChanged,
    GroupStatus,
    Lost,
    StatusChanged,
)
from headrace.group.streams_member import Ask, Heartbeat, HeartbeatAnswer, MemberState, Refusal, StreamsMember
from tests.group.coordinator import Coordinator

A, B = TaskId(0, 0), TaskId(0, 1)
MINE = Roles(frozenset({A}))
MORE = Roles(frozenset({A, B}))


def new_member(*, is_static: bool = False) -> StreamsMember:
    return StreamsMember("m", is_static=is_static, session_timeout_s=45.0, now=0.0)


def said(member: StreamsMember, now: float) -> Heartbeat:
    heartbeat = member.due(now)
    assert isinstance(heartbeat, Heartbeat)
    return heartbeat


def joined() -> StreamsMember:
    member = new_member()
    assert member.answered(said(member, 0.0), HeartbeatAnswer(2, 5000, MINE), 0.0) == [
        EpochChanged("m", 2),
        Assigned(1, MINE),
    ]
    return member


def stable() -> StreamsMember:
    member = joined()
    member.acknowledge(1, 0.1)
    assert said(member, 0.1) == Heartbeat(2, False, MINE, 0, False)
    assert member.answered(Heartbeat(2, False, MINE, 0, False), HeartbeatAnswer(2, 5000), 0.1) == []
    return member


def acknowledging() -> StreamsMember:
    member = joined()
    member.acknowledge(1, 0.1)
    return member


def fenced() -> StreamsMember:
    member = stable()
    assert member.refused(said(member, 9.0), Refusal.FENCED, "unknown", 9.0) == [Lost("unknown")]
    return member


def leaving() -> StreamsMember:
    member = stable()
    member.leave(1.0, for_good=False)
    return member


def ended() -> StreamsMember:
    member = leaving()
    assert member.answered(said(member, 1.0), HeartbeatAnswer(-1, 5000), 1.0) == [Ended()]
    return member


STATES: dict[MemberState, Callable[[], StreamsMember]] = {
    MemberState.JOINING: new_member,
    MemberState.RECONCILING: joined,
    MemberState.ACKNOWLEDGING: acknowledging,
    MemberState.STABLE: stable,
    MemberState.FENCED: fenced,
    MemberState.LEAVING: leaving,
    MemberState.ENDED: ended,
}


def answered_as_before(member: StreamsMember, heartbeat: Heartbeat) -> object:
    return member.answered(heartbeat, HeartbeatAnswer(2, 5000), 20.0)


def answered_with_more(member: StreamsMember, heartbeat: Heartbeat) -> object:
    return member.answered(heartbeat, HeartbeatAnswer(3, 5000, MORE), 20.0)


def unanswered(member: StreamsMember, heartbeat: Heartbeat) -> object:
    return member.unanswered(heartbeat, 20.0)


def busy(member: StreamsMember, heartbeat: Heartbeat) -> object:
    return member.refused(heartbeat, Refusal.TRY_AGAIN, "busy", 20.0)


def unknown(member: StreamsMember, heartbeat: Heartbeat) -> object:
    return member.refused(heartbeat, Refusal.FENCED, "unknown", 20.0)


def wrong(member: StreamsMember, heartbeat: Heartbeat) -> object:
    return member.refused(heartbeat, Refusal.FINAL, "wrong", 20.0)


S = MemberState
NOTHING: list[object] = []

Event = Callable[[StreamsMember, Heartbeat], object]

#: (state, what becomes of the request that it sends) -> (effects, next state).
TABLE: dict[tuple[MemberState, Event], tuple[object, MemberState]] = {
    (S.JOINING, answered_as_before): ([EpochChanged("m", 2), Assigned(1, Roles())], S.RECONCILING),
    (S.JOINING, answered_with_more): ([EpochChanged("m", 3), Assigned(1, MORE)], S.RECONCILING),
    (S.JOINING, unanswered): (NOTHING, S.JOINING),
    (S.JOINING, busy): (NOTHING, S.JOINING),
    (S.JOINING, unknown): (NOTHING, S.JOINING),
    (S.JOINING, wrong): ([Ended("wrong")], S.ENDED),
    (S.RECONCILING, answered_as_before): (NOTHING, S.RECONCILING),
    (S.RECONCILING, answered_with_more): ([EpochChanged("m", 3), Assigned(2, MORE)], S.RECONCILING),
    (S.RECONCILING, unanswered): (NOTHING, S.RECONCILING),
    (S.RECONCILING, busy): (NOTHING, S.RECONCILING),
    (S.RECONCILING, unknown): ([Lost("unknown")], S.FENCED),
    (S.RECONCILING, wrong): ([Lost("wrong"), Ended("wrong")], S.ENDED),
    (S.ACKNOWLEDGING, answered_as_before): (NOTHING, S.STABLE),
    (S.ACKNOWLEDGING, answered_with_more): ([EpochChanged("m", 3), Assigned(2, MORE)], S.RECONCILING),
    (S.ACKNOWLEDGING, unanswered): (NOTHING, S.STABLE),
    (S.ACKNOWLEDGING, busy): (NOTHING, S.STABLE),
    (S.ACKNOWLEDGING, unknown): ([Lost("unknown")], S.FENCED),
    (S.ACKNOWLEDGING, wrong): ([Lost("wrong"), Ended("wrong")], S.ENDED),
    (S.STABLE, answered_as_before): (NOTHING, S.STABLE),
    (S.STABLE, answered_with_more): ([EpochChanged("m", 3), Assigned(2, MORE)], S.RECONCILING),
    (S.STABLE, unanswered): (NOTHING, S.STABLE),
    (S.STABLE, busy): (NOTHING, S.STABLE),
    (S.STABLE, unknown): ([Lost("unknown")], S.FENCED),
    (S.STABLE, wrong): ([Lost("wrong"), Ended("wrong")], S.ENDED),
    (S.LEAVING, answered_as_before): ([Ended()], S.ENDED),
    (S.LEAVING, answered_with_more): ([Ended()], S.ENDED),
    (S.LEAVING, unanswered): ([Ended()], S.ENDED),
    (S.LEAVING, busy): ([Ended()], S.ENDED),
    (S.LEAVING, unknown): ([Ended()], S.ENDED),
    (S.LEAVING, wrong): ([Ended()], S.ENDED),
}
SILENT = (S.FENCED, S.ENDED)


def test_what_was_assigned_is_owned_until_the_worker_says_that_it_is_not() -> None:
    member = joined()
    less = Roles(standby=frozenset({B}))
    assert member.answered(said(member, 1.0), HeartbeatAnswer(2, 5000, less), 1.0) == [Assigned(2, less)]
    # It has the first of both assignments by now, or the second, or none; and acknowledges the first too late.
    member.acknowledge(1, 1.1)
    member.unanswered(said(member, 2.0), 2.0)
    assert said(member, 3.0).owned == Roles(frozenset({A}), frozenset({B}))
    member.answered(Heartbeat(2, False, None, 0, False), HeartbeatAnswer(2, 5000), 3.0)
    member.acknowledge(2, 3.1)
    member.due(3.1)
    member.not_described(3.1)
    assert said(member, 5.0).owned == less


@pytest.mark.parametrize(("state", "event"), TABLE, ids=lambda each: getattr(each, "__name__", str(each)))
def test_each_state_knows_each_answer(state: MemberState, event: Event) -> None:
    member = STATES[state]()
    assert member.state is state
    effects, following = TABLE[state, event]
    assert event(member, said(member, 15.0)) == effects
    assert member.state is following


def test_the_table_has_every_pair() -> None:
    events = {event for _, event in TABLE}
    assert len(events) == 6
    assert set(TABLE) == {(state, event) for state in MemberState if state not in SILENT for event in events}


@pytest.mark.parametrize("state", list(SILENT))
def test_who_is_no_member_says_nothing(state: MemberState) -> None:
    member = STATES[state]()
    assert member.due(1000.0) is None
    assert member.next_time() == float("inf")


def test_a_join_says_that_nothing_is_owned_and_asks_for_all_endpoints() -> None:
    assert said(new_member(), 0.0) == Heartbeat(0, True, Roles(), -1, False)


def test_endpoints_are_told_when_they_have_changed() -> None:
    member = stable()
    told = {("a", 1): EndpointTasks({"in": (0,)})}
    answer = HeartbeatAnswer(2, 5000, endpoint_epoch=7, endpoints=told)
    assert member.answered(said(member, 5.0), answer, 5.0) == [EndpointsChanged(told)]
    heartbeat = said(member, 6.0)
    assert heartbeat.endpoint_epoch == 7
    assert member.answered(heartbeat, answer, 6.0) == []


def test_all_endpoints_are_asked_for_when_the_epoch_changes() -> None:
    member = stable()
    member.answered(said(member, 5.0), HeartbeatAnswer(3, 5000, endpoint_epoch=7), 5.0)
    heartbeat = said(member, 6.0)
    assert heartbeat.endpoint_epoch == -1
    member.answered(heartbeat, HeartbeatAnswer(4, 5000, endpoint_epoch=7, endpoints={}), 6.0)
    assert said(member, 7.0).endpoint_epoch == 7


def test_endpoints_that_are_asked_for_while_a_heartbeat_is_under_way_are_asked_for_with_the_next() -> None:
    member = stable()
    heartbeat = said(member, 5.0)
    member.ask_for_endpoints()
    member.answered(heartbeat, HeartbeatAnswer(2, 5000, endpoint_epoch=7), 5.0)
    assert said(member, 6.0).endpoint_epoch == -1


def test_what_is_owned_is_said_once_and_again_after_any_trouble() -> None:
    member = stable()
    heartbeat = said(member, 5.0)
    assert heartbeat.owned is None
    member.unanswered(heartbeat, 5.0)
    heartbeat = said(member, 5.1)
    assert heartbeat.owned == MINE
    member.refused(heartbeat, Refusal.TRY_AGAIN, "busy", 5.2)
    assert said(member, 6.0).owned == MINE


def test_what_was_assigned_in_an_answer_that_got_lost_is_asked_for() -> None:
    member = stable()
    member.unanswered(said(member, 5.0), 5.0)
    assert member.answered(said(member, 6.0), HeartbeatAnswer(2, 5000), 6.0) == []
    assert member.due(6.0) == Ask()
    assert member.described(MORE, 6.1) == [Assigned(2, MORE)]
    assert said(member, 6.1) is not None


def test_nothing_is_asked_where_the_next_answer_tells() -> None:
    member = stable()
    member.unanswered(said(member, 5.0), 5.0)
    member.answered(said(member, 6.0), HeartbeatAnswer(3, 5000, MORE), 6.0)
    assert isinstance(member.due(7.0), Heartbeat)


def test_a_question_without_an_answer_is_asked_again() -> None:
    member = stable()
    member.unanswered(said(member, 5.0), 5.0)
    member.answered(said(member, 6.0), HeartbeatAnswer(2, 5000), 6.0)
    assert member.due(6.0) == Ask()
    member.not_described(6.5)
    member.answered(said(member, 7.0), HeartbeatAnswer(2, 5000), 7.0)
    assert member.due(7.0) == Ask()
    assert member.described(MINE, 7.0) == []
    assert isinstance(member.due(9.0), Heartbeat)


def test_what_is_owned_is_said_again_after_a_question() -> None:
    member = stable()
    member.unanswered(said(member, 5.0), 5.0)
    assert said(member, 6.0).owned == MINE
    member.answered(Heartbeat(2, False, MINE, 0, False), HeartbeatAnswer(2, 5000), 6.0)
    assert member.due(6.0) == Ask()
    assert member.described(MINE, 6.1) == []
    assert said(member, 6.1).owned == MINE


def test_it_asks_once_more_when_what_it_gave_up_cannot_be_under_way_any_more() -> None:
    member = stable()
    member.unanswered(said(member, 5.0), 5.0)
    member.answered(said(member, 6.0), HeartbeatAnswer(2, 5000), 6.0)
    assert member.due(6.0) == Ask()
    assert member.described(MINE, 6.0) == []
    member.answered(said(member, 64.9), HeartbeatAnswer(2, 5000), 64.9)
    member.answered(said(member, 66.0), HeartbeatAnswer(2, 5000), 66.0)
    assert member.due(66.0) == Ask()
    assert member.described(MORE, 66.0) == [Assigned(2, MORE)]
    member.answered(said(member, 67.0), HeartbeatAnswer(2, 5000), 67.0)
    assert isinstance(member.due(200.0), Heartbeat)


def test_only_the_newest_assignment_can_be_acknowledged() -> None:
    member = joined()
    member.answered(said(member, 1.0), HeartbeatAnswer(3, 5000, MORE), 1.0)
    member.acknowledge(1, 1.1)
    assert member.state is S.RECONCILING
    member.acknowledge(2, 1.2)
    assert said(member, 1.2).owned == MORE


def test_an_acknowledgement_is_said_also_where_what_came_has_gone_again() -> None:
    member = stable()
    member.answered(said(member, 5.0), HeartbeatAnswer(3, 5000, MORE), 5.0)
    member.answered(said(member, 6.0), HeartbeatAnswer(3, 5000, MINE), 6.0)
    member.acknowledge(3, 6.1)
    assert said(member, 6.1).owned == MINE


def test_an_acknowledgement_is_said_at_once_also_while_another_request_is_under_way() -> None:
    member = joined()
    heartbeat = said(member, 1.0)
    member.acknowledge(1, 1.1)
    assert member.due(1.2) is None
    member.answered(heartbeat, HeartbeatAnswer(2, 5000), 1.3)
    assert said(member, 1.3).owned == MINE


def test_a_fenced_member_joins_when_the_worker_has_dropped_everything() -> None:
    member = fenced()
    member.acknowledge(1, 9.5)
    assert member.due(9.5) is None
    member.released(10.0)
    assert said(member, 10.0) == Heartbeat(0, True, Roles(), 0, False)


def test_tries_are_further_and_further_apart_up_to_a_second() -> None:
    member = new_member()
    times = []
    now = 0.0
    for _ in range(8):
        member.unanswered(said(member, now), now)
        times.append(member.next_time() - now)
        now = member.next_time()
    assert times == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0])


def test_heartbeats_come_sooner_while_tasks_move() -> None:
    member = stable()
    member.answered(said(member, 1.0), HeartbeatAnswer(2, 5000), 1.0)
    assert member.next_time() == pytest.approx(2.0)
    member.answered(said(member, 2.0), HeartbeatAnswer(3, 5000), 2.0)
    assert member.next_time() == pytest.approx(2.25)
    member.answered(said(member, 2.25), HeartbeatAnswer(3, 5000), 2.25)
    assert member.next_time() == pytest.approx(2.5)
    member.answered(said(member, 2.5), HeartbeatAnswer(3, 5000), 2.5)
    assert member.next_time() == pytest.approx(3.5)
    member.answered(said(member, 4.0), HeartbeatAnswer(3, 200), 4.0)
    assert member.next_time() == pytest.approx(4.2)


def test_a_static_member_keeps_its_place_unless_it_leaves_for_good() -> None:
    for is_static, for_good, epoch in [(True, False, -2), (True, True, -1), (False, False, -1)]:
        member = new_member(is_static=is_static)
        member.answered(said(member, 0.0), HeartbeatAnswer(2, 5000, MINE), 0.0)
        member.leave(1.0, for_good=for_good)
        assert said(member, 1.0).epoch == epoch


def test_a_static_member_waits_for_the_session_of_who_has_its_id() -> None:
    member = new_member(is_static=True)
    now, tries = 0.0, 0
    while member.state is not S.ENDED and tries < 100:
        effects = member.refused(said(member, now), Refusal.INSTANCE_IN_USE, "owned by x", now)
        now, tries = max(now, member.next_time() if member.state is S.JOINING else now), tries + 1
    assert effects == [Ended("owned by x")]
    assert 45.0 < now < 65.0
    assert tries < 12


def test_another_that_has_taken_the_id_over_ends_it() -> None:
    member = stable()
    effects = member.refused(said(member, 5.0), Refusal.INSTANCE_IN_USE, "taken", 5.0)
    assert effects == [Lost("taken"), Ended("taken")]


def test_the_groups_status_is_told_when_it_changes() -> None:
    member = stable()
    missing = {GroupStatus.MISSING_SOURCE_TOPICS: "orders"}
    answer = HeartbeatAnswer(2, 5000, None, missing)
    assert member.answered(said(member, 5.0), answer, 5.0) == [StatusChanged(missing)]
    assert member.answered(said(member, 6.0), answer, 6.0) == []
    assert member.answered(said(member, 8.0), HeartbeatAnswer(2, 5000), 8.0) == [StatusChanged({})]


def test_all_are_told_to_stop_until_the_member_leaves() -> None:
    member = stable()
    member.stop_application(3.0)
    assert said(member, 3.0).stops_application


# ── whole groups ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Instance:
    """A member with its worker, which takes its time, may be stopped for long, and may die."""

    def __init__(self, name: str, group: "Group") -> None:
        self.name, self.group = name, group
        self.member = StreamsMember(name, is_static=False, session_timeout_s=group.session_s, now=group.now)
        self.tasks: frozenset[TaskId] = frozenset()
        self.epoch = 0
        self.is_alive = True
        self.stopped_until = 0.0

    def turn(self) -> None:
        """Say what is due."""
        heartbeat = self.member.due(self.group.now)
        if heartbeat is not None:
            self.group.send(self, heartbeat)
        if self.member.next_time() < float("inf"):
            self.group.later(max(0.01, self.member.next_time() - self.group.now), self, self.turn)

    def hear(self, effects: list[object]) -> None:
        dice = self.group.dice
        for effect in effects:
            match effect:
                case EpochChanged(epoch=epoch):
                    self.epoch = epoch
                case Assigned(number=number, roles=roles):
                    self.group.later(dice.choice([0.0, 0.05, 2.0]), self, lambda: self.drop(number, roles))
                case Lost():
                    self.tasks = frozenset()
                    self.group.later(dice.choice([0.0, 0.5]), self, self.released)
        self.turn()

    def drop(self, number: int, roles: Roles) -> None:
        if number == self.member._number and self.member.state is S.RECONCILING:
            self.tasks &= roles.active
            self.group.later(self.group.dice.choice([0.0, 0.1]), self, lambda: self.take(number, roles))

    def take(self, number: int, roles: Roles) -> None:
        if number == self.member._number and self.member.state is S.RECONCILING:
            self.tasks = roles.active
            self.member.acknowledge(number, self.group.now)
            self.turn()

    def released(self) -> None:
        self.member.released(self.group.now)
        self.turn()


class Group:
    """Instances and their coordinator in virtual time; requests and answers are delayed, and may be lost."""

    def __init__(self, seed: int, *, session_s: float = 6.0) -> None:
        self.dice = random.Random(seed)
        self.session_s = session_s
        self.now = 0.0
        self.tasks = [TaskId(0, number) for number in range(self.dice.randint(1, 7))]
        self.coordinator = Coordinator(self.tasks, session_s=session_s)
        self.instances: list[Instance] = []
        self.trouble = 0.1
        self._order = itertools.count()
        self._events: list[tuple[float, int, Instance, Callable[[], None]]] = []

    def later(self, seconds: float, instance: Instance, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), instance, action))

    def start(self) -> None:
        instance = Instance(f"m{len(self.instances)}", self)
        self.instances.append(instance)
        instance.turn()

    def send(self, instance: Instance, request: Heartbeat | Ask) -> None:
        delay = self.dice.choice([0.001, 0.01, 0.3])
        is_heard = self.dice.random() >= self.trouble
        is_answered = self.dice.random() >= self.trouble

        def arrive() -> None:
            if isinstance(request, Ask):
                roles = self.coordinator.describe(instance.name)
                self.later(delay, instance, lambda: told(roles) if is_heard and is_answered else untold())
                return
            answer = self.coordinator.heartbeat(instance.name, request, self.now) if is_heard else None
            self.later(delay, instance, lambda: arrive_back(request, answer if is_answered else None))

        def told(roles: Roles | None) -> None:
            instance.hear([*instance.member.described(roles, self.now)])

        def untold() -> None:
            instance.member.not_described(self.now)
            instance.turn()

        def arrive_back(heartbeat: Heartbeat, answer: HeartbeatAnswer | Refusal | None) -> None:
            member = instance.member
            if answer is None:
                instance.hear([*member.unanswered(heartbeat, self.now)])
            elif isinstance(answer, Refusal):
                instance.hear([*member.refused(heartbeat, answer, "said", self.now)])
            else:
                instance.hear([*member.answered(heartbeat, answer, self.now)])

        # What is on the wire arrives, whatever becomes of the sender.
        heapq.heappush(self._events, (self.now + delay, next(self._order), _WIRE, arrive))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, instance, action = heapq.heappop(self._events)
            self.coordinator.expire(self.now)
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
                if each.is_alive
                and task in each.tasks
                and self.coordinator.takes_commit(each.name, each.epoch, task)
            ]
            assert len(able) <= 1, f"{task} can be committed by {able}"

    def check_settled(self) -> None:
        """Every task runs somewhere, once, and all is even."""
        alive = [each for each in self.instances if each.is_alive]
        run = sorted(task for each in alive for task in each.tasks)
        assert run == self.tasks
        counts = [len(each.tasks) for each in alive]
        assert max(counts) - min(counts) <= 1
        assert {each.member.state for each in alive} == {S.STABLE}


class _Wire(Instance):
    def __init__(self) -> None:
        self.is_alive, self.stopped_until = True, 0.0


_WIRE = _Wire()


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
        match dice.choice(["start", "kill", "stop", "nothing"]):
            case "start" if len(alive) < 5:
                group.start()
            case "kill" if len(alive) > 1:
                dice.choice(alive).is_alive = False
            case "stop":
                dice.choice(alive).stopped_until = group.now + dice.choice([1.0, 5.0, 20.0])
    group.trouble = 0.0
    group.run(60.0)
    group.check_settled()
