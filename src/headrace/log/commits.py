"""How a commit wakes readers of the same process that wait in `poll`."""

import threading

__all__ = ["CommitSignal"]


class CommitSignal:
    """Counts commits of one log object; readers wait for the count to move."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How many commits were announced. Read it *before* looking for records, else a commit slips between."""
        return self._count

    def announce(self) -> None:
        """Wake everybody who waits; called after a commit is durable and visible."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout_s: float) -> None:
        """Block until the count differs from `seen`, or `timeout_s` has passed."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, timeout_s)
