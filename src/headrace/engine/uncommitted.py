"""What the tasks of a worker have done since the last commit, added up as they do it: there may be thousands."""

from headrace.base.ids import TaskId
from headrace.engine.task import Task

__all__ = ["Uncommitted"]


class Uncommitted:
    """Knows the tasks that have progress. Whoever runs a task adds it; a commit, or going back to one, clears.

    `bytes_max` is `statestore.uncommitted.max.bytes`. A task that is not added has not changed its state.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes: dict[TaskId, int] = {}
        self._bytes_together = 0
        self._requesting: list[Task] = []

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def add(self, task: Task) -> None:
        """Know what a task has done by now."""
        now = task.state.buffered_bytes
        self._bytes_together += now - self._bytes.get(task.id, 0)
        self._bytes[task.id] = now
        self.started(task)

    def started(self, task: Task) -> None:
        """Know what an `init` has asked for. What it did is no progress yet: the commit comes with the first."""
        if task.context.commit_requested:
            self._requesting.append(task)

    def forget(self, task: Task) -> None:
        """Know nothing of a task any more, which goes."""
        self._bytes_together -= self._bytes.pop(task.id, 0)
        self._requesting = [each for each in self._requesting if each is not task]

    def is_commit_due(self, pending_bytes: int) -> bool:
        """Whether user code has asked for a commit, or too much waits for one, with what the writer has pending."""
        return bool(self._requesting) or pending_bytes + self._bytes_together >= self._bytes_max

    def clear(self) -> None:
        """Begin anew; nobody asks for a commit any more, also a task that had nothing to commit."""
        for task in self._requesting:
            task.context.commit_requested = False
        self._requesting.clear()
        self._bytes.clear()
        self._bytes_together = 0
