"""Tells Ctrl-C from what a user's function raises."""

import threading

__all__ = ["is_interrupt"]


def is_interrupt(error: BaseException) -> bool:
    """Whether somebody pressed Ctrl-C: Python raises that in the main thread alone, where only tests run records.

    It is nobody's failure, and goes through as it is.
    """
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
