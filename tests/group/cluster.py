"""A model of instances that do what they are told: state appears where tasks are followed, and stays for a while."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.base.ids import TaskId
from headrace.group.assignor import assign
from headrace.group.members import AssignmentOptions, GroupAssignment, Member, Process, Roles, TaskFacts

END = 1_000_000


@dataclass
class Machine:
    """A process with its members' roles, and how far its copies of tasks' state are behind."""

    members: int
    tags: Mapping[str, str] = field(default_factory=dict)
    roles: dict[str, Roles] = field(default_factory=dict)
    lags: dict[TaskId, int] = field(default_factory=dict)


class Cluster:
    """Tasks, and the machines that share them."""

    def __init__(self, tasks: Mapping[TaskId, TaskFacts], options: AssignmentOptions) -> None:
        self.tasks = tasks
        self.options = options
        self.machines: dict[str, Machine] = {}
        self.assignment = GroupAssignment({}, is_final=True)

    def add(self, name: str, members: int = 1, **tags: str) -> None:
        """Start a machine without any state."""
        self.machines[name] = Machine(members, tags)

    def kill(self, name: str) -> None:
        """Lose a machine and its disk."""
        del self.machines[name]

    def processes(self) -> dict[str, Process]:
        """Say what the leader is told."""
        return {
            name: Process(
                {
                    member: Member(
                        machine.roles.get(member, Roles()).active,
                        machine.roles.get(member, Roles()).standby
                        | machine.roles.get(member, Roles()).warmup,
                    )
                    for member in self.names(name)
                },
                dict(machine.lags),
                machine.tags,
            )
            for name, machine in self.machines.items()
        }

    def names(self, machine: str) -> list[str]:
        """Return the ids of a machine's members."""
        return [f"{machine}-{number}" for number in range(self.machines[machine].members)]

    def rebalance(self) -> GroupAssignment:
        """Let the leader decide, and everybody follow."""
        self.assignment = assign(self.tasks, self.processes(), self.options)
        for name, machine in self.machines.items():
            machine.roles = {member: self.assignment.roles[member] for member in self.names(name)}
            held = self.active(name) | self.standby(name) | self.warmup(name)
            stateful = {task for task in held if self.tasks[task].is_stateful}
            for task in stateful:
                machine.lags.setdefault(task, END)
        return self.assignment

    def catch_up(self) -> None:
        """Let all that is restored get to the end; what nobody follows any more falls behind."""
        for name, machine in self.machines.items():
            held = self.active(name) | self.standby(name) | self.warmup(name)
            machine.lags = {task: 0 if task in held else END for task in machine.lags}

    def settle(self, rounds_max: int) -> int:
        """Rebalance until nothing is left to do; return how often that was."""
        for number in range(1, rounds_max + 1):
            if self.rebalance().is_final:
                return number
            self.catch_up()
        raise AssertionError(f"not settled after {rounds_max} rounds")

    def active(self, name: str) -> frozenset[TaskId]:
        """Return what a machine runs."""
        return frozenset[TaskId]().union(*(roles.active for roles in self.machines[name].roles.values()))

    def standby(self, name: str) -> frozenset[TaskId]:
        """Return what a machine follows."""
        return frozenset[TaskId]().union(*(roles.standby for roles in self.machines[name].roles.values()))

    def warmup(self, name: str) -> frozenset[TaskId]:
        """Return what a machine makes itself ready to run."""
        return frozenset[TaskId]().union(*(roles.warmup for roles in self.machines[name].roles.values()))

    def owner(self, task: TaskId) -> str:
        """Return the one machine that runs a task."""
        (owner,) = [name for name in self.machines if task in self.active(name)]
        return owner

    def owners(self) -> dict[TaskId, str]:
        """Return who runs what."""
        return {task: self.owner(task) for task in self.tasks}
