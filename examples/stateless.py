"""Stateless transformations: each record is parsed, filtered and mapped by itself.

Shows: `map_values`, `filter`, `map` and `flat_map`, and a handler that sends bad input to a dead letter topic.

In: `baskets`, lines of text such as "ada: 2 apple, 1 pear".
Out: `purchases`, one record for each item, with the item as key; and `unreadable-baskets`, the lines that `parse`
refuses, as they came, with the error in their headers.

In one terminal, run the application until Ctrl-C; it says nothing while all is well:

    $ python examples/stateless.py

In another one, write lines and look at the results (`cut` leaves topic, partition, offset and time out):

    $ headrace topics write baskets --app examples/stateless.py --embedded stateless.db <<'END'
    {"value": "ada: 2 apple, 1 pear"}
    {"value": "test: 99 apple"}
    {"value": "two apples please"}
    {"value": "Bob: 3 pear"}
    END
    wrote 4 records to baskets
    $ headrace topics read purchases --app examples/stateless.py --embedded stateless.db | cut -d, -f5-7
    "key":"apple","value":{"customer":"ada","quantity":2}
    "key":"pear","value":{"customer":"ada","quantity":1}
    "key":"pear","value":{"customer":"bob","quantity":3}
    $ headrace topics read unreadable-baskets --embedded stateless.db | cut -d, -f5,6
    "key":null,"value":"two apples please"
"""

from collections.abc import Iterator
from dataclasses import dataclass

import headrace as hr


@dataclass(frozen=True)
class Basket:
    """What one customer buys: how many of each item."""

    customer: str
    items: dict[str, int]


@dataclass(frozen=True)
class Purchase:
    """One item of a basket."""

    customer: str
    quantity: int


BASKETS = hr.Topic("baskets", value=str)
PURCHASES = hr.Topic("purchases", value=Purchase)  # a dataclass is written as JSON
UNREADABLE = hr.Topic("unreadable-baskets", value=str)


def parse(line: str) -> Basket:
    """Read "ada: 2 apple, 1 pear"; a line that looks otherwise is a ValueError, with which `set_aside` deals."""
    customer, items = line.split(":")
    quantities = (item.split() for item in items.split(","))
    return Basket(customer.strip(), {name: int(quantity) for quantity, name in quantities})


def by_customer(key: str, basket: Basket) -> tuple[str, Basket]:
    """Take the customer's name, in lower case, as key."""
    return basket.customer.lower(), basket


def purchases(customer: str, basket: Basket) -> Iterator[tuple[str, Purchase]]:
    """Make a record of each item, with the item as key."""
    for item, quantity in basket.items.items():
        yield item, Purchase(customer, quantity)


builder = hr.StreamsBuilder()
(
    builder.stream(BASKETS)
    .map_values(parse)  # one record in, one out; the key stays
    .filter(lambda key, basket: basket.customer != "test")  # one in, one or none out
    .map(by_customer)  # one in, one out, with another key
    .flat_map(purchases)  # one in, any number out
    .to(PURCHASES)
)
topology = builder.build()


def set_aside(failure: hr.Failure) -> hr.Reaction:
    """Send what cannot be parsed to the dead letter topic; stop at any other error, which is a mistake of ours."""
    if isinstance(failure.error, ValueError):
        return hr.Reaction.dead_letter(UNREADABLE.name)
    return hr.Reaction.fail


if __name__ == "__main__":
    hr.Streams(
        topology,
        application_id="stateless",
        embedded_path="stateless.db",
        processing_exception_handler=set_aside,
    ).run()
