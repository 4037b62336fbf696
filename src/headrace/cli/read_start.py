"""Where `headrace topics read --from` begins."""

from dataclasses import dataclass

from headrace.base.errors import ConfigError
from headrace.cli.moments import moment_ms
from headrace.cli.wording import shortened

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
    try:
        if text.isdecimal():
            return First(offset=int(text))
        return First(timestamp=moment_ms(text))
    except ValueError:
        raise ConfigError(
            f"--from is {shortened(text)}, but must be beginning, end, an offset, or a time such as "
            "2013-01-01T00:00:00Z"
        ) from None
