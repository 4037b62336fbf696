"""What SQLite's error codes mean to whoever runs an application on the embedded log."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.base.errors import LogError
from headrace.log.embedded.checksums import Damage

__all__ = ["LogBusyError", "reported"]


class LogBusyError(LogError):
    """Others kept the file locked for longer than we wait. Nothing was written: maintenance tries again later."""


# By primary result code: what was found, and what to do.
_EXPLANATIONS = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and start again; what was committed is safe"),
    sqlite3.SQLITE_READONLY: (
        "the file or its directory cannot be written",
        "give this user write permission for both, or choose another path",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the file cannot be opened",
        "check that the path is a file, and that this user may read and write it and its directory",
    ),
    sqlite3.SQLITE_PERM: ("permission was denied", "give this user read and write permission"),
    sqlite3.SQLITE_NOTADB: (
        "the file is not an embedded log",
        "choose another path; the file was left as it is",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the file is damaged",
        "restore it from a backup; to begin a new log, move it away with all that is beside it",
    ),
    # Our statements are right, so it is what they are about.
    sqlite3.SQLITE_ERROR: (
        "its tables are not those of an embedded log: it was changed by another program, or is damaged",
        "restore it from a backup",
    ),
    sqlite3.SQLITE_IOERR: (
        "the operating system refused to read or write",
        "check the disk, its quota and file size limits, then start again",
    ),
    sqlite3.SQLITE_TOOBIG: (
        "a record is larger than 1 GB",
        "store large objects elsewhere and a reference in the log",
    ),
}

_WITHOUT_BACKUP = "; without one, delete the records before offset {}, which are lost, or the topic"


@contextmanager
def reported(attempt: str, path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and damage that was found, into `LogError`. `attempt` reads like 'commit to'.

    Raises:
        LogBusyError: the file stayed locked.
        LogError: anything else, with what to do about it.
    """
    try:
        yield
    except Damage as damage:
        rest = "" if damage.next_offset is None else _WITHOUT_BACKUP.format(damage.next_offset)
        raise LogError(
            f"cannot read {damage.what} of the embedded log {path}: {damage.wrong}; "
            f"restore the file from a backup{rest}"
        ) from damage
    except UnicodeDecodeError as error:
        raise LogError(
            f"cannot {attempt} the embedded log {path}: the file is damaged ({error}); restore it from a backup"
        ) from error
    except sqlite3.Error as error:
        # Errors of the module itself, such as the use of a closed connection, carry no code.
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if isinstance(error, sqlite3.OperationalError) and code is None:
            primary = sqlite3.SQLITE_CORRUPT  # the module could not make text of a column
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LogBusyError(
                f"cannot {attempt} the embedded log {path}: another process kept it locked for too long; "
                f"find the process that has it open (a stopped one, or an sqlite3 shell) and end it"
            ) from error
        found, remedy = _EXPLANATIONS.get(primary or 0, ("SQLite failed", "see the cause above"))
        raise LogError(f"cannot {attempt} the embedded log {path}: {found} ({error}); {remedy}") from error
