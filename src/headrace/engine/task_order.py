"""Tasks by a moment that each is at: heads by record time for the picker, punctuations by wall clock for the worker."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence

from headrace.base.ids import TaskId
from headrace.engine.punctuation import NEVER

__all__ = ["TaskOrder"]


class TaskOrder:
    """Tasks, the earliest first, equal ones by their ids. A worker has thousands of tasks, of which few change at once.

    Kept in order and not as a heap: what stands in the middle can be taken out, and moving the rest of ten thousand
    tasks takes a microsecond or two.
    """

    def __init__(self) -> None:
        self._moments: dict[TaskId, int] = {}
        self._order: list[tuple[int, TaskId]] = []

    def put(self, task_id: TaskId, moment: int) -> None:
        """Set the moment of a task (epoch ms), in the place of the one before; with `NEVER` it is not among them."""
        known = self._moments.get(task_id, NEVER)
        if moment == known:
            return
        if known != NEVER:
            del self._order[bisect_left(self._order, (known, task_id))]
            del self._moments[task_id]
        if moment != NEVER:
            insort(self._order, (moment, task_id))
            self._moments[task_id] = moment

    @property
    def earliest(self) -> int:
        """The first moment; `NEVER` where there is no task."""
        return self._order[0][0] if self._order else NEVER

    def until(self, moment: int) -> Sequence[TaskId]:
        """Return the tasks that are no later than a moment, in the order of their ids."""
        if self.earliest > moment:
            return ()
        end = bisect_right(self._order, moment, key=lambda entry: entry[0])
        return sorted(task_id for _, task_id in self._order[:end])

    def __iter__(self) -> Iterator[tuple[int, TaskId]]:
        """Go through moments and tasks, the earliest first; nothing may be put meanwhile."""
        return iter(self._order)
