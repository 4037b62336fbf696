"""The application that keeps the table of a database; it is killed, and started again."""

import argparse
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import headrace as hr
from headrace import stores
from tests.faults.orphans import end_with_parent

KEY = hr.cdc.key("id", int)


@dataclass(frozen=True)
class Item:
    id: int
    name: str
    amount: Annotated[Decimal, hr.cdc.Scale(2)]
    body: str | None
    at: datetime


ITEMS = hr.cdc.table("shop.public.items", Item, key=KEY)
ROWS = stores.key_value("items", key=KEY, value=Item)
PER_NAME = stores.key_value("per-name", key=str, value=int)
APPLICATION_ID = "items"


def build() -> hr.Topology:
    """Keep the table, and count its rows by name, which takes old rows out again."""
    builder = hr.StreamsBuilder()
    table = builder.table(ITEMS, store=ROWS)
    table.group_by(lambda key, item: (item.name, 1), key=str, value=int).count(store=PER_NAME)
    return builder.build()


def main() -> None:
    """Run until it is told to stop."""
    end_with_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("servers")
    parser.add_argument("state")
    arguments = parser.parse_args()
    hr.Streams(
        build(),
        application_id=APPLICATION_ID,
        bootstrap_servers=arguments.servers,
        state_dir=arguments.state,
        commit_interval_ms=50,
    ).run()


if __name__ == "__main__":
    main()
