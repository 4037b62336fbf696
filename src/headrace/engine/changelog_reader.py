"""Reads for all restorations of a worker, in slices of its loop, so that other tasks go on meanwhile.

One reader serves them all: a reader of a cluster has connections of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.changelogs import ChangelogPartition, Changelogs
from headrace.engine.restoration import Restoration
from headrace.engine.store_listeners import StoreListeners
from headrace.engine.task import Task
from headrace.engine.thread_figures import ThreadFigures
from headrace.log.port import Log, Reader

__all__ = ["ChangelogReader"]

#: How long one look at a log may wait for what it was asked for; other tasks wait with it.
_WAIT_MS = 5


class _Waiting(NamedTuple):
    """A task whose stores are to be opened."""

    task: Task
    changelogs: Mapping[str, ChangelogPartition]
    committed: Mapping[TopicPartition, int]


class ChangelogReader:
    """The restorations under way. The reader is there while there are any.

    Attributes:
        under_way: by task; without those whose stores are to be opened first.
    """

    def __init__(
        self,
        log: Log,
        changelogs: Changelogs,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        listeners: StoreListeners,
        figures: ThreadFigures,
    ) -> None:
        self._figures = figures
        self._log = log
        self._changelogs = changelogs
        self._now_ms = now_ms
        self._seconds = seconds
        self._listeners = listeners
        self._reader: Reader | None = None
        self._waiting: dict[TaskId, _Waiting] = {}
        self.under_way: dict[TaskId, Restoration] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to restore."""
        return bool(self.under_way or self._waiting)

    def has(self, task_id: TaskId) -> bool:
        """Whether a task is to be restored."""
        return task_id in self.under_way or task_id in self._waiting

    def begin(self, tasks: Mapping[Task, Mapping[TopicPartition, int]]) -> None:
        """Begin to restore tasks, each with its inputs' committed offsets, which were fetched before.

        Their changelogs are looked for at once, all together; their stores are opened by `step`.
        """
        found = self._changelogs.find({task.id: task.subtopology.stores for task in tasks})
        for task, committed in tasks.items():
            self._waiting[task.id] = _Waiting(task, found[task.id], committed)

    def _open(self, deadline: float) -> None:
        """Open stores, at least those of one task: tasks that run wait for it."""
        for task_id, (task, changelogs, committed) in list(self._waiting.items()):
            task.stores.open()
            if self._reader is None:
                self._reader = self._log.reader()
            self.under_way[task_id] = Restoration(
                task,
                self._reader,
                changelogs,
                committed,
                now_ms=self._now_ms,
                seconds=self._seconds,
                listeners=self._listeners,
            )
            del self._waiting[task_id]
            if self._seconds() >= deadline:
                break

    def step(self, seconds_max: float) -> Iterable[Restoration]:
        """Restore for about this long; return those that are done, which are under way no more."""
        with self._figures.timing(self._figures.restores):
            return self._step(seconds_max)

    def _step(self, seconds_max: float) -> Iterable[Restoration]:
        deadline = self._seconds() + seconds_max
        self._open(deadline)
        self._look()
        while not self._has_done():
            self._poll()
            self._look()
            if self._seconds() >= deadline:
                break
        done = [restoration for restoration in self.under_way.values() if restoration.is_done]
        for restoration in done:
            self.forget(restoration.task_id)
        return done

    def _has_done(self) -> bool:
        return any(restoration.is_done for restoration in self.under_way.values())

    def _poll(self) -> None:
        assert self._reader is not None
        restorations = {
            partition: restoration
            for restoration in self.under_way.values()
            for partition in restoration.partitions
        }
        self._changelogs.read(self._reader, restorations, _WAIT_MS)

    def _look(self) -> None:
        for restoration in self.under_way.values():
            restoration.look()

    def forget(self, task_id: TaskId) -> None:
        """Give up a task's restoration, if there is one; its reader goes with the last."""
        self._waiting.pop(task_id, None)
        restoration = self.under_way.pop(task_id, None)
        if restoration is not None:
            restoration.close()
        if not self.under_way and self._reader is not None:
            self._reader.close()
            self._reader = None

    def close(self) -> None:
        """Give up all of them."""
        self._waiting.clear()
        for task_id in list(self.under_way):
            self.forget(task_id)
