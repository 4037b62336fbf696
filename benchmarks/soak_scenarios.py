"""What an application does in a soak: which records it is fed with, and what it makes of them."""

from collections.abc import Callable
from dataclasses import dataclass

import headrace as hr
from benchmarks.workloads import USERS_COUNT, order
from headrace import stores

__all__ = ["JOINS", "PARTITIONS", "WINDOWS", "Scenario"]

PARTITIONS = 2

#: What the first record is stamped with (2026-01-01).
_START_MS = 1_767_225_600_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """A topology, and its input.

    Attributes:
        build: builds the topology, whose topics are all among `topics`.
        topics: names of inputs and outputs, which are made before.
        record: gives topic, key, value and timestamp (epoch ms) of an input record by its number.
    """

    build: Callable[[], hr.Topology]
    topics: tuple[str, ...]
    record: Callable[[int], tuple[str, str, str, int]]


# ── windows that expire ──────────────────────────────────────────────────────────────────────────────────────────────


def _windows() -> hr.Topology:
    """Windows that expire, behind a cache, and a row for each user that every order replaces."""
    counts = stores.window("counts", key=str, value=int, retention="1m")
    latest = stores.key_value("latest", key=str, value=str, caching=False)
    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic("soak-orders", value=str, partitions=PARTITIONS)).group_by_key()
    windowed = orders.windowed_by(hr.TimeWindows("10s", grace="5s")).count(store=counts)
    windowed.to_stream(lambda window, count: window.key, key=str).to(hr.Topic("soak-counts", value=int))
    orders.reduce(lambda old, new: new, store=latest).to_stream().to(hr.Topic("soak-latest", value=str))
    return builder.build()


def _order(number: int) -> tuple[str, str, str, int]:
    """Orders 1 ms apart."""
    return ("soak-orders", *order(number), _START_MS + number)


WINDOWS = Scenario(_windows, ("soak-orders", "soak-counts", "soak-latest"), _order)


# ── joins, sessions and suppression ──────────────────────────────────────────────────────────────────────────────────

#: Ten million records are a day.
_DAY_MS, _DAY_RECORDS = 86_400_000, 10_000_000

#: Half of the users take turns with the others: their sessions end then.
_SHIFT_MS = 1_200_000

_ITEMS_COUNT = 500


def _joins() -> hr.Topology:
    """Orders joined with payments, and with items by a foreign key; sessions, and counts of windows that close."""
    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic("soak-orders", value=str, partitions=PARTITIONS))
    payments = builder.stream(hr.Topic("soak-payments", value=str, partitions=PARTITIONS))
    items = builder.table(hr.Topic("soak-items", value=str, partitions=PARTITIONS))

    within = hr.JoinWindows("30s", grace="10s")
    paid = orders.left_join(payments, lambda order, payment: f"{order}{payment}", within=within, value=str)
    paid.to(hr.Topic("soak-paid", value=str))

    latest = orders.to_table(store=stores.key_value("latest", key=str, value=str, caching=False))
    described = latest.join(items, lambda order, item: order + item, on=_item_of, value=str)
    described.to_stream().to(hr.Topic("soak-described", value=str))

    grouped = orders.group_by_key()
    sessions = grouped.windowed_by(hr.SessionWindows("1m", grace="30s")).count(store="sessions")
    sessions.to_stream(lambda window, count: window.key, key=str).to(hr.Topic("soak-sessions", value=int))

    counts = grouped.windowed_by(hr.TimeWindows("1m", grace="10s")).count(store="counts")
    final = counts.suppress(hr.until_window_closes())
    final.to_stream(lambda window, count: window.key, key=str).to(hr.Topic("soak-final", value=int))
    return builder.build()


def _item_of(order: str) -> str:
    start = order.index('"item":"') + 8
    return order[start : order.index('"', start)]


def _traded(number: int) -> tuple[str, str, str, int]:
    """Of twenty records, ten orders, nine payments of most of them some seconds later, and the update of an item."""
    timestamp = _START_MS + number * _DAY_MS // _DAY_RECORDS
    if not number % 20:
        item = number // 20 % _ITEMS_COUNT
        return "soak-items", f"item{item}", f'{{"price":{number % 997},"stock":{number % 89}}}', timestamp
    shift = number * _DAY_MS // _DAY_RECORDS // _SHIFT_MS % 2
    is_order = number % 2 == 1
    # A payment comes 2,001 records, 17 s, after its order.
    ordered = number if is_order else number - 2_001
    user = f"user{2 * (ordered * 7919 % (USERS_COUNT // 2)) + shift}"
    if not is_order:
        return "soak-payments", user, f'{{"pays":{ordered}}}', timestamp
    return "soak-orders", user, order(number)[1], timestamp


JOINS = Scenario(
    _joins,
    (
        "soak-orders",
        "soak-payments",
        "soak-items",
        "soak-paid",
        "soak-described",
        "soak-sessions",
        "soak-final",
    ),
    _traded,
)
