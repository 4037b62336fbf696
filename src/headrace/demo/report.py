"""The report: reads the job's stores while it runs, and prints them as tables and a chart."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

import headrace as hr
from headrace.demo.flights import DAYS, QUARTERS, ROUTES, Day

__all__ = ["print_report"]

#: The Sunday after Thanksgiving, when everybody flies home; in New York it begins at 5 in the morning, UTC.
_CHART_DAY = datetime(2013, 12, 1, 5, tzinfo=UTC)
_HOUR_MS = 3_600_000
_BLOCKS = " ▁▂▃▄▅▆▇█"


def print_report(streams: hr.Streams, console: Console) -> None:
    """Print what the job knows."""
    console.print(_carriers(streams.query(DAYS).range()))
    console.print(_routes(streams.query(ROUTES).all()))
    console.print(_chart(streams))


def _carriers(days: Iterable[tuple[hr.Windowed[str], Day]]) -> Table:
    sums: dict[str, Day] = defaultdict(Day)
    for window, day in days:
        total = sums[window.key]
        sums[window.key] = Day(
            total.n + day.n,
            total.cancelled + day.cancelled,
            total.late + day.late,
            total.delay + day.delay,
            max((worst for worst in (total.worst, day.worst) if worst is not None), default=None),
        )
    table = Table("carrier", title="Carriers in 2013", title_justify="left")
    for heading in ("flights", "cancelled", "late", "mean delay", "worst delay"):
        table.add_column(heading, justify="right")
    for carrier, day in sorted(sums.items(), key=lambda each: -each[1].n):
        flown = day.n - day.cancelled
        table.add_row(
            carrier,
            f"{day.n:,}",
            f"{day.cancelled / day.n:.1%}",
            f"{day.late / flown:.1%}" if flown else "",
            f"{day.delay / flown:.1f} min" if flown else "",
            "" if day.worst is None else f"{day.worst // 60} h {day.worst % 60:02} min",
        )
    return table


def _routes(routes: Iterable[tuple[str, int]]) -> Table:
    table = Table("route", title="Most flown routes", title_justify="left")
    table.add_column("flights", justify="right")
    for route, count in sorted(routes, key=lambda each: (-each[1], each[0]))[:8]:
        table.add_row(route, f"{count:,}")
    return table


def _chart(streams: hr.Streams) -> str:
    """Draw a day at each airport: departures in the hour that begins at each half hour, to fit a narrow terminal."""
    start = int(_CHART_DAY.timestamp()) * 1000
    halves = range(start, start + 24 * _HOUR_MS, _HOUR_MS // 2)
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    for window, count in streams.query(QUARTERS).range(start=halves[0], end=halves[-1]):
        counts[window.key][window.window.start] = count
    fullest = max((count for airport in counts.values() for count in airport.values()), default=1)
    lines = [f"[italic]Departures an hour on {_CHART_DAY:%d %B %Y}, New York time (█ = {fullest})[/]"]
    for airport in sorted(counts):
        levels = (counts[airport].get(half, 0) * (len(_BLOCKS) - 1) / fullest for half in halves)
        lines.append(f"{airport} {''.join(_BLOCKS[-int(-level // 1)] for level in levels)}")
    lines.append("    " + "".join(f"{hour:02}:00".ljust(6) for hour in range(0, 24, 3)))
    return "\n".join(lines)
