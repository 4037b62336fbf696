"""`examples/fraud/topology.py`: each rule, and one alert for each card and window."""

from collections.abc import Callable

import pytest

from examples.fraud.topology import ALERTS, COUNTRIES, PAYMENTS, Payment, topology
from headrace.testing import TopologyTestDriver

MINUTE_MS = 60_000


@pytest.fixture
def driver(topology_driver: Callable[..., TopologyTestDriver]) -> TopologyTestDriver:
    return topology_driver(topology)


def pay(
    driver: TopologyTestDriver, minute: int, amount: float = 1.0, country: str = "CH", card: str = "card-1"
) -> None:
    driver.input(PAYMENTS).pipe(card, Payment(amount, country), minute * MINUTE_MS)


def alerts(driver: TopologyTestDriver) -> list[tuple[str, str]]:
    return driver.output(ALERTS).read_pairs()


def test_card_that_is_used_as_ever_gives_no_alert(driver: TopologyTestDriver) -> None:
    for minute in range(0, 60, 3):
        pay(driver, minute, amount=250.0)
    assert alerts(driver) == []


def test_fifth_payment_in_ten_minutes_gives_an_alert(driver: TopologyTestDriver) -> None:
    for minute in range(4):
        pay(driver, minute)
    assert alerts(driver) == []
    pay(driver, 9)
    assert alerts(driver) == [("card-1", "5 payments in ten minutes")]


def test_more_than_a_thousand_in_ten_minutes_gives_an_alert(driver: TopologyTestDriver) -> None:
    pay(driver, 0, amount=999.0)
    pay(driver, 1, amount=1.0)
    assert alerts(driver) == []
    pay(driver, 2, amount=0.5)
    assert alerts(driver) == [("card-1", "1000.50 in ten minutes")]


def test_first_country_of_a_card_is_taken_as_it_comes_and_the_next_gives_an_alert(
    driver: TopologyTestDriver,
) -> None:
    pay(driver, 0, country="CH")
    assert alerts(driver) == []
    pay(driver, 1, country="BR")
    assert alerts(driver) == [("card-1", "a new country: BR")]


def test_country_that_is_known_gives_no_second_alert(driver: TopologyTestDriver) -> None:
    for minute, country in ((0, "CH"), (10, "BR"), (20, "CH"), (30, "BR")):
        pay(driver, minute, country=country)
    assert alerts(driver) == [("card-1", "a new country: BR")]


def test_several_reasons_in_a_window_give_one_alert(driver: TopologyTestDriver) -> None:
    for minute in range(9):
        pay(driver, minute, amount=300.0, country="CH" if minute < 8 else "BR")
    assert alerts(driver) == [("card-1", "1200.00 in ten minutes")]


def test_next_window_may_give_an_alert_again(driver: TopologyTestDriver) -> None:
    for minute in (0, 1, 10, 11):
        pay(driver, minute, amount=600.0)
    assert alerts(driver) == [("card-1", "1200.00 in ten minutes"), ("card-1", "1200.00 in ten minutes")]


def test_alert_has_the_time_of_the_payment(driver: TopologyTestDriver) -> None:
    pay(driver, 3, amount=1001.0)
    assert driver.output(ALERTS).read().timestamp == 3 * MINUTE_MS


def test_cards_are_judged_by_themselves(driver: TopologyTestDriver) -> None:
    pay(driver, 0, amount=600.0, card="card-1")
    pay(driver, 1, amount=600.0, country="BR", card="card-2")
    assert alerts(driver) == []


def test_late_payment_counts_within_the_grace(driver: TopologyTestDriver) -> None:
    pay(driver, 8, amount=600.0)
    pay(driver, 10, card="card-2")
    pay(driver, 9, amount=600.0)
    assert alerts(driver) == [("card-1", "1200.00 in ten minutes")]


@pytest.mark.parametrize("lose_state", [False, True])
def test_what_was_known_and_told_survives_a_crash(driver: TopologyTestDriver, lose_state: bool) -> None:
    pay(driver, 0, amount=600.0)
    pay(driver, 1, amount=600.0, country="BR")
    assert len(alerts(driver)) == 1
    driver.restart(lose_state=lose_state)
    pay(driver, 2, amount=600.0)
    pay(driver, 12, country="BR")
    assert alerts(driver) == []
    assert driver.store(COUNTRIES).get("card-1") == ["CH", "BR"]


def test_cards_of_several_partitions_have_an_alert_each(
    topology_driver: Callable[..., TopologyTestDriver],
) -> None:
    driver = topology_driver(topology, partitions=4)
    for minute in range(5):
        for number in range(10):
            pay(driver, minute, card=f"card-{number}")
    assert sorted(alerts(driver)) == [(f"card-{number}", "5 payments in ten minutes") for number in range(10)]
