"""An application with something for every view: two sub-topologies, windows, dropped records, dead letters."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from tests.streams.waiting import until

COUNTRIES = stores.key_value("countries", key=str, value=int)
MINUTES = stores.window("minutes", key=str, value=int, retention="1h")
LAST_ORDER = stores.versioned("last-order", key=str, value=float, history="1h")

#: What a page must show as it stands. Keys of records are anybody's.
HOSTILE = "<img src=x onerror=alert(1)>"

#: What the first input begins with (epoch ms).
BEGIN = 1_700_000_040_000

_COUNTRIES = ("CH", "DE", "FR", "IT", HOSTILE)


@dataclass
class Order:
    """What is bought."""

    country: str
    amount: float


def is_sold(key: str, order: Order) -> bool:
    """Whether somebody pays."""
    return order.amount != 0


def with_tax(order: Order) -> Order:
    """Refuse what cannot be taxed."""
    if order.amount < 0:
        raise ValueError(f"an amount of {order.amount:g} cannot be taxed")
    return Order(order.country, order.amount * 1.081)


def put_aside(failure: hr.Failure) -> hr.Reaction:
    """Write all that fails to the topic of dead letters."""
    return hr.Reaction.dead_letter()


def topology() -> hr.Topology:
    """Count orders by country, and by country and minute; keep the last amount of each customer."""
    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic("orders", value=Order, partitions=2))
    sold = orders.filter(is_sold).map_values(with_tax, value=Order)
    by_country = sold.group_by(lambda key, order: order.country, key=str, name="by-country")
    by_country.count(store=COUNTRIES)
    (
        by_country.windowed_by(hr.TimeWindows("1m", grace="10s"))
        .count(store=MINUTES)
        .suppress(hr.until_window_closes(name="closed-minutes"))
        .to_stream()
        .to(hr.Topic("minutes", key=hr.time_windowed(str, "1m"), value=int, partitions=2))
    )
    sold.map_values(lambda order: order.amount, value=float).to_table(store=LAST_ORDER)
    return builder.build()


def application(directory: Path, **properties: object) -> hr.Streams:
    """Make it, not started; topics and input are there."""
    log = EmbeddedLog.open(directory / "orders.db")
    log.create_topics([TopicSpec("orders", 2), TopicSpec("failed", 1)])
    log.close()
    return hr.Streams(
        topology(),
        application_id="shop",
        embedded_path=str(directory / "orders.db"),
        state_dir=str(directory / "state"),
        commit_interval_ms=50,
        processing_exception_handler=put_aside,
        deserialization_exception_handler=put_aside,
        errors_dead_letter_queue_topic_name="failed",
        properties=properties,
    )


def orders(second: int, count: int) -> list[tuple[str, bytes | None, int]]:
    """Return so many orders, ten a second, from so many seconds after the beginning."""
    found: list[tuple[str, bytes | None, int]] = []
    for number in range(count):
        order: dict[str, Any] = {"country": _COUNTRIES[number % 5], "amount": number % 7}
        found.append(
            (f"customer-{number % 20}", json.dumps(order).encode(), BEGIN + second * 1000 + number * 100)
        )
    return found


def faulty(second: int) -> list[tuple[str, bytes | None, int]]:
    """Return two orders that cannot be taxed, one that is none, and one of an hour before."""
    at = BEGIN + second * 1000
    return [
        ("mallory", json.dumps({"country": "CH", "amount": -5}).encode(), at),
        ("mallory", json.dumps({"country": HOSTILE, "amount": -6}).encode(), at),
        ("mallory", b"<script>alert(2)</script>", at),
        ("laggard", json.dumps({"country": "CH", "amount": 3}).encode(), at - 3_600_000),
    ]


def write(
    directory: Path, records: list[tuple[str, bytes | None, int]], *, partition: int | None = None
) -> None:
    """Write orders; to a partition, or in turn."""
    log = EmbeddedLog.open(directory / "orders.db")
    writer = log.writer("test")
    for number in (0, 1):
        columns = Columns()
        for index, (key, value, timestamp) in enumerate(records):
            if number == (index % 2 if partition is None else partition):
                columns.append(key.encode(), value, timestamp, ())
        if len(columns):
            writer.append("orders", number, columns)
    writer.commit({})
    writer.close()
    log.close()


def settled(streams: hr.Streams, records: int) -> None:
    """Wait until so many records are processed, those of repartition topics too, and figures stand still."""

    def is_done() -> bool:
        status = streams.status()
        if status is None or status.records < records or status.lag_records:
            return False
        return status.records_per_second == 0

    until(is_done)
