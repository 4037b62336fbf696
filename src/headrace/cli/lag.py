"""`headrace lag`: how many records an application has not processed yet, and how old the first of them is."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import click
import msgspec

from headrace.base.durations import milliseconds
from headrace.base.errors import ConfigError
from headrace.base.wording import shortened
from headrace.cli.groups import group_named, shown_lag
from headrace.cli.opening import look_options, subject_of
from headrace.cli.wording import table
from headrace.outside.lag import PartitionLag, lag_of_group, lag_row

__all__ = ["command"]

#: How the command ends where there is more than was allowed: 1 and 2 are failures and mistakes, as everywhere.
_TOO_MUCH = 3


@click.command("lag")
@click.argument("group", required=False)
@click.option(
    "--max-records",
    type=click.IntRange(min=0),
    metavar="N",
    help="End with 3 where more are left, or that cannot be told.",
)
@click.option(
    "--max-age",
    metavar="SPAN",
    help="End with 3 where the first that is left is older, such as 5m, or that cannot be told.",
)
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Count for so many seconds; more than that is told by offsets, as what it is at most.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines, one a partition.")
@look_options
def command(
    group: str | None,
    max_records: int | None,
    max_age: str | None,
    seconds: float,
    as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Show how many records are left for GROUP, in each partition that it reads, and the age of the first of them.

    Without GROUP it is that of --app or --application-id. Records are counted, not offsets: who has caught up lags by
    0, although markers of transactions follow. The age goes by the records' own timestamps.
    """
    limit_ms = _limit_ms(max_age)
    subject = subject_of(options)
    log = subject.open()
    try:
        topology = None if subject.target is None else subject.target.topology
        found, lags = lag_of_group(log, group_named(group, subject), topology, seconds=seconds)
    finally:
        log.close()
    now_ms = time.time_ns() // 1_000_000
    records = sum(each.lag or 0 for each in lags)
    ages = [each.age_ms(now_ms) for each in lags]
    oldest_ms = max((age for age in ages if age is not None), default=0)
    if as_json:
        for each in lags:
            click.echo(msgspec.json.encode(lag_row(each, now_ms)).decode())
    else:
        rows = [
            (each.task or "-", each.partition, shown_lag(each), _age(each.age_ms(now_ms))) for each in lags
        ]
        click.echo(table(("task", "partition", "lag", "oldest"), rows))
        at_most = "" if all(each.is_exact for each in lags) else "at most "
        oldest = _age(oldest_ms)
        if None in ages:
            oldest = f"at least {oldest}" if oldest_ms else "-"
        click.echo(
            "; ".join((f"group {found.name}: {at_most}{records} records, oldest {oldest}", *_untold(lags)))
        )
    # Whoever asks whether a limit is kept is not told so where nobody knows.
    if (max_records is not None and (records > max_records or any(each.lag is None for each in lags))) or (
        limit_ms is not None and (oldest_ms > limit_ms or None in ages)
    ):
        click.get_current_context().exit(_TOO_MUCH)


def _untold(lags: Sequence[PartitionLag]) -> Iterator[str]:
    """Say in how many partitions it cannot be told what is left, and why."""
    for count, why in (
        (sum(each.lag is None and not each.is_beyond for each in lags), "it has committed nothing yet"),
        (
            sum(each.is_beyond for each in lags),
            "what it has committed is beyond the end: the topic was made again, or was cut",
        ),
    ):
        if count:
            yield f"in {count} of {len(lags)} partitions {why}"


def _limit_ms(text: str | None) -> int | None:
    try:
        return None if text is None else milliseconds(text, name="--max-age")
    except (ValueError, TypeError):
        raise ConfigError(f"--max-age is {shortened(text)}, but must be a duration such as 5m") from None


_UNITS: Sequence[tuple[str, int]] = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000))


def _age(age_ms: int | None) -> str:
    if age_ms is None:
        return "-"
    for (unit, size), (below, part) in zip(_UNITS, [*_UNITS[1:], ("ms", 1)]):
        if age_ms >= size:
            rest = age_ms % size // part
            return f"{age_ms // size}{unit}{f' {rest}{below}' if rest and below != 'ms' else ''}"
    return f"{age_ms}ms"
