"""Order processing: orders are validated, enriched with the price of their product, and routed by their total.

Shows: how the other examples go together. A step that may refuse an order returns one of two classes, and `only` takes
the stream apart by class. What is no order at all never comes so far: it goes to a dead letter topic.

In: `products`, a price, with the product as key; and `orders`, an `Order` as JSON.
Out: `to-ship`, orders with their total; `to-approve`, those of 1,000 and more; `rejected-orders`, what cannot be
delivered, and why, each with the customer as key; and `unreadable-orders`, what is no `Order`, as it came.

In one terminal, run the application until Ctrl-C; it says nothing while all is well:

    $ python examples/order_processing.py

In another one, write products and then orders, and look at the results (`cut` leaves topic, partition, offset and time
out):

    $ headrace topics write products --app examples/order_processing.py --embedded order_processing.db <<'END'
    {"key": "pen", "value": 2.5}
    {"key": "desk", "value": 400.0}
    END
    wrote 2 records to products
    $ headrace topics write orders --value json --embedded order_processing.db <<'END'
    {"value": {"customer": "ada", "product": "pen", "quantity": 10}}
    {"value": {"customer": "bob", "product": "desk", "quantity": 3}}
    {"value": {"customer": "bob", "product": "pen", "quantity": 0}}
    {"value": {"customer": "eve", "product": "yacht", "quantity": 1}}
    {"value": {"customer": "eve", "product": "pen", "quantity": "many"}}
    END
    wrote 5 records to orders
    $ headrace topics read to-ship --embedded order_processing.db | cut -d, -f5-9
    "key":"ada","value":{"order":{"customer":"ada","product":"pen","quantity":10},"total":25.0}
    $ headrace topics read to-approve --embedded order_processing.db | cut -d, -f5-9
    "key":"bob","value":{"order":{"customer":"bob","product":"desk","quantity":3},"total":1200.0}
    $ headrace topics read rejected-orders --embedded order_processing.db | cut -d, -f5-9
    "key":"bob","value":{"order":{"customer":"bob","product":"pen","quantity":0},"reason":"quantity is below 1"}
    "key":"eve","value":{"order":{"customer":"eve","product":"yacht","quantity":1},"reason":"no such product"}
    $ headrace topics read unreadable-orders --embedded order_processing.db | cut -d, -f5-8
    "key":null,"value":{"customer":"eve","product":"pen","quantity":"many"}

The orders are written with `--value json`: with `--app` the command itself would refuse the last one.
"""

from dataclasses import dataclass

import headrace as hr
from headrace import stores

APPROVAL_FROM = 1_000


@dataclass(frozen=True)
class Order:
    """So many pieces of a product."""

    customer: str
    product: str
    quantity: int


@dataclass(frozen=True)
class PricedOrder:
    """An order that can be delivered, and what it costs."""

    order: Order
    total: float


@dataclass(frozen=True)
class RejectedOrder:
    """An order that cannot be delivered."""

    order: Order
    reason: str


ORDERS = hr.Topic("orders", value=Order)
PRODUCTS = hr.Topic("products", value=float)
TO_SHIP = hr.Topic("to-ship", value=PricedOrder)
TO_APPROVE = hr.Topic("to-approve", value=PricedOrder)
REJECTED = hr.Topic("rejected-orders", value=RejectedOrder)
UNREADABLE = hr.Topic("unreadable-orders")  # bytes: nothing is known of them
PRICES = stores.key_value("prices", key=str, value=float)


def validate(order: Order) -> Order | RejectedOrder:
    """Refuse what is an order by its form alone."""
    return order if order.quantity >= 1 else RejectedOrder(order, "quantity is below 1")


def price(order: Order, unit_price: float | None) -> PricedOrder | RejectedOrder:
    """Join an order with the price of its product; None is a product that the table does not have."""
    if unit_price is None:
        return RejectedOrder(order, "no such product")
    return PricedOrder(order, order.quantity * unit_price)


builder = hr.StreamsBuilder()
prices = builder.table(PRODUCTS, store=PRICES)
validated = builder.stream(ORDERS).map_values(validate)
priced = (
    validated.only(Order)
    .select_key(
        lambda key, order: order.product
    )  # an order meets the price of its product in the same partition
    .left_join(prices, price)
)
outcomes = validated.only(RejectedOrder).merge(priced).select_key(lambda key, outcome: outcome.order.customer)
outcomes.only(RejectedOrder).to(REJECTED)
(
    outcomes.only(PricedOrder)
    .split()
    .branch(lambda customer, priced: priced.total >= APPROVAL_FROM, then=lambda large: large.to(TO_APPROVE))
    .default_branch(then=lambda small: small.to(TO_SHIP))
)
topology = builder.build()


def set_aside(failure: hr.Failure) -> hr.Reaction:
    """Send what cannot be read to the dead letter topic."""
    return hr.Reaction.dead_letter(UNREADABLE.name)


if __name__ == "__main__":
    hr.Streams(
        topology,
        application_id="order_processing",
        embedded_path="order_processing.db",
        deserialization_exception_handler=set_aside,  # of reading only: any other failure stops the application
    ).run()
