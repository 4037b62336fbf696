"""What the job reads, writes and keeps: types, topics and stores, each written once.

The builder, the loader, the report, the tests and the command line all take them from here.
"""

import msgspec

import headrace as hr
from headrace import stores

# ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


class Named(msgspec.Struct, frozen=True):
    """An airline, or an airport."""

    name: str


class Plane(msgspec.Struct, frozen=True):
    """What is known of an aircraft."""

    manufacturer: str
    model: str
    seats: int


class Weather(msgspec.Struct, frozen=True):
    """An hour at an airport: miles an hour, None where nobody measured it, and miles."""

    wind_speed: float | None
    visibility: float


class Enriched(msgspec.Struct, frozen=True):
    """A flight with the names behind its codes, None for those that nobody knows."""

    flight: Flight
    airline: str | None
    airport: str | None = None


class Windy(msgspec.Struct, frozen=True):
    """How late a flight left (minutes, None for never), and the wind (miles an hour)."""

    dep_delay: int | None
    wind_speed: float


class Day(msgspec.Struct, frozen=True):
    """One day of a carrier. Delays are minutes; more than 15 of them is late; `worst` is None where nothing left."""

    n: int = 0
    cancelled: int = 0
    late: int = 0
    delay: int = 0
    worst: int | None = None


class Tour(msgspec.Struct, frozen=True):
    """Flights of an aircraft without a long rest between them, and how far it went (miles)."""

    legs: int = 0
    distance: int = 0


class Place(msgspec.Struct, frozen=True):
    """Where an aircraft went last; the name is None where nobody knows the airport."""

    airport: str
    name: str | None


# ── topics; keys are text ────────────────────────────────────────────────────────────────────────────────────────────

AIRLINES = hr.Topic("airlines", value=Named)
AIRPORTS = hr.Topic("airports", value=Named)
PLACES = hr.Topic(
    "places", value=Named, partitions=4
)  # the airports again, for a table: no topic can be both
PLANES = hr.Topic("planes", value=Plane, partitions=4)  # key: tail number
WEATHER = hr.Topic("weather", value=Weather, partitions=4)  # key: airport
FLIGHTS = hr.Topic(
    "flights", value=Flight, partitions=4
)  # key: tail number; time: scheduled; order: as they left
SCHEDULE = hr.Topic(
    "schedule", value=Flight, partitions=4
)  # key: carrier, number and scheduled time; order: that time
DEPARTURES = hr.Topic(
    "departures", value=int, partitions=4
)  # the same key; minutes of delay, when the aircraft left

ENRICHED = hr.Topic("enriched", value=Enriched, partitions=4)
SEATS = hr.Topic("seats", value=int, partitions=4)
WINDY = hr.Topic("windy", value=Windy, partitions=4)
TOURS = hr.Topic("tours", key=hr.session_windowed(str), value=Tour, partitions=4)
NEVER_LEFT = hr.Topic("never-left", value=Flight, partitions=4)
DEAD_LETTERS = "dead-letters"

# ── stores; a grouping that leads to one takes its key's serde for the way there ─────────────────────────────────────

AIRLINES_BY_CODE = stores.key_value("airlines-by-code", key=str, value=Named)
QUARTERS = stores.window("departures-by-quarter", key=str, value=int)
DAYS = stores.window("carrier-days", key=str, value=Day)
ROUTES = stores.key_value("routes", key=str, value=int)
ORIGINS = stores.key_value("origins", key=str, value=int)
AIRCRAFT_TOURS = stores.session("aircraft-tours", key=str, value=Tour, retention="400d")
WIND = stores.versioned("wind", history="400d", key=str, value=Weather)
LAST_FLIGHTS = stores.key_value("last-flights", key=str, value=Flight)
FLEET = stores.key_value("fleet", key=str, value=Place)
