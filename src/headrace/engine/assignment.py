"""The tasks that a worker has: taken up, restored, and brought back to their last commit when something goes wrong."""

import logging
import threading
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
from headrace.engine.reporting import Reporting
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.task import Task
from headrace.engine.task_factory import TaskFactory
from headrace.engine.uncommitted import Uncommitted
from headrace.log.port import Writer
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import Topology

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
        topology: Topology,
        application_id: str,
        factory: TaskFactory,
        starting: StartingOffsets,
        changelog_reader: ChangelogReader,
        fetcher: Fetcher,
        committer: Committer,
        writer: Writer,
        reporting: Reporting,
        uncommitted: Uncommitted,
        stop: threading.Event,
    ) -> None:
        self._topology = topology
        self._application_id = application_id
        self._factory = factory
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

    def committed(self) -> None:
        """Wait shortly again before the next retry: there was a commit."""
        self._retry_seconds = _RETRY_SECONDS[0]

    def close(self) -> None:
        """Close all tasks, and what restores them, each also when one before it fails."""
        with ExitStack() as closing:  # the last one first
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
                for task_id in self._assigned:
                    self._take_up(task_id)
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

    def _take_up(self, task_id: TaskId) -> None:
        offsets, times = self._starting.find(self._sources(task_id))
        task = self.tasks[task_id] = self._factory.make(task_id, times)
        self._begin(task, offsets)

    def _sources(self, task_id: TaskId) -> dict[TopicPartition, SourceNode]:
        found = {}
        for source in self._topology.subtopologies[task_id.subtopology].sources:
            for topic in source.topics:
                name = self._topology.decorate(topic, self._application_id)
                if task_id.partition < self._factory.partition_count(name):
                    found[TopicPartition(name, task_id.partition)] = source
        return found

    def _begin(self, task: Task, offsets: dict[TopicPartition, int]) -> None:
        self._changelog_reader.begin(
            task,
            offsets,
            changelog_name=self._factory.changelog_name,
            full_name=lambda topic: self._topology.decorate(topic, self._application_id),
        )
        self._committer.know(offsets)
        # Fetched only when the stores are there: a table's own topic must not fill the queues meanwhile.
        self._fetcher.add(task, offsets)

    # ── restore ──────────────────────────────────────────────────────────────────────────────────────────────────

    def restore(self, seconds: float) -> bool:
        """Restore for about so long, and start the tasks that are done; say whether there was anything to do."""
        if not self._changelog_reader.under_way:
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
        for task_id in self._assigned:
            task = self.tasks.get(task_id)
            if task is None:  # let go of with a damaged store
                self._take_up(task_id)
                continue
            self._changelog_reader.forget(task_id)
            offsets, times = self._starting.find(self._sources(task_id))
            task.stop()
            task.discard(times)
            self._fetcher.stop(task)
            self._begin(task, offsets)
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
        _log.error("%s; they are deleted, and restored from their changelogs", error)
        self._writer.abort()
        self._factory.collector.discard()
        self._changelog_reader.close()
        self._reporting.retire(self.tasks.values())
        with ExitStack() as closing:  # each is closed, also when one before it fails
            for task in self.tasks.values():
                self._fetcher.stop(task)
                closing.callback(task.close)
            self.tasks.clear()
        self._factory.destroy_state(error.path)

    def query(self, store: str) -> Mapping[int, Any]:
        """Return the read-only stores of this name by partition, of the tasks that run here. From any thread.

        Raises:
            StoreUnavailableError: a task that has the store is still restoring, or being made.
        """
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
