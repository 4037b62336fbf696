"""What the leader of a classic group makes of what its members tell."""

from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.leader import decide
from headrace.group.members import AssignmentOptions, Roles
from headrace.group.user_data import LeaderWord, MemberWord, TaskProgress

TASKS = tuple(TaskId(0, partition) for partition in range(4))
A, B, C, D = TASKS
OPTIONS = AssignmentOptions(acceptable_recovery_lag=10)


def application(*, is_stateful: bool = True) -> GroupApplication:
    part = SubtopologyTopics(id=0, source_topics=frozenset({"in"}), is_stateful=is_stateful)
    return GroupApplication((part,), TASKS, {"in": 4})


def running(*tasks: TaskId) -> Roles:
    return Roles(frozenset(tasks))


def at(offset: int, *tasks: TaskId) -> dict[TaskId, TaskProgress]:
    return dict.fromkeys(tasks, TaskProgress(offset, offset))


def test_a_lone_member_gets_all() -> None:
    decision = decide({"m": MemberWord("p")}, application(), OPTIONS)
    assert decision.words == {"m": LeaderWord(running(*TASKS))}
    assert decision.is_final


def test_members_of_one_process_share_its_state() -> None:
    found = decide(
        {"m": MemberWord("p", progress=at(100, *TASKS)), "n": MemberWord("p")}, application(), OPTIONS
    )
    assert [len(found.words[name].roles.active) for name in ("m", "n")] == [2, 2]


def test_a_task_goes_where_its_state_is() -> None:
    members = {
        "m": MemberWord("p", progress={**at(100, A, B), **at(5, C, D)}),
        "n": MemberWord("q", progress={**at(100, C, D), **at(5, A, B)}),
    }
    found = decide(members, application(), OPTIONS)
    assert found.words["m"].roles.active == {A, B}
    assert found.words["n"].roles.active == {C, D}


def test_a_member_that_knows_more_of_the_end_shows_that_others_are_behind() -> None:
    members = {
        "m": MemberWord("p", progress={A: TaskProgress(100, 1000)}),
        "n": MemberWord("q", progress={A: TaskProgress(995, 995)}),
    }
    assert A in decide(members, application(), OPTIONS).words["n"].roles.active


def test_nobody_gets_what_another_one_still_has() -> None:
    members = {
        "m": MemberWord("p", running(*TASKS)),
        "n": MemberWord("q"),
    }
    found = decide(members, application(is_stateful=False), OPTIONS)
    kept = found.words["m"].roles.active
    assert len(kept) == 2
    assert found.words["n"].roles == Roles()
    assert not found.words["m"].is_all
    assert not found.is_final
    done = decide(
        {"m": MemberWord("p", running(*kept)), "n": MemberWord("q")}, application(is_stateful=False), OPTIONS
    )
    assert done.words["n"].roles.active == frozenset(TASKS) - kept
    assert done.is_final


def test_a_task_that_is_no_more_is_given_to_nobody() -> None:
    gone = TaskId(7, 7)
    members = {"m": MemberWord("p", running(A, gone), at(5, gone))}
    assert decide(members, application(), OPTIONS).words["m"].roles.active == frozenset(TASKS)


def test_a_member_that_cannot_be_read_is_refused_and_the_others_go_on() -> None:
    found = decide({"m": MemberWord("p"), "later": None}, application(), OPTIONS)
    assert found.words["later"] == LeaderWord(is_refused=True)
    assert found.words["m"].roles.active == frozenset(TASKS)
    assert decide({"later": None}, application(), OPTIONS).words == {"later": LeaderWord(is_refused=True)}


def test_endpoints_of_a_process_are_one() -> None:
    members = {
        "m": MemberWord("p", endpoint=("a", 1)),
        "n": MemberWord("p", endpoint=("a", 1)),
        "o": MemberWord("q"),
    }
    found = decide(members, application(), AssignmentOptions(num_standby_replicas=1))
    (told,) = found.words["o"].endpoints.items()
    assert told[0] == ("a", 1)
    active = found.words["m"].roles.active | found.words["n"].roles.active
    assert told[1] == Roles(active, frozenset(TASKS) - active)


def test_whoever_wants_the_application_to_stop_is_heard_by_all() -> None:
    found = decide(
        {"m": MemberWord("p", stops_application=True), "n": MemberWord("q")}, application(), OPTIONS
    )
    assert [word.stops_application for word in found.words.values()] == [True, True]
