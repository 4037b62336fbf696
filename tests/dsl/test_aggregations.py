"""Ready-made aggregations over streams, windows and tables: results to all who read, rows in the changelog."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import headrace as hr
from headrace import KGroupedStream, KTable, agg, stores
from headrace.base.errors import TopologyError
from headrace.query.formats import format_of
from headrace.stores import KeyValueStore
from headrace.testing import TopologyTestDriver

pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True)
class Order:
    id: str
    amount: float


@dataclass(frozen=True)
class Stats:
    n: int
    total: float
    mean: float | None


def amount(order: Order) -> float:
    return order.amount


ORDERS = hr.Topic("orders", value=Order)
OUT: Any = "out"
MEANS = stores.key_value("means", key=str, value=float)

Described = Callable[[KGroupedStream[str, Order]], KTable[Any, Any]]


def topology(describe: Described, value: Any) -> hr.Topology:
    builder = hr.StreamsBuilder()
    table = describe(builder.stream(ORDERS).group_by_key())
    # Windowed keys are shown by their starts.
    table.to_stream(lambda key, value: getattr(key, "key", key)).to(hr.Topic("out", value=value))
    return builder.build()


def results(describe: Described, value: Any, *orders: tuple[Order | None, int]) -> list[Any]:
    with TopologyTestDriver(topology(describe, value)) as driver:
        for order, time in orders:
            driver.input(ORDERS).pipe("ann", order, timestamp=time)
        return [value for _, value in driver.output(hr.Topic("out", value=value)).read_pairs()]


A, B, C = (Order("a", 4.0), 0), (Order("b", 1.5), 1_000), (Order("c", 9.0), 2_000)


@pytest.mark.parametrize(
    ("aggregation", "value", "expected"),
    [
        (agg.count(), int, [1, 2, 3]),
        (agg.sum(amount), float, [4.0, 5.5, 14.5]),
        (agg.sum(lambda order: len(order.id)), int, [1, 2, 3]),
        (agg.mean(amount), float, [4.0, 2.75, 14.5 / 3]),
        (agg.min(amount), float, [4.0, 1.5, 1.5]),
        (agg.max(lambda order: order.amount), float, [4.0, 4.0, 9.0]),
        (agg.first(lambda order: order.id), str, ["a", "a", "a"]),
        (agg.last(lambda order: order.id), str, ["a", "b", "c"]),
        (agg.collect(lambda order: order.id, limit=2), list[str], [["a"], ["a", "b"], ["b", "c"]]),
        (agg.distinct(lambda order: order.amount > 2, limit=5), int, [1, 2, 2]),
        (
            agg.top(2, by=amount),
            list[Order],
            [[A[0]], [A[0], B[0]], [C[0], A[0]]],
        ),
        (
            agg.into(Stats, n=agg.count(), total=agg.sum(amount), mean=agg.mean(amount)),
            Stats,
            [Stats(1, 4.0, 4.0), Stats(2, 5.5, 2.75), Stats(3, 14.5, 14.5 / 3)],
        ),
    ],
    ids=str,
)
def test_each_record_gives_the_result_so_far(aggregation: Any, value: Any, expected: list[Any]) -> None:
    assert results(lambda grouped: grouped.aggregate(aggregation), value, A, B, C) == expected


WINDOWINGS: dict[str, tuple[Any, list[Any]]] = {
    "tumbling": (hr.TimeWindows("2s", grace="1m"), [4.0, 2.75, 9.0]),
    "hopping": (hr.TimeWindows("2s", grace="1m", advance="1s"), [4.0, 2.75, 1.5, 5.25, 9.0]),
    "sliding": (hr.SlidingWindows("1s", grace="1m"), [4.0, 1.5, 2.75, 9.0, 5.25]),
    "without end": (hr.UnlimitedWindows(), [4.0, 2.75, 14.5 / 3]),
}


@pytest.mark.parametrize("name", WINDOWINGS)
def test_windows_have_results_of_their_own(name: str) -> None:
    windows, expected = WINDOWINGS[name]
    found = results(lambda grouped: grouped.windowed_by(windows).aggregate(agg.mean(amount)), float, A, B, C)
    assert sorted(found) == sorted(expected)


def test_sessions_that_meet_are_merged_without_a_function_for_it() -> None:
    windows = hr.SessionWindows("1s", grace="1m")
    found = results(
        lambda grouped: grouped.windowed_by(windows).aggregate(agg.mean(amount)),
        float,
        (A[0], 0),
        (C[0], 2_000),
        (B[0], 1_000),
    )
    assert found == [4.0, 9.0, None, None, 14.5 / 3]


@pytest.mark.parametrize("emit", ["update", "close"])
def test_final_results_are_results(emit: Any) -> None:
    def described(grouped: KGroupedStream[str, Order]) -> KTable[Any, Any]:
        windowed = grouped.windowed_by(hr.TimeWindows("2s", grace="0s"), emit=emit)
        table = windowed.aggregate(agg.mean(amount))
        return table if emit == "close" else table.suppress(hr.until_window_closes())

    assert results(described, float, A, B, (C[0], 9_000)) == [2.75]


def test_a_mean_of_nothing_is_no_row() -> None:
    none: Any = agg.mean(lambda order: None)
    assert results(lambda grouped: grouped.aggregate(none), float, A) == [None]
    with TopologyTestDriver(topology(lambda grouped: grouped.aggregate(none, store=MEANS), float)) as driver:
        driver.input(ORDERS).pipe("ann", A[0], timestamp=0)
        assert driver.store(MEANS).get("ann") is None
        assert list(driver.store(MEANS).all()) == []


def test_stores_show_results_before_and_after_a_restart_and_keep_rows_in_the_changelog() -> None:
    built = topology(lambda grouped: grouped.aggregate(agg.mean(amount), store=MEANS), float)
    with TopologyTestDriver(built) as driver:
        for order, time in (A, B):
            driver.input(ORDERS).pipe("ann", order, timestamp=time)
        assert driver.store(MEANS).get("ann") == 2.75
        driver.restart()
        store = driver.store(MEANS)
        assert store.get("ann") == 2.75
        assert list(store.all()) == list(store.range("a", "b")) == list(store.prefix("an")) == [("ann", 2.75)]
        driver.input(ORDERS).pipe("ann", C[0], timestamp=2_000)
        assert driver.store(MEANS).get("ann") == 14.5 / 3
        spec = built.stores["means"]
        data = spec.value.serialize("t", (3, 0, 14.5))
        assert format_of(spec.value, "t").show(data) == 14.5 / 3


def test_window_and_session_stores_show_results() -> None:
    def windows(grouped: KGroupedStream[str, Order]) -> KTable[Any, Any]:
        return grouped.windowed_by(hr.TimeWindows("2s", grace="9s")).aggregate(agg.mean(amount), store="w")

    with TopologyTestDriver(topology(windows, float)) as driver:
        for order, time in (A, B, C):
            driver.input(ORDERS).pipe("ann", order, timestamp=time)
        store: Any = driver.store("w")
        assert store.get("ann", start=0) == 2.75
        assert [value for *_, value in store.range("ann")] == [2.75, 9.0]

    def sessions(grouped: KGroupedStream[str, Order]) -> KTable[Any, Any]:
        return grouped.windowed_by(hr.SessionWindows("9s", grace="0s")).aggregate(agg.count(), store="s")

    with TopologyTestDriver(topology(sessions, int)) as driver:
        for order, time in (A, B, C):
            driver.input(ORDERS).pipe("ann", order, timestamp=time)
        store = driver.store("s")
        assert [value for *_, value in store.sessions("ann")] == [3]


def test_who_joins_the_table_or_reads_its_store_gets_results() -> None:
    builder = hr.StreamsBuilder()
    orders = builder.stream(ORDERS)
    means = orders.group_by_key().aggregate(agg.mean(amount), store=MEANS)
    asked = builder.stream(hr.Topic("asked", value=str))
    asked.join(means, lambda text, mean: f"{text} {mean}", value=str).to("joined")
    asked.join(means.map_values(lambda mean: mean * 2), lambda text, mean: f"{text} {mean}", value=str).to(
        "doubled"
    )

    class Read(hr.Processor[str, str, str, str]):
        def process(self, record: hr.Record[str, str]) -> None:
            store: KeyValueStore[str, float] = self.context.store(MEANS)
            self.context.forward(record.with_value(f"{store.get(record.key)}"))

    asked.process(Read, "means", key=str, value=str).to("read")
    with TopologyTestDriver(builder.build()) as driver:
        for order, time in (A, B):
            driver.input(ORDERS).pipe("ann", order, timestamp=time)
        driver.input(hr.Topic("asked", value=str)).pipe("ann", "mean:", timestamp=5)
        for name, expected in (("joined", "mean: 2.75"), ("doubled", "mean: 5.5"), ("read", "2.75")):
            assert driver.output(hr.Topic(name, value=str)).read_pairs() == [("ann", expected)]


def test_a_store_of_rows_is_not_written_by_others() -> None:
    built = topology(lambda grouped: grouped.aggregate(agg.mean(amount), store=MEANS), float)
    with TopologyTestDriver(built) as driver:
        store: Any = driver.store(MEANS)
        with pytest.raises(AttributeError, match="can only be read here"):
            store.put("ann", 1.0)


TABLE = hr.Topic("table", value=Order)


@pytest.mark.parametrize(
    ("aggregation", "value", "expected"),
    [
        (agg.count(), int, [1, 2, 2, 1, 0]),
        (agg.sum(amount), float, [0.1, 0.4, 0.1 + 0.2, 0.2, 0.0]),
        (agg.mean(amount), float, [0.1, 0.2, (0.1 + 0.2) / 2, 0.2, None]),
        (agg.distinct(amount, limit=9), int, [1, 2, 2, 1, 0]),
        (agg.collect(amount, limit=9), list[float], [[0.1], [0.1, 0.3], [0.1, 0.2], [0.2], []]),
        (agg.min(amount), float, [0.1, 0.1, 0.1, 0.2, None]),
        (agg.max(lambda order: order.amount), float, [0.1, 0.3, 0.2, 0.2, None]),
        (
            agg.top(1, by=amount),
            list[Order],
            [[Order("g", each)] for each in (0.1, 0.3, 0.2, 0.2)] + [[]],
        ),
        (
            agg.into(Stats, n=agg.count(), total=agg.sum(amount), mean=agg.mean(amount)),
            Stats,
            [
                Stats(1, 0.1, 0.1),
                Stats(2, 0.4, 0.2),
                Stats(2, 0.1 + 0.2, (0.1 + 0.2) / 2),
                Stats(1, 0.2, 0.2),
                Stats(0, 0.0, None),
            ],
        ),
    ],
    ids=str,
)
def test_rows_of_a_table_are_taken_out_before_others_come(
    aggregation: Any, value: Any, expected: list[Any]
) -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.table(TABLE).group_by(lambda key, order: (order.id, order), key=str, value=Order)
    grouped.aggregate(aggregation).to_stream().to(hr.Topic("out", value=value))
    with TopologyTestDriver(builder.build()) as driver:
        rows = driver.input(TABLE)
        rows.pipe("x", Order("g", 0.1), timestamp=0)
        rows.pipe("y", Order("g", 0.3), timestamp=0)
        rows.pipe("y", Order("g", 0.2), timestamp=0)
        rows.pipe("x", None, timestamp=0)
        driver.restart()
        driver.input(TABLE).pipe("y", None, timestamp=0)
        found = [value for _, value in driver.output(hr.Topic("out", value=value)).read_pairs()]
    assert found == expected


@pytest.mark.parametrize(
    "aggregation",
    [agg.first(amount), agg.last(amount), agg.into(dict, n=agg.count(), last=agg.last(amount))],
    ids=str,
)
def test_the_first_and_the_last_of_a_table_are_refused_with_what_to_write(aggregation: Any) -> None:
    grouped = (
        hr.StreamsBuilder().table(TABLE).group_by(lambda key, order: (order.id, order), key=str, value=Order)
    )
    with pytest.raises(TopologyError, match=r"agg.first\(\) and agg.last\(\) go by.*agg.top\(1, by="):
        grouped.aggregate(aggregation)


def grouped_orders() -> Any:
    return hr.StreamsBuilder().stream(ORDERS).group_by_key()


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: grouped_orders().aggregate(agg.mean), "write agg.mean(...)"),
        (
            lambda: grouped_orders().aggregate(agg.count(), lambda k, v, a: a),
            "leave the functions beside it out",
        ),
        (lambda: grouped_orders().cogroup(agg.count()), "is for one group"),
        (
            lambda: grouped_orders().aggregate(agg.mean(amount), store=stores.key_value("m", value=int)),
            "int64",
        ),
        (lambda: agg.mean(lambda: 1.0), "takes ()"),  # type: ignore[arg-type,misc]  # the mistake
        (lambda: agg.sum(5), "must be a function"),  # type: ignore[arg-type]  # the mistake
        (lambda: agg.collect(amount, limit=0), "write 1 or more"),
        (lambda: agg.top(True, by=amount), "write 1 or more"),
        (lambda: agg.top(3, by=amount, limit=0), "limit=0 of agg.top()"),
        (lambda: agg.min(amount, limit=-1), "limit=-1 of agg.min()"),
        (lambda: agg.into(Stats), "has no parts"),
        (lambda: agg.into(Stats, count=agg.count()), "cannot make"),
        (lambda: agg.into(Stats, n=5), "is no aggregation"),  # type: ignore[arg-type]  # the mistake
        (lambda: agg.into(5, n=agg.count()), "by a class or a function"),  # type: ignore[arg-type]  # the mistake
        (
            lambda: (
                grouped_orders()
                .windowed_by(hr.SessionWindows("1s", grace="0s"))
                .aggregate(int, lambda k, v, a: a)
            ),
            "need a merge",
        ),
    ],
)
def test_mistakes_are_told_where_they_are_made(mistake: Callable[[], object], message: str) -> None:
    with pytest.raises(TopologyError) as raised:
        mistake()
    assert message in str(raised.value)
    assert "test_aggregations.py" in str(raised.value)


def test_an_aggregation_that_was_changed_says_so_to_who_reads_its_store() -> None:
    mean, total = agg.mean(amount), agg.sum(amount)
    stores_of = [
        topology(lambda grouped: grouped.aggregate(each, store="kept"), float).stores["kept"].value  # noqa: B023
        for each in (mean, total)
    ]
    data = stores_of[0].serialize("t", (1, 0, 4.0))
    with pytest.raises(hr.SerializationError, match="Give the store another name"):
        stores_of[1].deserialize("t", data)


def test_a_function_that_fails_drops_its_record_alone() -> None:
    def strict(order: Order) -> float:
        if order.id == "b":
            raise ValueError("bad")
        return order.amount

    built = topology(lambda grouped: grouped.aggregate(agg.sum(strict)), float)
    with TopologyTestDriver(built, processing_exception_handler=lambda failure: hr.Reaction.resume) as driver:
        for order, time in (A, B, C):
            driver.input(ORDERS).pipe("ann", order, timestamp=time)
        assert driver.output(hr.Topic("out", value=float)).read_pairs() == [("ann", 4.0), ("ann", 13.0)]


def test_generated_names_are_those_of_any_aggregation() -> None:
    mine = topology(lambda grouped: grouped.aggregate(float, lambda k, order, a: a + order.amount), float)
    made = topology(lambda grouped: grouped.aggregate(agg.sum(amount)), float)
    assert str(mine.describe()) == str(made.describe())
