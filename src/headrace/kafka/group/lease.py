"""Who may commit when: a commit and the step to an epoch that would refuse it take turns. Safe from two threads."""

import threading
from collections.abc import Callable

__all__ = ["CommitLease"]


class CommitLease:
    """Between the control thread, which moves the member on, and its worker, which commits as it.

    # Invariant: while the lease is lent, no request is under way whose answer is another epoch; and it is lent only to
    # a worker that has heard of the newest one. Neither side waits for the other.
    """

    def __init__(self, returned: Callable[[], None]) -> None:
        """`returned` is called when it comes back to a control thread that wanted to go on."""
        self._returned = returned
        self._lock = threading.Lock()
        self._is_lent = False
        self._is_closed = False
        self._is_wanted = False
        self._untaken = 0

    # ── the control thread ───────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> bool:
        """Lend it no more, until `open`; return whether that is so: not while a commit is under way."""
        with self._lock:
            self._is_wanted = self._is_lent
            self._is_closed = self._is_closed or not self._is_lent
            return self._is_closed

    def open(self) -> None:
        """Lend it again."""
        with self._lock:
            self._is_closed = self._is_wanted = False

    def told(self) -> None:
        """Note that the worker is told of another epoch: not before it has taken that, it may commit."""
        with self._lock:
            self._untaken += 1

    # ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────

    def taken(self) -> None:
        """Note that the worker has taken what `told` was about."""
        with self._lock:
            self._untaken -= 1

    def borrow(self) -> bool:
        """Return whether a commit may begin; then `give_back` follows."""
        with self._lock:
            self._is_lent = not self._is_closed and not self._untaken
            return self._is_lent

    def give_back(self) -> None:
        """End a commit."""
        with self._lock:
            self._is_lent = False
            is_wanted, self._is_wanted = self._is_wanted, False
        if is_wanted:
            self._returned()
