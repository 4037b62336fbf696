"""RocksDB and fork: its threads are the process's, and a child that is forked has none of them."""

import os

from headrace.base.errors import StateError

__all__ = ["ensure_threads_are_here"]

# RocksDB starts its threads with the first database and keeps them until the process ends: what is known of them is the
# process's own, too.
_started_in: int | None = None


def ensure_threads_are_here() -> None:
    """Remember the process in which RocksDB is first used; refuse a child that was forked from it.

    The child's copy believes in threads that are not there, and waits for them for ever: for a flush, a compaction, or
    the end of either when a database is closed.

    Raises:
        StateError: this process was forked from one that has used RocksDB.
    """
    global _started_in  # noqa: PLW0603 - see above
    if _started_in is None:
        _started_in = os.getpid()
    elif _started_in != os.getpid():
        raise StateError(
            f"cannot open stores in process {os.getpid()}: it was forked from process {_started_in}, which has opened "
            "some before, and RocksDB does not work across a fork; start this process with the method 'spawn' or "
            "'forkserver', open no stores before the fork, or keep these in memory (engine='memory')"
        )
