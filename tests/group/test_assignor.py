"""Assignments of whole groups: complete, even, steady, and never slower to recover than they must be."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.ids import TaskId
from headrace.group.members import ANY_LAG, AssignmentOptions, TaskFacts
from tests.group.cluster import Cluster


def tasks_of(stateful: int, stateless: int = 0, partitions: int = 8) -> dict[TaskId, TaskFacts]:
    """Make tasks in sub-topologies of so many partitions."""
    made = {TaskId(n // partitions, n % partitions): TaskFacts(is_stateful=True) for n in range(stateful)}
    made |= {
        TaskId(1000 + n // partitions, n % partitions): TaskFacts(is_stateful=False) for n in range(stateless)
    }
    return made


def cluster_of(machines: int, tasks: dict[TaskId, TaskFacts], **options: int) -> Cluster:
    cluster = Cluster(tasks, AssignmentOptions(**options))  # type: ignore[arg-type]  # numbers, all of them
    for number in range(machines):
        cluster.add(f"m{number:02d}")
    return cluster


def loads(cluster: Cluster, *, stateful: bool | None = None) -> list[float]:
    return [
        sum(stateful is None or cluster.tasks[task].is_stateful is stateful for task in cluster.active(name))
        / machine.members
        for name, machine in cluster.machines.items()
    ]


def check(cluster: Cluster) -> None:
    """Hold what must hold of every assignment."""
    options = cluster.options
    run = [task for name in cluster.machines for task in cluster.active(name)]
    assert sorted(run) == sorted(cluster.tasks)
    copies = dict.fromkeys(cluster.tasks, 0)
    warmups = 0
    for name, machine in cluster.machines.items():
        roles = machine.roles.values()
        everything = [
            task for each in roles for kind in (each.active, each.standby, each.warmup) for task in kind
        ]
        assert len(everything) == len(set(everything)), f"{name} has a task twice"
        for task in cluster.standby(name):
            assert cluster.tasks[task].is_stateful
            copies[task] += 1
        warmups += len(cluster.warmup(name))
    assert warmups <= options.max_warmup_replicas
    possible = min(options.num_standby_replicas, len(cluster.machines) - 1)
    for task, facts in cluster.tasks.items():
        if facts.is_stateful:
            warms = sum(task in cluster.warmup(name) for name in cluster.machines)
            assert copies[task] >= min(possible, len(cluster.machines) - 1 - warms)


def check_settled(cluster: Cluster) -> None:
    """Hold what must hold when nothing is left to do: even, and left alone."""
    check(cluster)
    for stateful in (True, None):
        found = loads(cluster, stateful=stateful)
        for machine, high in zip(cluster.machines.values(), found):
            for other, low in zip(cluster.machines.values(), found):
                assert high <= low + 1 / min(machine.members, other.members) + 1e-9
    before = {name: dict(machine.roles) for name, machine in cluster.machines.items()}
    cluster.catch_up()
    cluster.rebalance()
    assert {name: dict(machine.roles) for name, machine in cluster.machines.items()} == before


@settings(deadline=None)
@given(st.data())
def test_a_group_settles_whatever_comes_and_goes(data: st.DataObject) -> None:
    draw = data.draw
    tasks = tasks_of(
        draw(st.integers(0, 24), "stateful"), draw(st.integers(0, 12), "stateless"), draw(st.integers(1, 8))
    )
    cluster = Cluster(
        tasks,
        AssignmentOptions(
            num_standby_replicas=draw(st.integers(0, 2), "standbys"),
            max_warmup_replicas=draw(st.integers(1, 4), "warm-ups"),
        ),
    )
    names: Iterator[str] = iter(f"m{number:02d}" for number in range(100))
    for _ in range(draw(st.integers(1, 4), "machines")):
        cluster.add(next(names), draw(st.integers(1, 3), "members"))
    rounds_max = 4 * len(tasks) + 8
    for _ in range(draw(st.integers(0, 5), "events")):
        cluster.settle(rounds_max)
        check_settled(cluster)
        if len(cluster.machines) > 1 and draw(st.booleans(), "is one lost"):
            lost = draw(st.sampled_from(sorted(cluster.machines)), "which")
            followed = {
                task
                for task in cluster.active(lost)
                if any(task in cluster.standby(name) for name in cluster.machines if name != lost)
            }
            holders = {
                task: {name for name in cluster.machines if task in cluster.standby(name)}
                for task in followed
            }
            cluster.kill(lost)
            cluster.rebalance()
            check(cluster)
            # Nothing is restored of which there was a copy.
            assert all(cluster.owner(task) in holders[task] for task in followed)
        else:
            before = cluster.owners()
            cluster.add(next(names), draw(st.integers(1, 3), "members"))
            cluster.rebalance()
            check(cluster)
            # Nothing with state moves before it is warmed up.
            assert all(cluster.owner(task) == before[task] for task in tasks if tasks[task].is_stateful)
    cluster.settle(rounds_max)
    check_settled(cluster)


def test_one_more_machine_takes_its_share_and_nothing_else_moves() -> None:
    cluster = cluster_of(4, tasks_of(40))
    cluster.settle(2)
    before = cluster.owners()
    cluster.add("new")
    cluster.settle(20)
    moved = {task for task, owner in cluster.owners().items() if owner != before[task]}
    assert len(moved) == 8
    assert cluster.active("new") == moved


def test_where_any_lag_is_acceptable_tasks_move_at_once_to_where_nothing_is_of_them() -> None:
    cluster = cluster_of(1, tasks_of(16), acceptable_recovery_lag=ANY_LAG)
    cluster.rebalance()
    cluster.add("m01")
    cluster.rebalance()
    assert loads(cluster) == [8.0, 8.0]


def test_the_tasks_of_a_lost_machine_are_shared_by_the_others() -> None:
    cluster = cluster_of(5, tasks_of(40))
    cluster.settle(2)
    before = cluster.owners()
    cluster.kill("m02")
    cluster.settle(20)
    assert loads(cluster) == [10, 10, 10, 10]
    assert all(cluster.owner(task) == owner for task, owner in before.items() if owner != "m02")


def test_a_machine_that_comes_back_with_its_state_has_its_tasks_back_at_once() -> None:
    cluster = cluster_of(3, tasks_of(9))
    cluster.settle(2)
    cluster.catch_up()
    mine = cluster.active("m01")
    machine = cluster.machines.pop("m01")
    machine.roles = {}
    cluster.machines["m01"] = machine
    cluster.rebalance()
    assert cluster.active("m01") == mine
    assert cluster.assignment.is_final


def test_a_rolling_restart_with_state_moves_nothing_in_the_end() -> None:
    cluster = cluster_of(4, tasks_of(32), num_standby_replicas=1)
    cluster.settle(40)
    cluster.catch_up()
    before = cluster.owners()
    for name in sorted(cluster.machines):
        machine = cluster.machines.pop(name)
        machine.roles = {}
        cluster.rebalance()
        cluster.machines[name] = machine
        cluster.settle(40)
        cluster.catch_up()
    moved = sum(owner != before[task] for task, owner in cluster.owners().items())
    assert loads(cluster) == [8, 8, 8, 8]
    assert moved <= 32  # each has moved to its standby at most, whose state was there


def test_the_partitions_of_a_sub_topology_are_spread() -> None:
    cluster = cluster_of(4, tasks_of(32, partitions=8))
    cluster.settle(2)
    for name in cluster.machines:
        by_subtopology = [task.subtopology for task in cluster.active(name)]
        assert {by_subtopology.count(each) for each in range(4)} == {2}


def test_a_machine_with_twice_the_threads_has_twice_the_tasks() -> None:
    cluster = Cluster(tasks_of(12, 12), AssignmentOptions())
    cluster.add("small", 1)
    cluster.add("large", 2)
    cluster.settle(20)
    assert (len(cluster.active("small")), len(cluster.active("large"))) == (8, 16)
    assert [len(cluster.machines["large"].roles[each].active) for each in ("large-0", "large-1")] == [8, 8]


def test_a_task_stays_with_its_thread() -> None:
    cluster = Cluster(tasks_of(8), AssignmentOptions())
    cluster.add("one", 2)
    cluster.settle(2)
    before = dict(cluster.machines["one"].roles)
    cluster.machines["one"].members = 3
    cluster.rebalance()
    after = cluster.machines["one"].roles
    assert all(after[member].active <= roles.active for member, roles in before.items())
    assert [len(roles.active) for roles in after.values()] == [3, 3, 2]


def test_standbys_are_on_other_racks_where_there_are_any() -> None:
    options = AssignmentOptions(num_standby_replicas=1, rack_aware_assignment_tags=("rack",))
    cluster = Cluster(tasks_of(12), options)
    for number in range(4):
        cluster.add(f"m{number}", rack="ab"[number % 2])
    cluster.settle(40)
    for name, machine in cluster.machines.items():
        for task in cluster.standby(name):
            assert cluster.machines[cluster.owner(task)].tags["rack"] != machine.tags["rack"]
    assert {len(cluster.standby(name)) for name in cluster.machines} == {3}


def test_state_that_is_nearly_there_counts_as_there() -> None:
    cluster = cluster_of(2, tasks_of(2), acceptable_recovery_lag=100)
    cluster.settle(2)
    cluster.catch_up()
    lost, left = "m00", "m01"
    (task,) = cluster.active(lost)
    cluster.machines[left].lags[task] = 5000
    cluster.add("near")
    cluster.machines["near"].lags[task] = 99
    cluster.kill(lost)
    cluster.rebalance()
    assert cluster.owner(task) == "near"


def test_without_any_copy_the_least_work_is_taken() -> None:
    cluster = cluster_of(3, tasks_of(3))
    cluster.settle(2)
    cluster.catch_up()
    (task,) = cluster.active("m00")
    cluster.machines["m01"].lags[task] = 900_000
    cluster.machines["m02"].lags[task] = 600_000
    cluster.kill("m00")
    cluster.rebalance()
    assert cluster.owner(task) == "m02"


@pytest.mark.campaign
@pytest.mark.parametrize(("machines", "tasks"), [(100, 1000), (3, 1000), (100, 60)])
def test_large_groups_settle_quickly(machines: int, tasks: int) -> None:
    cluster = cluster_of(
        machines, tasks_of(tasks, tasks // 4, 50), num_standby_replicas=1, max_warmup_replicas=50
    )
    cluster.settle(4)
    check_settled(cluster)
    before = cluster.owners()
    cluster.kill("m01")
    cluster.add("new")
    began = time.process_time()
    rounds = cluster.settle(40)
    seconds = (time.process_time() - began) / rounds
    check_settled(cluster)
    moved = sum(cluster.owner(task) != owner for task, owner in before.items() if owner != "m01")
    assert moved <= 2 * len(before) / machines + 1
    assert seconds < 2.0, f"an assignment takes {seconds:.1f} s"
