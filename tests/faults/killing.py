"""An application under test kills itself at a step, or falls asleep there: a moment that no kill from outside meets."""

import os
import signal
from collections.abc import Callable

__all__ = ["killer"]


def killer(stop_at: str | None) -> Callable[[str], None]:
    """Make the function that ends the process, without a chance to clean up, at a step of a commit.

    `STEP:COUNT` says when; with `:sleep` behind it, the process sleeps there until it is woken.
    """
    if stop_at is None:
        return lambda step: None
    wanted, count, *sleeps = stop_at.split(":")
    left = [int(count)]

    def reached(step: str) -> None:
        if step == wanted:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGSTOP if sleeps else signal.SIGKILL)

    return reached
