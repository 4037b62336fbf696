"""Realistic chains: every type must be inferred exactly, and nothing may be Any."""

from dataclasses import dataclass
from typing import Any, assert_type

import headrace as hr
from headrace import KStream, KTable, TimeWindowedKStream, Windowed, agg, stores


@dataclass(frozen=True)
class Order:
    id: str
    user: str
    sku: int
    amount: float
    ok: bool = True


@dataclass(frozen=True)
class Stock:
    quantity: int


@dataclass(frozen=True)
class Processed:
    order: Order
    status: str


@dataclass(frozen=True)
class Paid:
    amount: float


@dataclass(frozen=True)
class Refunded:
    amount: float
    reason: str


@dataclass
class Stats:
    n: int = 0
    total: float = 0.0

    def add(self, order: Order) -> "Stats":
        return Stats(self.n + 1, self.total + order.amount)


ORDERS = hr.Topic("orders", value=Order)
EVENTS = hr.Topic("events", value=hr.json(Paid | Refunded))
PROCESSED = hr.Topic("processed-orders", value=Processed)
COUNTS = stores.key_value("counts", key=str, value=int)
SEEN = stores.key_value("seen", key=str, value=int)
EXPIRING = stores.key_value("expiring", key=str, value=int, ttl="1d")
PER_MIN = stores.window("per-min", key=str, value=int)


def check(order: Order, stock: Stock) -> Processed:
    return Processed(order, "ok" if stock.quantity > 0 else "rejected")


b = hr.StreamsBuilder()

# Sources.
assert_type(b.stream("clicks"), KStream[str, bytes])
assert_type(b.stream("orders", value=hr.json(Order)), KStream[str, Order])
assert_type(b.stream("orders", key=int, value=Order), KStream[int, Order])
assert_type(b.stream(["a", "b"], value=Order), KStream[str, Order])
orders = b.stream(ORDERS)
assert_type(orders, KStream[str, Order])
stock = b.table("inventory", value=Stock)
assert_type(stock, KTable[str, Stock])

# A filter, a join and a sink.
orders.filter(lambda key, order: order.amount > 0).join(stock, check).to(PROCESSED)
assert_type(orders.join(stock, check), KStream[str, Processed])

# Without state.
assert_type(orders.map(lambda k, o: (o.sku, o.amount)), KStream[int, float])
assert_type(orders.map_values(lambda o: o.amount), KStream[str, float])
assert_type(orders.map_values(hr.with_key(lambda k, o: (k, o.amount))), KStream[str, tuple[str, float]])
assert_type(orders.flat_map_values(lambda o: o.id.split("-")), KStream[str, str])
assert_type(orders.flat_map_values(hr.with_key(lambda k, o: [k, o.id])), KStream[str, str])
assert_type(orders.flat_map(lambda k, o: [(o.sku, o.amount), (o.sku + 1, 0.0)]), KStream[int, float])
assert_type(orders.select_key(lambda k, o: o.sku), KStream[int, Order])
assert_type(orders.map_values(str), KStream[str, str])


async def fetched(order: Order) -> Stock:
    return Stock(order.sku)


assert_type(orders.map_values_async(fetched, timeout="2s"), KStream[str, Stock])
assert_type(orders.map_values_async(hr.with_key(lambda k, o: fetched(o))), KStream[str, Stock])
assert_type(orders.map_values_batch(lambda values: [o.amount for o in values]), KStream[str, float])
assert_type(b.stream(EVENTS).only(Paid), KStream[str, Paid])
assert_type(b.stream(EVENTS).merge(orders), KStream[str, Paid | Refunded | Order])
b.stream(EVENTS).only(Paid).to(EVENTS)
big, small = orders.split_by(lambda k, o: o.amount > 100)
assert_type(big, KStream[str, Order])
assert_type(small, KStream[str, Order])
branches = (
    orders.split(name="by-size").branch(lambda k, o: o.amount > 100, name="big").default_branch(name="rest")
)
assert_type(branches["by-size-big"], KStream[str, Order])

# Word count, three ways.
lines = b.stream("lines", value=str)
words = lines.flat_map_values(lambda s: s.split())
assert_type(words.group_by(lambda k, w: w).count(store=COUNTS), KTable[str, int])
ones = lines.flat_map(lambda k, s: [(w, 1) for w in s.split()])
assert_type(ones.group_by_key(value=int).reduce(lambda x, y: x + y), KTable[str, int])
split = lines.flat_map_values(str.split)
assert_type(split.group_by(lambda k, w: w).count().to_stream(), KStream[str, int])

# Tables grouped anew.
assert_type(stock.group_by(lambda k, s: (s.quantity, k)).count(), KTable[int, int])
by_quantity = stock.group_by(lambda k, s: (s.quantity, s))
assert_type(
    by_quantity.aggregate(int, lambda k, s, n: n + s.quantity, lambda k, s, n: n - s.quantity),
    KTable[int, int],
)
per_word = words.group_by(lambda k, w: w).count().group_by(lambda w, n: (w[:1], n))
assert_type(per_word.reduce(lambda x, y: x + y, lambda x, y: x - y, store=COUNTS), KTable[str, int])

# Aggregates.
per_user = orders.group_by(lambda k, o: o.user)
assert_type(per_user.aggregate(Stats, lambda k, o, s: s.add(o), store="stats"), KTable[str, Stats])
assert_type(per_user.aggregate(float, lambda k, o, s: s + o.amount), KTable[str, float])
assert_type(per_user.aggregate(list[str], lambda k, o, s: [*s, o.id]), KTable[str, list[str]])
assert_type(per_user.aggregate(agg.count()), KTable[str, int])
assert_type(per_user.aggregate(agg.sum(lambda o: o.amount)), KTable[str, float])
assert_type(per_user.aggregate(agg.sum(lambda o: o.sku)), KTable[str, int])
assert_type(per_user.aggregate(agg.mean(lambda o: o.amount)), KTable[str, float])
assert_type(per_user.aggregate(agg.mean(lambda o: o.sku), store="means"), KTable[str, float])
assert_type(per_user.aggregate(agg.max(lambda o: o.id), value=str), KTable[str, str])
assert_type(per_user.aggregate(agg.first(lambda o: o.id)), KTable[str, str])
assert_type(per_user.aggregate(agg.distinct(lambda o: o.sku, limit=100)), KTable[str, int])
assert_type(per_user.aggregate(agg.top(3, by=lambda o: o.amount)), KTable[str, list[Order]])
assert_type(
    per_user.aggregate(agg.into(Stats, n=agg.count(), total=agg.sum(lambda o: o.amount))), KTable[str, Stats]
)
assert_type(per_user.aggregate(agg.collect(lambda o: o.id, limit=10)), KTable[str, list[str]])
assert_type(
    per_user.aggregate(dict[str, float], lambda k, o, s: {**s, o.id: o.amount}), KTable[str, dict[str, float]]
)
assert_type(
    per_user.aggregate(lambda: Stats(1), lambda k, o, s: s.add(o), value=hr.json(Stats)), KTable[str, Stats]
)

# The same by expressions.
assert_type(orders.filter(hr.col("amount") > 0), KStream[str, Order])
assert_type(orders.filter_not((hr.col("amount") > 0) & ~hr.key().is_null()), KStream[str, Order])
assert_type(orders.select_key(hr.col("id").lower()), KStream[str, Order])
orders.select_key(hr.col("sku"), key=int).to(hr.Topic("by-sku", key=int, value=Order))
assert_type(orders.map_values(hr.col("amount") > 0), KStream[str, bool])
assert_type(orders.map_values(hr.col("amount") * 2, value=float), KStream[str, float])
assert_type(orders.map_values({"id": hr.col("id"), "eu": True}), KStream[str, dict[str, Any]])
assert_type(stock.filter(hr.col("quantity") > 0), KTable[str, Stock])
assert_type(stock.map_values({"left": hr.col("quantity")}), KTable[str, dict[str, Any]])
assert_type(orders.group_by(hr.col("id").length()).count(), KTable[int, int])
assert_type(per_user.aggregate(agg.count()), KTable[str, int])
assert_type(per_user.aggregate(agg.max(hr.col("id").length())), KTable[str, int])
assert_type(hr.col("a")["b"] == 1, hr.Expression[bool])
assert_type(hr.col("a").length(), hr.Expression[int])
assert_type(hr.col("a") + 1, hr.Expression[Any])

assert_type(per_user.count(store=EXPIRING), KTable[str, int])

# Windows.
win = per_user.windowed_by(hr.TimeWindows("5m", grace="1m"))
assert_type(win.count(store=PER_MIN), KTable[Windowed[str], int])
assert_type(win.count().to_stream(lambda w, n: w.key), KStream[str, int])
assert_type(win.count().to_stream().map(lambda w, n: (w.key, n)), KStream[str, int])
final = win.count().suppress(hr.until_window_closes(max_records=1000))
assert_type(final, KTable[Windowed[str], int])
assert_type(final.to_stream(lambda w, n: w.key), KStream[str, int])
STOCKS = stores.versioned("stocks", history="1h", key=str, value=Stock)
past = b.table("past-stock", value=Stock, store=STOCKS)
assert_type(past, KTable[str, Stock])
assert_type(orders.join(past, check, grace="5m"), KStream[str, Processed])
assert_type(stock.suppress(hr.until_time_limit("5m", max_bytes=1 << 20)), KTable[str, Stock])
assert_type(
    win.aggregate(Stats, lambda k, o, s: s.add(o)).to_stream().filter(lambda w, s: w.window.start > s.n),
    KStream[Windowed[str], Stats],
)

# Sessions.
visit = per_user.windowed_by(hr.SessionWindows("30m", grace="5m"))
VISITS = stores.session("visits", key=str, value=int)
assert_type(visit, hr.SessionWindowedKStream[str, Order])
assert_type(visit.count(store=VISITS), KTable[Windowed[str], int])
assert_type(visit.reduce(lambda x, y: y), KTable[Windowed[str], Order])
assert_type(
    visit.aggregate(Stats, lambda k, o, s: s.add(o), lambda k, x, y: Stats(x.n + y.n, x.total + y.total)),
    KTable[Windowed[str], Stats],
)
assert_type(visit.aggregate(agg.mean(lambda o: o.amount)), KTable[Windowed[str], float])
assert_type(win.aggregate(agg.last(lambda o: o.id)), KTable[Windowed[str], str])
assert_type(by_quantity.aggregate(agg.mean(lambda s: s.quantity)), KTable[int, float])
assert_type(by_quantity.aggregate(agg.min(lambda s: s.quantity, limit=100)), KTable[int, int])
assert_type(by_quantity.aggregate(agg.top(3, by=lambda s: s.quantity)), KTable[int, list[Stock]])
assert_type(
    visit.aggregate(lambda: 0, lambda k, o, n: n + 1, lambda k, x, y: x + y, value=hr.int64),
    KTable[Windowed[str], int],
)

# Streams cogrouped.
visits = b.stream("visits", value=int).group_by_key()
co = per_user.cogroup(lambda k, o, s: s.add(o), value=Stats).cogroup(
    visits, lambda k, n, s: Stats(s.n + n, s.total)
)
assert_type(co.aggregate(Stats), KTable[str, Stats])
sliding = per_user.windowed_by(hr.SlidingWindows("5m", grace="1m"), emit="close")
assert_type(sliding, TimeWindowedKStream[str, Order])
assert_type(sliding.reduce(lambda one, two: two), KTable[Windowed[str], Order])
assert_type(per_user.windowed_by(hr.UnlimitedWindows()).count(), KTable[Windowed[str], int])
in_windows = co.windowed_by(hr.TimeWindows("5m", grace="1m"))
assert_type(in_windows.aggregate(Stats), KTable[Windowed[str], Stats])
in_sessions = co.windowed_by(hr.SessionWindows("30m", grace="5m"))
assert_type(in_sessions.aggregate(Stats, lambda k, x, y: x), KTable[Windowed[str], Stats])

assert_type(
    per_user.windowed_by(hr.SlidingWindows("5m", grace="1m"), emit="close", idle="30s"),
    TimeWindowedKStream[str, Order],
)
assert_type(
    co.windowed_by(hr.SessionWindows("5m", grace="1m"), idle="30s"),
    hr.SessionWindowedCogroupedKStream[str, Stats],
)
LATE = hr.Topic("late", value=Order)
assert_type(
    per_user.windowed_by(hr.TimeWindows("5m", grace="1m"), late_to=LATE), TimeWindowedKStream[str, Order]
)
assert_type(
    per_user.windowed_by(hr.SessionWindows("30m", grace="5m"), emit="close", late_to="late"),
    hr.SessionWindowedKStream[str, Order],
)
assert_type(
    co.windowed_by(hr.TimeWindows("5m", grace="1m"), late_to="late"),
    hr.TimeWindowedCogroupedKStream[str, Stats],
)


def add_order(key: str, order: Order, stats: Stats) -> Stats:
    return stats.add(order)


assert_type(per_user.cogroup(add_order).aggregate(Stats), KTable[str, Stats])

# In order.
assert_type(orders.resequence(lambda o: o.sku, within="1m", first=1, late_to=LATE), KStream[str, Order])
assert_type(
    orders.resequence(
        hr.with_key(lambda k, o: o.sku),
        within="1m",
        on_gap=lambda key, first, last: print(key.upper(), last - first),
    ),
    KStream[str, Order],
)
assert_type(orders.resequence("timestamp", within="5s", max_bytes=1 << 20, idle="30s"), KStream[str, Order])

# Joins with tables, and what is made of tables.
assert_type(
    orders.left_join(stock, lambda o, s: (o.id, s.quantity if s else 0)), KStream[str, tuple[str, int]]
)
assert_type(
    orders.join(stock, hr.with_key(lambda k, o, s: (k, o.id, s.quantity))), KStream[str, tuple[str, str, int]]
)

# Joins with global tables, by a key that each order selects.
prices = b.global_table("prices", key=int, value=float)
assert_type(prices, hr.GlobalKTable[int, float])
assert_type(prices.store_name, str)
assert_type(orders.join(prices, lambda o, p: o.amount * p, on=lambda k, o: o.sku), KStream[str, float])
assert_type(
    orders.left_join(prices, lambda o, p: (o.id, p or 0.0), on=lambda k, o: o.sku if o.ok else None),
    KStream[str, tuple[str, float]],
)
assert_type(
    orders.join(prices, hr.with_key(lambda k, o, p: (k, p)), on=lambda k, o: o.sku),
    KStream[str, tuple[str, float]],
)
assert_type(
    orders.join(prices, hr.with_keys(lambda k, sku, o, p: (k, sku, p)), on=lambda k, o: o.sku),
    KStream[str, tuple[str, int, float]],
)
assert_type(
    orders.left_join(prices, hr.with_keys(lambda k, sku, o, p: (sku, p)), on=lambda k, o: o.sku),
    KStream[str, tuple[int | None, float | None]],
)


@hr.processor(SEEN)
def seeing(record: hr.Record[str, int], seen: hr.stores.KeyValueStore[str, int]) -> list[hr.Record[str, int]]:
    seen.put(record.key, record.value)
    return []


assert_type(b.add_global_store(SEEN, hr.Topic("seen", value=int), seeing), hr.StreamsBuilder)


# A partitioner that looks at headers.
def by_tenant(topic: str, key: str, order: Order, headers: hr.Headers, count: int) -> int:
    return len(headers) % count


assert_type(hr.with_headers(by_tenant), hr.WithHeaders[str, Order])
assert_type(orders.repartition(partitioner=hr.with_headers(by_tenant)), KStream[str, Order])
orders.to(ORDERS, partitioner=hr.with_headers(lambda topic, key, order, headers, count: order.sku % count))

# Joins of tables.
per_id = orders.group_by_key().count()
WITHIN = hr.JoinWindows("5m", grace="1m")
paid = b.stream("paid", value=Paid)
assert_type(orders.join(paid, lambda o, p: (o.id, p.amount), within=WITHIN), KStream[str, tuple[str, float]])
assert_type(
    orders.left_join(paid, lambda o, p: p.amount if p else 0.0, within=WITHIN, store="paying", idle="30s"),
    KStream[str, float],
)
LATE_SIDES = hr.Topic("late-sides", value=hr.json(Order | Paid))
assert_type(
    orders.join(paid, lambda o, p: o.amount - p.amount, within=WITHIN, late_to=LATE_SIDES),
    KStream[str, float],
)
assert_type(
    orders.outer_join(
        paid,
        hr.with_key(lambda k, o, p: (k, o.id if o else None, p.amount if p else None)),
        within=hr.JoinWindows(before="5m", after="0s", grace="1m"),
        idle="30s",
        store=hr.JoinStores("paying", this=stores.window("bought", key=str, value=Order), logging=False),
    ),
    KStream[str, tuple[str, str | None, float | None]],
)
assert_type(stock.join(per_id, lambda s, n: s.quantity - n), KTable[str, int])
assert_type(
    stock.left_join(per_id, lambda s, n: (s, n or 0), store="left").to_stream(),
    KStream[str, tuple[Stock, int]],
)
assert_type(
    stock.outer_join(b.table("t", value=Order), lambda s, o: (s, o)),
    KTable[str, tuple[Stock | None, Order | None]],
)
assert_type(stock.join(per_id, lambda s, n: n).join(stock, lambda n, s: n, store=COUNTS), KTable[str, int])


class Spoken(hr.FixedKeyProcessor[str, Stock, str]):
    def process(self, record: hr.Record[str, Stock]) -> list[str]:
        return [str(record.value)]


assert_type(stock.transform_values(Spoken), KTable[str, str])
assert_type(stock.transform_values(Spoken, SEEN, value=str, store="spoken", name="speak"), KTable[str, str])

# Joins of tables by a foreign key.
bought = b.table("bought", key=int, value=Order)
assert_type(bought.join(stock, check, on=lambda o: o.id), KTable[int, Processed])
assert_type(
    bought.left_join(
        stock,
        lambda o, s: s.quantity if s else 0,
        on=hr.with_key(lambda k, o: f"{k}/{o.sku}" if o.amount else None),
        partitioner=lambda topic, key, value, count: key % count,
        other_partitioner=lambda topic, sku, value, count: len(sku) % count,
        value=int,
        name="prices",
    ),
    KTable[int, int],
)

assert_type(stock.filter(lambda k, s: s.quantity > 0).map_values(lambda s: s.quantity), KTable[str, int])
assert_type(orders.to_table(), KTable[str, Order])
assert_type(stock.to_stream(), KStream[str, Stock])
