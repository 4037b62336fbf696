"""Picks which task of a worker runs next, and how far: the one whose head is oldest, so that tasks advance together."""

from collections.abc import Mapping

from headrace.base.ids import TaskId
from headrace.engine.clock import Clock
from headrace.engine.fetch import Fetcher
from headrace.engine.punctuation import NEVER
from headrace.engine.task import Task
from headrace.engine.task_order import TaskOrder

__all__ = ["Picker"]

#: How long all tasks wait for what the log has for one that ran out: a round trip to a broker, with room.
_LACK_WAIT_MS = 10


class Picker:
    """Picks tasks. `alignment_ms` is how far one may get ahead of the others in record time; see `alignment`.

    It keeps the tasks that have records in the order of their heads, and looks again only at those whose queues have
    changed: the one that it picked last, and those that the fetcher names.
    """

    def __init__(self, fetcher: Fetcher, clock: Clock, idle_max_ms: int, alignment_ms: int) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._idle_max_ms = idle_max_ms
        self._alignment_ms = alignment_ms
        self._heads = TaskOrder()

    def pick(self, tasks: Mapping[TaskId, Task]) -> tuple[Task, int] | None:
        """Return a task that has records and is ready to run, and how far it may go (record time); None without one.

        The task is to be run. One that has run out of records that the log still has holds up those that are ahead of
        it, but a broker that is slow or away must not do so for long: they wait a little each time.
        """
        self._look_again()
        picked = self._oldest(tasks, NEVER) if len(tasks) < 2 else self._aligned(tasks)
        if picked is not None:
            self._fetcher.changed(picked[0])
        return picked

    def _aligned(self, tasks: Mapping[TaskId, Task]) -> tuple[Task, int] | None:
        fetcher, clock = self._fetcher, self._clock
        behind = fetcher.time_of_lacking(clock)
        if behind < NEVER and fetcher.fetch(0, clock, is_idle=True):
            self._look_again()
            behind = fetcher.time_of_lacking(clock)
        while (picked := self._oldest(tasks, behind)) is not None and behind < NEVER:
            task, until = picked
            head = task.head_timestamp
            if head is None or head <= until:
                return picked
            if not fetcher.fetch(_LACK_WAIT_MS, clock, is_idle=True):
                return self._oldest(tasks, NEVER)
            self._look_again()
            behind = fetcher.time_of_lacking(clock)
        return picked

    def is_ready(self, task: Task) -> bool:
        """Whether a task may go on though some of its inputs have run out of records."""
        return self._fetcher.is_processable(task, self._idle_max_ms, self._clock)

    def _look_again(self) -> None:
        """Put the heads of the tasks that have changed in order."""
        for task in self._fetcher.take_changed():
            head = task.head_timestamp if task.is_running else None
            self._heads.put(task.id, NEVER if head is None else head)
            if head is not None:
                # An input's time without records begins now, not when the task gets to the front.
                self.is_ready(task)

    def _oldest(self, tasks: Mapping[TaskId, Task], behind: int) -> tuple[Task, int] | None:
        """`behind` stands for the heads that are still to be fetched."""
        best: Task | None = None
        following = behind
        for head, task_id in self._heads:
            task = tasks[task_id]
            if not self.is_ready(task):
                continue
            if best is not None:
                following = min(following, head)
                break
            best = task
        if best is None:
            return None
        return best, NEVER if following == NEVER else following + self._alignment_ms
