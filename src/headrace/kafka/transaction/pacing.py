"""When a machine asks again: after pauses that grow, and how long a topic may seem to be missing."""

from headrace.kafka.transaction.messages import TransactionLimits

__all__ = ["Pacing"]


class Pacing:
    """The tries of one request after the other.

    Attributes:
        retry_at: when the next try may go out (s).
    """

    def __init__(self, limits: TransactionLimits) -> None:
        self._limits = limits
        self.retry_at = 0.0
        self._attempts = 0
        self._missing_since: float | None = None

    def begin(self) -> None:
        """Ask something new, or the same after it has succeeded: at once."""
        self.retry_at, self._attempts, self._missing_since = 0.0, 0, None

    def pause(self, now: float, *, is_busy: bool) -> None:
        """Wait before the next try; very shortly where a coordinator is completing the transaction before."""
        limits = self._limits
        first = limits.busy_backoff_ms if is_busy else limits.retry_backoff_ms
        longest = limits.busy_backoff_max_ms if is_busy else limits.retry_backoff_max_ms
        self.retry_at = now + min(first << min(self._attempts, 20), longest) / 1000
        self._attempts += 1

    def is_missing(self, now: float) -> bool:
        """Whether a topic, said to be unknown, has been so for long enough to be believed."""
        if self._missing_since is None:
            self._missing_since = now
        return (now - self._missing_since) * 1000 >= self._limits.missing_grace_ms
