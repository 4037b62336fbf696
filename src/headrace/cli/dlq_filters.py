"""Which dead letters a command of `headrace dlq` means, by its options."""

from collections.abc import Callable
from typing import Any

import click
from typing_extensions import TypeVar

from headrace.base.errors import ConfigError
from headrace.base.wording import shortened
from headrace.cli.moments import moment_ms
from headrace.outside.dead_letters import LetterFilter

__all__ = ["filter_of", "filter_options"]

C = TypeVar("C", bound=Callable[..., Any])

_FILTERS = (
    click.option("--reason", metavar="CLASS", help="Only what failed by this exception."),
    click.option("--node", metavar="NAME", help="Only what failed in this node."),
    click.option("--origin", metavar="TOPIC", help="Only records of this topic."),
    click.option(
        "--since", metavar="TIME", help="Only records from this time on, such as 2013-01-01T00:00:00Z."
    ),
    click.option("--until", metavar="TIME", help="Only records before this time."),
    click.option("--partition", type=click.IntRange(min=0), help="Only this partition of the dead letters."),
    click.option(
        "--from-offset", type=click.IntRange(min=0), metavar="N", help="Only dead letters from here on."
    ),
    click.option(
        "--to-offset", type=click.IntRange(min=0), metavar="N", help="Only dead letters up to here, included."
    ),
)


def filter_options(command: C) -> C:
    """Add the options by which dead letters are chosen."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def filter_of(options: dict[str, Any]) -> LetterFilter:
    """Take the options of `filter_options` out, and return what they mean.

    Raises:
        ConfigError: a time is none.
    """
    return LetterFilter(
        reason=options.pop("reason"),
        node=options.pop("node"),
        origin=options.pop("origin"),
        since=_time("--since", options.pop("since")),
        until=_time("--until", options.pop("until")),
        partition=options.pop("partition"),
        first=options.pop("from_offset"),
        last=options.pop("to_offset"),
    )


def _time(flag: str, text: str | None) -> int | None:
    try:
        return None if text is None else moment_ms(text)
    except ValueError:
        raise ConfigError(
            f"{flag} is {shortened(text)}, but must be a time such as 2013-01-01T00:00:00Z"
        ) from None
