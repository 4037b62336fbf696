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

__all__ = ["INPUT", "OUTPUT", "USERS", "WORKLOADS", "Workload", "order", "user"]

INPUT = hr.Topic("orders", value=str, partitions=1)
OUTPUT = hr.Topic("results", value=str, partitions=1)
NUMBERS = hr.Topic("results", value=int, partitions=1)
USERS = hr.Topic("orders-users", value=str, partitions=1)
USERS_COUNT = 10_000

Orders = hr.KStream[str, str]


def order(number: int) -> tuple[str, str]:
    """Return key and value of one input record: a user, and a JSON order of about 110 bytes."""
    key = f"user{number * 7919 % USERS_COUNT}"  # a prime: all users, in no order
    amount = number * 37 % 10_000 / 100
    value = (
        f'{{"order_id":{number},"user":"{key}","amount":{amount},"item":"item{number % 500}",'
        f'"status":"created","region":"eu-west-{number % 3}"}}'
    )
    return key, value


def user(number: int) -> tuple[str, str]:
    """Return key and value of one user of the table that `enrich` joins with."""
    return f"user{number}", f'{{"name":"User {number}","city":"city{number % 100}"}}'


@dataclass(frozen=True, slots=True)
class Workload:
    """A topology over the orders, and what it needs beside them.

    `follows` is the application whose stores have to be lost and restored, for the workload that measures that.
    """

    describe: Callable[[hr.StreamsBuilder, Orders], None]
    users: bool = False
    is_restore: bool = False

    def build(self, see: Callable[[str, str], None]) -> hr.Topology:
        """Build the topology; `see` is called with every order first."""
        builder = hr.StreamsBuilder()
        self.describe(builder, builder.stream(INPUT).peek(see))
        return builder.build()


def _forward(builder: hr.StreamsBuilder, orders: Orders) -> None:
    orders.filter(lambda key, value: len(value) > 10).map_values(lambda value: value + "!", value=str).to(
        OUTPUT
    )


def _json(builder: hr.StreamsBuilder, orders: Orders) -> None:
    parse: Callable[[str], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
    write = msgspec.json.Encoder().encode

    def with_total(parsed: dict[str, Any]) -> str:
        parsed["total"] = parsed["amount"] * 1.2
        return write(parsed).decode()

    orders.map_values(parse).filter(lambda key, parsed: parsed["amount"] > 10).map_values(
        with_total, value=str
    ).to(OUTPUT)


def _count(builder: hr.StreamsBuilder, orders: Orders) -> None:
    orders.group_by_key().count(store="counts").to_stream().to(NUMBERS)


def _count_uncached(builder: hr.StreamsBuilder, orders: Orders) -> None:
    counts = stores.key_value("counts", key=str, value=int, caching=False)
    orders.group_by_key().count(store=counts).to_stream().to(NUMBERS)


def _window(builder: hr.StreamsBuilder, orders: Orders) -> None:
    windows = hr.TimeWindows("5m", grace="1m")
    counts = orders.group_by_key().windowed_by(windows).count(store="counts")
    counts.to_stream(lambda window, count: window.key, key=str).to(NUMBERS)


def _repartition(builder: hr.StreamsBuilder, orders: Orders) -> None:
    orders.group_by(lambda key, value: value[-12:], key=str).count(store="counts").to_stream().to(NUMBERS)


def _wordcount(builder: hr.StreamsBuilder, orders: Orders) -> None:
    split = re.compile(r"\W+", re.ASCII).split

    def words(value: str) -> list[str]:
        found = split(value.lower())
        return (
            found if found[-1] else found[:-1]
        )  # as Java splits: an empty first word stays, an empty last goes

    spoken = orders.flat_map_values(words, value=str)
    spoken.group_by(lambda key, word: word, key=str).count(store="counts").to_stream().to(NUMBERS)


def _enrich(builder: hr.StreamsBuilder, orders: Orders) -> None:
    orders.join(builder.table(USERS), lambda order, user: order + user, value=str).to(OUTPUT)


def _restore(builder: hr.StreamsBuilder, orders: Orders) -> None:
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
    "repartition": Workload(_repartition),
    "wordcount": Workload(_wordcount),
    "enrich": Workload(_enrich, users=True),
    "restore": Workload(_restore, is_restore=True),
}


def orders(count: int) -> Iterator[tuple[str, str]]:
    """Yield the input's keys and values."""
    return map(order, range(count))
