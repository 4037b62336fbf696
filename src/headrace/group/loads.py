"""Spreading tasks over places by capacity, moving as few as possible of those that are somewhere already."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Loads"]

_FORBIDDEN = float("inf")


class _Placeable(Protocol):
    """A task, or one of its copies. They have an order."""

    @property
    def subtopology(self) -> int: ...

    def __hash__(self) -> int: ...

    def __lt__(self, other: Any, /) -> bool: ...


_T = TypeVar("_T", bound=_Placeable)


class Loads(Generic[_T]):
    """How many tasks each place has, per unit of its capacity. Places are taken in order of their names where equal.

    Attributes:
        place_of: where each task is.
    """

    def __init__(self, capacities: Mapping[str, int]) -> None:
        self._capacities = dict(sorted(capacities.items()))
        self._tasks: dict[str, set[_T]] = {place: set() for place in self._capacities}
        self._subtopologies: dict[str, Counter[int]] = {place: Counter() for place in self._capacities}
        self.place_of: dict[_T, str] = {}

    def tasks(self, place: str) -> frozenset[_T]:
        """Return what a place has."""
        return frozenset(self._tasks[place])

    def load(self, place: str, more: int = 0) -> float:
        """Return the tasks of a place, and `more`, by its capacity."""
        return (len(self._tasks[place]) + more) / self._capacities[place]

    def put(self, task: _T, place: str) -> None:
        """Put a task that is nowhere to a place."""
        self.place_of[task] = place
        self._tasks[place].add(task)
        self._subtopologies[place][task.subtopology] += 1

    def move(self, task: _T, place: str) -> None:
        """Move a task to another place."""
        left = self.place_of[task]
        self._tasks[left].remove(task)
        self._subtopologies[left][task.subtopology] -= 1
        self.put(task, place)

    def lightest(self, task: _T, among: Iterable[str] | None = None) -> str:
        """Return the place that should have one more: the least loaded one, and with the fewest of its sub-topology.

        What a task costs goes by its sub-topology: those of one must not gather in one place.
        """
        places = sorted(self._capacities if among is None else among)
        return min(
            places,
            key=lambda place: (self.load(place, 1), self._subtopologies[place][task.subtopology]),
        )

    def even_out(self, cost: Callable[[_T, str], float]) -> None:
        """Move tasks from more to less loaded places while that makes the higher of both loads lower.

        `cost` says how dear it is to have a task in a place, infinity where it may not be. The cheapest one goes;
        among equals, one of a sub-topology that the place it leaves has most of, by comparison.
        """
        while (found := self._next_move(cost)) is not None:
            self.move(*found)

    def _next_move(self, cost: Callable[[_T, str], float]) -> tuple[_T, str] | None:
        targets = sorted(self._capacities, key=lambda place: self.load(place, 1))
        for source in sorted(self._capacities, key=self.load, reverse=True):
            for target in targets:
                if self.load(source) <= self.load(target, 1):
                    break
                prices = [
                    (price, -self._excess(task, source, target), task)
                    for task in self._tasks[source]
                    if (price := cost(task, target)) < _FORBIDDEN
                ]
                if prices:
                    return min(prices)[2], target
        return None

    def _excess(self, task: _T, source: str, target: str) -> int:
        return self._subtopologies[source][task.subtopology] - self._subtopologies[target][task.subtopology]
