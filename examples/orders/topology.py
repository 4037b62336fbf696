"""What happens to orders: each is taken once, validated, priced and routed; what cannot be delivered is a dead letter.

It does no IO. The test driver runs it, `service.py` does, and `headrace topology describe --app
examples/orders/topology.py` shows it.
"""

from collections.abc import Iterator

import headrace as hr
from examples.orders.events import (
    DEAD_LETTERS,
    ONCE,
    ORDER_EVENTS,
    ORDERS,
    PRODUCT_EVENTS,
    TO_APPROVE,
    TO_SHIP,
    Delivery,
    OrderPlaced,
)
from headrace import stores
from headrace.stores import KeyValueStore

__all__ = ["APPROVAL_FROM", "DELIVERIES", "PRICES", "OrderRefused", "put_aside", "topology"]

#: In cents.
APPROVAL_FROM = 100_000

# As long as an event may come again. A crash of Debezium repeats seconds; somebody who sets its offset back, days.
SEEN = stores.key_value("seen", key=str, value=bool, ttl="7d")
PRICES = stores.key_value("prices", key=str, value=int)
DELIVERIES = stores.key_value("deliveries", key=str, value=Delivery)


class OrderRefused(Exception):  # noqa: N818 - what has happened, not who was wrong
    """An order that cannot be delivered as it is."""


@hr.processor(SEEN)
def first_of_each(
    record: hr.Record[str, bytes], seen: KeyValueStore[str, bool]
) -> Iterator[hr.Record[str, bytes]]:
    """Let the first of equal events pass. Whoever tells of a database tells it at least once."""
    event = dict(record.headers).get("id")
    if event is None:
        raise OrderRefused("the header 'id' is not there: nobody can say whether the event is new")
    if seen.get(event.decode()) is None:
        seen.put(event.decode(), True)
        yield record


def validate(placed: OrderPlaced) -> OrderPlaced:
    """Refuse what is an order by its form alone."""
    if placed.quantity < 1:
        raise OrderRefused(f"a quantity of {placed.quantity}: 1 or more is wanted")
    return placed


def price(placed: OrderPlaced, cents: int | None) -> Delivery:
    """Join an order with the price of its product; None is a product that nobody has priced."""
    if cents is None:
        raise OrderRefused(f"there is no product {placed.product!r}")
    return Delivery(placed.order, placed.customer, placed.product, placed.quantity, placed.quantity * cents)


builder = hr.StreamsBuilder()
builder.stream(ORDER_EVENTS).process(first_of_each).to(ONCE)
prices = (
    builder.stream(PRODUCT_EVENTS).map_values(lambda priced: priced.price, value=int).to_table(store=PRICES)
)
deliveries = (
    builder.stream(ORDERS)
    .map_values(validate, value=OrderPlaced)
    .select_key(lambda order, placed: placed.product, key=str)
    .repartition(name="by-product")  # named: dead letters go back there, also after a change of the topology
    .left_join(prices, price, value=Delivery)
    .select_key(lambda product, delivery: delivery.order, key=str)
    .repartition(name="by-order")
)
deliveries.to_table(store=DELIVERIES)  # what is asked for an order's state
(
    deliveries.split()
    .branch(lambda order, delivery: delivery.total >= APPROVAL_FROM, then=lambda large: large.to(TO_APPROVE))
    .default_branch(then=lambda small: small.to(TO_SHIP))
)
topology = builder.build()


def put_aside(failure: hr.Failure) -> hr.Reaction:
    """Let an order that is refused or cannot be read be a dead letter; whatever else fails stops the application."""
    if isinstance(failure.error, OrderRefused | hr.SerializationError):
        return hr.Reaction.dead_letter(DEAD_LETTERS.name)
    return hr.log_and_fail(failure)
