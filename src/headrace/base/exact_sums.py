"""Sums of numbers without rounding: what was added can be taken out again, and the order makes no difference.

A sum is a tuple: the sum of the whole numbers first, exact within 64 bits, then floats of which none overlaps another,
so that together they are exactly the sum of the floats. Usually that is one float or two; there is none before the
first. Source: Shewchuk, Adaptive Precision Floating-Point Arithmetic (1997), as in `math.fsum`.
"""

from fractions import Fraction
from math import fsum
from typing import Any, Final, TypeAlias

__all__ = ["NOTHING", "Sum", "mean_of", "merged", "minus", "plus", "value_of"]

Sum: TypeAlias = tuple[Any, ...]

NOTHING: Final[Sum] = (0,)

_WHOLE = range(-(2**63), 2**63)


def plus(total: Sum, number: Any) -> Sum:
    """Add a number.

    Raises:
        TypeError: it is neither an int nor a float.
        ValueError: it is not finite, which nothing could take out again.
        OverflowError: the sum is beyond 64 bits, or beyond all floats.
    """
    if type(number) is float:
        return _plus_float(total, number)
    if isinstance(number, int):
        whole = total[0] + int(number)
        if whole not in _WHOLE:
            raise OverflowError("the sum of the whole numbers is beyond 64 bits")
        return (whole, *total[1:])
    if isinstance(number, float):
        return _plus_float(total, float(number))
    raise TypeError(
        f"sums are of ints and floats, found a {type(number).__qualname__}: convert it, or write an aggregator of your "
        "own, aggregate(init, aggregator)"
    )


def minus(total: Sum, number: Any) -> Sum:
    """Take a number out that was added; raises as `plus` does."""
    return plus(total, -number if isinstance(number, int | float) else number)


def merged(one: Sum, other: Sum) -> Sum:
    """Return the sum of two sums; raises as `plus` does."""
    total = plus(one, other[0])
    for number in other[1:]:
        total = _plus_float(total, number)
    return total


def value_of(total: Sum) -> int | float:
    """Return the number that a sum is, rounded once: an int if no float was ever added."""
    whole, *floats = total
    if not floats:
        return int(whole)
    return float(_exact(total)) if whole else fsum(floats)


def mean_of(total: Sum, count: int) -> float:
    """Return a sum divided by a count, rounded once."""
    whole, *floats = total
    if not floats:
        return float(whole / count)
    if not whole and len(floats) == 1:
        return float(floats[0] / count)
    return float(_exact(total) / count)


def _exact(total: Sum) -> Fraction:
    return sum(map(Fraction, total), Fraction(0))


def _plus_float(total: Sum, number: float) -> Sum:
    if number - number != 0.0:
        raise ValueError(
            f"a sum of {number} could never be another one again: leave it out, or return None for it"
        )
    grown = [total[0]]
    for each in total[1:]:
        larger, smaller = (each, number) if abs(number) < abs(each) else (number, each)
        number = larger + smaller
        rest = smaller - (number - larger)
        if rest:
            grown.append(rest)
    if number - number != 0.0:
        raise OverflowError("the sum is beyond all floats")
    if number or len(grown) == 1:
        grown.append(number)
    return tuple(grown)
