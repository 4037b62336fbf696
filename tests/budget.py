"""How much of a search the usual test run has room for. `make campaigns` makes all of them long.

A search has a list of things to try, of which the usual run tries some, evenly spread and always the same, or a number
of random examples.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["IS_LONG", "examples", "some"]

#: Whether there is time for everything.
IS_LONG = "CAMPAIGN" in os.environ

T = TypeVar("T")


def some(items: Sequence[T], usual: int) -> Sequence[T]:
    """Return the items to try: `usual` of them, or all when there is time."""
    if IS_LONG or len(items) <= usual:
        return items
    return [items[place * len(items) // usual] for place in range(usual)]


def examples(usual: int) -> int:
    """Return how many random examples to try: `usual`, or twenty times as many when there is time."""
    return usual * 20 if IS_LONG else usual
