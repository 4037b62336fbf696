"""`examples/running_statistics.py`: ready-made aggregations, several at once, and bytes that are no number."""

import pytest

import headrace as hr
from examples.running_statistics import BY_SENSOR, MEASUREMENTS, STATISTICS, Statistics, topology
from headrace.testing import TopologyTestDriver


def test_each_value_gives_new_statistics_of_its_sensor() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(MEASUREMENTS).pipe_all(
            [("roof", 20.0), ("cellar", 12.5), ("roof", 23.0), ("roof", 17.0)]
        )
        assert driver.output(STATISTICS).read_pairs() == [
            ("roof", Statistics(1, 20.0, 20.0, 20.0)),
            ("cellar", Statistics(1, 12.5, 12.5, 12.5)),
            ("roof", Statistics(2, 21.5, 20.0, 23.0)),
            ("roof", Statistics(3, 20.0, 17.0, 23.0)),
        ]


def test_result_has_the_highest_time_of_what_is_in_it() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(MEASUREMENTS).pipe_all([("roof", 20.0, 50), ("roof", 23.0, 40)])
        assert [record.timestamp for record in driver.output(STATISTICS).read_all()] == [50, 50]


def test_statistics_go_on_after_a_crash() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(MEASUREMENTS).pipe("roof", 20.0)
        driver.restart()
        driver.input(MEASUREMENTS).pipe("roof", 10.0)
        assert driver.store(BY_SENSOR).get("roof") == Statistics(2, 15.0, 10.0, 20.0)


def test_measurement_without_a_sensor_or_a_value_is_dropped() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(MEASUREMENTS).pipe_all([(None, 20.0), ("roof", None)])
        assert driver.output(STATISTICS).read_all() == []
        assert driver.dropped == 2


# `pipe` writes with the topic's serde; `pipe_raw` writes what a producer with another one would have written.
def test_bytes_that_are_no_number_stop_the_application() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(MEASUREMENTS).pipe("roof", 20.0)
        with pytest.raises(hr.ProcessingError, match="could not read a record: topic 'measurements'"):
            driver.input(MEASUREMENTS).pipe_raw(b"roof", b"warm")


def test_a_handler_may_drop_them_and_nothing_else_changes() -> None:
    with TopologyTestDriver(topology, deserialization_exception_handler=hr.log_and_continue) as driver:
        driver.input(MEASUREMENTS).pipe("roof", 20.0)
        driver.input(MEASUREMENTS).pipe_raw(b"roof", b"warm")
        driver.input(MEASUREMENTS).pipe("roof", 10.0)
        assert driver.store(BY_SENSOR).get("roof") == Statistics(2, 15.0, 10.0, 20.0)
        assert driver.dropped == 1
