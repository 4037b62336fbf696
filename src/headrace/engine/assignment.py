"""What a worker is told to run: tasks come, are revoked, or are lost, while others go on.

| told | what is committed | what the tasks that stay notice |
| --- | --- | --- |
| `assign` | where new inputs start, if no group knows it yet | nothing |
| `revoke` | first, what all tasks have: they share the transaction | one commit |
| `lost` | nothing: somebody else may run them already | where lost tasks ran, the transaction is aborted |

A transaction that is aborted takes all tasks that are owned then back to their last commit: what they have read is
read again, and their stores are as they were.

# Invariant: when a task is given up, nothing of it is in the open transaction: it was committed with its offsets, or
# aborted. What it wrote is therefore seen once, whoever runs it next. Guarded by tests/engine/test_assignment.py.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from headrace.base.errors import (
    HeadraceError,
    LogUnavailableError,
    RecordsRefusedError,
    RetryRequested,
    StateCorruptionError,
    TransactionAbortedError,
)
from headrace.base.ids import GLOBAL_TASK, TaskId
from headrace.engine.collector import RecordCollector
from headrace.engine.global_seats import GlobalSeat
from headrace.engine.owned_tasks import OwnedTasks
from headrace.engine.retry_wait import RetryWait
from headrace.engine.standbys import Standbys
from headrace.engine.starting_offsets import StartingOffsets
from headrace.engine.uncommitted import Uncommitted
from headrace.log.port import Writer
from headrace.state.state_directory import StateDirectory

__all__ = ["DONE_AGAIN", "Assignment"]

_log = logging.getLogger("headrace.worker")

#: What a worker gets over by going back to the last commit; where it is to stop, the next start does the same work.
DONE_AGAIN = (LogUnavailableError, RecordsRefusedError, RetryRequested, TransactionAbortedError)


class Assignment:
    """Belongs to the worker's thread.

    `commit` commits all tasks; those in its argument also without progress. It says whether it could.
    """

    def __init__(
        self,
        *,
        owned: OwnedTasks,
        commit: Callable[[Collection[TaskId]], bool],
        collector: RecordCollector,
        directory: StateDirectory,
        global_stores: GlobalSeat,
        standbys: Standbys,
        starting: StartingOffsets,
        writer: Writer,
        uncommitted: Uncommitted,
        retry_wait: RetryWait,
    ) -> None:
        self._owned = owned
        self._commit = commit
        self._collector = collector
        self._directory = directory
        self._global_stores = global_stores
        self._standbys = standbys
        self._starting = starting
        self._writer = writer
        self._uncommitted = uncommitted
        self._retry_wait = retry_wait
        self._assigned: set[TaskId] = set()
        self._waiting: set[TaskId] = set()  # of these, those whose rows another worker still has

    @property
    def assigned(self) -> Collection[TaskId]:
        """The tasks that are owned; those that are being made anew are among them."""
        return self._assigned

    # ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────

    def assign(self, task_ids: Iterable[TaskId]) -> None:
        """Take up tasks, beside those that are there; each restores its stores and then runs.

        One that was followed here is no more: its stores go over as they are, and what they lack is restored. One whose
        rows another worker of this instance still has waits for them: see `take_up_waiting`.

        Damaged stores are deleted first. Where this fails, the tasks are owned: `start_over` takes them up too.

        Raises:
            StateCorruptionError: stores are damaged that were made a moment ago.
            TransactionAbortedError, LogUnavailableError: `start_over`.
        """
        new = sorted(set(task_ids) - self._assigned)
        self._assigned.update(new)
        self._standbys.drop(new, are_promoted=True)
        self._waiting.update(new)
        self.take_up_waiting()

    @property
    def is_waiting(self) -> bool:
        """Whether another worker still has what a task here needs."""
        return bool(self._waiting)

    def take_up_waiting(self) -> None:
        """Take up those tasks whose rows are free now. Raises what `assign` raises."""
        new = sorted(task_id for task_id in self._waiting if not self._directory.is_lent(task_id))
        if not new:
            return
        self._waiting.difference_update(new)
        deleted: set[str] = set()
        while True:
            try:
                self._owned.take_up(new)
                break
            except StateCorruptionError as error:
                if error.path in deleted:
                    raise
                deleted.add(error.path)
                self.delete_damaged(error)
        self._commit_starts()

    def revoke(self, task_ids: Collection[TaskId]) -> bool:
        """Commit, then give tasks up; those that are not owned are ignored.

        Says whether it has. While the group lets nobody commit, nothing has changed: hear what it has to say, and then
        revoke again, if it is still wanted.

        Where the commit comes to nothing, what they did since the last one is done again by whoever has them next, and
        the tasks that stay start over.

        Raises:
            FencedError: another instance commits; what this one has is lost.
        """
        leaving = sorted(self._assigned.intersection(task_ids))
        if not leaving:
            return True
        try:
            if not self._commit(leaving):
                return False
        except (StateCorruptionError, *DONE_AGAIN) as reason:
            self._give_up(leaving)
            self.start_over(reason)  # what became of the transaction is settled by this, before the tasks go
        self._give_up(leaving)
        self._owned.drop(leaving)
        return True

    def lost(self, task_ids: Collection[TaskId]) -> None:
        """Give tasks up without a commit; those that are not owned are ignored."""
        gone = sorted(self._assigned.intersection(task_ids))
        self._give_up(gone)
        tasks = self._owned.tasks
        # Also without progress: what an `init` has written is in the transaction too.
        have_run = any(tasks[task_id].is_running for task_id in gone if task_id in tasks)
        try:
            self._owned.drop(gone)
        finally:
            if have_run:
                named = ", ".join(map(str, gone))
                self._go_back_after(TransactionAbortedError(f"tasks {named} were lost"), waits=False)

    def _give_up(self, task_ids: Collection[TaskId]) -> None:
        self._assigned.difference_update(task_ids)
        self._waiting.difference_update(task_ids)

    def make_anew(self) -> None:
        """Make all tasks anew from the last commit, since the global stores that they hold on to were opened anew."""
        self._owned.drop(sorted(self._owned.tasks))
        self._go_back_after(TransactionAbortedError("the global stores were opened anew"), waits=False)

    # ── back to the last commit ──────────────────────────────────────────────────────────────────────────────────

    def start_over(self, reason: HeadraceError) -> None:
        """Take the tasks that are owned now back to the last commit, as often as it takes: a log that was there once is
        waited for, and each damaged store is deleted once. Damage of a task that does not run yet concerns it alone.

        Raises the reason where the worker is to stop: starting over would only take time.
        """
        if isinstance(reason, RecordsRefusedError):
            self._collector.refuse(reason)
        self._go_back_after(reason, waits=True)

    def _go_back_after(self, reason: HeadraceError, *, waits: bool) -> None:
        deleted: set[str] = set()
        is_apart = isinstance(reason, StateCorruptionError) and self._is_apart(reason)
        while not self._retry_wait.is_over:
            try:
                if isinstance(reason, StateCorruptionError):
                    if not reason.path or reason.path in deleted:
                        break
                    self.delete_damaged(reason)
                    deleted.add(reason.path)
                else:
                    _log.warning("all tasks go back to their last commit: %s", reason)
                if is_apart:
                    self._owned.take_up(sorted(self._assigned - self._waiting - self._owned.under_way()))
                    self._commit_starts()
                else:
                    self._go_back()
                if waits and not isinstance(reason, StateCorruptionError):
                    self._retry_wait.wait()
                return
            except (LogUnavailableError, StateCorruptionError) as next_reason:
                reason = next_reason
            except TransactionAbortedError as next_reason:
                reason = next_reason
                self._retry_wait.wait()
            is_apart = False
        raise reason

    def _is_apart(self, damage: StateCorruptionError) -> bool:
        """Whether damage is of tasks alone that have nothing in the open transaction, since they do not run yet."""
        tasks, damaged = self._owned.tasks, self._damaged(damage.path)
        return bool(damaged) and not any(tasks[task_id].is_running for task_id in damaged)

    def _go_back(self) -> None:
        """Abort to the last commit and build the tasks again: outcome and state are those of the log.

        # Invariant: the abort comes first, and settles what became of the transaction; the committed offsets and the
        # ends of the changelogs are asked for after it.
        """
        self._abort()
        self._uncommitted.clear()
        # What a damaged store has cost is made anew.
        self._owned.take_up(sorted(self._assigned - self._waiting))
        self._commit_starts()

    def _commit_starts(self) -> None:
        """Commit the offsets at which tasks start that had none, with what the others have; if not now, then soon."""
        if self._starting.found:
            self._commit(())

    def _abort(self) -> None:
        self._writer.abort()
        self._collector.discard()

    def delete_damaged(self, error: StateCorruptionError) -> None:
        """Let go of the task that has a damaged database, with what was not committed, and delete it; where it is that
        of the global stores, which all tasks hold on to, let go of all.

        Raises the error where it does not say which.
        """
        if not error.path:
            raise error
        is_global = Path(error.path) == self._directory.path(GLOBAL_TASK)
        source = "topics" if is_global else "changelogs"
        _log.error("%s; they are deleted, and restored from their %s", error, source)
        if not self._is_apart(error):
            self._abort()
        self._owned.drop(self._damaged(error.path))
        if is_global:
            self._global_stores.delete(error)
        else:
            self._directory.destroy(error.path)

    def _damaged(self, path: str) -> Sequence[TaskId]:
        """The tasks that hold on to the stores of a directory."""
        is_global = Path(path) == self._directory.path(GLOBAL_TASK)
        return [
            task_id
            for task_id in self._owned.tasks
            if is_global or Path(path) == self._directory.path(task_id)
        ]
