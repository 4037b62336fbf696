"""What is said of orders, and where: the events that the database's outbox tells, and what headrace makes of them."""

from dataclasses import dataclass

import headrace as hr

__all__ = [
    "DEAD_LETTERS",
    "ONCE",
    "ORDERS",
    "ORDER_EVENTS",
    "PRODUCT_EVENTS",
    "TO_APPROVE",
    "TO_SHIP",
    "Delivery",
    "OrderPlaced",
    "ProductPriced",
]


@dataclass(frozen=True)
class OrderPlaced:
    """Somebody wants so many pieces of a product."""

    order: str
    customer: str
    product: str
    quantity: int


@dataclass(frozen=True)
class ProductPriced:
    """A product costs so much from now on, in cents."""

    product: str
    price: int


@dataclass(frozen=True)
class Delivery:
    """An order that can be delivered, and what it costs, in cents."""

    order: str
    customer: str
    product: str
    quantity: int
    total: int


# As Debezium's event router writes them: the key is what the event is of, headers have its id and its type.
ORDER_EVENTS = hr.Topic(
    "outbox.event.order", partitions=4
)  # bytes: not looked into before it is known to be new
PRODUCT_EVENTS = hr.Topic(
    "outbox.event.product", value=hr.cdc.outbox({"ProductPriced": ProductPriced}), partitions=4
)

# The same events, each once: written as they came, and read by their type.
ONCE = hr.Topic("orders", partitions=4)
ORDERS = hr.Topic("orders", value=hr.cdc.outbox({"OrderPlaced": OrderPlaced}), partitions=4)

TO_SHIP = hr.Topic("to-ship", value=Delivery, partitions=4)
TO_APPROVE = hr.Topic("to-approve", value=Delivery, partitions=4)
DEAD_LETTERS = hr.Topic("orders-dead-letters")
