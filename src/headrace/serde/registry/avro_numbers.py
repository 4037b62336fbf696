"""Dates, times and decimals as the numbers that Avro has for them. What has no exact number is refused."""

import datetime
import decimal
from typing import Final

__all__ = ["days_of", "micros_of", "micros_of_time", "unscaled"]

_DAY_ZERO: Final = datetime.date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LOCAL_EPOCH: Final = datetime.datetime(1970, 1, 1)
_MICRO: Final = datetime.timedelta(microseconds=1)

#: More digits than any decimal of Avro has that people write: nothing is rounded on the way.
_WIDE: Final = decimal.Context(prec=1000, traps=[decimal.InvalidOperation, decimal.Inexact])


def days_of(value: datetime.date) -> int:
    """Return the days since 1970."""
    return value.toordinal() - _DAY_ZERO


def micros_of_time(value: datetime.time) -> int:
    """Return the microseconds since midnight.

    Raises:
        ValueError: the time has a zone, for which there is no place.
    """
    if value.tzinfo is not None:
        raise ValueError("a time with a zone, for which Avro has no place")
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def micros_of(value: datetime.datetime, *, is_local: bool) -> int:
    """Return the microseconds since 1970.

    Raises:
        ValueError: the zone is missing from an instant, or a local time has one.
    """
    if is_local:
        if value.tzinfo is not None:
            raise ValueError("a datetime with a zone, where a local one is wanted")
        return (value - _LOCAL_EPOCH) // _MICRO
    if value.utcoffset() is None:
        raise ValueError("a datetime without a zone, of which the instant is not known: give it a tzinfo")
    return (value - _EPOCH) // _MICRO


def unscaled(value: decimal.Decimal, precision: int, scale: int) -> int:
    """Return a decimal as a whole number of its smallest unit.

    Raises:
        ValueError: it has more digits than precision and scale allow, or is no number.
    """
    if not value.is_finite():
        raise ValueError("a decimal that is no number")
    try:
        number = int(value.scaleb(scale, _WIDE).to_integral_exact(context=_WIDE))
    except (decimal.Inexact, decimal.InvalidOperation):
        raise ValueError(f"a decimal with more than {scale} digits behind the point") from None
    if abs(number) >= 10**precision:
        raise ValueError(f"a decimal with more than {precision} digits, {scale} of them behind the point")
    return number
