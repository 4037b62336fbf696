"""Tasks change hands one step at a time: given up first, taken up then."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.ids import TaskId
from headrace.group.handover import handed_over
from headrace.group.members import GroupAssignment, Member, Process, Roles

TASKS = [TaskId(0, partition) for partition in range(6)]


def _process(**members: set[TaskId]) -> Process:
    return Process({name: Member(frozenset(active)) for name, active in members.items()})


def _wanted(**members: set[TaskId]) -> GroupAssignment:
    return GroupAssignment(
        {name: Roles(frozenset(active)) for name, active in members.items()}, is_final=True
    )


def test_what_another_member_runs_is_not_given_before_it_has_let_go() -> None:
    processes = {"p": _process(a={TASKS[0], TASKS[1]}), "q": _process(b=set())}
    wanted = _wanted(a={TASKS[0]}, b={TASKS[1]})
    roles, is_all = handed_over(wanted, processes)
    assert (roles["a"].active, roles["b"].active, is_all) == (frozenset({TASKS[0]}), frozenset(), False)
    processes["p"] = _process(a={TASKS[0]})
    roles, is_all = handed_over(wanted, processes)
    assert (roles["a"].active, roles["b"].active, is_all) == (
        frozenset({TASKS[0]}),
        frozenset({TASKS[1]}),
        True,
    )


def test_what_a_lost_member_ran_is_given_at_once() -> None:
    roles, is_all = handed_over(_wanted(b={TASKS[0]}), {"q": _process(b=set())})
    assert (roles["b"].active, is_all) == (frozenset({TASKS[0]}), True)


def test_a_directory_is_let_go_of_before_another_thread_takes_it() -> None:
    process = Process({"a": Member(standby=frozenset({TASKS[0]})), "b": Member()})
    roles, is_all = handed_over(_wanted(a=set(), b={TASKS[0]}), {"p": process})
    assert (roles["b"].active, is_all) == (frozenset(), False)


def test_a_standby_runs_what_it_followed_without_a_step_between() -> None:
    process = Process({"a": Member(standby=frozenset({TASKS[0]}))})
    roles, is_all = handed_over(_wanted(a={TASKS[0]}), {"p": process})
    assert (roles["a"].active, is_all) == (frozenset({TASKS[0]}), True)


@settings(deadline=None)
@given(st.data())
def test_two_steps_are_enough_and_nobody_runs_what_another_runs(data: st.DataObject) -> None:
    members = ["a", "b", "c", "d"]
    process_of = {member: data.draw(st.sampled_from("pq"), member) for member in members}

    def shared(label: str) -> dict[str, Member]:
        held: dict[str, tuple[set[TaskId], set[TaskId]]] = {member: (set(), set()) for member in members}
        for task in TASKS:
            owner = data.draw(st.sampled_from(members), f"{label} owner")
            follower = data.draw(st.sampled_from(members), f"{label} follower")
            held[owner][0].add(task)
            if process_of[follower] != process_of[owner]:
                held[follower][1].add(task)
        return {
            member: Member(frozenset(runs), frozenset(follows)) for member, (runs, follows) in held.items()
        }

    now, then = shared("now"), shared("then")
    wanted = GroupAssignment(
        {name: Roles(has.active, has.standby) for name, has in then.items()}, is_final=True
    )

    def processes() -> dict[str, Process]:
        made: dict[str, dict[str, Member]] = {}
        for member, has in now.items():
            made.setdefault(process_of[member], {})[member] = has
        return {name: Process(has) for name, has in made.items()}

    first, _ = handed_over(wanted, processes())
    for member, roles in first.items():
        for other, has in now.items():
            if other != member:
                assert not roles.active & has.active
                if process_of[other] == process_of[member]:
                    assert not (roles.active | roles.standby) & (has.active | has.standby)
    now = {member: Member(roles.active, roles.standby) for member, roles in first.items()}
    second, is_all = handed_over(wanted, processes())
    assert is_all
    assert second == wanted.roles
