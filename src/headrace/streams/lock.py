"""One process for each application: locks in files, held while it runs and let go by the system when it dies."""

import errno
import hashlib
import os
import socket
import sys
import weakref
from contextlib import suppress
from pathlib import Path

from headrace.base.errors import AlreadyRunningError, StateError
from headrace.base.file_advice import file_advice
from headrace.base.file_lock import FileLock
from headrace.state.task_directory import destroy, remove_destroyed

__all__ = ["ApplicationLock", "application_lock", "clear_state", "delete_state"]

_LOCAL_DISK = (
    "its file system keeps no locks, as some of the network do not: put state.dir and the log on a local disk"
)


_LOCK_FILE = ".lock"


def application_lock(
    application_id: str, state_directory: Path, log_file: Path | None, worker: int | None = None
) -> "ApplicationLock":
    """Return the lock of an application, by its state and, where it has one, its log's file.

    Several workers share the state, each by its own number.
    """
    files = [state_directory / _LOCK_FILE]
    if worker is not None:
        return ApplicationLock(
            application_id, (state_directory / f"{_LOCK_FILE}-{worker}",), shared=state_directory / _LOCK_FILE
        )
    if log_file is not None:
        found = log_file.resolve()  # a symbolic link is another name, not another log
        files.append(found.with_name(f"{found.name}-{application_id}.lock"))
    return ApplicationLock(application_id, tuple(files), log_file=log_file)


class ApplicationLock:
    """Holds what marks an application as running.

    There are two files, since either alone leaves a hole: one in the state directory, which nobody else may open, and
    one beside the log's file, where a second process with another state directory would process the same input twice.

    `shared` is a file that others may have locked at the same time, in the same way.

    `log_file` is known by what it is, too, not by its name alone: a hard link to it lies beside another lock.
    """

    def __init__(
        self,
        application_id: str,
        files: tuple[Path, ...],
        *,
        log_file: Path | None = None,
        shared: Path | None = None,
    ) -> None:
        self._application_id = application_id
        self._shared = shared
        self._files = files
        self._log_file = log_file
        self._locks: list[FileLock] = []
        self._identity: socket.socket | None = None

    def acquire(self) -> None:
        """Lock all files, or none; and the log's file, which is open, by what it is.

        Raises:
            AlreadyRunningError: another process, or another `Streams` of this one, has a file locked.
            StateError: a file cannot be made or locked.
        """
        _held.add(self)
        try:
            if self._shared is not None:
                self._locks.append(self._locked(self._shared, shared=True))
            for file in self._files:
                self._locks.append(self._locked(file))
            self._acquire_identity()
        except BaseException:
            self.release()
            raise

    def _acquire_identity(self) -> None:
        """Lock the log's file by device and inode.

        A name that is no file's (an abstract socket) does that: opening and closing the file itself would let go of the
        locks that SQLite has on it. Only Linux has such names; elsewhere the files' names have to do.

        Raises:
            AlreadyRunningError: another process has it under another name.
        """
        if self._log_file is None or sys.platform != "linux":
            return
        try:
            found = self._log_file.stat()
        except OSError:
            return  # it vanished a moment ago: whoever has it open says so
        name = f"{found.st_dev}:{found.st_ino}:{self._application_id}"
        identity = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            identity.bind(b"\0headrace-" + hashlib.sha256(name.encode()).hexdigest().encode())
        except OSError as error:
            identity.close()
            if error.errno != errno.EADDRINUSE:
                return  # a sandbox without sockets: the files' names have to do
            raise AlreadyRunningError(
                f"application {self._application_id!r} is already running: another process has the log "
                f"{self._log_file} open under another name (a link); stop it, or use another application.id"
            ) from None
        self._identity = identity

    def _locked(self, file: Path, *, shared: bool = False) -> FileLock:
        lock = FileLock(file)
        try:
            lock.open()
        except OSError as error:
            raise _cannot("make the lock", file, error, "make its directory writable") from None
        try:
            has_it = lock.lock(shared=shared)
        except OSError as error:
            lock.forget()
            raise _cannot("lock", file, error, _LOCAL_DISK) from None
        if not has_it:
            holder = _holder(lock.descriptor)
            lock.forget()
            others = "" if self._log_file is not None else ", give each instance a state.dir of its own"
            raise AlreadyRunningError(
                f"application {self._application_id!r} is already running: {holder} holds {file}; "
                f"stop it{others}, or use another application.id"
            )
        with suppress(OSError):  # a full disk, say: the lock holds without the number, which is for people
            os.ftruncate(lock.descriptor, 0)
            os.pwrite(lock.descriptor, f"{os.getpid()}\n".encode(), 0)
        return lock

    def release(self) -> None:
        """Let go of all. Twice is fine."""
        _held.discard(self)
        while self._locks:
            with suppress(OSError):
                self._locks.pop().release()
        self.release_identity()

    def release_identity(self) -> None:
        """Let go of what marks the log's file; a forked child does, which has got the files' locks closed already."""
        identity, self._identity = self._identity, None
        if identity is not None:
            identity.close()


def delete_state(state_directory: Path, lock: ApplicationLock) -> None:
    """Delete an application's local state, but for its lock, which is held meanwhile. Nothing there is fine.

    Raises:
        AlreadyRunningError: another process runs it.
    """
    if not state_directory.exists():
        return
    lock.acquire()
    try:
        clear_state(state_directory)
    finally:
        lock.release()


def clear_state(state_directory: Path) -> None:
    """Delete local state of an application whose lock is held. Nothing there is fine."""
    if not state_directory.exists():
        return
    remove_destroyed(state_directory)
    for entry in sorted(state_directory.iterdir()):
        if entry.is_dir():
            destroy(entry)
        elif entry.name != _LOCK_FILE:
            entry.unlink()


def _holder(descriptor: int) -> str:
    with suppress(OSError):
        found = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        if found:
            return f"process {found}"
    return "another process"


def _cannot(attempt: str, file: Path, error: OSError, otherwise: str) -> StateError:
    return StateError(f"cannot {attempt} {file}: {error.strerror or error}; {file_advice(error, otherwise)}")


# A fork copies every open socket of the process, so this is the process's own. A child that keeps one would hold the
# lock of a parent that died.
_held: weakref.WeakSet[ApplicationLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        lock.release_identity()
    _held.clear()


os.register_at_fork(after_in_child=_forget_all)
