"""Which tasks this process has of a state directory that several processes share: a lock in a file for each task.

The system lets go of a lock when its process dies, so that a task moves to another worker of the machine with its state
as it lies.
"""

import os
from collections.abc import Set
from pathlib import Path

from headrace.base.errors import StateError
from headrace.base.file_advice import file_advice
from headrace.base.file_lock import FileLock

__all__ = ["TaskLocks"]

_FOLDER = "locks"


class TaskLocks:
    """Of one process. Not for several threads at once: whoever lends the state sees to that."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / _FOLDER
        self._locks: dict[str, FileLock] = {}

    @property
    def held(self) -> Set[str]:
        """The tasks that are locked here."""
        return self._locks.keys()

    def acquire(self, task: str) -> bool:
        """Lock a task, if no other process has it; say whether this one has it now. Twice is fine.

        Raises:
            StateError: the file cannot be made or locked.
        """
        if task in self._locks:
            return True
        lock = FileLock(self._directory / task)
        try:
            lock.open()
            has_it = lock.lock()
        except OSError as error:
            lock.forget()
            raise StateError(
                f"cannot lock a task by {lock.file}: {error.strerror or error}; "
                f"{file_advice(error, 'make its directory writable')}"
            ) from None
        if has_it:
            self._locks[task] = lock
        else:
            lock.forget()
        return has_it

    def release(self, task: str) -> None:
        """Let others have a task. One that is not locked here is ignored."""
        lock = self._locks.pop(task, None)
        if lock is not None:
            os.utime(lock.descriptor)
            lock.release()

    def released_ms(self, task: str) -> int:
        """When somebody has released a task last, or locked it first (epoch ms); 0 if nobody ever has."""
        try:
            return int((self._directory / task).stat().st_mtime * 1000)
        except OSError:
            return 0

    def close(self) -> None:
        """Release all. Twice is fine."""
        for task in list(self._locks):
            self.release(task)
