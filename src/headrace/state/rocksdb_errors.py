"""What RocksDB's error texts mean for us: rocksdict raises plain exceptions with RocksDB's own words."""

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.base.errors import (
    AlreadyRunningError,
    HeadraceError,
    StateCorruptionError,
    StateError,
    StoreUnavailableError,
)

__all__ = ["is_held_by_this_process", "is_stall", "translated"]

#: Words of the system, what they mean, and what to do.
_CAUSES = (
    (
        ("too many open files",),
        ("no more files can be opened", "raise the limit of open files (`ulimit -n`)"),
    ),
    (
        ("no space", "disk quota", "file too large"),
        ("the disk is full", "free space and start again"),
    ),
    (
        ("permission denied", "operation not permitted", "read-only file system"),
        ("no permission", "let this user write there, or name another directory"),
    ),
)


def is_stall(error: Exception) -> bool:
    """Whether a write was refused because it would have had to wait (`no_slowdown`)."""
    return "Write stall" in str(error)


def is_held_by_this_process(error: Exception) -> bool:
    """Whether a directory could not be opened because something of this process has it open."""
    return "lock hold by current process" in str(error)


@contextmanager
def translated(path: str, attempt: str) -> Iterator[None]:
    """Raise what our runtime knows in place of what rocksdict raises while `attempt` is made.

    Raises:
        AlreadyRunningError: the directory is locked.
        StateCorruptionError: the files cannot be trusted.
        StoreUnavailableError: it is closed.
        StateError: anything else, such as a full disk or no permission.
    """
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:
        raise _meaning(path, attempt, error) from error


def _meaning(path: str, attempt: str, error: Exception) -> HeadraceError:
    text = str(error)
    # A directory may be called anything, and must not decide what the error is.
    lowered = text.replace(path, "").lower()
    is_missing = "no such file" in lowered
    # The cause before the file: a lock file may lack the permission, the room or the descriptor of any other.
    for words, cause in _CAUSES:
        if any(word in lowered for word in words):
            return StateError(f"cannot {attempt} at {path}: {cause[0]} ({text}); {cause[1]}")
    if is_missing or "corrupt" in lowered or "checksum mismatch" in lowered:
        return StateCorruptionError(f"cannot {attempt} at {path}: its files are damaged ({text})", path=path)
    if "/lock" in lowered and ("temporarily unavailable" in lowered or is_held_by_this_process(error)):
        return AlreadyRunningError(
            f"cannot {attempt} at {path}: another process or task has it open ({text}); "
            "stop it, or give this application another state directory"
        )
    if type(error).__name__ == "DbClosedError":
        return StoreUnavailableError(f"cannot {attempt} at {path}: it is closed")
    return StateError(f"cannot {attempt} at {path}: {text}")
