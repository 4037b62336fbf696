"""Processors, queries, a test with the driver, the life cycle."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import assert_type

import headrace as hr
from headrace import KStream, Record, Windowed, stores, testing
from headrace.stores import KeyValueStore, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore
from tests.typing.shop import COUNTS, ORDERS, PER_MIN, PROCESSED, SEEN, VISITS, Order, orders


class Dedupe(hr.Processor[str, Order, str, Order]):
    stores = (SEEN,)

    def init(self) -> None:
        self.seen = self.context.store(SEEN)
        self.context.schedule("1m", self.sweep, on="stream")

    def process(self, record: Record[str, Order]) -> None:
        assert_type(self.seen, KeyValueStore[str, int])
        if self.seen.put_if_absent(record.value.id, record.timestamp) is None:
            self.context.forward(record)

    def sweep(self, now: int) -> None:
        for key, seen_at in self.seen.all():
            if seen_at < now - 86_400_000:
                self.seen.delete(key)


class Threshold(hr.Processor[str, Order, int, float]):
    def __init__(self, limit: float) -> None:
        self.limit = limit

    def process(self, record: Record[str, Order]) -> Iterator[Record[int, float]]:
        if record.value.amount > self.limit:
            yield record.with_key(record.value.sku).with_value(record.value.amount)


assert_type(orders.process(Dedupe), KStream[str, Order])
assert_type(orders.process(lambda: Threshold(5), key=int, value=float), KStream[int, float])


@hr.processor(SEEN)
def dedupe(record: Record[str, Order], seen: KeyValueStore[str, int]) -> Iterator[Record[str, Order]]:
    if seen.put_if_absent(record.value.id, record.timestamp) is None:
        yield record


@hr.processor()
def explode(record: Record[str, Order]) -> list[Record[int, float]]:
    return [record.with_key(i).with_value(record.value.amount) for i in range(2)]


class Previous(hr.FixedKeyProcessor[str, Order, str]):
    def process(self, record: Record[str, Order]) -> Iterator[str]:
        yield record.value.id


assert_type(orders.process(dedupe), KStream[str, Order])
assert_type(orders.process(explode), KStream[int, float])
assert_type(orders.process_values(Previous), KStream[str, str])

topology = hr.StreamsBuilder().build()


def minutes_of(per_minute: ReadOnlyWindowStore[str, int]) -> int:
    return len(list(per_minute.range("u")))


def try_the_shop() -> None:
    with testing.TopologyTestDriver(topology, processing_guarantee="exactly_once_v2") as driver:
        driver.input(ORDERS).pipe("a", Order("1", "u", 1, 5.0), timestamp=0)
        driver.input(ORDERS, start=0, advance="1s").pipe_values([Order("2", "u", 1, 5.0)])
        assert_type(driver.output(ORDERS).read_pair(), tuple[str, Order])
        assert_type(driver.output(ORDERS).read_values(), list[Order])
        out = driver.output(PROCESSED)
        assert out.read().value.status == "ok"
        assert driver.store(COUNTS).get("u") == 1
        assert minutes_of(driver.store(PER_MIN)) == 0
        driver.advance("1m")


LAST = stores.key_value("last", key=str, value=Order, headers=True)
BY_HOUR = stores.window("by-hour", key=str, value=Order, size="1h", retention="1d", headers=True)


@hr.processor(LAST)
def keep_last(
    record: hr.Record[str, Order], last: stores.KeyValueStore[str, stores.Stamped[Order]]
) -> Iterator[hr.Record[str, Order]]:
    before = last.get(record.key)
    if before is not None:
        assert_type(before.value, Order)
        assert_type(before.headers, hr.Headers)
    last.put(record.key, stores.Stamped.of(record))
    yield record


class Shelf:
    def init(self, context: stores.StoreContext) -> None:
        self.rows = dict[bytes, bytes | None]()
        self.log = context.log

    def restore(self, records: Sequence[Record[bytes, bytes | None]]) -> None:
        self.rows |= {record.key: record.value for record in records}

    def flush(self) -> None: ...

    def close(self) -> None: ...


SHELF = stores.custom("shelf", Shelf)
LATEST = stores.lru("latest", max_rows=100, key=str, value=Order)
assert_type(SHELF, stores.Store[Shelf])
assert_type(LATEST, stores.Store[KeyValueStore[str, Order]])


@hr.processor(SHELF)
def keep(record: hr.Record[str, Order], shelf: Shelf) -> Iterator[hr.Record[str, Order]]:
    shelf.log(b"k", b"v", headers=record.headers)
    yield record


streams = hr.Streams(topology, application_id="shop", bootstrap_servers="localhost:9092")
assert_type(streams.query(COUNTS), ReadOnlyKeyValueStore[str, int])
assert_type(streams.query(COUNTS).get("u"), int | None)
assert_type(streams.query(PER_MIN), ReadOnlyWindowStore[str, int])
assert_type(streams.query(VISITS), ReadOnlySessionStore[str, int])
assert_type(streams.query(LAST).get("u"), stores.Stamped[Order] | None)
assert_type(streams.query(BY_HOUR), ReadOnlyWindowStore[str, stores.Stamped[Order]])
assert_type(list(streams.query(PER_MIN).range("u", start=0)), list[tuple[Windowed[str], int]])


@asynccontextmanager
async def lifespan(app: object) -> AsyncGenerator[None]:
    async with streams:
        yield


def main() -> None:
    streams.run()


def on_error(failure: hr.Failure) -> hr.Reaction:
    return hr.Reaction.dead_letter() if failure.stage == "deserialize" else hr.Reaction.fail


hr.Config.load("shop.toml", processing_exception_handler=on_error, properties={"producer.linger.ms": 5})
