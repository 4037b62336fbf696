"""`examples/page_clicks.py`: what a query sees. The view of the driver's store is that of `Streams.query`."""

from examples.page_clicks import CLICKS, PER_PAGE, lines_of, topology
from headrace.testing import TopologyTestDriver

MINUTE = 60_000


def windows(driver: TopologyTestDriver, page: str) -> list[str]:
    clicks = driver.store(PER_PAGE)
    return list(lines_of(clicks, page))


def test_clicks_are_counted_by_page_whoever_clicked() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(CLICKS).pipe_all([("ada", "/home", 0), ("bob", "/home", 1), ("bob", "/cart", 2)])
        assert windows(driver, "/home") == ["00:00 to 00:05 UTC: 2"]


def test_windows_of_a_page_come_in_order() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(CLICKS).pipe_all([("ada", "/home", 5 * MINUTE), ("bob", "/home", 5 * MINUTE - 1)])
        assert windows(driver, "/home") == [
            "00:00 to 00:05 UTC: 1",
            "00:05 to 00:10 UTC: 1",
        ]


def test_page_that_nobody_clicked_has_no_windows() -> None:
    with TopologyTestDriver(topology) as driver:
        assert windows(driver, "/home") == []


def test_part_of_a_name_is_another_page() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(CLICKS).pipe("ada", "/home/garden", 0)
        assert windows(driver, "/home") == []


def test_click_later_than_the_grace_is_dropped() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(CLICKS).pipe_all([("ada", "/home", 6 * MINUTE), ("bob", "/home", 0)])
        assert windows(driver, "/home") == ["00:05 to 00:10 UTC: 1"]
        assert driver.dropped == 1


def test_pages_of_all_partitions_are_seen_as_one_store() -> None:
    with TopologyTestDriver(topology, partitions=3) as driver:
        driver.input(CLICKS).pipe_all([(f"user {number}", f"/page/{number % 5}", 0) for number in range(20)])
        clicks = driver.store(PER_PAGE)
        assert {windowed.key: count for windowed, count in clicks.range()} == {
            f"/page/{number}": 4 for number in range(5)
        }
