"""Several streams that fill one table, from the builder to the records: names, repartition topics, results."""

from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.columns import Columns
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

ORDERS = hr.Topic("orders", value=int)  # customer -> cents
VISITS = hr.Topic("visits", value=str)  # customer -> page
TOTALS = hr.Topic("totals", value=int)
STORE = stores.key_value("customers", key=str, value=int)
MINUTES = hr.TimeWindows("1m", grace="30s")


def add_order(customer: str, cents: int, total: int) -> int:
    return total + cents


def add_visit(customer: str, page: str, total: int) -> int | None:
    return None if page == "leave" else total + 1


def cogrouped(builder: hr.StreamsBuilder) -> hr.CogroupedKStream[str, int]:
    orders, visits = builder.stream(ORDERS).group_by_key(), builder.stream(VISITS).group_by_key()
    return orders.cogroup(add_order).cogroup(visits, add_visit)


def totals() -> hr.Topology:
    builder = hr.StreamsBuilder()
    cogrouped(builder).aggregate(int, store=STORE).to_stream().to(TOTALS)
    return builder.build()


def test_streams_fill_one_table_each_with_its_own_aggregator() -> None:
    with testing.TopologyTestDriver(totals()) as driver:
        orders, visits = driver.input(ORDERS), driver.input(VISITS)
        orders.pipe("ann", 100)
        visits.pipe("ann", "home")
        orders.pipe("bob", 5)
        visits.pipe("ann", "leave")
        visits.pipe("ann", "home")
        assert driver.output(TOTALS).read_pairs() == [
            ("ann", 100), ("ann", 101), ("bob", 5), ("ann", None), ("ann", 1),
        ]  # fmt: skip
        assert driver.store(STORE).get("bob") == 5


def test_the_table_comes_back_after_a_crash() -> None:
    with testing.TopologyTestDriver(totals()) as driver:
        driver.input(ORDERS).pipe("ann", 100)
        driver.restart()
        driver.input(VISITS).pipe("ann", "home")
        assert driver.output(TOTALS).read_table() == {"ann": 101}


def test_a_cache_lets_one_update_go_whichever_stream_it_came_from(tmp_path: Path) -> None:
    log = MemoryLog()
    log.create_topics([TopicSpec(name, 1) for name in ("orders", "visits", "totals")])
    writer = log.writer("feed")
    for topic, value in (("orders", (100).to_bytes(8)), ("visits", b"home"), ("orders", (1).to_bytes(8))):
        columns = Columns()
        columns.append(b"ann", value, 0, ())
        writer.append(topic, 0, columns)
    writer.commit({})
    options = EngineOptions.of({"commit.interval.ms": 1_000_000})
    worker = build_worker(
        totals(), log, options, application_id="app", state_dir=tmp_path, clock=ManualClock()
    )
    worker.open()
    while worker.step(0):
        pass
    worker.commit()
    worker.close()
    assert [record[2:4] for record in log.records("totals")] == [(b"ann", (102).to_bytes(8))]


def test_what_follows_is_told_old_values_of_every_stream() -> None:
    builder = hr.StreamsBuilder()
    table = cogrouped(builder).aggregate(int)
    by_parity = table.group_by(
        lambda customer, total: ("odd" if total % 2 else "even", total), key=str, value=int
    )
    by_parity.reduce(lambda a, b: a + b, lambda a, b: a - b).to_stream().to(TOTALS)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(ORDERS).pipe("ann", 100)
        driver.input(VISITS).pipe("ann", "home")
        driver.input(ORDERS).pipe("bob", 4)
        assert driver.output(TOTALS).read_table() == {"even": 4, "odd": 101}


def test_windows_are_filled_together_and_each_stream_is_late_by_itself() -> None:
    builder = hr.StreamsBuilder()
    table = cogrouped(builder).windowed_by(MINUTES).aggregate(int)
    table.to_stream(lambda window, total: f"{window.key}@{window.window.start}").to(TOTALS)
    with testing.TopologyTestDriver(builder.build()) as driver:
        orders, visits = driver.input(ORDERS), driver.input(VISITS)
        orders.pipe("ann", 100, timestamp=59_999)
        orders.pipe("ann", 100, timestamp=91_000)
        visits.pipe("ann", "home", timestamp=10)  # the first of its stream: nothing is late for it
        orders.pipe("ann", 100, timestamp=10)
        assert driver.output(TOTALS).read_pairs() == [("ann@0", 100), ("ann@60000", 100), ("ann@0", 101)]


def test_names_are_those_of_kafka_streams() -> None:
    builder = hr.StreamsBuilder()
    orders, visits = builder.stream(ORDERS).group_by_key(), builder.stream(VISITS).group_by_key()
    orders.cogroup(add_order).cogroup(visits, add_visit).aggregate(int, name="sums", store="s")
    described = builder.build().describe()
    for name in ("sums-cogroup-agg-0", "sums-cogroup-agg-1", "sums-cogroup-merge"):
        assert f"Processor: {name} " in described


def test_groups_that_change_keys_go_through_topics_with_their_names() -> None:
    builder = hr.StreamsBuilder()
    orders = builder.stream(ORDERS).group_by(lambda customer, cents: customer[:1], key=str, name="by-letter")
    visits = builder.stream(VISITS).group_by(
        lambda customer, page: customer[:1], key=str, name="visits-by-letter"
    )
    orders.cogroup(add_order).cogroup(visits, add_visit).aggregate(int).to_stream().to(TOTALS)
    topology = builder.build()
    assert "topic: visits-by-letter-repartition" in topology.describe()
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(ORDERS).pipe("ann", 100)
        driver.input(VISITS).pipe("abe", "home")
        assert driver.output(TOTALS).read_table() == {"a": 101}


def unnamed_topics(builder: hr.StreamsBuilder) -> None:
    orders = builder.stream(ORDERS).group_by(lambda customer, cents: customer[:1])
    visits = builder.stream(VISITS).group_by(lambda customer, page: customer[:1])
    orders.cogroup(add_order).cogroup(visits, add_visit).aggregate(int)


def one_group_twice(builder: hr.StreamsBuilder) -> None:
    orders = builder.stream(ORDERS).group_by_key()
    orders.cogroup(add_order).cogroup(orders, add_order)


def no_group(builder: hr.StreamsBuilder) -> None:
    builder.stream(ORDERS).group_by_key().cogroup(add_order).cogroup(builder.stream(VISITS), add_visit)  # type: ignore[arg-type]


def two_arguments(builder: hr.StreamsBuilder) -> None:
    builder.stream(ORDERS).group_by_key().cogroup(lambda cents, total: total)  # type: ignore[misc, arg-type]


def other_keys(builder: hr.StreamsBuilder) -> None:
    numbers = builder.stream(hr.Topic("numbers", key=int, value=int)).group_by_key()
    builder.stream(ORDERS).group_by_key().cogroup(add_order).cogroup(numbers, add_order)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (unnamed_topics, "give each group a name: group_by(selector, name='...')"),
        (one_group_twice, "this grouped stream is cogrouped already"),
        (no_group, "cogroup() takes a grouped stream, as group_by_key() and group_by(selector) make"),
        (two_arguments, "aggregator"),
        (other_keys, "the stream that it is cogrouped with"),
    ],
)
def test_a_mistake_is_told_with_its_place(wrong: Callable[[hr.StreamsBuilder], None], said: str) -> None:
    with pytest.raises(hr.TopologyError, match=r"test_cogrouped_stream\.py") as failed:
        wrong(hr.StreamsBuilder())
    assert said in str(failed.value)
