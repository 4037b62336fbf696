"""Which process an application runs in: a child that is forked from it gets a copy that must do nothing."""

import os

from headrace.base.errors import StateError

__all__ = ["HomeProcess"]


class HomeProcess:
    """Remembers the process in which an application was started; every process before that."""

    def __init__(self) -> None:
        self._process_id: int | None = None

    def settle(self) -> None:
        """Make the present process the one."""
        self._process_id = os.getpid()

    @property
    def is_elsewhere(self) -> bool:
        """Whether this process was forked from the one."""
        return self._process_id is not None and self._process_id != os.getpid()

    def ensure_here(self, attempt: str) -> None:
        """Raise StateError in a child, which cannot do what is attempted."""
        if self.is_elsewhere:
            raise StateError(
                f"cannot {attempt} here: the application belongs to process {self._process_id}, and this one "
                f"({os.getpid()}) was forked from it; use it there, or make and start a Streams of its own here"
            )
