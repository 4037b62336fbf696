"""The tasks that a worker has: taken up, restored, and brought back to their last commit when something goes wrong."""

import logging
import threading
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from headrace.base.errors import (
    HeadraceError,
    LogUnavailableError,
    OffsetOutOfRangeError,
    RecordsRefusedError,
    StateCorruptionError,
    StoreUnavailableError,
    TransactionAbortedError,
)
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.changelog_reader import ChangelogReader
from headrace.engine.commit import Committer
from headrace.engine.fetch import Fetcher
from headrace.engine.global_stores import GlobalStores
from headrace.engine.reporting import Reporting
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.engine.uncommitted import Uncommitted
from headrace.log.port import Writer

__all__ = ["Assignment"]

_log = logging.getLogger("headrace.worker")

#: First and last wait before a batch is tried again that a handler answered with *retry*.
_RETRY_SECONDS = (0.1, 10.0)


class Assignment:
    """Belongs to the worker's thread, but for `query`. Whoever stops the worker sets `stop`, which ends every wait.

    Attributes:
        tasks: those that are there, also while they restore.
    """

    def __init__(
        self,
        *,
        factory: TaskFactory,
        global_stores: GlobalStores,
        starting: StartingOffsets,
        changelog_reader: ChangelogReader,
        fetcher: Fetcher,
        committer: Committer,
        writer: Writer,
        reporting: Reporting,
        uncommitted: Uncommitted,
        stop: threading.Event,
    ) -> None:
        self._factory = factory
        self._global_stores = global_stores
        self._starting = starting
        self._changelog_reader = changelog_reader
        self._fetcher = fetcher
        self._committer = committer
        self._writer = writer
        self._reporting = reporting
        self._uncommitted = uncommitted
        self._stop = stop
        self.tasks: dict[TaskId, Task] = {}
        self._assigned: Sequence[TaskId] = ()
        self._retry_seconds = _RETRY_SECONDS[0]

    @property
    def all_tasks(self) -> Sequence[Task]:
        """The tasks, and what fills the global stores, which is there beside them."""
        filling = self._global_stores.task
        return [*self.tasks.values(), *([] if filling is None else [filling])]

    def committed(self) -> None:
        """Wait shortly again before the next retry: there was a commit."""
        self._retry_seconds = _RETRY_SECONDS[0]

    def close(self) -> None:
        """Close all tasks, what restores them, and the global stores; each also when one before it fails."""
        with ExitStack() as closing:  # the last one first
            closing.callback(self._factory.close)
            closing.callback(self._global_stores.close)
            for task in reversed(self.tasks.values()):
                closing.callback(task.close)
            closing.callback(self._changelog_reader.close)
            self.tasks.clear()

    def assign(self, task_ids: Iterable[TaskId]) -> None:
        """Take up tasks; each restores its stores and then runs. Damaged stores are deleted first.

        Raises:
            StateCorruptionError: stores are damaged that were made a moment ago.
        """
        self._assigned = sorted(task_ids)
        deleted: set[str] = set()
        while True:
            try:
                self._take_up(self._assigned)
                break
            except StateCorruptionError as error:
                if error.path in deleted:
                    raise
                deleted.add(error.path)
                self.delete_damaged(error)
        self._commit_starts()

    def _commit_starts(self) -> None:
        """Commit the offsets at which tasks start that had none."""
        while found := self._starting.take_found():
            try:
                self._writer.commit(found)
            except TransactionAbortedError as error:
                if self._stop.is_set():
                    raise
                _log.warning("the offsets to start at are committed again: %s", error)
                self._starting.put_back(found)
                self._writer.abort()
                self._wait_before_retry()
            except LogUnavailableError:
                self._starting.put_back(found)
                raise

    def _take_up(self, task_ids: Iterable[TaskId]) -> None:
        """Make tasks, or take those that are there back to their last commit; begin to restore them.

        The log is asked for all of them at once: how often does not go by how many there are.

        # Invariant: the ends of the changelogs are asked for after the committed offsets.
        """
        inputs = {task_id: self._factory.inputs(task_id) for task_id in task_ids}
        offsets, beside = self._starting.find(ChainMap(*inputs.values()))
        for task_id, partitions in inputs.items():
            committed = {partition: beside[partition] for partition in partitions if partition in beside}
            task = self.tasks.get(task_id)
            if task is None:
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
        self._changelog_reader.begin(
            starts, changelog_name=self._factory.changelog_name, full_name=self._factory.full_name
        )
        self._committer.know(offsets)
        for task, start in starts.items():
            # Fetched only when the stores are there: a table's own topic must not fill the queues meanwhile.
            self._fetcher.add(task, start)

    # ── restore ──────────────────────────────────────────────────────────────────────────────────────────────────

    def restore(self, seconds: float) -> bool:
        """Restore for about so long, and start the tasks that are done; say whether there was anything to do.

        Not before the global stores are there, which tasks may read from their `init` on.
        """
        if not self._changelog_reader.under_way or not self._global_stores.is_caught_up:
            return False
        for restoration in self._changelog_reader.step(seconds):
            self._reporting.restored += restoration.restored_records
            task = self.tasks[restoration.task_id]
            task.start()
            self._uncommitted.started(task)
            self._fetcher.start(task)
        return True

    def move(self, error: OffsetOutOfRangeError) -> None:
        """Go on reading where the source's reset policy says: the log no longer has what was to be read next."""
        partition = TopicPartition(error.topic, error.partition)
        for task in self.tasks.values():
            if partition in task.queues:
                offset = self._starting.reset(partition, task.queues[partition].source, error)
                self._fetcher.move(partition, offset)
                return
        raise error

    def start_over(self, reason: HeadraceError) -> None:
        """Go back to the last commit, as often as it takes: a log that was there once is waited for, and each damaged
        store is deleted once.

        Raises the reason where the worker is to stop: starting over would only take time.
        """
        if isinstance(reason, RecordsRefusedError):
            self._factory.collector.refuse(reason)
        self._uncommitted.clear()
        deleted: set[str] = set()
        while not self._stop.is_set():
            try:
                if isinstance(reason, StateCorruptionError):
                    if not reason.path or reason.path in deleted:
                        break
                    self.delete_damaged(reason)
                    deleted.add(reason.path)
                    self._go_back()
                else:
                    _log.warning("all tasks go back to their last commit: %s", reason)
                    self._go_back()
                    self._wait_before_retry()
                return
            except (LogUnavailableError, StateCorruptionError) as next_reason:
                reason = next_reason
        raise reason

    def _go_back(self) -> None:
        """Abort to the last commit and build the tasks again: outcome and state are those of the log.

        # Invariant: the abort comes first, and settles what became of the transaction; the committed offsets and the
        # ends of the changelogs are asked for after it.
        """
        self._writer.abort()
        self._factory.collector.discard()
        self._take_up(self._assigned)  # what a damaged store has cost is made anew
        self._commit_starts()

    def _wait_before_retry(self) -> None:
        pause = self._retry_seconds
        self._retry_seconds = min(self._retry_seconds * 2, _RETRY_SECONDS[1])
        self._stop.wait(pause)

    def delete_damaged(self, error: StateCorruptionError) -> None:
        """Let go of all tasks, with what was not committed, and delete a database.

        Raises the error where it does not say which.
        """
        if not error.path:
            raise error
        is_global = self._factory.is_of_global_stores(error.path)
        source = "topics" if is_global else "changelogs"
        _log.error("%s; they are deleted, and restored from their %s", error, source)
        self._writer.abort()
        self._factory.collector.discard()
        self._changelog_reader.close()
        self._reporting.retire(self.tasks.values())
        with ExitStack() as closing:  # each is closed, also when one before it fails
            for task in self.tasks.values():
                self._fetcher.stop(task)
                closing.callback(task.close)
            self.tasks.clear()
        if is_global:
            self._global_stores.delete(error.path)
        else:
            self._factory.destroy_state(error.path)

    def query(self, store: str) -> Mapping[int, Any]:
        """Return the read-only stores of this name by partition, of the tasks that run here. From any thread.

        Raises:
            StoreUnavailableError: a task that has the store is still restoring, or being made.
        """
        if store in self._global_stores.states:
            return self._global_stores.query(store)
        found = {}
        for task in list(self.tasks.values()):
            if any(spec.name == store for spec in task.subtopology.stores):
                if not task.is_running:
                    raise StoreUnavailableError(f"store '{store}' is restoring in task {task.id}; try again")
                found[task.id.partition] = task.state.read_only(store)
        if not found:
            raise StoreUnavailableError(
                f"store '{store}' is in no task now, since tasks are being made; try again"
            )
        return found
