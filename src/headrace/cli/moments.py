"""Points in time as people write them on the command line."""

from datetime import UTC, datetime, timedelta

__all__ = ["moment_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def moment_ms(text: str) -> int:
    """Return epoch milliseconds of a date and time in ISO 8601; UTC without a zone.

    >>> moment_ms("2013-01-01T00:00:00Z"), moment_ms("2013-01-01 00:00:00.5")
    (1356998400000, 1356998400500)

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND
