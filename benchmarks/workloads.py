"""The workloads: those of `baseline/Baseline.java`, line for line, and `restore`.

Keys and values are text, as there; `peek` is the one place that counts, as there.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

import headrace as hr
from headrace import stores

__all__ = [
    "BY_EXPRESSIONS",
    "NATURAL_BYTES",
    "ORDERS_PER_PROFILE",
    "USERS_COUNT",
    "WORKLOADS",
    "Topics",
    "Workload",
    "click",
    "order",
    "orders",
    "profile",
    "user",
]

USERS_COUNT = 10_000

#: Orders for each update of the table that `table_join` joins with.
ORDERS_PER_PROFILE = 4

#: Every so many of those updates is a deletion.
_PROFILES_PER_DELETION = 20

#: What an order weighs that is neither filled up nor cut: about so much.
NATURAL_BYTES = 110

Orders = hr.KStream[str, str]
Objects = hr.KStream[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of a run, by name, and how many partitions each has."""

    input: str = "orders"
    output: str = "results"
    partitions: int = 1

    @property
    def users(self) -> str:
        """The table that `enrich` joins with."""
        return f"{self.input}-users"

    @property
    def clicks(self) -> str:
        """The stream that `stream_join` joins with."""
        return f"{self.input}-clicks"

    @property
    def profiles(self) -> str:
        """The table that `table_join` joins with."""
        return f"{self.input}-profiles"


def order(number: int, value_bytes: int = NATURAL_BYTES) -> tuple[str, str]:
    """Return key and value of one input record: a user, and a JSON order, unless it has to be cut."""
    key = f"user{number * 7919 % USERS_COUNT}"  # a prime: all users, in no order
    amount = number * 37 % 10_000 / 100
    head = f'{{"order_id":{number},"user":"{key}","amount":{amount},"item":"item{number % 500}",'
    tail = f'"status":"created","region":"eu-west-{number % 3}"}}'
    if value_bytes == NATURAL_BYTES:
        return key, head + tail
    note = value_bytes - len(head) - len(tail) - len('"note":"",')
    if note > 0:
        head += f'"note":"{"n" * note}",'
    return key, (head + tail)[:value_bytes]


def user(number: int) -> tuple[str, str]:
    """Return key and value of one user of the table that `enrich` joins with."""
    return f"user{number}", f'{{"name":"User {number}","city":"city{number % 100}"}}'


def click(number: int) -> tuple[str, str]:
    """Return key and value of one record of the stream that `stream_join` joins with.

    There are as many as orders. A user has an order every 10 s, and a click in the middle between two of them.
    """
    return order(number - USERS_COUNT // 2)[0], f'{{"click":{number},"page":"item{number % 500}"}}'


def profile(number: int) -> tuple[str, str | None]:
    """Return key and value of one update of the table that `table_join` joins with; None is a deletion.

    A user has an order every 10 s, and an update every 40 s, at another time.
    """
    key = f"user{number * 7907 % USERS_COUNT}"  # another prime than that of orders
    if number % _PROFILES_PER_DELETION == _PROFILES_PER_DELETION - 1:
        return key, None
    return key, f'{{"name":"User {number}","city":"city{number % 100}","updates":{number}}}'


@dataclass(frozen=True, slots=True)
class Workload:
    """A topology over the orders, and what it needs beside them.

    Attributes:
        users: whether it joins with the table of users, whose records are then waited for as well.
        clicks: whether it joins with the stream of clicks.
        profiles: whether it joins with the table of profiles, whose records are waited for as well.
        is_restore: whether what is measured is the return of its lost stores.
        records: orders of a comparison: fewer where Kafka Streams takes some hundred µs for each.
        repartitioned: how many records it sends through internal topics for an order: the same for each.
        value: the serde of orders.
    """

    describe: Callable[[hr.StreamsBuilder, Any, Topics], None]
    users: bool = False
    clicks: bool = False
    profiles: bool = False
    is_restore: bool = False
    records: int = 1_000_000
    repartitioned: Callable[[str], int] = lambda value: 0
    value: Any = str

    def build(self, see: Callable[[str, Any], None] | None, topics: Topics) -> hr.Topology:
        """Build the topology; `see`, if there is one, is called with every order first."""
        builder = hr.StreamsBuilder()
        orders = builder.stream(hr.Topic(topics.input, value=self.value, partitions=topics.partitions))
        self.describe(builder, orders if see is None else orders.peek(see), topics)
        return builder.build()


def _texts(topics: Topics) -> hr.Topic[str, str]:
    return hr.Topic(topics.output, value=str, partitions=topics.partitions)


def _numbers(topics: Topics) -> hr.Topic[str, int]:
    return hr.Topic(topics.output, value=int, partitions=topics.partitions)


def _forward(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    longer = orders.filter(lambda key, value: len(value) > 10)
    longer.map_values(lambda value: value + "!", value=str).to(_texts(topics))


def _json(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    parse: Callable[[str], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
    write = msgspec.json.Encoder().encode

    def with_total(parsed: dict[str, Any]) -> str:
        parsed["total"] = parsed["amount"] * 1.2
        return write(parsed).decode()

    dear = orders.map_values(parse).filter(lambda key, parsed: parsed["amount"] > 10)
    dear.map_values(with_total, value=str).to(_texts(topics))


def _forward_by_expressions(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    longer = orders.filter(hr.value().length() > 10)
    longer.map_values(hr.value() + "!", value=str).to(_texts(topics))


_OBJECTS = hr.json(dict[str, Any])


def _json_by_expressions(builder: hr.StreamsBuilder, orders: Objects, topics: Topics) -> None:
    fields = "order_id", "user", "amount", "item", "status", "region"
    dear = orders.filter(hr.col("amount") > 10)
    totals = dear.map_values({**{name: hr.col(name) for name in fields}, "total": hr.col("amount") * 1.2})
    totals.to(hr.Topic(topics.output, value=_OBJECTS, partitions=topics.partitions))


def _count(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    orders.group_by_key().count(store="counts").to_stream().to(_numbers(topics))


def _count_uncached(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    counts = stores.key_value("counts", key=str, value=int, caching=False)
    orders.group_by_key().count(store=counts).to_stream().to(_numbers(topics))


def _window(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    windows = hr.TimeWindows("5m", grace="1m")
    counts = orders.group_by_key().windowed_by(windows).count(store="counts")
    counts.to_stream(lambda window, count: window.key, key=str).to(_numbers(topics))


def _suppress(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    # Each user has one or two orders in a window, so there are nearly as many results as updates.
    windows = hr.TimeWindows("15s", grace="1s")
    counts = orders.group_by_key().windowed_by(windows).count(store="counts")
    final = counts.suppress(hr.until_window_closes())
    final.to_stream(lambda window, count: window.key, key=str).to(_numbers(topics))


def _session(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    counts = orders.group_by_key().windowed_by(hr.SessionWindows("30s", grace="1m")).count(store="counts")
    counts.to_stream(lambda window, count: window.key, key=str).to(_numbers(topics))


def _repartition(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    orders.group_by(lambda key, value: value[-12:], key=str).count(store="counts").to_stream().to(
        _numbers(topics)
    )


_split = re.compile(r"\W+", re.ASCII).split


def _words(value: str) -> list[str]:
    found = _split(value.lower())
    # As Java splits: an empty first word stays, an empty last goes.
    return found if found[-1] else found[:-1]


def _wordcount(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    spoken = orders.flat_map_values(_words, value=str)
    spoken.group_by(lambda key, word: word, key=str).count(store="counts").to_stream().to(_numbers(topics))


def _enrich(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    users = builder.table(hr.Topic(topics.users, value=str, partitions=topics.partitions))
    orders.join(users, lambda order, user: order + user, value=str).to(_texts(topics))


def _foreign_key(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    # Each order is a subscription and an answer: a cache would let one of each user's orders go.
    latest = orders.to_table(store=stores.key_value("orders", key=str, value=str, caching=False))
    users = builder.table(hr.Topic(topics.users, value=str, partitions=topics.partitions))
    joined = latest.left_join(users, lambda order, user: f"{order}{user}", on=_referrer, value=str)
    joined.to_stream().to(_texts(topics))


def _referrer(order: str) -> str:
    """Return the user that an order's number leads to."""
    return f"user{int(order[12 : order.index(',')]) % USERS_COUNT}"


def _table_join(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    # Each update of either side is a result: a cache would let one of each user's through.
    latest = orders.to_table(store=stores.key_value("orders", key=str, value=str, caching=False))
    kept = stores.key_value("profiles", key=str, value=str, caching=False)
    profiles = builder.table(hr.Topic(topics.profiles, value=str, partitions=topics.partitions), store=kept)
    joined = latest.join(profiles, lambda order, profile: order + profile, value=str)
    joined.to_stream().to(_texts(topics))


def _stream_join(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    clicks = builder.stream(hr.Topic(topics.clicks, value=str, partitions=topics.partitions))
    within = hr.JoinWindows("10s", grace="0s")
    orders.join(clicks, lambda order, click: order + click, within=within, value=str).to(_texts(topics))


def _restore(builder: hr.StreamsBuilder, orders: Orders, topics: Topics) -> None:
    # Keys that do not repeat: what is restored is as many rows as there were orders, each of the order's size.
    by_order = orders.select_key(lambda key, value: value[12 : value.index(",")], key=str)
    by_order.process_values(_keep, LATEST)


LATEST = stores.key_value("latest", key=str, value=str)


class _Keep(hr.FixedKeyProcessor[str, str, str]):
    def init(self) -> None:
        self._latest = self.context.store(LATEST)

    def process(self, record: hr.Record[str, str]) -> None:
        self._latest.put(record.key, record.value)


def _keep() -> _Keep:
    return _Keep()


WORKLOADS: dict[str, Workload] = {
    "forward": Workload(_forward),
    "json": Workload(_json),
    "count": Workload(_count),
    "count_uncached": Workload(_count_uncached),
    "window": Workload(_window),
    "suppress": Workload(_suppress),
    "session": Workload(_session, records=300_000),
    "repartition": Workload(_repartition, repartitioned=lambda value: 1),
    "wordcount": Workload(_wordcount, repartitioned=lambda value: len(_words(value))),
    "enrich": Workload(_enrich, users=True),
    "foreign_key": Workload(_foreign_key, users=True, repartitioned=lambda value: 2),
    "table_join": Workload(_table_join, profiles=True),
    "stream_join": Workload(_stream_join, clicks=True, records=300_000),
    "restore": Workload(_restore, is_restore=True),
}

#: The same work, described by expressions: for orders of their natural size.
BY_EXPRESSIONS: dict[str, Workload] = {
    "forward": Workload(_forward_by_expressions),
    "json": Workload(_json_by_expressions, value=_OBJECTS),
}


def orders(count: int, value_bytes: int = NATURAL_BYTES) -> Iterator[tuple[str, str]]:
    """Yield the input's keys and values."""
    return (order(number, value_bytes) for number in range(count))
