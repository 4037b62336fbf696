"""Assigns the tasks of a group: evenly, moving few, and never to where state is to be restored while another has it.

A task whose place is to change runs on where its state is, and is warmed up in its new place meanwhile; later
assignments move it. Aims: HighAvailabilityTaskAssignor of Kafka 4.4 (KIP-441).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from headrace.base.ids import TaskId
from headrace.group.loads import Loads
from headrace.group.members import ANY_LAG, AssignmentOptions, GroupAssignment, Process, Roles, TaskFacts
from headrace.group.standbys import Standbys

__all__ = ["assign"]

_NO_STATE = _NEVER = float("inf")
_ALL_OF_IT = float(1 << 63)
_RUNNING = -1.0


def assign(
    tasks: Mapping[TaskId, TaskFacts], processes: Mapping[str, Process], options: AssignmentOptions
) -> GroupAssignment:
    """Decide what each member of each process does. The same input gives the same answer.

    There must be a process, and each must have a member.
    """
    group = _Group(processes, options)
    stateful = sorted(task for task, facts in tasks.items() if facts.is_stateful)
    stateless = sorted(tasks.keys() - set(stateful))
    wanted = group.place(stateful)
    active = group.place_now(wanted.place_of)
    moving = {task: place for task, place in wanted.place_of.items() if active[task] != place}
    warmups = group.warm_up(moving)
    copies = Standbys(processes, options, group.readiness, active, warmups)
    standbys, are_even = copies.place(options.max_warmup_replicas - len(warmups))
    group.add_stateless(wanted, stateless)
    active.update({task: wanted.place_of[task] for task in stateless})
    roles: dict[str, Roles] = {}
    for name, process in processes.items():
        mine = [task for task, place in active.items() if place == name]
        follows = [task for task, places in standbys.items() if name in places]
        warms = [task for task, place in warmups.items() if place == name]
        roles.update(_share(process, set(stateful), mine, follows, warms))
    return GroupAssignment(roles, is_final=not moving and are_even)


class _Group:
    """The processes, with what each has of which task."""

    def __init__(self, processes: Mapping[str, Process], options: AssignmentOptions) -> None:
        self._processes = dict(sorted(processes.items()))
        self._options = options
        self._capacities = {name: len(process.members) for name, process in processes.items()}
        self._without_state = 0.0 if options.acceptable_recovery_lag >= ANY_LAG else _NO_STATE
        self._ready: dict[TaskId, dict[str, float]] = {}
        for name, process in self._processes.items():
            for task, lag in process.lags.items():
                # Within what is acceptable, all are equal: nothing is gained by moving from one to another.
                rank = 0.0 if lag <= options.acceptable_recovery_lag else float(lag)
                self._ready.setdefault(task, {})[name] = rank
            for task in process.active:
                self._ready.setdefault(task, {})[name] = _RUNNING

    def readiness(self, task: TaskId, place: str) -> float:
        """How far a process is from running a task: less than 0 where it does, 0 where its state is near enough."""
        return self._ready.get(task, {}).get(place, self._without_state)

    def place(self, tasks: Sequence[TaskId]) -> Loads[TaskId]:
        """Place stateful tasks as they are to be in the end."""
        loads: Loads[TaskId] = Loads(self._capacities)
        nowhere = []
        for task in tasks:
            ready = self._ready.get(task)
            if ready is None:
                nowhere.append(task)
                continue
            best = min(ready.values())
            loads.put(task, loads.lightest(task, [place for place, rank in ready.items() if rank == best]))
        for task in nowhere:
            loads.put(task, loads.lightest(task))
        loads.even_out(self._distance)
        return loads

    def _distance(self, task: TaskId, place: str) -> float:
        """What moving a task to a process costs: what it has to restore there, all of it being more than any lag."""
        return min(self.readiness(task, place), _ALL_OF_IT)

    def place_now(self, wanted: Mapping[TaskId, str]) -> dict[TaskId, str]:
        """Return where tasks run until they are ready in their places: there too, if nobody else is nearer to it."""
        loads: Loads[TaskId] = Loads(self._capacities)
        for task, place in wanted.items():
            ready = self._ready.get(task, {})
            best = min(ready.values(), default=_NO_STATE)
            here = self.readiness(task, place)
            is_ready = here <= max(best, 0.0)
            nearest = [other for other, rank in ready.items() if rank == best]
            loads.put(task, place if is_ready else loads.lightest(task, nearest))
        return loads.place_of

    def warm_up(self, moving: Mapping[TaskId, str]) -> dict[TaskId, str]:
        """Return which of the tasks that are to move are warmed up now, and where: those that are nearest first."""
        nearest = sorted(moving, key=lambda task: (self.readiness(task, moving[task]), task))
        return {task: moving[task] for task in nearest[: self._options.max_warmup_replicas]}

    def add_stateless(self, loads: Loads[TaskId], tasks: Iterable[TaskId]) -> None:
        """Place tasks without state over the others, so that all together are even."""
        free = set(tasks)
        owners = {
            task: name for name, process in self._processes.items() for task in process.active if task in free
        }
        for task in sorted(free):
            owner = owners.get(task)
            loads.put(task, loads.lightest(task) if owner is None else owner)
        loads.even_out(lambda task, place: 0.0 if task in free else _NEVER)


def _share(
    process: Process,
    stateful: Collection[TaskId],
    active: Iterable[TaskId],
    standby: Iterable[TaskId],
    warmup: Iterable[TaskId],
) -> dict[str, Roles]:
    """Share what a process does among its members. Its state is there for each of them: moving costs a moment."""
    members = process.members

    def spread(tasks: Iterable[TaskId], held: Mapping[str, frozenset[TaskId]], loads: Loads[TaskId]) -> None:
        new = set(tasks)
        owners = {task: member for member in sorted(members) for task in held[member] if task in new}
        for task in sorted(new):
            loads.put(task, owners[task] if task in owners else loads.lightest(task))
        loads.even_out(lambda task, place: 0.0 if task in new else _NEVER)

    ones = dict.fromkeys(members, 1)
    runs, follows, warms = (Loads[TaskId](ones) for _ in range(3))
    held = {name: member.active for name, member in members.items()}
    followed = {name: member.standby for name, member in members.items()}
    mine = set(active)
    spread(mine & set(stateful), held, runs)
    spread(mine - set(stateful), held, runs)
    spread(standby, followed, follows)
    spread(warmup, followed, warms)
    return {name: Roles(runs.tasks(name), follows.tasks(name), warms.tasks(name)) for name in members}
