"""Files of the embedded log that a forked child must leave alone: those that its parent had open at the fork.

SQLite remembers in the process which locks it holds on a file. A child that is forked has the memory but not the locks:
it takes none of its own where the parent held some, and the parent removes the write-ahead log under its hands.
"""

import os
from collections import Counter

from headrace.base.errors import LogError
from headrace.log.embedded.identity import FileIdentity

__all__ = ["ensure_not_inherited", "left", "used"]

# SQLite's memory is the process's own, and so is this.
_in_use: Counter[FileIdentity] = Counter()
_inherited: set[FileIdentity] = set()


def ensure_not_inherited(path: object, identity: FileIdentity) -> None:
    """Accept that a file is opened.

    Raises:
        LogError: the process that this one was forked from had it open then.
    """
    if identity in _inherited:
        raise LogError(
            f"cannot open the embedded log {path} in process {os.getpid()}: the process that it was forked from had it "
            "open, and SQLite does not work across a fork; start this process with the method 'spawn' or 'forkserver', "
            "or fork before the log is opened"
        )


def used(identity: FileIdentity) -> None:
    """Remember that a log has the file open."""
    _in_use[identity] += 1


def left(identity: FileIdentity) -> None:
    """Remember that one of them is closed."""
    _in_use[identity] -= 1


def _inherit() -> None:
    _inherited.update(+_in_use)
    _in_use.clear()


os.register_at_fork(after_in_child=_inherit)
