"""Where `headrace topics read --from` begins."""

from dataclasses import dataclass

from headrace.base.errors import ConfigError
from headrace.base.wording import shortened
from headrace.cli.moments import moment_ms

__all__ = ["ReadStart", "read_start_of"]


@dataclass(frozen=True, slots=True)
class ReadStart:
    """Where reading starts: at the first record, or at an offset, a timestamp (epoch ms) or the end that was given."""

    at_end: bool = False
    offset: int | None = None
    timestamp: int | None = None


def read_start_of(text: str) -> ReadStart:
    """Return the place that `beginning`, `end`, an offset, or a date and time in ISO 8601 means; UTC without a zone.

    >>> read_start_of("2013-01-01T00:00:00Z").timestamp
    1356998400000

    Raises:
        ConfigError: it is none of these.
    """
    if text == "beginning":
        return ReadStart()
    if text == "end":
        return ReadStart(at_end=True)
    try:
        if text.isdecimal():
            return ReadStart(offset=int(text))
        return ReadStart(timestamp=moment_ms(text))
    except ValueError:
        raise ConfigError(
            f"--from is {shortened(text)}, but must be beginning, end, an offset, or a time such as "
            "2013-01-01T00:00:00Z"
        ) from None
