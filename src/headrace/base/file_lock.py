"""A lock in a file, held while a process lives and let go by the system when it dies.

The files stay when they are released: removing one would let two processes lock two files of one name.
"""

import errno
import fcntl
import os
import weakref
from pathlib import Path

__all__ = ["FileLock"]

_HELD_BY_ANOTHER = frozenset({errno.EWOULDBLOCK, errno.EAGAIN})


class FileLock:
    """Not for several threads at once. Another object of the same process is another holder."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None

    def open(self) -> None:
        """Open the file, with its directory; both are made where they are not there.

        Raises:
            OSError: it cannot be opened or made.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        _open.add(self)

    def lock(self, *, shared: bool = False) -> bool:
        """Lock the file, which is open; say whether it could be. A `shared` one keeps out only those that are not.

        Raises:
            OSError: its file system keeps no locks.
        """
        try:
            fcntl.flock(self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD_BY_ANOTHER:
                raise
            return False
        return True

    @property
    def descriptor(self) -> int:
        """The open file, to read from and to write to."""
        assert self._descriptor is not None
        return self._descriptor

    def release(self) -> None:
        """Unlock the file and close it. Twice is fine."""
        if self._descriptor is not None:
            # A child that somebody forked without telling Python may have the same file open: closing is not enough.
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            finally:
                self.forget()

    def forget(self) -> None:
        """Close the file; whoever else has it open keeps the lock, as the parent of a forked child."""
        descriptor, self._descriptor = self._descriptor, None
        _open.discard(self)
        if descriptor is not None:
            os.close(descriptor)


# A fork copies every open file of the process. A child that keeps one would hold the lock of a parent that died.
_open: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_open):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
