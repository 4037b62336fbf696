"""`examples/enrichment.py`: when a stream meets a table, and when it does not."""

import pytest

from examples.enrichment import KNOWN, USERS, VIEWS, VIEWS_BY_COUNTRY, User, View, topology
from headrace.testing import TopologyTestDriver


def test_view_gets_the_country_of_its_user() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(USERS).pipe("u1", User("Ada", "GB"))
        driver.input(VIEWS).pipe("u1", "/home")
        assert driver.output(VIEWS_BY_COUNTRY).read_pairs() == [("u1", View("/home", "GB"))]


def test_view_of_an_unknown_user_goes_on_without_a_country() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(VIEWS).pipe("u1", "/home")
        assert driver.output(VIEWS_BY_COUNTRY).read_pairs() == [("u1", View("/home", "unknown"))]


def test_new_value_of_the_table_counts_for_later_views_only() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(USERS).pipe("u1", User("Ada", "GB"))
        driver.input(VIEWS).pipe("u1", "/home")
        driver.input(USERS).pipe("u1", User("Ada", "CH"))
        driver.input(VIEWS).pipe("u1", "/help")
        assert driver.output(VIEWS_BY_COUNTRY).read_pairs() == [
            ("u1", View("/home", "GB")),
            ("u1", View("/help", "CH")),
        ]


def test_null_deletes_a_user() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(USERS).pipe_all([("u1", User("Ada", "GB")), ("u1", None)])
        driver.input(VIEWS).pipe("u1", "/home")
        assert driver.store(KNOWN).get("u1") is None
        assert driver.output(VIEWS_BY_COUNTRY).read().value == View("/home", "unknown")


def test_view_without_a_page_is_dropped() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(VIEWS).pipe("u1", None)
        assert driver.output(VIEWS_BY_COUNTRY).read_all() == []
        assert driver.dropped == 1


@pytest.mark.parametrize("lose_state", [False, True])
def test_users_are_known_after_a_crash(lose_state: bool) -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(USERS).pipe("u1", User("Ada", "GB"))
        driver.restart(lose_state=lose_state)
        driver.input(VIEWS).pipe("u1", "/home")
        assert driver.output(VIEWS_BY_COUNTRY).read().value.country == "GB"
