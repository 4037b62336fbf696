"""The demonstration's job gives what plain Python makes of the same flights."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import headrace as hr
from headrace import testing
from headrace.demo import declarations as job
from headrace.demo.data import data_directory, read_departures, read_flights, read_reference, read_schedule
from headrace.demo.flights import build, set_aside
from tests.demo.evaluation import Results, evaluate

_SOME = slice(20_000, 24_800, 6)
_PARTITIONS = range(4)
_DEAD = hr.Topic(job.DEAD_LETTERS, value=job.Flight)
_HOUR_MS = 3_600_000

Reference = dict[hr.Topic[Any, Any], Any]


@pytest.fixture(scope="module")
def flights() -> list[tuple[str | None, job.Flight, int]]:
    """Every sixth flight of some days: some of them have no aircraft, an unknown airport, or a strong wind."""
    return read_flights(data_directory())[_SOME]


@pytest.fixture(scope="module")
def reference(flights: list[tuple[str | None, job.Flight, int]]) -> Reference:
    """What is known before the first flight, but for what these flights do not need."""
    needed = {name for tailnum, flight, _ in flights for name in (tailnum, flight.dest, flight.carrier)}
    times = [time for _, _, time in flights]
    first, last = min(times) - _HOUR_MS, max(times)
    return {
        topic: [row for row in rows if (first < row[2] <= last if topic is job.WEATHER else row[0] in needed)]
        for topic, rows in read_reference(data_directory()).items()
    }


@pytest.fixture(scope="module")
def driver(
    flights: list[tuple[str | None, job.Flight, int]], reference: Reference
) -> Iterator[testing.TopologyTestDriver]:
    """The job after the first flights of the year."""
    with testing.TopologyTestDriver(
        build(),
        application_id="flights",
        processing_exception_handler=set_aside,
        errors_dead_letter_queue_topic_name=job.DEAD_LETTERS,
    ) as driver:
        for known, rows in reference.items():
            for key, value, timestamp in rows:
                driver.input(known).pipe(key, value, timestamp)
        for tailnum, flight, scheduled in flights:
            driver.input(job.FLIGHTS).pipe(tailnum, flight, scheduled)
        # In the order of time, as the job takes them from its topics: what is scheduled first, where both are at once.
        schedule = [(time, 0, name, flight) for name, flight, time in read_schedule(flights)]
        departures = [(time, 1, name, delay) for name, delay, time in read_departures(flights)]
        for time, is_departure, name, value in sorted([*schedule, *departures], key=lambda row: row[:2]):
            topic: hr.Topic[str, Any] = job.DEPARTURES if is_departure else job.SCHEDULE
            driver.input(topic).pipe(name, value, time)
        driver.advance("2s")
        for number in range(20):  # each partition has one of these keys at least
            driver.input(job.DEPARTURES).pipe(f"end-{number}", 0, time + 100 * _HOUR_MS)
        yield driver


@pytest.fixture(scope="module")
def expected(flights: list[tuple[str | None, job.Flight, int]], reference: Reference) -> Results:
    return evaluate(
        (flight for _, flight, _ in flights), {topic.name: rows for topic, rows in reference.items()}
    )


def test_flights_without_tail_number_are_dead_letters(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    dead = driver.output(_DEAD).read_all()
    assert [(record.timestamp, record.value.flight) for record in dead] == expected.dead
    assert {dict(record.headers)["__streams.errors.exception"] for record in dead} == {b"ValueError"}


def test_each_flight_has_the_names_of_airline_and_airport(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    found = [
        (record.key, record.value.flight.flight, record.value.airline, record.value.airport)
        for record in driver.output(job.ENRICHED).read_all()
    ]
    assert Counter(found) == Counter(expected.enriched)
    assert any(airport is None for *_, airport in found)


def test_each_flight_of_a_known_aircraft_gives_its_seats(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    seats = driver.output(job.SEATS).read_all()
    assert Counter((record.key, record.value, record.timestamp) for record in seats) == expected.seats


def test_departures_in_the_wind_are_told_as_of_their_time(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    windy = driver.output(job.WINDY).read_all()
    found = Counter(
        (record.key, record.timestamp, record.value.dep_delay, record.value.wind_speed) for record in windy
    )
    assert found == expected.windy
    assert windy


def test_every_quarter_has_its_departures(driver: testing.TopologyTestDriver, expected: Results) -> None:
    found = {
        (window.key, window.window.start): count
        for partition in _PARTITIONS
        for window, count in driver.store(job.QUARTERS, partition=partition).range()
    }
    assert found == expected.quarters


def test_every_carrier_has_its_days(driver: testing.TopologyTestDriver, expected: Results) -> None:
    found = {
        (window.key, window.window.start): msgspec.structs.astuple(day)
        for partition in _PARTITIONS
        for window, day in driver.store(job.DAYS, partition=partition).range()
    }
    assert found == expected.days


def test_every_route_has_its_flights_and_every_airport_those_of_its_routes(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    for store, counts in ((job.ROUTES, expected.routes), (job.ORIGINS, expected.origins)):
        found = [row for partition in _PARTITIONS for row in driver.store(store, partition=partition).all()]
        assert dict(found) == counts


def test_every_aircraft_has_its_tours(driver: testing.TopologyTestDriver, expected: Results) -> None:
    found = {
        (session.key, *session.window): msgspec.structs.astuple(tour)
        for partition in _PARTITIONS
        for session, tour in driver.store(job.AIRCRAFT_TOURS, partition=partition).sessions()
    }
    assert found == expected.tours


def test_tours_that_are_over_are_told_once(driver: testing.TopologyTestDriver, expected: Results) -> None:
    tours = driver.output(job.TOURS).read_all()
    found = {(tour.key.key, *tour.key.window): msgspec.structs.astuple(tour.value) for tour in tours}
    assert len(found) == len(tours)
    assert found.items() <= expected.tours.items()
    # The times of the four partitions are not that far apart.
    newest = max(end for _, _, end in expected.tours)
    over = {key for key in expected.tours if key[2] + 40 * _HOUR_MS <= newest}
    assert over <= found.keys()
    assert all(end + 32 * _HOUR_MS <= newest for _, _, end in found)


def test_every_aircraft_is_where_it_went_last(driver: testing.TopologyTestDriver, expected: Results) -> None:
    found = {
        aircraft: msgspec.structs.astuple(place)
        for partition in _PARTITIONS
        for aircraft, place in driver.store(job.FLEET, partition=partition).all()
    }
    assert found == expected.fleet


def test_flights_that_never_left_are_told(driver: testing.TopologyTestDriver, expected: Results) -> None:
    found = Counter(
        (record.timestamp, record.value.flight) for record in driver.output(job.NEVER_LEFT).read_all()
    )
    assert found == expected.never_left
