"""Picks which task of a worker runs next, and how far: the one whose head is oldest, so that tasks advance together."""

from collections.abc import Collection

from headrace.engine.clock import Clock
from headrace.engine.fetch import Fetcher
from headrace.engine.punctuation import NEVER
from headrace.engine.task import Task

__all__ = ["Picker"]

#: How long all tasks wait for what the log has for one that ran out: a round trip to a broker, with room.
_LACK_WAIT_MS = 10


class Picker:
    """Picks tasks. `alignment_ms` is how far one may get ahead of the others in record time; see `alignment`."""

    def __init__(self, fetcher: Fetcher, clock: Clock, idle_max_ms: int, alignment_ms: int) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._idle_max_ms = idle_max_ms
        self._alignment_ms = alignment_ms

    def pick(self, tasks: Collection[Task]) -> tuple[Task, int] | None:
        """Return a task that has records and is ready to run, and how far it may go (record time); None without one.

        A task that has run out of records that the log still has holds up those that are ahead of it, but a broker that
        is slow or away must not do so for long: they wait a little each time.
        """
        if len(tasks) < 2:
            return self._oldest(tasks, NEVER)
        fetcher, clock = self._fetcher, self._clock
        behind = fetcher.time_of_lacking(tasks, clock)
        if behind < NEVER and fetcher.fetch(0, clock, is_idle=True):
            behind = fetcher.time_of_lacking(tasks, clock)
        while (picked := self._oldest(tasks, behind)) is not None and behind < NEVER:
            task, until = picked
            head = task.head_timestamp
            if head is None or head <= until:
                return picked
            if not fetcher.fetch(_LACK_WAIT_MS, clock, is_idle=True):
                return self._oldest(tasks, NEVER)
            behind = fetcher.time_of_lacking(tasks, clock)
        return picked

    def is_ready(self, task: Task) -> bool:
        """Whether a task may go on though some of its inputs have run out of records."""
        return self._fetcher.is_processable(task, self._idle_max_ms, self._clock)

    def _oldest(self, tasks: Collection[Task], behind: int) -> tuple[Task, int] | None:
        """`behind` stands for the heads that are still to be fetched."""
        best: Task | None = None
        oldest, following = NEVER, behind
        for task in tasks:
            if not task.is_running:
                continue
            head = task.head_timestamp
            if head is None or not self.is_ready(task):
                continue
            if best is None or head < oldest:
                best, oldest, following = task, head, min(following, oldest)
            else:
                following = min(following, head)
        if best is None:
            return None
        return best, NEVER if following == NEVER else following + self._alignment_ms
