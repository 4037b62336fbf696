"""Durations as people write them, `"5m"` or a timedelta, turned into the milliseconds that every room counts in."""

import re
from datetime import timedelta
from typing import TypeAlias

__all__ = ["Duration", "milliseconds", "timeout_seconds"]

#: A span of time. Never a bare number: `grace=5` means milliseconds to Kafka people and seconds to everybody else.
Duration: TypeAlias = timedelta | str

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_WHOLE = re.compile(r"(-?)((?:[0-9]+(?:ms|s|m|h|d))+)")
_MILLISECOND = timedelta(milliseconds=1)

#: Kafka keeps times in signed 64 bits, so nothing longer can be added to a timestamp.
_MS_MAX = 2**63 - 1


def milliseconds(duration: Duration, *, name: str, negative_allowed: bool = False) -> int:
    """Return a duration in whole milliseconds.

    Text is one or more whole numbers with a unit of ms, s, m, h or d, in any order: `"250ms"`, `"1h30m"`. Each unit may
    occur once. A timedelta must be a whole number of milliseconds. `name` is the argument's name, for messages.

    >>> milliseconds("1h30m", name="grace")
    5400000

    Raises:
        TypeError: a bare number, or anything else that is neither text nor timedelta.
        ValueError: text that is no duration, a part of a millisecond, or a negative one where that makes no sense.
    """
    if isinstance(duration, str):
        count = _parsed(duration, name)
    elif isinstance(duration, timedelta):
        count, rest = divmod(duration, _MILLISECOND)
        if rest:
            raise ValueError(
                f"{name}={duration!r} is not a whole number of milliseconds, the finest unit there is"
            )
    else:
        raise TypeError(_without_unit(duration, name))
    if count < 0 and not negative_allowed:
        raise ValueError(f"{name}={duration!r} is negative: a duration of 0 or more is wanted")
    if abs(count) > _MS_MAX:
        raise ValueError(f"{name}={duration!r} does not fit into 64 bits of milliseconds")
    return count


def _parsed(text: str, name: str) -> int:
    match = _WHOLE.fullmatch(text)
    parts = _PART.findall(match[2]) if match else []
    units = [unit for _, unit in parts]
    if match is None or len(set(units)) != len(units):
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            raise ValueError(_without_unit(text, name))
        raise ValueError(
            f"{name}={text!r} is not a duration: write whole numbers with ms, s, m, h or d, as in '250ms' or '1h30m'"
        )
    total = sum(int(number) * _UNITS_MS[unit] for number, unit in parts)
    return -total if match[1] else total


def _without_unit(duration: object, name: str) -> str:
    number = duration if isinstance(duration, str) else repr(duration)
    if isinstance(duration, bool) or not isinstance(duration, int | float | str):
        return f'{name}={number} is not a duration: write "5ms", "5s" or timedelta(seconds=5)'
    if isinstance(duration, float) or (isinstance(duration, str) and "." in duration):
        return f'{name}={number} has no unit: write "500ms", "5s" or timedelta(seconds={number})'
    return f'{name}={number} has no unit: write "{number}ms", "{number}s" or timedelta(seconds={number})'


def timeout_seconds(timeout: Duration | None) -> float | None:
    """Return a timeout in seconds; None, which is no limit, stays so."""
    return None if timeout is None else milliseconds(timeout, name="timeout") / 1000
