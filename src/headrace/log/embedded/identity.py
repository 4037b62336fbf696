"""Which file an embedded log is: one name, one file, as long as anybody has it open.

SQLite keeps committed data beside the file, under the file's name, in the write-ahead log (`-wal`). A file with two
names has two of them, and two files under one name share one: either mixes what does not belong together.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from headrace.base.errors import LogError

__all__ = ["FileIdentity", "being_made", "check_in_place", "check_not_lost", "identity_of", "resolved"]


class FileIdentity(NamedTuple):
    """What a file keeps when its name changes."""

    device: int
    inode: int


def resolved(path: Path) -> Path:
    """Return the file itself: behind symbolic links, and wherever the process goes later.

    Raises:
        LogError: the links lead in a circle, or a directory on the way cannot be read.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise LogError(f"cannot open the embedded log {path}: {error}; name the file itself") from error


def identity_of(path: Path) -> FileIdentity | None:
    """Return what is there now; None where nothing is.

    Raises:
        LogError: it is not a file of one name that has something in it.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, f"it cannot be looked at ({error.strerror})", "check the path") from error
    if not stat.S_ISREG(found.st_mode):
        raise _refused(
            path, "it cannot be opened as a file", "check that the path is a file, or choose another"
        )
    if found.st_size == 0:
        raise _refused(
            path,
            "the file is empty; a log never is, so it was cut to nothing",
            "restore it from a backup; if there never was a log, or to begin a new one, delete the empty file",
        )
    if found.st_nlink > 1:
        raise _refused(
            path,
            f"the file has {found.st_nlink} names (hard links), and two programs that use different ones destroy it",
            f"remove the other names (`find DIRECTORY -samefile {path}` finds them); for a backup, make a copy",
        )
    return FileIdentity(found.st_dev, found.st_ino)


def check_not_lost(path: Path) -> None:
    """Accept that there is no file, and that one may be made.

    Raises:
        LogError: there are traces of one beside it: a new log would look like one that has lost everything.
    """
    try:
        names = sorted(
            entry.name for entry in path.parent.iterdir() if entry.name.startswith(f"{path.name}-")
        )
    except OSError:
        return  # making the file tells what is wrong with the directory
    traces = [name for name in names if name.endswith((".lock", "-wal", "-shm"))]
    if traces:
        raise _refused(
            path,
            f"the file is not there, but {', '.join(traces)} beside it {'is' if len(traces) == 1 else 'are'}: "
            "it was lost or moved",
            "put it back, or restore it from a backup; to begin a new log, delete these files too",
        )


def check_in_place(path: Path, identity: FileIdentity) -> None:
    """Accept that a file in use is where it was. Takes 2 us.

    Raises:
        LogError: it was deleted, moved, or replaced.
    """
    try:
        found = path.stat()
    except OSError:
        found = None
    if found is None or (found.st_dev, found.st_ino) != identity:
        what = "was deleted or moved" if found is None else "was replaced by another file"
        raise LogError(
            f"cannot use the embedded log {path}: the file {what} while it was open; nothing more is written. "
            f"Stop what uses it, put the file back, and start again"
        )


@contextmanager
def being_made(path: Path) -> Iterator[Path]:
    """Give the name under which a file is to be made; at the end it gets its own name, whole and durable.

    Who else wants to make it waits meanwhile, and finds it there: within the block, it is to be looked for again.
    """
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: making a log there is still atomic
            fcntl.flock(directory, fcntl.LOCK_EX)
        draft = path.with_name(f"{path.name}-new")
        for left in (draft, path.with_name(f"{draft.name}-journal")):
            left.unlink(missing_ok=True)  # of a process that was killed
        yield draft
        if draft.exists():
            draft.rename(path)
            os.fsync(directory)
    finally:
        os.close(directory)


def _refused(path: Path, found: str, remedy: str) -> LogError:
    return LogError(f"cannot open the embedded log {path}: {found}; {remedy}")
