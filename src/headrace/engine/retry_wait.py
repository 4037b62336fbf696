"""How long a worker waits before it tries again: longer each time, until a commit succeeds."""

import threading

__all__ = ["RetryWait"]

#: First and last wait before a batch is tried again that a handler answered with *retry*.
_RETRY_SECONDS = (0.1, 10.0)


class RetryWait:
    """Belongs to the worker's thread. Whoever stops the worker sets `stop`, which ends every wait."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._seconds = _RETRY_SECONDS[0]

    @property
    def is_over(self) -> bool:
        """Whether the worker is to stop, and nothing is to be tried again."""
        return self._stop.is_set()

    def wait(self) -> None:
        """Wait, and wait twice as long the next time."""
        seconds = self._seconds
        self._seconds = min(self._seconds * 2, _RETRY_SECONDS[1])
        self._stop.wait(seconds)

    def reset(self) -> None:
        """Wait shortly again the next time: something was committed."""
        self._seconds = _RETRY_SECONDS[0]
