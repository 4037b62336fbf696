"""The job of the demonstration in short: departures from New York, joined, windowed and queried."""

from typing import assert_type

import msgspec

import headrace as hr
from headrace import KTable, Windowed, stores


class Flight(msgspec.Struct, frozen=True):
    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    distance: int
    sched: int
    dep_delay: int | None


class Named(msgspec.Struct, frozen=True):
    name: str


class Plane(msgspec.Struct, frozen=True):
    manufacturer: str
    model: str
    seats: int


class Day(msgspec.Struct, frozen=True):
    n: int = 0
    cancelled: int = 0
    late: int = 0
    delay: int = 0
    worst: int | None = None


class Where(msgspec.Struct, frozen=True):
    dest: str
    airport: str | None


FLIGHTS = hr.Topic("flights", value=Flight, partitions=4)
PLANES = hr.Topic("planes", value=Plane, partitions=4)
SEATS = hr.Topic("seats", value=int)

QUARTERS = stores.window("departures-by-quarter", key=str, value=int)
DAYS = stores.window("carrier-days", key=str, value=Day)
ROUTES = stores.key_value("routes", key=str, value=int)
FLEET = stores.key_value("fleet", key=str, value=Where)


def known(flight: Flight) -> Flight:
    if flight.tailnum is None:
        raise ValueError("no tail number")
    return flight


def day(carrier: str, f: Flight, d: Day) -> Day:
    if f.dep_delay is None:
        return msgspec.structs.replace(d, n=d.n + 1, cancelled=d.cancelled + 1)
    worst = f.dep_delay if d.worst is None else max(d.worst, f.dep_delay)
    return Day(d.n + 1, d.cancelled, d.late + (f.dep_delay > 15), d.delay + f.dep_delay, worst)


def build() -> hr.Topology:
    b = hr.StreamsBuilder(optimize="all")
    flights = b.stream(FLIGHTS).map_values(known)
    flights.join(b.table(PLANES), lambda f, p: p.seats).to(SEATS, value=int)

    by_origin = flights.select_key(lambda k, f: f.origin)
    quarters = hr.TimeWindows("1h", advance="15m", grace="400d")
    by_origin.group_by_key().windowed_by(quarters).count(store=QUARTERS)
    days = flights.group_by(lambda k, f: f.carrier).windowed_by(hr.TimeWindows("1d", grace="400d"))
    assert_type(days.aggregate(Day, day, store=DAYS), KTable[Windowed[str], Day])

    flights.group_by(lambda k, f: f"{f.origin}-{f.dest}").count(store=ROUTES)

    homes = b.table("homes", value=Named)
    flights.left_join(homes, lambda f, a: Where(f.dest, a.name if a else None)).to_table(
        value=Where, store=FLEET
    )
    return b.build()


def run() -> None:
    with hr.Streams(build(), application_id="flights") as streams:
        worst = streams.query(DAYS).range("EV", start=0)
        assert_type([(w.window.start, d.worst) for w, d in worst], list[tuple[int, int | None]])
