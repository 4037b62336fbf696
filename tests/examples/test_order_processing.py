"""`examples/order_processing.py`: every way that an order may take."""

from collections.abc import Callable

import pytest

from examples.order_processing import (
    ORDERS,
    PRICES,
    PRODUCTS,
    REJECTED,
    TO_APPROVE,
    TO_SHIP,
    UNREADABLE,
    Order,
    PricedOrder,
    RejectedOrder,
    set_aside,
    topology,
)
from headrace.testing import TopologyTestDriver


# The fixture of headrace's pytest plugin closes the drivers that it made.
@pytest.fixture
def driver(topology_driver: Callable[..., TopologyTestDriver]) -> TopologyTestDriver:
    driver = topology_driver(topology, deserialization_exception_handler=set_aside)
    driver.input(PRODUCTS).pipe_all([("pen", 2.5), ("desk", 400.0)])
    return driver


def test_small_order_is_priced_and_shipped(driver: TopologyTestDriver) -> None:
    order = Order("ada", "pen", 10)
    driver.input(ORDERS).pipe(None, order)
    assert driver.output(TO_SHIP).read_pairs() == [("ada", PricedOrder(order, 25.0))]
    assert driver.output(TO_APPROVE).read_all() == []
    assert driver.output(REJECTED).read_all() == []


def test_large_order_has_to_be_approved(driver: TopologyTestDriver) -> None:
    order = Order("bob", "desk", 3)
    driver.input(ORDERS).pipe(None, order)
    assert driver.output(TO_APPROVE).read_pairs() == [("bob", PricedOrder(order, 1200.0))]
    assert driver.output(TO_SHIP).read_all() == []


def test_order_of_exactly_a_thousand_has_to_be_approved(driver: TopologyTestDriver) -> None:
    driver.input(ORDERS).pipe_all([(None, Order("bob", "pen", 399)), (None, Order("bob", "pen", 400))])
    assert [record.value.total for record in driver.output(TO_SHIP).read_all()] == [997.5]
    assert [record.value.total for record in driver.output(TO_APPROVE).read_all()] == [1000.0]


def test_order_of_nothing_is_rejected(driver: TopologyTestDriver) -> None:
    order = Order("bob", "pen", 0)
    driver.input(ORDERS).pipe(None, order)
    assert driver.output(REJECTED).read_pairs() == [("bob", RejectedOrder(order, "quantity is below 1"))]


def test_order_of_an_unknown_product_is_rejected(driver: TopologyTestDriver) -> None:
    order = Order("eve", "yacht", 1)
    driver.input(ORDERS).pipe(None, order)
    assert driver.output(REJECTED).read_pairs() == [("eve", RejectedOrder(order, "no such product"))]
    assert driver.output(TO_SHIP).read_all() == []


def test_new_price_counts_for_later_orders(driver: TopologyTestDriver) -> None:
    driver.input(ORDERS).pipe(None, Order("ada", "pen", 10))
    driver.input(PRODUCTS).pipe("pen", 3.0)
    driver.input(ORDERS).pipe(None, Order("ada", "pen", 10))
    assert [record.value.total for record in driver.output(TO_SHIP).read_all()] == [25.0, 30.0]


@pytest.mark.parametrize(
    "written",
    [b"pen, please", b'{"customer": "eve", "product": "pen", "quantity": "many"}', b'{"customer": "eve"}'],
)
def test_what_is_no_order_is_a_dead_letter(driver: TopologyTestDriver, written: bytes) -> None:
    driver.input(ORDERS).pipe_raw(None, written)
    letter = driver.output(UNREADABLE).read()
    assert letter.value == written
    assert dict(letter.headers)["__streams.errors.topic"] == b"orders"
    assert driver.output(REJECTED).read_all() == []


def test_order_after_a_dead_letter_is_processed(driver: TopologyTestDriver) -> None:
    driver.input(ORDERS).pipe_raw(None, b"pen, please")
    driver.input(ORDERS).pipe(None, Order("ada", "pen", 1))
    assert len(driver.output(TO_SHIP)) == 1


def test_prices_are_known_after_a_crash(driver: TopologyTestDriver) -> None:
    driver.restart(lose_state=True)
    assert driver.store(PRICES).get("desk") == 400.0
    driver.input(ORDERS).pipe(None, Order("ada", "desk", 1))
    assert driver.output(TO_SHIP).read().value.total == 400.0


# Orders come without a key, to any partition; each meets the price of its product nevertheless.
def test_orders_of_several_partitions_find_their_prices(
    topology_driver: Callable[..., TopologyTestDriver],
) -> None:
    driver = topology_driver(topology, partitions=4)
    driver.input(PRODUCTS).pipe_all([(f"p{number}", 1.0) for number in range(10)])
    driver.input(ORDERS).pipe_all(
        [(f"order {number}", Order("ada", f"p{number}", 1)) for number in range(10)]
    )
    assert len(driver.output(TO_SHIP)) == 10
