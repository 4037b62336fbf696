"""`examples/visits.py`: which views are one visit, when it is over, and what a late view does.

A visit goes on when it is over, and for that stream time has to go on: each test ends with a view of somebody else.
"""

import headrace as hr
from examples.visits import SO_FAR, VIEWS, VISITS, Visit, topology
from headrace.testing import TopologyTestDriver

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


def visit(visitor: str, first: int, last: int) -> hr.Windowed[str]:
    return hr.Windowed(visitor, hr.Window(first, last))


def test_views_within_half_an_hour_of_each_other_are_one_visit() -> None:
    with TopologyTestDriver(topology) as driver:
        views = [
            ("ada", "/", 0),
            ("ada", "/pens", 30 * MINUTE),
            ("ada", "/buy", 60 * MINUTE),
            ("bob", "/", DAY),
        ]
        driver.input(VIEWS).pipe_all(views)
        assert driver.output(VISITS).read_pairs() == [
            (visit("ada", 0, 60 * MINUTE), Visit(("/", "/pens", "/buy")))
        ]


def test_longer_silence_begins_another_visit() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(VIEWS).pipe_all([("ada", "/", 0), ("ada", "/", 30 * MINUTE + 1), ("bob", "/", DAY)])
        assert [key for key, _ in driver.output(VISITS).read_pairs()] == [
            visit("ada", 0, 0),
            visit("ada", 30 * MINUTE + 1, 30 * MINUTE + 1),
        ]


def test_view_between_two_visits_makes_one_of_them() -> None:
    with TopologyTestDriver(topology) as driver:
        views = driver.input(VIEWS)
        views.pipe_all([("ada", "/", 0), ("ada", "/buy", 31 * MINUTE)])
        assert len(list(driver.store(SO_FAR).sessions("ada"))) == 2
        views.pipe("ada", "/pens", timestamp=15 * MINUTE)
        assert list(driver.store(SO_FAR).sessions("ada")) == [
            (visit("ada", 0, 31 * MINUTE), Visit(("/", "/buy", "/pens")))
        ]


def test_visit_is_written_once_and_not_before_it_is_over() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(VIEWS).pipe("ada", "/", timestamp=0)
        driver.input(VIEWS).pipe("bob", "/", timestamp=35 * MINUTE - 1)  # gap and grace have not passed
        assert driver.output(VISITS).read_all() == []
        driver.input(VIEWS).pipe("bob", "/", timestamp=35 * MINUTE)
        assert [key for key, _ in driver.output(VISITS).read_pairs()] == [visit("ada", 0, 0)]


def test_view_that_comes_after_the_end_of_its_visit_is_dropped() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(VIEWS).pipe_all([("ada", "/", 0), ("bob", "/", DAY), ("ada", "/late", 1)])
        assert driver.dropped == 1
        assert [value for _, value in driver.output(VISITS).read_pairs()] == [Visit(("/",))]


def test_visit_goes_on_after_a_crash() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(VIEWS).pipe("ada", "/", timestamp=0)
        driver.restart(lose_state=True)
        driver.input(VIEWS).pipe_all([("ada", "/buy", 1), ("bob", "/", DAY)])
        assert driver.output(VISITS).read_pairs() == [(visit("ada", 0, 1), Visit(("/", "/buy")))]
