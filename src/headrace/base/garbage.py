"""Holds Python's collector of cycles back while many objects are made at once that are in none.

It looks at young objects after every 700 new ones that can hold others, freed ones taken off, and at everything that
they hold: in a flush of ten thousand rows, again and again at its columns, which was a third of what a commit cost.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_held_back"]


@contextmanager
def collector_held_back() -> Iterator[None]:
    """Hold the collector back in this process. It stays off where it was off.

    Threads that do so at the same time may let it run a little early, but none leaves it off.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
