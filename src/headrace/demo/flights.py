"""The job: a year of departures from New York. Each function shows a few operators; `build()` puts them together.

Nothing runs yet. Try `headrace topology show headrace.demo.flights:build`.
"""

import msgspec

import headrace as hr
from headrace.demo.declarations import (
    AIRCRAFT_TOURS,
    AIRLINES,
    AIRLINES_BY_CODE,
    AIRPORTS,
    DAYS,
    DEPARTURES,
    ENRICHED,
    FLEET,
    FLIGHTS,
    LAST_FLIGHTS,
    NEVER_LEFT,
    ORIGINS,
    PLACES,
    PLANES,
    QUARTERS,
    ROUTES,
    SCHEDULE,
    SEATS,
    TOURS,
    WEATHER,
    WIND,
    WINDY,
    Day,
    Enriched,
    Flight,
    Named,
    Place,
    Tour,
    Weather,
    Windy,
)

__all__ = ["build", "set_aside"]

#: Miles an hour from which on it is windy.
WINDY_FROM = 20


def build() -> hr.Topology:
    """Describe the job."""
    builder = hr.StreamsBuilder(optimize="all")
    flights = builder.stream(FLIGHTS).map_values(known)
    add_names(builder, flights)
    add_seats(builder, flights)
    by_airport(builder, flights)
    by_carrier(flights)
    by_route(flights)
    by_aircraft(flights)
    where_aircraft_are(builder, flights)
    what_never_left(builder)
    return builder.build()


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def known(flight: Flight) -> Flight:
    """Refuse a flight that nobody wrote an aircraft down for."""
    if flight.tailnum is None:
        raise ValueError("no tail number")
    return flight


def set_aside(failure: hr.Failure) -> hr.Reaction:
    """Send what `known` refuses to the dead letter topic, and stop at any other error."""
    return hr.Reaction.dead_letter() if isinstance(failure.error, ValueError) else hr.Reaction.fail


# ── joins with tables ────────────────────────────────────────────────────────────────────────────────────────────────


def add_names(builder: hr.StreamsBuilder, flights: hr.KStream[str, Flight]) -> None:
    """Join with two global tables: all of them is everywhere, so that any key will do."""

    def with_airline(flight: Flight, airline: Named | None) -> Enriched:
        return Enriched(flight, airline.name if airline else None)

    def with_airport(enriched: Enriched, airport: Named | None) -> Enriched:
        return msgspec.structs.replace(enriched, airport=airport.name if airport else None)

    airlines = builder.global_table(AIRLINES, store=AIRLINES_BY_CODE)
    airports = builder.global_table(AIRPORTS, store="airports-by-code")
    (
        flights.left_join(airlines, with_airline, on=lambda tailnum, flight: flight.carrier)
        .left_join(airports, with_airport, on=lambda tailnum, enriched: enriched.flight.dest)
        .to(ENRICHED)
    )


def add_seats(builder: hr.StreamsBuilder, flights: hr.KStream[str, Flight]) -> None:
    """Join with a table of the same key: how many seats left, flight by flight."""
    planes = builder.table(PLANES, store="known-planes")
    flights.join(planes, lambda flight, plane: plane.seats, value=int).to(SEATS)


def by_airport(builder: hr.StreamsBuilder, flights: hr.KStream[str, Flight]) -> None:
    """Count in hopping windows, and join with a table of versions, as of the departure.

    Both need the flights of an airport together: one repartition topic takes them there. In it the flights of four
    tasks meet; a grace beyond the year makes the result the same however far apart those tasks read.
    """
    departures = flights.select_key(lambda tailnum, flight: flight.origin)
    (
        departures.group_by_key()
        .windowed_by(hr.TimeWindows("1h", advance="15m", grace="400d"))
        .count(store=QUARTERS)
    )

    def with_wind(flight: Flight, weather: Weather) -> Windy:
        return Windy(flight.dep_delay, weather.wind_speed or 0)

    (
        departures.join(builder.table(WEATHER, store=WIND), with_wind)
        .filter(lambda airport, departure: departure.wind_speed >= WINDY_FROM)
        .to(WINDY)
    )


# ── aggregations ─────────────────────────────────────────────────────────────────────────────────────────────────────


def by_carrier(flights: hr.KStream[str, Flight]) -> None:
    """Sum up in tumbling windows: how each carrier did, day by day."""

    def add(carrier: str, flight: Flight, day: Day) -> Day:
        if flight.dep_delay is None:
            return msgspec.structs.replace(day, n=day.n + 1, cancelled=day.cancelled + 1)
        return Day(
            n=day.n + 1,
            cancelled=day.cancelled,
            late=day.late + (flight.dep_delay > 15),
            delay=day.delay + flight.dep_delay,
            worst=flight.dep_delay if day.worst is None else max(day.worst, flight.dep_delay),
        )

    (
        flights.group_by(lambda tailnum, flight: flight.carrier)
        .windowed_by(hr.TimeWindows("1d", grace="400d"))
        .aggregate(Day, add, store=DAYS)
    )


def by_route(flights: hr.KStream[str, Flight]) -> None:
    """Count each route, and sum the counts up by airport: where a count changes, the old one is subtracted."""
    routes = flights.group_by(lambda tailnum, flight: f"{flight.origin}-{flight.dest}").count(store=ROUTES)
    (
        routes.group_by(lambda route, count: (route[:3], count)).reduce(
            lambda total, count: total + count, lambda total, count: total - count, store=ORIGINS
        )
    )


def by_aircraft(flights: hr.KStream[str, Flight]) -> None:
    """Sum up in sessions: an aircraft's tour goes on until it has rested for 8 hours. What is over is told, once.

    The topic is keyed by aircraft already, so a day of grace loses nothing: the latest flight of the year was not 22
    hours late.
    """
    tours = (
        flights.group_by_key()
        .windowed_by(hr.SessionWindows("8h", grace="24h"))
        .aggregate(
            Tour,
            lambda tailnum, flight, tour: Tour(tour.legs + 1, tour.distance + flight.distance),
            lambda tailnum, one, other: Tour(one.legs + other.legs, one.distance + other.distance),
            store=AIRCRAFT_TOURS,
        )
    )
    tours.suppress(hr.until_window_closes(name="unfinished-tours")).to_stream().to(TOURS)


# ── tables and streams with each other ───────────────────────────────────────────────────────────────────────────────


def where_aircraft_are(builder: hr.StreamsBuilder, flights: hr.KStream[str, Flight]) -> None:
    """Join two tables by a foreign key: the airport that each aircraft flew to last, with its name."""
    flights.to_table(store=LAST_FLIGHTS).left_join(
        builder.table(PLACES, store="known-places"),
        lambda flight, airport: Place(flight.dest, airport.name if airport else None),
        on=lambda flight: flight.dest,
        store=FLEET,
        name="last-place",
    )


def what_never_left(builder: hr.StreamsBuilder) -> None:
    """Join two streams: what was scheduled, and has not left from an hour before it to six hours after it."""

    def missing(flight: Flight, delay: int | None) -> Flight | None:
        return flight if delay is None else None

    (
        builder.stream(SCHEDULE)
        .left_join(
            builder.stream(DEPARTURES),
            missing,
            within=hr.JoinWindows("6h", before="1h", grace="24h"),
            name="flown",
            store="flown",
        )
        .only(Flight)
        .to(NEVER_LEFT)
    )
