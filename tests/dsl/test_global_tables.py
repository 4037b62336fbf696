"""Global tables, from the builder to the records: what is joined, what is read, and what is refused with its place."""

from collections.abc import Iterator
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.plan import make_plan
from headrace.stores import KeyValueStore, ReadOnlyKeyValueStore

RATES = hr.Topic("rates", key=str, value=int, partitions=3)
ORDERS = hr.Topic("orders", value=str, partitions=2)
OUT = hr.Topic("out", value=str)
KEPT = stores.key_value("kept", key=str, value=int)
DOUBLED = stores.key_value("doubled", key=str, value=int)


def shown(order: str, rate: int | None) -> str:
    return f"{order}={rate}"


def of_order(key: str, order: str) -> str:
    return order


@hr.processor(DOUBLED)
def doubling(record: hr.Record[str, int], doubled: KeyValueStore[str, int]) -> list[hr.Record[str, int]]:
    doubled.put(record.key, record.value * 2)
    return []


def test_stream_joins_all_partitions_of_the_table_without_a_repartition() -> None:
    builder = hr.StreamsBuilder()
    rates = builder.global_table(RATES)
    builder.stream(ORDERS).join(rates, shown, on=of_order).to(OUT)
    topology = builder.build()
    plan = make_plan(topology, {"orders": 2, "rates": 3, "out": 1}, "app")
    assert [str(task) for task in plan.tasks] == ["1_0", "1_1"]
    assert plan.internal_topics == ()
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(RATES).pipe_all([("a", 1), ("b", 2), ("c", 3)])
        driver.input(ORDERS).pipe_all([("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")])
        assert sorted(driver.output(OUT).read_pairs()) == [("1", "a=1"), ("2", "b=2"), ("3", "c=3")]


def test_changed_key_stays_changed_behind_the_join() -> None:
    builder = hr.StreamsBuilder()
    rates = builder.global_table(RATES)
    joined = builder.stream(ORDERS).select_key(of_order).join(rates, shown, on=of_order)
    joined.group_by_key().count()
    assert list(builder.build().repartition_topics) == [
        "KSTREAM-AGGREGATE-STATE-STORE-0000000006-repartition"
    ]


def test_topic_that_the_application_writes_is_in_the_table_with_the_next_record() -> None:
    builder = hr.StreamsBuilder()
    last = builder.global_table(hr.Topic("last", value=str))
    orders = builder.stream(ORDERS)
    orders.left_join(last, lambda order, before: f"{before}>{order}", on=lambda key, order: key).to(OUT)
    orders.to(hr.Topic("last", value=str))
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(ORDERS).pipe_all([("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")])
        assert driver.output(OUT).read_pairs() == [
            ("a", "None>1"),
            ("a", "1>2"),
            ("b", "None>3"),
            ("a", "2>4"),
        ]


def test_every_processor_reads_the_stores_without_being_connected() -> None:
    class Looking(hr.Processor[str, str, str, str]):
        def init(self) -> None:
            self.kept: ReadOnlyKeyValueStore[str, int] = self.context.store(KEPT)
            self.doubled: ReadOnlyKeyValueStore[str, int] = self.context.store("doubled")

        def process(self, record: hr.Record[str, str]) -> Iterator[hr.Record[str, str]]:
            yield record.with_value(f"{self.kept.get(record.value)} {self.doubled.get(record.value)}")

    builder = hr.StreamsBuilder()
    builder.stream(ORDERS).process(Looking).to(OUT)
    builder.global_table(RATES, store=KEPT)
    builder.add_global_store(DOUBLED, hr.Topic("more", key=str, value=int), doubling)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(RATES).pipe("a", 1)
        driver.input(hr.Topic("more", key=str, value=int)).pipe("a", 4)
        driver.input(ORDERS).pipe("1", "a")
        assert driver.output(OUT).read_pairs() == [("1", "1 8")]


def test_function_names_the_store_that_it_reads() -> None:
    @hr.processor(KEPT)
    def looking(record: hr.Record[str, str], kept: KeyValueStore[str, int]) -> Iterator[hr.Record[str, str]]:
        yield record.with_value(f"{kept.get(record.value)} {hasattr(kept, 'put')}")
        if record.value == "put":
            kept.put("a", 2)

    builder = hr.StreamsBuilder()
    builder.global_table(RATES, store=KEPT)
    builder.stream(ORDERS).process(looking, "kept").to(OUT)
    topology = builder.build()
    assert "(stores: [])" in topology.describe()
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(RATES).pipe("a", 1)
        driver.input(ORDERS).pipe("1", "a")
        assert driver.output(OUT).read_pairs() == [("1", "1 False")]
        with pytest.raises(hr.ProcessingError, match="the store can only be read here"):
            driver.input(ORDERS).pipe("1", "put")


def test_driver_shows_the_stores_and_writes_to_them() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(ORDERS).join(builder.global_table(RATES, store=KEPT), shown, on=of_order).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(RATES).pipe_all([("a", 1), ("b", 2), (None, 3), ("a", None)])
        assert list(driver.store(KEPT).all()) == [("b", 2)]
        assert driver.dropped == 1
        driver.store(KEPT).put("x", 7)
        driver.input(ORDERS).pipe("1", "x")
        assert driver.output(OUT).read_pairs() == [("1", "x=7")]


@pytest.mark.parametrize("lose_state", [False, True])
def test_driver_has_the_stores_again_after_a_restart(lose_state: bool) -> None:
    builder = hr.StreamsBuilder()
    builder.global_table(RATES, store=KEPT)
    builder.add_global_store(DOUBLED, hr.Topic("more", key=str, value=int), doubling)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(RATES).pipe_all([("a", 1), ("b", 2), ("c", 3)])
        driver.input(hr.Topic("more", key=str, value=int)).pipe("a", 4)
        driver.restart(lose_state=lose_state)
        assert list(driver.store(KEPT).all()) == [("a", 1), ("b", 2), ("c", 3)]
        assert list(driver.store(DOUBLED).all()) == [("a", 8)]


def test_topology_made_by_hand_has_global_stores() -> None:
    class Looking(hr.Processor[str, str, str, str]):
        def process(self, record: hr.Record[str, str]) -> Iterator[hr.Record[str, str]]:
            yield record.with_value(str(self.context.store(DOUBLED).get(record.value)))

    topology = (
        hr.Topology()
        .add_global_store("filling", DOUBLED, RATES, doubling)
        .add_source("src", ORDERS)
        .add_processor("p", Looking, "src")
        .add_sink("snk", OUT, "p")
    )
    assert topology.describe().startswith(
        "Topologies:\n"
        "   Sub-topology: 0 for global store (will not generate tasks)\n"
        "    Source: filling-source (topics: [rates])\n"
        "      --> filling\n"
        "    Processor: filling (stores: [doubled])\n"
        "      --> none\n"
        "      <-- filling-source\n"
        "  Sub-topology: 1\n"
    )
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(RATES).pipe("a", 2)
        driver.input(ORDERS).pipe("1", "a")
        assert driver.output(OUT).read_pairs() == [("1", "4")]


def test_store_name_is_told() -> None:
    builder = hr.StreamsBuilder()
    assert builder.global_table(RATES).store_name == "rates-STATE-STORE-0000000000"
    assert builder.global_table("other", store=KEPT, key=str, value=int).store_name == "kept"


def refused(build: Any) -> str:
    builder = hr.StreamsBuilder()
    with pytest.raises(hr.TopologyError) as caught:
        build(builder)
        builder.build()
    return str(caught.value)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            lambda b: b.stream(ORDERS).join(b.global_table(RATES), shown),
            "needs on=, a function of key and value that returns the table's key",
        ),
        (
            lambda b: b.stream(ORDERS).join(b.table("t", value=int), shown, on=of_order),
            "on= selects the key of a global table",
        ),
        (
            lambda b: b.stream(ORDERS).join(b.global_table(RATES), shown, on="key"),
            "the key selector",
        ),
        (
            lambda b: b.stream(ORDERS).join(b.global_table(RATES), shown, on=lambda key: key),
            "the key selector",
        ),
        (
            lambda b: b.stream(ORDERS).join(b.global_table("t", key=int), shown, on=of_order),
            "the keys are of",
        ),
        (
            lambda b: b.stream(ORDERS).join(
                b.global_table(RATES), hr.with_keys(lambda key, order, rate: order), on=of_order
            ),
            "the joiner",
        ),
        (
            lambda b: b.stream(ORDERS).join(b.table("t", value=int), hr.with_keys(lambda k, g, o, r: o)),
            "leave with_keys() out",
        ),
        (
            lambda b: b.table("t").join(b.global_table(RATES), shown),
            "a global table is joined by streams",
        ),
        (
            lambda b: b.global_table(RATES, store=stores.window("w", key=str, value=int, size="1m")),
            "a key-value store is needed here",
        ),
        (
            lambda b: b.global_table(RATES, store=stores.key_value("s", key=str, value=str)),
            "the values are of int64, and store 's' has string",
        ),
        (lambda b: b.global_table(["a", "b"]), "a table is read from one topic"),
        (
            lambda b: (b.global_table(RATES), b.stream(RATES).to("o")),
            "reads topic 'rates', which KSTREAM-SOURCE-0000000001",
        ),
        (
            lambda b: (b.global_table("a", store="kept"), b.table("b", store="kept")),
            "there are two stores named 'kept'",
        ),
        (
            lambda b: (b.stream(ORDERS).process(doubling), b.global_table(RATES, store="doubled")),
            "Processors that read a global store need not name it; those that do so are added after it",
        ),
        (
            lambda b: b.add_global_store(KEPT, RATES, doubling),
            "it fills global store 'kept', and names store 'doubled' too",
        ),
        (
            lambda b: b.add_global_store(stores.key_value("s"), RATES, doubling),
            "needs the serde of its key",
        ),
        (
            lambda b: (
                b.global_table(RATES, store=KEPT),
                b.stream(ORDERS).process(doubling, stores.window("kept")),
            ),
            "is a key-value store, and is asked for as a window store",
        ),
    ],
)
def test_wrong_use_is_refused_with_its_place(build: Any, said: str) -> None:
    message = refused(build)
    assert said in message
    assert "test_global_tables.py:" in message


def test_nothing_follows_what_fills_a_global_store() -> None:
    class Pass(hr.Processor[str, int, str, int]):
        def process(self, record: hr.Record[str, int]) -> None: ...

    topology = hr.Topology().add_global_store("filling", DOUBLED, RATES, doubling)
    with pytest.raises(hr.TopologyError, match="'filling', which fills a global store: nothing follows it"):
        topology.add_processor("p", Pass, "filling")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("offset_reset", "a global table is read from its topic's beginning"),
        ("timestamp_extractor", "a global table goes by the records' own timestamps"),
        ("materialized", "store=, with a name or a declared store"),
    ],
)
def test_argument_of_other_sources_says_why_it_is_not_there(name: str, said: str) -> None:
    call: Any = hr.StreamsBuilder().global_table
    with pytest.raises(TypeError, match=said):
        call(RATES, **{name: "x"})
