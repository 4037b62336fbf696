"""The state directory of an application: owns what is on disk, and lends each task's rows to one borrower at a time.

Whoever restores, follows or runs a task borrows its rows and gives them back; they stay open in between, so that a task
that comes back, in whichever role, is where it was. What nobody has borrowed for `state.cleanup.delay.ms` is closed,
and its directory deleted. Source: Kafka's StateDirectory.

Several processes of one machine may share a directory. Then a task is locked while its rows are lent, and `let_go` lets
others have what nobody here has borrowed.

# Invariant: rows have one borrower in this process, which this registry sees to, and the directory has one process,
# which the application's lock sees to, or each of its tasks has, which a lock for each sees to. Nothing is deleted that
# is borrowed.
"""

import logging
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from headrace.base.errors import StateError
from headrace.base.ids import GLOBAL_TASK, TaskId
from headrace.state.port import StorePosition
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
from headrace.state.spec import StoreSpec
from headrace.state.task_directory import remove_destroyed
from headrace.state.task_locks import TaskLocks
from headrace.state.task_rows import TaskRows

__all__ = ["StateDirectory"]

_log = logging.getLogger("headrace.state")

#: What the directories of tasks are called.
_TASK = re.compile(r"\d+_\d+")


class StateDirectory:
    """What is below `path`. From any thread; the rows that it lends belong to their borrower."""

    def __init__(
        self,
        path: Path,
        memory: RocksMemory,
        *,
        application_id: str,
        cleanup_delay_ms: int,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        worker: int | None = None,
    ) -> None:
        """`now_ms` is the wall clock, `seconds` one that never goes back.

        `worker` is the number of this process among those that share the directory; None where there is one.
        """
        self._path = path
        self._memory = memory
        self._application_id = application_id
        self._cleanup_seconds = cleanup_delay_ms / 1000
        self._now_ms = now_ms
        self._seconds = seconds
        self._locks = None if worker is None else TaskLocks(path)
        self._global = "global" if worker is None else f"global-{worker}"
        self._opened = seconds()
        self._lock = threading.Lock()
        self._lent: dict[str, TaskRows] = {}
        self._idle: dict[str, TaskRows] = {}
        self._idle_since: dict[str, float] = {}

    def path(self, task_id: TaskId) -> Path:
        """Where the stores of a task are: under Kafka Streams' own name of that directory."""
        return self._path / self._name(task_id)

    def own_path(self, task_id: TaskId, store: str) -> Path:
        """Where a store of the user's own may keep its files."""
        return self._path / "own" / self._name(task_id) / store

    def is_lent(self, task_id: TaskId) -> bool:
        """Whether somebody has the rows of a task: another worker, perhaps, which has lost it and not noticed yet."""
        name = self._name(task_id)
        with self._lock:
            return name in self._lent or not self._has(name)

    def _has(self, name: str) -> bool:
        return self._locks is None or self._locks.acquire(name)

    def lend(self, task_id: TaskId, specs: Sequence[StoreSpec]) -> TaskRows:
        """Return the rows of a task, opened if they are not open any more; give them back when they are done with.

        A directory that cannot be trusted is deleted first, and made anew.

        Raises:
            StateError: somebody else has them, or they cannot be opened.
        """
        name = self._name(task_id)
        with self._lock:
            if name in self._lent:
                raise StateError(f"the stores of task {name} are in use by another thread of this process")
            if not self._has(name):
                raise StateError(f"the stores of task {name} are in use by another process")
            if self._locks is not None:
                remove_destroyed(self._path, name)
            rows = self._idle.pop(name, None)
            if rows is not None and rows.specs == tuple(specs):
                self._lent[name] = rows
                return rows
            if rows is not None:
                rows.close()
            rows = self._lent[name] = TaskRows(
                specs,
                partial(RocksDatabase.open, self.path(task_id), self._memory),
                application_id=self._application_id,
                now_ms=self._now_ms,
            )
            return rows

    def give_back(self, rows: TaskRows) -> None:
        """Take rows back, which stay open for a while. Twice is fine."""
        with self._lock:
            for name, each in list(self._lent.items()):
                if each is rows:
                    rows.put_away()
                    self._idle[name] = self._lent.pop(name)
                    self._idle_since[name] = self._seconds()

    def let_go(self) -> None:
        """Let other processes have what nobody has borrowed here, where they share the directory."""
        if self._locks is None:
            return
        with self._lock:
            for name in list(self._idle):
                self._close(name)
            for name in self._locks.held - self._lent.keys():
                self._locks.release(name)

    def positions(self) -> Mapping[TaskId, Mapping[str, StorePosition | None]]:
        """Return how far the stores of each task are that are open, borrowed or not; without the global ones."""
        with self._lock:
            rows = {**self._idle, **self._lent}
            return {
                TaskId(*map(int, name.split("_"))): each.positions()
                for name, each in sorted(rows.items())
                if _TASK.fullmatch(name)
            }

    def destroy(self, path: str) -> None:
        """Delete a task's stores, which nobody has borrowed, whatever state they are in.

        Raises:
            StateError: they cannot be deleted.
        """
        with self._lock:
            self._close(Path(path).name)
            RocksDatabase.destroy(path)

    def _close(self, name: str) -> None:
        rows = self._idle.pop(name, None)
        if rows is not None:
            rows.close()

    def remove_destroyed(self) -> None:
        """Delete what is left of stores that a process before this one had begun to delete."""
        if self._locks is None:  # else another one may be at it now
            remove_destroyed(self._path)

    def clean(self) -> None:
        """Close and delete what nobody has borrowed for long enough.

        What was there before is counted from when this was made: it may still be wanted.
        """
        due = self._seconds() - self._cleanup_seconds
        with self._lock:
            found = {path.name for path in self._path.glob("*_*") if _TASK.fullmatch(path.name)}
            for name in sorted((found | self._idle.keys()) - self._lent.keys()):
                if self._idle_since.get(name, self._opened) > due or name == self._global:
                    continue
                if self._is_used_elsewhere(name):
                    continue
                self._close(name)
                self._idle_since.pop(name, None)
                if name in found:
                    _log.info("the state of task %s is deleted: nobody has run it here for long", name)
                    RocksDatabase.destroy(self._path / name)
                    shutil.rmtree(self._path / "own" / name, ignore_errors=True)
                if self._locks is not None:
                    self._locks.release(name)

    def _is_used_elsewhere(self, name: str) -> bool:
        """Whether another process has a task, or has had it until a while ago."""
        if self._locks is None:
            return False
        released = self._locks.released_ms(name)
        return self._now_ms() - released < self._cleanup_seconds * 1000 or not self._locks.acquire(name)

    def close(self) -> None:
        """Close everything, given back or not. Twice is fine."""
        with (
            self._lock,
            ExitStack() as closing,
        ):  # each is closed, also when one before it fails; the last one first
            if self._locks is not None:
                closing.callback(self._locks.close)
            for rows in (*self._lent.values(), *self._idle.values()):
                closing.callback(rows.close)
            self._lent.clear()
            self._idle.clear()

    def _name(self, task_id: TaskId) -> str:
        return self._global if task_id == GLOBAL_TASK else str(task_id)
