"""Where `headrace topics read --from` begins."""

from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.base.errors import ConfigError

__all__ = ["First", "first_of"]


@dataclass(frozen=True, slots=True)
class First:
    """The first record to show: an offset, or the first one with at least a timestamp (epoch ms)."""

    at_end: bool = False
    offset: int | None = None
    timestamp: int | None = None


def first_of(text: str) -> First:
    """Return the place that `beginning`, `end`, an offset, or a date and time in ISO 8601 means; UTC without a zone.

    >>> first_of("2013-01-01T00:00:00Z").timestamp
    1356998400000

    Raises:
        ConfigError: it is none of these.
    """
    if text == "beginning":
        return First()
    if text == "end":
        return First(at_end=True)
    if text.isdecimal():
        return First(offset=int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--from is {text!r}, but must be beginning, end, an offset, or a time such as 2013-01-01T00:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return First(timestamp=round(moment.timestamp() * 1000))
