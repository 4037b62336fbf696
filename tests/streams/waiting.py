"""Waiting in tests: for a condition, never for a time."""

import time
from collections.abc import Callable

DEADLINE_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds; fail when it does not for a minute."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.005)
