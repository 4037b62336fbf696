"""The application that keeps the table of a database; it is killed, and started again."""

import argparse
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import headrace as hr
from headrace import stores
from headrace.cdc import Format
from tests.faults.orphans import end_with_parent


@dataclass(frozen=True)
class Item:
    id: int
    name: str
    amount: Annotated[Decimal, hr.cdc.Scale(2)]
    body: str | None
    at: datetime


PER_NAME = stores.key_value("per-name", key=str, value=int)


def topic_of(format: Format) -> str:
    """Name the topic of the changes: `topic.prefix` is that of the form."""
    return f"{format}.public.items"


def key_of(format: Format) -> hr.Serde[int]:
    """Return the serde of the table's keys."""
    return hr.cdc.key("id", int, avro_of=topic_of(format) if format == "avro" else None)


def rows_of(format: Format) -> stores.Store[stores.KeyValueStore[int, Item]]:
    """Return the store of the table."""
    return stores.key_value("items", key=key_of(format), value=Item)


def build(format: Format) -> hr.Topology:
    """Keep the table, and count its rows by name, which takes old rows out again."""
    builder = hr.StreamsBuilder()
    topic = hr.cdc.table(topic_of(format), Item, key=key_of(format), format=format)
    table = builder.table(topic, store=rows_of(format))
    table.group_by(lambda key, item: (item.name, 1), key=str, value=int).count(store=PER_NAME)
    return builder.build()


def main() -> None:
    """Run until it is told to stop."""
    end_with_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("servers")
    parser.add_argument("state")
    parser.add_argument("registry", nargs="?")
    arguments = parser.parse_args()
    streams_of(arguments.servers, arguments.state, arguments.registry).run()


def streams_of(servers: str, state: str, registry: str | None) -> hr.Streams:
    """Return the application; changes are in Avro where there is a registry."""
    format: Format = "avro" if registry else "json"
    return hr.Streams(
        build(format),
        config=hr.Config() if registry is None else hr.Config(schema_registry_url=registry),
        application_id=f"items-{format}",
        bootstrap_servers=servers,
        state_dir=state,
        commit_interval_ms=50,
    )


if __name__ == "__main__":
    main()
