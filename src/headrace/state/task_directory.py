"""A task's directory as files: whether it may be opened, and how it is deleted.

# Invariant: what is deleted is renamed first. A directory is therefore whole, or gone; half of one is never opened.
"""

import os
import shutil
from pathlib import Path

from headrace.base.errors import StateCorruptionError, StateError
from headrace.base.file_advice import file_advice

__all__ = ["destroy", "holds_database", "remove_destroyed"]

#: What a directory is called while it is deleted.
_DESTROYED = ".deleted"


def holds_database(path: Path) -> bool:
    """Whether there is a database in a directory; False if it is empty.

    RocksDB takes a directory without `CURRENT` for a new database, keeps the rows that it finds in its logs, and loses
    all others: such a directory must not even be opened.

    Raises:
        StateCorruptionError: there are files of a database, but not the one that it is opened with.
        StateError: the directory cannot be read.
    """
    try:
        names = os.listdir(path)
    except OSError as error:
        raise StateError(
            f"cannot read the state directory {path}: {error.strerror or error}; "
            f"{file_advice(error, 'let this user read there')}"
        ) from error
    if names and "CURRENT" not in names:
        raise StateCorruptionError(
            f"cannot open the stores at {path}: the file CURRENT is missing beside {len(names)} others",
            path=str(path),
        )
    return bool(names)


def destroy(path: Path) -> None:
    """Delete a directory that nobody has open, whatever state it is in. Nothing there is fine.

    Raises:
        StateError: it cannot be deleted.
    """
    destroyed = path.with_name(path.name + _DESTROYED)
    try:
        _remove(destroyed)
        os.rename(path, destroyed)
        _remove(destroyed)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(
            f"cannot delete the state directory {path}: {error.strerror or error}; "
            f"{file_advice(error, 'let this user write there')}"
        ) from error


def remove_destroyed(parent: Path, name: str = "*") -> None:
    """Delete what earlier runs have renamed in `parent` and not deleted, all or one: a start does this.

    Raises:
        StateError: something cannot be deleted.
    """
    for path in sorted(parent.glob(f"{name}{_DESTROYED}")):
        try:
            _remove(path)
        except OSError as error:
            raise StateError(
                f"cannot delete {path}: {error.strerror or error}; let this user write there, or delete it yourself"
            ) from error


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
