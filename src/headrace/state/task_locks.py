"""Which tasks this process has of a state directory that several processes share: a lock in a file for each task.

The system lets go of a lock when its process dies, so that a task moves to another worker of the machine with its state
as it lies. The files stay: removing one would let two processes lock two files of one name.
"""

import fcntl
import os
import weakref
from collections.abc import Set
from pathlib import Path

from headrace.base.errors import StateError
from headrace.base.file_advice import file_advice

__all__ = ["TaskLocks"]

_FOLDER = "locks"


class TaskLocks:
    """Of one process. Not for several threads at once: whoever lends the state sees to that."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / _FOLDER
        self._descriptors: dict[str, int] = {}
        _all.add(self)

    @property
    def held(self) -> Set[str]:
        """The tasks that are locked here."""
        return self._descriptors.keys()

    def acquire(self, task: str) -> bool:
        """Lock a task, if no other process has it; say whether this one has it now. Twice is fine.

        Raises:
            StateError: the file cannot be made.
        """
        if task in self._descriptors:
            return True
        file = self._directory / task
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateError(
                f"cannot lock a task by {file}: {error.strerror or error}; "
                f"{file_advice(error, 'make its directory writable')}"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptors[task] = descriptor
        return True

    def release(self, task: str) -> None:
        """Let others have a task. One that is not locked here is ignored."""
        descriptor = self._descriptors.pop(task, None)
        if descriptor is not None:
            os.utime(descriptor)
            # A child that somebody forked without telling Python may have the same file open: closing is not enough.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def released_ms(self, task: str) -> int:
        """When somebody has released a task last, or locked it first (epoch ms); 0 if nobody ever has."""
        try:
            return int((self._directory / task).stat().st_mtime * 1000)
        except OSError:
            return 0

    def close(self) -> None:
        """Release all. Twice is fine."""
        for task in list(self._descriptors):
            self.release(task)

    def forget(self) -> None:
        """Close what a forked child has got of it; the parent keeps its locks."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


# A fork copies every open file of the process. A child that keeps one would hold the lock of a parent that died.
_all: weakref.WeakSet[TaskLocks] = weakref.WeakSet()


def _forget_all() -> None:
    for locks in list(_all):
        locks.forget()


os.register_at_fork(after_in_child=_forget_all)
