"""Where copies of tasks' state are kept up to date: on other processes than those that run them, and on other racks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from headrace.base.ids import TaskId
from headrace.group.loads import Loads
from headrace.group.members import AssignmentOptions, Process

__all__ = ["Standbys"]

_NEVER = float("inf")
_ALL_OF_IT = float(1 << 63)


class _Copy(NamedTuple):
    """One of the copies of a task's state."""

    subtopology: int
    partition: int
    number: int

    @property
    def task(self) -> TaskId:
        return TaskId(self.subtopology, self.partition)


class Standbys:
    """Places copies: elsewhere (tags: KIP-708), then where they are, then where state is, then evenly.

    A copy that is to move for evenness stays until the new one is ready.
    """

    def __init__(
        self,
        processes: Mapping[str, Process],
        options: AssignmentOptions,
        readiness: Callable[[TaskId, str], float],
        active: Mapping[TaskId, str],
        warmups: Mapping[TaskId, str],
    ) -> None:
        """`active` and `warmups` say where each stateful task runs, and where it is made ready to run."""
        self._processes = dict(sorted(processes.items()))
        self._capacities = {name: len(process.members) for name, process in processes.items()}
        self._options = options
        self._readiness = readiness
        self._active = active
        self._warmups = warmups
        self._followed = {name: process.standby for name, process in processes.items()}
        self._loads: Loads[_Copy] = Loads(self._capacities)
        self._kept: dict[TaskId, list[str]] = {task: [] for task in active}

    def place(self, budget: int) -> tuple[Mapping[TaskId, set[str]], bool]:
        """Return the processes that follow each task, and whether that is as even as it gets.

        There are fewer copies than wanted where there are not enough processes. No more than `budget` copies are made
        for evenness at a time.
        """
        for number in range(self._options.num_standby_replicas):
            for task in self._kept:
                self._add(_Copy(*task, number))
        before = dict(self._loads.place_of)
        self._loads.even_out(self._cost)
        found: dict[TaskId, set[str]] = {task: set() for task in self._kept}
        is_even = True
        for copy, place in before.items():
            better, places = self._loads.place_of[copy], found[copy.task]
            if place == better or not self._is_missed(copy, place, better):
                places.add(better)
                continue
            is_even = False
            places.add(place)
            if budget > 0:
                budget -= 1
                places.add(better)
        return found, is_even

    def _is_missed(self, copy: "_Copy", place: str, better: str) -> bool:
        """Whether giving a copy up for a better place would leave less than there is."""
        return copy.task in self._followed[place] and self._readiness(copy.task, better) > 0

    def _add(self, copy: "_Copy") -> None:
        """Place a copy where it is best now, if a process is free to have it."""
        task = copy.task
        busy = {self._active[task], self._warmups.get(task), *self._kept[task]}
        prices = {place: self._price(task, place) for place in self._processes if place not in busy}
        if prices:
            best = min(prices.values())
            places = [place for place, price in prices.items() if price == best]
            self._loads.put(copy, self._loads.lightest(copy, places))
            self._kept[task].append(self._loads.place_of[copy])

    def _price(self, task: TaskId, place: str) -> tuple[int, bool, float]:
        readiness = max(0.0, self._readiness(task, place))
        shared = self._shared_tags(place, [self._active[task], *self._kept[task]])
        return shared, task not in self._followed[place], readiness

    def _cost(self, copy: "_Copy", place: str) -> float:
        """What moving a copy costs. Never beside another one, nor nearer to the others than it is."""
        task, left = copy.task, self._loads.place_of[copy]
        others = [self._active[task], *(self._loads.place_of[each] for each in self._others(copy))]
        if place in (*others, self._warmups.get(task), *self._kept[task]):
            return _NEVER
        if self._shared_tags(place, others) > self._shared_tags(left, others):
            return _NEVER
        return min(max(0.0, self._readiness(task, place)), _ALL_OF_IT)

    def _others(self, copy: "_Copy") -> Iterator["_Copy"]:
        for number in range(len(self._kept[copy.task])):
            if number != copy.number:
                yield copy._replace(number=number)

    def _shared_tags(self, place: str, others: Iterable[str]) -> int:
        """In how many tags a process is like one of others."""
        tags = self._processes[place].tags
        taken = [self._processes[other].tags for other in others]
        return sum(
            any(tags.get(tag) == each.get(tag) for each in taken)
            for tag in self._options.rack_aware_assignment_tags
        )
