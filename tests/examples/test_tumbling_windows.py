"""`examples/tumbling_windows.py`: which window a record belongs to, when it comes too late, and what the store keeps.

Times are milliseconds. A test of windows says them itself: without them a record gets the clock of the driver.
"""

import headrace as hr
from examples.tumbling_windows import LAST_HOUR, PER_MINUTE, REQUESTS, topology
from headrace.testing import TopologyTestDriver

SECOND = 1_000
MINUTE = 60 * SECOND


def minute(server: str, start: int) -> hr.Windowed[str]:
    return hr.Windowed(server, hr.Window(start, start + MINUTE))


def test_requests_are_counted_by_server_and_minute() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe_all(
            [("web-1", "/", 0), ("web-2", "/", 10), ("web-1", "/", 20), ("web-1", "/", MINUTE + 5)]
        )
        assert driver.output(PER_MINUTE).read_table() == {
            minute("web-1", 0): 2,
            minute("web-2", 0): 1,
            minute("web-1", MINUTE): 1,
        }


def test_window_has_its_start_and_not_its_end() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe_all([("web-1", "/", MINUTE - 1), ("web-1", "/", MINUTE)])
        assert driver.output(PER_MINUTE).read_pairs() == [
            (minute("web-1", 0), 1),
            (minute("web-1", MINUTE), 1),
        ]


def test_late_request_within_the_grace_is_counted_in_its_own_minute() -> None:
    with TopologyTestDriver(topology) as driver:
        requests = driver.input(REQUESTS)
        requests.pipe("web-1", "/", timestamp=0)
        requests.pipe("web-1", "/", timestamp=MINUTE + 30 * SECOND - 1)  # stream time
        requests.pipe("web-1", "/late", timestamp=30 * SECOND)
        assert driver.store(LAST_HOUR).get("web-1", start=0) == 2
        assert driver.dropped == 0


def test_request_later_than_the_grace_is_dropped() -> None:
    with TopologyTestDriver(topology) as driver:
        requests = driver.input(REQUESTS)
        requests.pipe("web-1", "/", timestamp=0)
        requests.pipe("web-1", "/", timestamp=MINUTE + 30 * SECOND)
        requests.pipe("web-1", "/too-late", timestamp=30 * SECOND)
        assert driver.store(LAST_HOUR).get("web-1", start=0) == 1
        assert driver.dropped == 1


# Whether a record is late depends on all records before it, whatever their key, and on no clock.
def test_another_server_moves_stream_time_on() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe("web-2", "/", timestamp=5 * MINUTE)
        driver.input(REQUESTS).pipe("web-1", "/", timestamp=0)
        assert driver.store(LAST_HOUR).get("web-1", start=0) is None


def test_time_on_the_wall_closes_no_window() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe("web-1", "/", timestamp=0)
        driver.advance("1d")
        driver.input(REQUESTS).pipe("web-1", "/", timestamp=1)
        assert driver.store(LAST_HOUR).get("web-1", start=0) == 2


def test_store_keeps_a_window_for_an_hour_though_it_takes_no_more_records() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe_all([("web-1", "/", 0), ("web-1", "/", 59 * MINUTE)])
        assert list(driver.store(LAST_HOUR).range("web-1")) == [
            (minute("web-1", 0), 1),
            (minute("web-1", 59 * MINUTE), 1),
        ]


def test_store_has_lost_a_window_that_is_older_than_its_retention() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe_all([("web-1", "/", 0), ("web-1", "/", 61 * MINUTE)])
        assert list(driver.store(LAST_HOUR).range("web-1")) == [(minute("web-1", 61 * MINUTE), 1)]
        # What was written of it stays.
        assert driver.output(PER_MINUTE).read_table()[minute("web-1", 0)] == 1


def test_open_window_goes_on_after_a_crash() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe("web-1", "/", timestamp=0)
        driver.restart(lose_state=True)
        driver.input(REQUESTS).pipe("web-1", "/", timestamp=1)
        assert driver.store(LAST_HOUR).get("web-1", start=0) == 2


def test_request_without_a_server_is_dropped() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(REQUESTS).pipe(None, "/", timestamp=0)
        assert driver.output(PER_MINUTE).read_all() == []
        assert driver.dropped == 1
