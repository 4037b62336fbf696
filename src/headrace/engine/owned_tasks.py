"""The tasks that a worker has: how one comes, is restored, goes back to its last commit, and goes.

What is committed or aborted around that, and in which order, is decided in `assignment`.
"""

import time
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from contextlib import ExitStack
from functools import partial
from typing import Any

from headrace.base.errors import OffsetOutOfRangeError, StoreUnavailableError
from headrace.base.ids import GLOBAL_TASK, TaskId, TopicPartition
from headrace.engine.changelog_reader import ChangelogReader
from headrace.engine.commit import Committer
from headrace.engine.fetch import Fetcher
from headrace.engine.global_seats import GlobalSeat
from headrace.engine.reporting import Reporting
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.store_read import GONE, StoreRead, changelog_of
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.engine.uncommitted import Uncommitted
from headrace.state.typed_stores import read_only

__all__ = ["OwnedTasks"]


class OwnedTasks:
    """Belongs to the worker's thread, but for `read` and `query`.

    # Invariant: what happens to some tasks stops no others: their queues, caches and buffers stay as they are. Guarded
    # by tests/engine/test_assignment.py.

    Attributes:
        tasks: those that are there, also while they restore.
    """

    def __init__(
        self,
        *,
        factory: TaskFactory,
        global_stores: GlobalSeat,
        starting: StartingOffsets,
        changelog_reader: ChangelogReader,
        fetcher: Fetcher,
        committer: Committer,
        reporting: Reporting,
        uncommitted: Uncommitted,
    ) -> None:
        self._factory = factory
        self._global_stores = global_stores
        self._starting = starting
        self._changelog_reader = changelog_reader
        self._fetcher = fetcher
        self._committer = committer
        self._reporting = reporting
        self._uncommitted = uncommitted
        self.tasks: dict[TaskId, Task] = {}

    @property
    def with_global(self) -> Sequence[Task]:
        """The tasks, and what fills the global stores, which is there beside them."""
        filling = self._global_stores.task
        return [*self.tasks.values(), *([] if filling is None else [filling])]

    def under_way(self) -> Set[TaskId]:
        """Return the tasks that run or restore: all, but where taking them up has failed."""
        return {
            task_id
            for task_id, task in self.tasks.items()
            if task.is_running or self._changelog_reader.has(task_id)
        }

    # ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────

    def take_up(self, task_ids: Collection[TaskId]) -> None:
        """Make tasks, or take those that are there back to their last commit; begin to restore them.

        `restore` opens their stores, a few at a time. The log is asked for all of them at once: how often does not go
        by how many there are.

        # Invariant: the ends of the changelogs are asked for after the committed offsets.
        """
        if not task_ids:
            return
        inputs = {task_id: self._factory.inputs(task_id) for task_id in task_ids}
        offsets, beside = self._starting.find(ChainMap(*inputs.values()))
        for task_id, partitions in inputs.items():
            committed = {partition: beside[partition] for partition in partitions if partition in beside}
            task = self.tasks.get(task_id)
            if task is None:
                self._reporting.figures.tasks_created += 1
                self.tasks[task_id] = self._factory.make(task_id, committed, self._global_stores.states)
            else:
                self._changelog_reader.forget(task_id)
                task.stop()
                task.discard(committed)
                self._fetcher.stop(task)
        starts = {
            self.tasks[task_id]: {partition: offsets[partition] for partition in partitions}
            for task_id, partitions in inputs.items()
        }
        self._changelog_reader.begin(starts)
        self._committer.know(offsets)
        for task, start in starts.items():
            task.stores.inputs = start
            # Fetched only when the stores are there: a table's own topic must not fill the queues meanwhile.
            self._fetcher.add(task, start)

    def restore(self, seconds: float) -> bool:
        """Restore for about so long, and start the tasks that are done; say whether there was anything to do.

        Not before the global stores are there, which tasks may read from their `init` on.
        """
        if not self._changelog_reader or not self._global_stores.is_caught_up:
            return False
        for restoration in self._changelog_reader.step(seconds):
            self._reporting.restored += restoration.restored_records
            task = self.tasks[restoration.task_id]
            task.start()
            self._uncommitted.started(task)
            self._fetcher.start(task)
        return True

    def drop(self, task_ids: Iterable[TaskId]) -> None:
        """Close tasks; what they had not committed is forgotten. Those that are not there are ignored.

        Raises what a processor's `close` raises, when all of them are closed.
        """
        dropped = [task for task_id in task_ids if (task := self.tasks.pop(task_id, None)) is not None]
        self._reporting.retire(dropped)
        self._reporting.figures.tasks_closed += len(dropped)
        with ExitStack() as closing:  # each is closed, also when one before it fails
            for task in dropped:
                closing.callback(task.close)
                self._changelog_reader.forget(task.id)
                self._fetcher.stop(task)
                self._uncommitted.forget(task)
                self._committer.forget(task.queues)
                self._starting.forget(task.queues)

    def close(self) -> None:
        """Close all tasks, what restores them, and the global stores; each also when one before it fails."""
        with ExitStack() as closing:  # the last one first
            closing.callback(self._factory.close)
            closing.callback(self._global_stores.close)
            for task in reversed(self.tasks.values()):
                closing.callback(task.close)
            closing.callback(self._changelog_reader.close)
            self.tasks.clear()

    # ── while they are there ─────────────────────────────────────────────────────────────────────────────────────

    def move(self, error: OffsetOutOfRangeError) -> None:
        """Go on reading where the source's reset policy says: the log no longer has what was to be read next."""
        partition = TopicPartition(error.topic, error.partition)
        for task in self.tasks.values():
            if partition in task.queues:
                offset = self._starting.reset(partition, task.queues[partition].source, error)
                self._fetcher.move(partition, offset)
                return
        raise error

    def read(
        self, store: str, partition: int, *, committed: bool, vouched_until: Callable[[], float]
    ) -> StoreRead | None:
        """Return what can be read of a store's partition, if its task runs here. From any thread.

        Nobody else has it before `vouched_until`. What is `committed` is vouched for up to when the commit began that
        is under way: the log may have that one before the rows do.

        Raises:
            StoreUnavailableError: it is a global store that is not up to date yet.
        """
        if self._global_stores.has(store):
            return self._global_stores.read(store, committed=committed)
        for task_id, task in list(self.tasks.items()):
            if task_id.partition != partition or not task.is_running:
                continue
            if any(spec.name == store for spec in task.subtopology.stores):
                # Taken before the rows are read: a commit that is over when somebody asks was not, maybe, at the read.
                complete_until = _complete_until(task) if committed else float("inf")
                return StoreRead(
                    task.state.reader(store, committed=committed),
                    partial(_how_far, task, store),
                    partial(self._as_of, task, complete_until, vouched_until),
                )
        return None

    def _as_of(self, task: Task, complete_until: float, vouched_until: Callable[[], float]) -> float:
        if self.tasks.get(task.id) is not task or not task.is_running:
            return GONE
        return min(time.monotonic(), complete_until, vouched_until())

    def query(self, store: str, *, committed: bool = False) -> Mapping[int, Any]:
        """Return the read-only stores of this name by partition, of the tasks that run here, if any. From any thread.

        Raises:
            StoreUnavailableError: a task that has the store is still restoring.
        """
        if self._global_stores.has(store):
            read = self._global_stores.read(store, committed=committed)
            return {GLOBAL_TASK.partition: read_only(read.reads, self._factory.application_id)}
        found = {}
        for task in list(self.tasks.values()):
            if any(spec.name == store for spec in task.subtopology.stores):
                if not task.is_running:
                    raise StoreUnavailableError(f"store '{store}' is restoring in task {task.id}; try again")
                found[task.id.partition] = task.state.read_only(store, committed=committed)
        return found


def _complete_until(task: Task) -> float:
    now, since = time.monotonic(), task.stores.committing_since
    return now if since is None else since


def _how_far(task: Task, store: str) -> Mapping[TopicPartition, int]:
    stores = task.stores
    changelog = changelog_of(task.topology, task.context.application_id, store, task.id.partition)
    offset = stores.positions.get(store)
    return {**({} if changelog is None or offset is None else {changelog: offset}), **stores.inputs}
