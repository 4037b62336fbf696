"""The demonstration's job gives what plain Python makes of the same flights."""

from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest

import headrace as hr
from headrace import testing
from headrace.demo import flights as job
from headrace.demo.data import data_directory, read_flights, read_planes
from tests.demo.evaluation import Results, evaluate

_FLIGHTS = 1_500
_PARTITIONS = range(4)
_DEAD = hr.Topic(job.DEAD_LETTERS, value=job.Flight)


@pytest.fixture(scope="module")
def driver() -> Iterator[testing.TopologyTestDriver]:
    """The job after the first flights of the year."""
    with testing.TopologyTestDriver(
        job.build(),
        application_id="flights",
        processing_exception_handler=job.set_aside,
        errors_dead_letter_queue_topic_name=job.DEAD_LETTERS,
    ) as driver:
        _pipe(driver)
        yield driver


def _pipe(driver: testing.TopologyTestDriver) -> None:
    directory = data_directory()
    flights = read_flights(directory)[:_FLIGHTS]
    flown = {tailnum for tailnum, _, _ in flights}
    for aircraft, plane, _ in read_planes(directory):
        if aircraft in flown:
            driver.input(job.PLANES).pipe(aircraft, plane, 0)
    for tailnum, flight, scheduled in flights:
        driver.input(job.FLIGHTS).pipe(tailnum, flight, scheduled)


@pytest.fixture(scope="module")
def expected() -> Results:
    directory = data_directory()
    seats = {str(tailnum): plane.seats for tailnum, plane, _ in read_planes(directory)}
    return evaluate((flight for _, flight, _ in read_flights(directory)[:_FLIGHTS]), seats)


def test_flights_without_tail_number_are_dead_letters(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    dead = driver.output(_DEAD).read_all()
    assert [(record.timestamp, record.value.flight) for record in dead] == expected.dead
    assert {dict(record.headers)["__streams.errors.exception"] for record in dead} == {b"ValueError"}


def test_each_flight_of_a_known_aircraft_gives_its_seats(
    driver: testing.TopologyTestDriver, expected: Results
) -> None:
    seats = driver.output(job.SEATS).read_all()
    assert Counter((record.key, record.value, record.timestamp) for record in seats) == expected.seats


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


def test_every_route_has_its_flights(driver: testing.TopologyTestDriver, expected: Results) -> None:
    found = dict(
        row for partition in _PARTITIONS for row in driver.store(job.ROUTES, partition=partition).all()
    )
    assert found == expected.routes
