"""The job: a year of departures from New York, joined, counted in windows and summed up.

`build()` describes it; nothing runs yet. Try `headrace topology show headrace.demo.flights:build`.
"""

import msgspec

import headrace as hr
from headrace import stores


class Flight(msgspec.Struct, frozen=True):
    """One departure. `sched` is epoch ms; `dep_delay` is minutes, and None for a flight that never left."""

    carrier: str
    flight: int
    tailnum: str | None
    origin: str
    dest: str
    distance: int
    sched: int
    dep_delay: int | None


class Plane(msgspec.Struct, frozen=True):
    """What is known of an aircraft."""

    manufacturer: str
    model: str
    seats: int


class Day(msgspec.Struct, frozen=True):
    """One day of a carrier. Delays are minutes; more than 15 of them is late; `worst` is None where nothing left."""

    n: int = 0
    cancelled: int = 0
    late: int = 0
    delay: int = 0
    worst: int | None = None


# A topic's name and types, written once: for the builder, the loader, the tests and the command line.
FLIGHTS = hr.Topic(
    "flights", value=Flight, partitions=4
)  # key: tail number; time: scheduled; order: as they left
PLANES = hr.Topic("planes", value=Plane, partitions=4)  # key: tail number
SEATS = hr.Topic("seats", value=int, partitions=4)
DEAD_LETTERS = "dead-letters"

# Stores, declared in the same way: for the operators that fill them and for the queries. A grouping that leads to one
# takes its key's serde for the way there.
QUARTERS = stores.window("departures-by-quarter", key=str, value=int)
DAYS = stores.window("carrier-days", key=str, value=Day)
ROUTES = stores.key_value("routes", key=str, value=int)


def known(flight: Flight) -> Flight:
    """Refuse a flight that nobody wrote an aircraft down for."""
    if flight.tailnum is None:
        raise ValueError("no tail number")
    return flight


def set_aside(failure: hr.Failure) -> hr.Reaction:
    """Send what `known` refuses to the dead letter topic, and stop at any other error."""
    return hr.Reaction.dead_letter() if isinstance(failure.error, ValueError) else hr.Reaction.fail


def add_to_day(carrier: str, flight: Flight, day: Day) -> Day:
    """Add a flight to its carrier's day."""
    if flight.dep_delay is None:
        return msgspec.structs.replace(day, n=day.n + 1, cancelled=day.cancelled + 1)
    return Day(
        n=day.n + 1,
        cancelled=day.cancelled,
        late=day.late + (flight.dep_delay > 15),
        delay=day.delay + flight.dep_delay,
        worst=flight.dep_delay if day.worst is None else max(day.worst, flight.dep_delay),
    )


def build() -> hr.Topology:
    """Describe the job."""
    builder = hr.StreamsBuilder(optimize="all")
    flights = builder.stream(FLIGHTS).map_values(known)

    # How many seats left, flight by flight: each is joined with the aircraft that flew it.
    flights.join(builder.table(PLANES), lambda flight, plane: plane.seats, value=int).to(SEATS)

    # Departures of each airport in every hour, a new hour beginning each quarter. The grouping goes through a
    # repartition topic, where the flights of four tasks meet; a grace beyond the year makes the result the same
    # however far apart those tasks read.
    (
        flights.group_by(lambda tailnum, flight: flight.origin)
        .windowed_by(hr.TimeWindows("1h", advance="15m", grace="400d"))
        .count(store=QUARTERS)
    )

    # How each carrier did, day by day.
    (
        flights.group_by(lambda tailnum, flight: flight.carrier)
        .windowed_by(hr.TimeWindows("1d", grace="400d"))
        .aggregate(Day, add_to_day, store=DAYS)
    )

    # How often each route was flown.
    flights.group_by(lambda tailnum, flight: f"{flight.origin}-{flight.dest}").count(store=ROUTES)
    return builder.build()
