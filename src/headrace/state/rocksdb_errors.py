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

__all__ = ["is_stall", "translated"]


def is_stall(error: Exception) -> bool:
    """Whether a write was refused because it would have had to wait (`no_slowdown`)."""
    return "Write stall" in str(error)


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
    if "/lock" in lowered and "permission" not in lowered and not is_missing:
        return AlreadyRunningError(
            f"cannot {attempt} at {path}: another process or task has it open ({text}); "
            "stop it, or give this application another state directory"
        )
    if "corrupt" in lowered or "checksum mismatch" in lowered or is_missing:
        return StateCorruptionError(f"cannot {attempt} at {path}: its files are damaged ({text})", path=path)
    if type(error).__name__ == "DbClosedError":
        return StoreUnavailableError(f"cannot {attempt} at {path}: it is closed")
    if "no space" in lowered or "disk quota" in lowered or "file too large" in lowered:
        return StateError(
            f"cannot {attempt} at {path}: the disk is full ({text}); free space and start again"
        )
    if "permission denied" in lowered or "read-only file system" in lowered:
        return StateError(
            f"cannot {attempt} at {path}: no permission ({text}); let this user write there, or name another directory"
        )
    return StateError(f"cannot {attempt} at {path}: {text}")
