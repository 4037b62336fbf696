"""Tells of an initialiser that hands out one object for all keys, which the aggregator then changes."""

import copy
from collections.abc import Callable
from typing import Any

__all__ = ["first_aggregates"]


def first_aggregates(init: Callable[[], Any]) -> Callable[[], Any]:
    """Return the initialiser, made to fail where it returns the object of before, which was changed meanwhile.

    A key would begin with what records of other keys have left there. The same object each time is fine as long as
    nobody changes it: an aggregator may return new ones. Only what has no hash is looked at, since all else is taken
    for immutable. Costs nothing for keys that are there already.
    """
    last: Any = None
    as_made: Any = None

    def first() -> Any:
        nonlocal last, as_made
        made = init()
        if type(made).__hash__ is not None:
            return made
        if made is not last:
            last, as_made = made, _copied(made)
        elif as_made is not None and made != as_made:
            raise ValueError(
                f"the initialiser returns one and the same {type(made).__qualname__} for all keys, and the aggregator "
                f"has changed it; make a new one each time, as `list` or `lambda: []` do"
            )
        return made

    return first


def _copied(made: Any) -> Any:
    try:
        return copy.deepcopy(made)
    except Exception:  # a class may forbid it: then nothing can be told
        return None
