"""`examples/orders/topology.py`: each order once, to where it belongs or to the dead letters, and back from there."""

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

import headrace as hr
from examples.orders.events import (
    DEAD_LETTERS,
    ORDER_EVENTS,
    PRODUCT_EVENTS,
    TO_APPROVE,
    TO_SHIP,
    Delivery,
    OrderPlaced,
    ProductPriced,
)
from examples.orders.topology import DELIVERIES, put_aside, topology
from headrace.testing import TopologyTestDriver


@pytest.fixture
def driver(topology_driver: Callable[..., TopologyTestDriver]) -> TopologyTestDriver:
    driver = topology_driver(
        topology,
        partitions=4,
        processing_exception_handler=put_aside,
        deserialization_exception_handler=put_aside,
    )
    tell(driver, PRODUCT_EVENTS, "p1", ProductPriced("pen", 250))
    tell(driver, PRODUCT_EVENTS, "p2", ProductPriced("desk", 40_000))
    return driver


def tell(
    driver: TopologyTestDriver,
    topic: hr.Topic[str, bytes] | hr.Topic[str, ProductPriced],
    event: str,
    what: OrderPlaced | ProductPriced,
    timestamp: int = 0,
) -> None:
    of = what.order if isinstance(what, OrderPlaced) else what.product
    headers = (("id", event.encode()), ("eventType", type(what).__name__.encode()))
    raw = driver.input(hr.Topic(topic.name))
    raw.pipe(of, json.dumps(asdict(what)).encode(), timestamp, headers)


def order(driver: TopologyTestDriver, event: str, placed: OrderPlaced, timestamp: int = 0) -> None:
    tell(driver, ORDER_EVENTS, event, placed, timestamp)


def keys(driver: TopologyTestDriver, topic: hr.Topic[str, Delivery]) -> list[str]:
    return [key for key, _ in driver.output(topic).read_pairs()]


def letters(driver: TopologyTestDriver) -> list[str]:
    found = driver.output(DEAD_LETTERS).read_all()
    return [(dict(record.headers)["__streams.errors.message"] or b"").decode() for record in found]


def test_small_order_is_priced_and_shipped(driver: TopologyTestDriver) -> None:
    order(driver, "e1", OrderPlaced("1", "ada", "pen", 10))
    assert driver.output(TO_SHIP).read_pairs() == [("1", Delivery("1", "ada", "pen", 10, 2500))]
    assert driver.output(TO_APPROVE).read_all() == []
    assert driver.store(DELIVERIES).get("1") == Delivery("1", "ada", "pen", 10, 2500)
    assert letters(driver) == []


def test_order_of_a_thousand_has_to_be_approved(driver: TopologyTestDriver) -> None:
    order(driver, "e1", OrderPlaced("1", "ada", "pen", 399))
    order(driver, "e2", OrderPlaced("2", "ada", "pen", 400))
    assert keys(driver, TO_SHIP) == ["1"]
    assert keys(driver, TO_APPROVE) == ["2"]


def test_event_that_is_told_again_is_dropped_also_after_a_crash(driver: TopologyTestDriver) -> None:
    placed, refused = OrderPlaced("1", "ada", "pen", 10), OrderPlaced("2", "bob", "pen", 0)
    for event, each in (("e1", placed), ("e2", refused)):
        order(driver, event, each)
        order(driver, event, each, timestamp=1000)
    driver.restart()
    for event, each in (("e1", placed), ("e2", refused)):
        order(driver, event, each, timestamp=2000)
    assert keys(driver, TO_SHIP) == ["1"]
    assert letters(driver) == ["a quantity of 0: 1 or more is wanted"]


def test_order_of_an_unknown_product_is_a_dead_letter_from_behind_where_repeated_events_are_dropped(
    driver: TopologyTestDriver,
) -> None:
    order(driver, "e1", OrderPlaced("1", "eve", "yacht", 1))
    [letter] = driver.output(DEAD_LETTERS).read_all()
    headers = dict(letter.headers)
    assert headers["__streams.errors.message"] == b"there is no product 'yacht'"
    # Back there `headrace dlq replay` puts it; in the topic of events it would be dropped.
    assert headers["__streams.errors.topic"] == b"test-by-product-repartition"
    assert driver.output(TO_SHIP).read_all() == []


def test_what_cannot_be_read_is_a_dead_letter(driver: TopologyTestDriver) -> None:
    raw = driver.input(ORDER_EVENTS)
    raw.pipe("1", b'{"order": "1", "quantity": "many"}', 0, (("id", b"e1"), ("eventType", b"OrderPlaced")))
    raw.pipe("2", b"{}", 0, (("id", b"e2"), ("eventType", b"OrderLost")))
    raw.pipe("3", b"{}", 0)
    found = letters(driver)
    assert len(found) == 3
    assert sum("OrderLost" in each for each in found) == 1
    assert sum("the header 'id' is not there" in each for each in found) == 1


def test_what_is_nobodys_fault_stops_the_application() -> None:
    failure = hr.Failure(
        OSError("the disk is full"), "process", "node", "0_0", "orders", 0, 0, 0, (), b"k", b"v"
    )
    assert put_aside(failure) == hr.Reaction.fail
