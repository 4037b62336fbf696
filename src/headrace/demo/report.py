"""The report: reads the job's stores while it runs, and its topics, and prints what is in them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

import headrace as hr
from headrace.demo.declarations import (
    AIRCRAFT_TOURS,
    AIRLINES_BY_CODE,
    DAYS,
    DEAD_LETTERS,
    ENRICHED,
    FLEET,
    NEVER_LEFT,
    ORIGINS,
    QUARTERS,
    ROUTES,
    SEATS,
    TOURS,
    WIND,
    WINDY,
    Day,
)
from headrace.demo.loading import count_records
from headrace.log.port import Log

__all__ = ["print_report", "print_topics"]

#: The Sunday after Thanksgiving, when everybody flies home; in New York it begins at 5 in the morning, UTC.
_CHART_DAY = datetime(2013, 12, 1, 5, tzinfo=UTC)
_HOUR_MS = 3_600_000
_BLOCKS = " ▁▂▃▄▅▆▇█"


#: What the job shows, and the topic that has it.
_SHOWN = {
    ENRICHED.name: "flights with names: joined with two global tables",
    SEATS.name: "seats of their aircraft: joined with a table",
    WINDY.name: "departures in the wind: joined as of their time",
    TOURS.name: "tours of aircraft: sessions, told when over",
    NEVER_LEFT.name: "never, or hours late: a join of two streams",
    DEAD_LETTERS: "no tail number: refused, and set aside",
}


def print_report(streams: hr.Streams, console: Console) -> None:
    """Print what the job's stores know."""
    console.print(_carriers(streams))
    console.print(_routes(streams.query(ROUTES).all()))
    console.print(_chart(streams))
    for line in _facts(streams):
        console.print(line, highlight=False)


def print_topics(log: Log, console: Console) -> None:
    """Print how many records each topic of results has."""
    table = Table("topic", title="Topics", title_justify="left")
    table.add_column("records", justify="right")
    table.add_column("what they are")
    for topic, text in _SHOWN.items():
        table.add_row(topic, f"{count_records(log, topic):,}", text)
    console.print(table)


def _carriers(streams: hr.Streams) -> Table:
    """Sum the days up. The names come from a global table, which can be queried like any store."""
    sums: dict[str, Day] = defaultdict(Day)
    for window, day in streams.query(DAYS).range():
        total = sums[window.key]
        sums[window.key] = Day(
            total.n + day.n,
            total.cancelled + day.cancelled,
            total.late + day.late,
            total.delay + day.delay,
            max((worst for worst in (total.worst, day.worst) if worst is not None), default=None),
        )
    table = Table(title="Carriers and their delays", title_justify="left")
    table.add_column("carrier", no_wrap=True, max_width=21)  # what is beside it fits a terminal of 80 then
    for heading in ("flights", "cancelled", "late", "mean", "worst"):
        table.add_column(heading, justify="right", no_wrap=True)
    airlines = streams.query(AIRLINES_BY_CODE)
    for carrier, day in sorted(sums.items(), key=lambda each: -each[1].n):
        flown = day.n - day.cancelled
        airline = airlines.get(carrier)
        table.add_row(
            airline.name if airline else carrier,
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


def _facts(streams: hr.Streams) -> Iterator[str]:
    """Say something of each of the other stores."""
    origins = ", ".join(f"{airport} {count:,}" for airport, count in sorted(streams.query(ORIGINS).all()))
    yield f"Flights of the year: {origins}."
    noon = int(_CHART_DAY.timestamp()) * 1000 + 12 * _HOUR_MS
    winds = []
    for airport in ("EWR", "JFK", "LGA"):
        version = streams.query(WIND).get(airport, as_of=noon)
        if version is not None and version[0].wind_speed is not None:
            winds.append(f"{airport} {version[0].wind_speed:.0f}")
    yield f"The wind at noon on {_CHART_DAY:%d %B}, in miles an hour: {', '.join(winds)}."
    aircraft = "N725MQ"
    tours = [tour for _, tour in streams.query(AIRCRAFT_TOURS).sessions(aircraft)]
    miles, legs = sum(tour.distance for tour in tours), max((tour.legs for tour in tours), default=0)
    yield f"The aircraft {aircraft} flew {miles:,} miles on {len(tours)} tours, of {legs} flights at most."
    places = Counter(place.name or place.airport for _, place in streams.query(FLEET).all())
    most = ", ".join(f"{name} {count}" for name, count in places.most_common(3))
    yield f"Of {places.total():,} aircraft, most went last to {most}."
