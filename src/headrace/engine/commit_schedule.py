"""When the next commit is due by the clock."""

__all__ = ["CommitSchedule"]

#: Commits may take a tenth of the time; when they take more, the interval stretches.
_SHARE = 10

#: How long one that could not begin is put off.
_PUT_OFF_SECONDS = 0.02

_NEVER = float("inf")


class CommitSchedule:
    """`commit.interval.ms`, stretched for a busy worker whose commits are slow, but not beyond a transaction's life.

    An idle worker need not save commits: for it the interval is as it was set, so that its last outputs are seen soon.
    Times are seconds of the monotonic clock.
    """

    def __init__(self, interval_ms: int, transaction_timeout_ms: int | None = None) -> None:
        """`transaction_timeout_ms` is after what the log aborts a transaction; None where it never does."""
        self._interval = interval_ms / 1000
        # Half of it is for the commit itself, which ends the transaction only with its last step.
        longest = _NEVER if transaction_timeout_ms is None else transaction_timeout_ms / 1000 / 2
        self._stretched_max = max(self._interval, longest)
        self._next_busy = self._next_idle = 0.0

    def begin(self, now: float) -> None:
        """Start counting."""
        self._next_busy = self._next_idle = now + self._interval

    def committed(self, began: float, now: float) -> None:
        """Note a commit."""
        self._next_idle = now + self._interval
        stretched = min((now - began) * (_SHARE - 1), self._stretched_max)
        self._next_busy = now + max(self._interval, stretched)

    def put_off(self, now: float) -> None:
        """Note that one that was due could not begin."""
        self._next_busy = self._next_idle = now + _PUT_OFF_SECONDS

    def is_due(self, now: float, *, is_busy: bool) -> bool:
        """Whether a commit is due."""
        return now >= (self._next_busy if is_busy else self._next_idle)

    def idle_wait_ms(self, now: float) -> int:
        """How long an idle worker may wait before the next one."""
        return max(0, int((self._next_idle - now) * 1000))
