"""One process for each application: locks in files, held while it runs and let go by the system when it dies."""

import fcntl
import os
from pathlib import Path

from headrace.base.errors import AlreadyRunningError, StateError

__all__ = ["ApplicationLock"]


class ApplicationLock:
    """Holds the files that mark an application as running.

    There are two, since either alone leaves a hole: one in the state directory, which nobody else may open, and one
    beside the log's file, where a second process with another state directory would process the same input twice.
    The files stay when the lock is released: removing them would let two processes lock two files of one name.
    """

    def __init__(self, application_id: str, files: tuple[Path, ...]) -> None:
        self._application_id = application_id
        self._files = files
        self._descriptors: list[int] = []

    def acquire(self) -> None:
        """Lock all files, or none.

        Raises:
            AlreadyRunningError: another process, or another `Streams` of this one, has a file locked.
            StateError: a file cannot be made.
        """
        try:
            for file in self._files:
                self._descriptors.append(self._locked(file))
        except BaseException:
            self.release()
            raise

    def _locked(self, file: Path) -> int:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StateError(
                f"cannot lock {file}: {error.strerror or error}; make its directory writable"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            raise AlreadyRunningError(
                f"application {self._application_id!r} is already running: {who} holds {file}; "
                f"stop it, or use another application.id"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def release(self) -> None:
        """Let go of all files. Twice is fine."""
        while self._descriptors:
            os.close(self._descriptors.pop())
