"""Expressions stand where functions do: the same names, serdes, results and failures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

import headrace as hr
from headrace import agg, testing
from headrace.testing import TopologyTestDriver


@dataclass(frozen=True)
class Order:
    id: str
    user: str
    amount: float
    count: int = 1

    @property
    def total(self) -> float:
        return self.amount * self.count


class Struct(msgspec.Struct):
    user: str
    amount: float


class Model(pydantic.BaseModel):
    user: str
    amount: float


class Pair(NamedTuple):
    user: str
    amount: float


class Row(TypedDict):
    user: str
    amount: float


ORDERS = hr.Topic("orders", value=Order)
OBJECTS = hr.Topic("objects", value=hr.json(dict[str, Any]))
BOUGHT = [("k1", Order("1", "ann", 5.0)), ("k2", Order("2", "bob", 50.0, 2)), ("k3", Order("3", "ann", 20.0))]


def streamed(use: Callable[[Any], Any], out: hr.Topic[Any, Any]) -> list[tuple[Any, Any]]:
    builder = hr.StreamsBuilder()
    use(builder.stream(ORDERS)).to(out)
    with TopologyTestDriver(builder.build()) as driver:
        for key, order in BOUGHT:
            driver.input(ORDERS).pipe(key, order)
        return driver.output(out).read_pairs()


ids = hr.Topic("out", value=Order)


def test_records_are_filtered() -> None:
    dear = streamed(lambda stream: stream.filter(hr.col("amount") > 10), ids)
    assert [order.id for _, order in dear] == ["2", "3"]
    cheap = streamed(lambda stream: stream.filter_not(hr.col("total") > 20), ids)
    assert [order.id for _, order in cheap] == ["1", "3"]
    assert streamed(lambda stream: stream.split_by(hr.key() == "k1")[1], ids) == BOUGHT[1:]


def test_values_and_keys_are_replaced() -> None:
    assert streamed(
        lambda stream: stream.map_values(
            {"id": hr.col("id"), "sum": hr.col("amount") * hr.col("count"), "v": 1}
        ),
        hr.Topic("out", value=hr.json(dict[str, Any])),
    ) == [
        ("k1", {"id": "1", "sum": 5.0, "v": 1}),
        ("k2", {"id": "2", "sum": 100.0, "v": 1}),
        ("k3", {"id": "3", "sum": 20.0, "v": 1}),
    ]
    assert streamed(
        lambda stream: stream.select_key(hr.col("user")).map_values(hr.key() + hr.col("id")),
        hr.Topic("out", value=str),
    ) == [("ann", "ann1"), ("bob", "bob2"), ("ann", "ann3")]


def test_aggregations_take_them() -> None:
    out = hr.Topic("out", value=float)
    totals = streamed(
        lambda stream: stream.group_by(hr.col("user")).aggregate(agg.sum(hr.col("amount"))).to_stream(), out
    )
    assert totals == [("ann", 5.0), ("bob", 50.0), ("ann", 25.0)]


@pytest.mark.parametrize(
    ("aggregation", "last"),
    [
        (agg.sum(hr.col("amount")), 25.0),
        (agg.mean(hr.col("amount")), 12.5),
        (agg.min(hr.col("amount")), 5.0),
        (agg.max(hr.col("id")), "3"),
        (agg.first(hr.col("id")), "1"),
        (agg.last(hr.col("amount") * 2), 40.0),
        (agg.collect(hr.col("id"), limit=3), ["1", "3"]),
        (agg.distinct(hr.col("user"), limit=3), 1),
        (agg.top(1, by=hr.col("amount")), [BOUGHT[2][1]]),
        (agg.into(dict, n=agg.count(), most=agg.max(hr.col("amount"))), {"n": 2, "most": 20.0}),
    ],
    ids=repr,
)
def test_their_results_have_the_types_of_the_fields(aggregation: Any, last: object) -> None:
    builder = hr.StreamsBuilder()
    more = {"value": hr.json(dict[str, Any])} if aggregation.name == "into" else {}
    grouped: Any = builder.stream(ORDERS).group_by(hr.col("user"))
    grouped.aggregate(aggregation, store="results", **more)
    with TopologyTestDriver(builder.build()) as driver:
        for key, order in BOUGHT:
            driver.input(ORDERS).pipe(key, order)
        assert driver.store("results").get("ann") == last


def test_tables_take_them() -> None:
    builder = hr.StreamsBuilder()
    dear = builder.table(ORDERS).filter(hr.col("amount") > 10, store="dear")
    dear.map_values({"by": hr.col("user")}, store="users")
    with TopologyTestDriver(builder.build()) as driver:
        for key, order in BOUGHT:
            driver.input(ORDERS).pipe(key, order)
        assert driver.store("dear").get("k1") is None
        assert driver.store("users").get("k2") == {"by": "bob"}


def test_joins_select_keys_by_them() -> None:
    builder = hr.StreamsBuilder()
    users = hr.Topic("users", value=str)
    out = hr.Topic("out", value=str)
    names = builder.global_table(users)
    builder.stream(ORDERS).join(names, lambda order, name: name, on=hr.col("user"), value=str).to(out)
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(users).pipe("ann", "Ann")
        driver.input(ORDERS).pipe("k", BOUGHT[0][1])
        assert driver.output(out).read_values() == ["Ann"]
    builder = hr.StreamsBuilder()
    joined = builder.table(ORDERS).join(
        builder.table(users), lambda order, name: name, on=hr.col("user"), value=str
    )
    joined.to_stream().to(out)
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(users).pipe("ann", "Ann")
        driver.input(ORDERS).pipe("k", BOUGHT[0][1])
        assert driver.output(out).read_values() == ["Ann"]


@pytest.mark.parametrize("kind", [Struct, Model, Pair, Row, dict[str, Any], Any])
def test_fields_are_found_in_values_of_every_kind(kind: Any) -> None:
    source = hr.Topic("in", value=hr.json(kind))
    out = hr.Topic("out", value=hr.json(Any))
    builder = hr.StreamsBuilder()
    kept = builder.stream(source).filter(hr.col("amount") > 1)
    kept.map_values({"user": hr.col("user").upper()}).to(out)
    with TopologyTestDriver(builder.build()) as driver:
        make: Any = kind if kind in (Struct, Model, Pair) else dict
        driver.input(source).pipe("k", make(user="ann", amount=2.0))
        driver.input(source).pipe("k", make(user="bob", amount=1.0))
        assert driver.output(out).read_values() == [{"user": "ANN"}]


def test_nodes_topics_and_stores_have_the_names_that_lambdas_give() -> None:
    def described(dear: Any, user: Any, amount: Any) -> str:
        builder = hr.StreamsBuilder()
        orders = builder.stream(ORDERS)
        orders.filter(dear).select_key(user, key=str).to("out")
        orders.group_by(user, key=str).aggregate(agg.sum(amount), value=float).to_stream().to("sums")
        return str(builder.build().describe())

    by_lambdas = described(lambda k, v: v.amount > 1, lambda k, v: v.user, lambda v: v.amount)
    assert described(hr.col("amount") > 1, hr.col("user"), hr.col("amount")) == by_lambdas


def test_what_a_record_lacks_goes_to_the_processing_handler() -> None:
    failures: list[hr.Failure] = []

    def handler(failure: hr.Failure) -> hr.Reaction:
        failures.append(failure)
        return hr.Reaction.resume

    builder = hr.StreamsBuilder()
    ratio = builder.stream(OBJECTS).map_values(hr.col("a") / hr.col("b"), value=float)
    ratio.to(hr.Topic("out", value=float))
    with TopologyTestDriver(builder.build(), processing_exception_handler=handler) as driver:
        documents: list[dict[str, Any]] = [{"a": 1}, {"a": 1, "b": 0}, {"a": None, "b": 1}, {"a": 1, "b": 2}]
        for each in documents:
            driver.input(OBJECTS).pipe("k", each)
        assert driver.output(hr.Topic("out", value=float)).read_values() == [0.5]
    assert [type(failure.error) for failure in failures] == [KeyError, ZeroDivisionError, TypeError]
    assert {failure.node.partition(" ")[0] for failure in failures} == {"KSTREAM-MAPVALUES-0000000001"}


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (
            lambda orders: orders.filter(hr.col("amuont") > 1),
            r"the predicate, col\('amuont'\) > 1: Order has no field",
        ),
        (lambda orders: orders.group_by(hr.col("usr")), "the selector, .* did you mean 'user'"),
        (
            lambda orders: orders.group_by_key().aggregate(agg.sum(hr.col("sum"))),
            r"function of agg.sum\(\), .*'sum'",
        ),
        (lambda orders: orders.map_values({"a": hr.col("b")}), "Order has no field 'b'"),
        (lambda orders: orders.map_values({1: hr.col("b")}), "the mapper makes no document: the names"),
        (
            lambda orders: orders.map_values({"a": hr.col("id")}, value=Order),
            "makes dictionaries, and value= is of",
        ),
        (lambda orders: orders.group_by_key().aggregate(agg.sum(hr.key())), "is not given the record's key"),
        (lambda orders: orders.peek(hr.col("id")), r"the action must be a function, found col\('id'\)"),
        (lambda orders: orders.group_by_key().reduce(hr.col("id")), "the reducer must be a function"),
    ],
)
def test_mistakes_are_told_where_they_are_made(use: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(hr.TopologyError, match=rf"^test_expressions\.py:\d+: .*{told}"):
        use(hr.StreamsBuilder().stream(ORDERS))


def test_a_type_that_is_not_known_is_asked_for_where_bytes_are_needed() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(OBJECTS).map_values(hr.col("a")).to("out")
    with pytest.raises(
        hr.TopologyError, match=r"comes from col\('a'\) at test_expressions.py:\d+.*write `value=`"
    ):
        builder.build()


def test_a_whole_test_of_a_topology() -> None:
    rows = hr.Topic("rows", value=int)
    builder = hr.StreamsBuilder()
    builder.stream(rows).filter((hr.value() > 1) & (hr.value() < 5)).map_values(hr.value() * 10).to(
        hr.Topic("out", value=int)
    )
    found = testing.run(builder.build(), {rows: [("k", number) for number in range(7)]})
    assert [record.value for record in found["out"]] == [20, 30, 40]
