"""Each line with a number must be an error, and no other."""

import headrace as hr
from headrace import agg
from tests.typing.shop import COUNTS, EVENTS, ORDERS, PROCESSED, SEEN, WITHIN, Order, b, orders, per_user, stock

orders.map_values(lambda o: o.amout)  # 1 misspelt field
orders.left_join(stock, lambda o, s: s.quantity)  # 2 None forgotten
orders.to(PROCESSED)  # 3 wrong type for the topic
orders.to(EVENTS)  # 4 a value that is no member of the topic's union
orders.to_table(store=COUNTS)  # 5 a table kept in a store of other values
orders.join(b.stream(EVENTS), lambda o, e: o)  # 6 a stream joined as if it were a table
orders.filter(lambda o: o.amount > 3)  # 7 arity
per_user.aggregate(int, lambda k, o, n: n + o.amount)  # 8 float into int
per_user.aggregate(lambda: 0.0, lambda k, o, n: n + o.amount)  # 9 the type is invisible: value= needed
orders.group_by(lambda k, o: o.sku).count(store=COUNTS)  # 10 store with another key type
hr.TimeWindows("5m")  # 11 grace= forgotten
hr.TimeWindows(300_000, grace=0)  # 12 bare numbers
hr.SlidingWindows("5m")  # 34 grace= forgotten
per_user.windowed_by("5m")  # 35 a duration for windows
per_user.windowed_by(hr.SlidingWindows("5m", grace="1m"), emit="closed")  # 36 a word that is none of the two
hr.Streams(b.build(), aplication_id="x")  # 13 misspelt config
orders.join(b.table("t", key=int, value=Order), lambda o, t: o)  # 14 keys of different types
orders.map_values(lambda o: o.amount, value=str)  # 15 serde of another type (mypy alone)
b.stream(ORDERS).group_by_key().reduce(lambda x, y: x.amount)  # 16 a reducer that changes the type

orders.outer_join(stock, lambda o, s: o, within=WITHIN)  # 18 a table where a stream is wanted
stock.left_join(b.table("t", value=int), lambda s, n: s.quantity - n)  # 21 None forgotten on the other side
stock.outer_join(b.table("t", value=Order), lambda s, o: s.quantity)  # 22 None forgotten on this side
stock.join(b.table("t", key=int, value=Order), lambda s, o: o)  # 23 tables with keys of different types
stock.join(orders, lambda s, o: o)  # 24 a stream joined as if it were a table
stock.join(b.table("t", key=int, value=Order), lambda s, o: o, on=lambda s: str(s.quantity))  # 29 no key of the other
stock.left_join(b.table("t", value=int), lambda s, n: s.quantity - n, on=lambda s: "k")  # 30 None forgotten
orders.outer_join(b.stream(ORDERS), lambda o, p: o.amount, within=WITHIN)  # 31 None forgotten on this side
orders.join(b.stream(ORDERS), lambda o, p: o, within=hr.TimeWindows("5m", grace="1m"))  # 32 windows of another kind
orders.join(stock, lambda o, s: o, within=WITHIN)  # 33 windows for a table
hr.Materialized  # 19 a name that is not there
hr.stores.persistent("s")  # 20 a store that is not there
per_user.windowed_by(hr.SessionWindows("1m", grace="0s")).aggregate(int, lambda k, o, n: n)  # 25 no merge
prices = b.global_table("prices", key=int, value=float)
orders.join(prices, lambda o, p: o)  # 26 the key selector is missing
orders.join(prices, lambda o, p: o, on=lambda k, o: o.id)  # 27 a selector of another key
orders.left_join(prices, lambda o, p: o.amount * p, on=lambda k, o: o.sku)  # 28 None forgotten

per_user.windowed_by(hr.TimeWindows("5m", grace="1m"), late_to=PROCESSED)  # 37 late records of another type
orders.join(b.stream(ORDERS), lambda o, p: o, within=WITHIN, late_to=EVENTS)  # 38 the same of a join

hr.stores.key_value("s", ttl=3600)  # 39 a bare number

per_user.windowed_by(hr.SessionWindows("5m", grace="1m"), idle=30)  # 40 a bare number

orders.map_values({1: hr.col("id")})  # 47 a name that is no text
orders.filter(hr.col("id").is_in(3))  # 48 no collection
orders.select_key(hr.col("id").length(), key=str)  # 49 serde of another type (mypy alone)
if hr.col("id") & 3:  # 50 bits
    pass

orders.resequence(lambda o: o.id, within="1m")  # 41 numbers that are none
orders.resequence("timestamps", within="1m")  # 42 a word that is not the one

per_user.aggregate(agg.mean(lambda o: o.id))  # 43 a mean of texts
per_user.aggregate(agg.count(), lambda k, o, n: n)  # 44 a function beside a ready-made aggregation
per_user.aggregate(agg.collect(lambda o: o.id))  # 45 no limit
per_user.aggregate(agg.sum(lambda o: o.amnt))  # 46 a field that is not there


@hr.processor(SEEN)  # 17 store of another type
def p(record: hr.Record[str, Order], seen: hr.stores.KeyValueStore[str, str]) -> list[hr.Record[str, Order]]:
    return []


LAST = hr.stores.key_value("last", key=str, value=Order, headers=True)
orders.to_table(store=LAST)  # 37 a store of processors


@hr.processor(LAST)  # 38 the value comes with time and headers
def q(record: hr.Record[str, Order], last: hr.stores.KeyValueStore[str, Order]) -> list[hr.Record[str, Order]]:
    return []


hr.stores.custom("own", dict)  # 39 no store
