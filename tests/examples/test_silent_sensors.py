"""`examples/silent_sensors.py`: a processor's store, and time that the test itself moves on."""

import pytest

from examples.silent_sensors import ALERTS, LAST, READINGS, LastReading, topology
from headrace.testing import TopologyTestDriver


def test_last_reading_is_remembered() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(READINGS).pipe_all([("roof", 20.0, 10), ("roof", 21.0, 20)])
        assert driver.store(LAST).get("roof") == LastReading(21.0, 20)
        assert driver.output(ALERTS).read_all() == []


# The clock on the wall stands still but for `advance`. Records without a timestamp get its time.
def test_silent_sensor_gives_one_alert() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(READINGS).pipe("roof", 21.0)
        driver.advance("1s")
        assert driver.output(ALERTS).read_all() == []
        driver.advance("1s")
        assert driver.output(ALERTS).read_pairs() == [("roof", "silent since it said 21.0")]
        driver.advance("1h")
        assert driver.output(ALERTS).read_all() == []


def test_alert_has_the_time_at_which_it_was_given() -> None:
    with TopologyTestDriver(topology, start=10_000) as driver:
        driver.input(READINGS).pipe("roof", 21.0)
        driver.advance("2s")
        assert driver.output(ALERTS).read().timestamp == 12_000


def test_sensor_that_speaks_in_time_gives_none() -> None:
    with TopologyTestDriver(topology) as driver:
        for value in (20.0, 21.0, 22.0):
            driver.input(READINGS).pipe("roof", value)
            driver.advance("1s")
        assert driver.output(ALERTS).read_all() == []


def test_only_the_silent_one_of_two_gives_an_alert() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(READINGS).pipe_all([("cellar", 12.5), ("roof", 21.0)])
        driver.advance("1s")
        driver.input(READINGS).pipe("roof", 21.5)
        driver.advance("1s")
        assert driver.output(ALERTS).read_pairs() == [("cellar", "silent since it said 12.5")]


def test_sensor_is_reported_as_back_and_may_fall_silent_again() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(READINGS).pipe("roof", 21.0)
        driver.advance("2s")
        driver.input(READINGS).pipe("roof", 22.0)
        driver.advance("2s")
        assert driver.output(ALERTS).read_pairs() == [
            ("roof", "silent since it said 21.0"),
            ("roof", "back with 22.0"),
            ("roof", "silent since it said 22.0"),
        ]


@pytest.mark.parametrize("lose_state", [False, True])
def test_sensor_that_was_silent_over_a_crash_is_noticed(lose_state: bool) -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(READINGS).pipe("roof", 21.0)
        driver.restart(lose_state=lose_state)
        driver.advance("2s")
        assert driver.output(ALERTS).read_pairs() == [("roof", "silent since it said 21.0")]


def test_alert_that_has_gone_out_is_not_repeated_after_a_crash() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(READINGS).pipe("roof", 21.0)
        driver.advance("2s")
        driver.restart()
        driver.advance("2s")
        assert len(driver.output(ALERTS)) == 1
