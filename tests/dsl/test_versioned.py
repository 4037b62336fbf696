"""Tables with versions, from the builder to the records: late updates, looking back, what is refused, restarts."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.internal_topics import changelog_config
from headrace.stores import VersionedStore

PRICES = hr.Topic("prices", value=int)
ORDERS = hr.Topic("orders", value=str)
OUT = hr.Topic("out", value=str)
NUMBERS = hr.Topic("numbers", value=int)
VERSIONS = stores.versioned("versions", history="10s", key=str, value=int)


def priced(table: hr.KTable[str, int], builder: hr.StreamsBuilder) -> None:
    builder.stream(ORDERS).join(table, lambda order, price: f"{order} for {price}", value=str).to(OUT)


def look_back(builder: hr.StreamsBuilder) -> list[str]:
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(PRICES).pipe("a", 1, timestamp=1_000)
        driver.input(PRICES).pipe("a", 2, timestamp=5_000)
        for order, time in (("late", 4_999), ("new", 5_000), ("early", 999)):
            driver.input(ORDERS).pipe("a", order, timestamp=time)
        return [str(value) for _, value in driver.output(OUT).read_pairs()]


def test_stream_joins_the_version_of_its_own_time() -> None:
    builder = hr.StreamsBuilder()
    priced(builder.table(PRICES, store=VERSIONS), builder)
    assert look_back(builder) == ["late for 1", "new for 2"]


def test_views_are_looked_back_in_as_well() -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(PRICES, store=VERSIONS).filter(lambda key, price: price != 2)
    priced(table.map_values(lambda price: price * 10, value=int), builder)
    assert look_back(builder) == ["late for 10"]


def test_table_made_of_a_stream_has_versions() -> None:
    builder = hr.StreamsBuilder()
    priced(builder.stream(PRICES).to_table(store=VERSIONS), builder)
    assert look_back(builder) == ["late for 1", "new for 2"]


def test_store_of_last_values_below_one_of_versions_has_none() -> None:
    builder = hr.StreamsBuilder()
    priced(builder.table(PRICES, store=VERSIONS).filter(lambda key, price: True, store="last"), builder)
    assert look_back(builder) == ["late for 2", "new for 2", "early for 2"]


def test_groups_have_the_latest_version_alone() -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(PRICES, store=VERSIONS)
    total = table.group_by(lambda key, price: ("all", price), key=str, value=int)
    total.reduce(lambda sum, price: sum + price, lambda sum, price: sum - price).to_stream().to(NUMBERS)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for key, price, time in (("a", 5, 2_000), ("b", 7, 2_000), ("a", 100, 1_000)):
            driver.input(PRICES).pipe(key, price, timestamp=time)
        assert driver.output(NUMBERS).read_pairs() == [("all", 5), ("all", 12)]


def test_update_that_is_older_than_the_history_goes_nowhere() -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES, store=VERSIONS).to_stream().to(NUMBERS)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for price, time in ((1, 20_000), (2, 9_999), (3, 10_000)):
            driver.input(PRICES).pipe("a", price, timestamp=time)
        assert driver.output(NUMBERS).read_pairs() == [("a", 1), ("a", 3)]


@pytest.mark.parametrize("lose_state", [False, True])
def test_versions_survive_a_restart(lose_state: bool) -> None:
    builder = hr.StreamsBuilder()
    priced(builder.table(PRICES, store=VERSIONS), builder)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for price, time in ((1, 1_000), (3, 9_000), (2, 5_000)):
            driver.input(PRICES).pipe("a", price, timestamp=time)
        driver.restart(lose_state=lose_state)
        store = driver.store(VERSIONS)
        assert list(store.history("a")) == [(1, 1_000, 5_000), (2, 5_000, 9_000), (3, 9_000, None)]
        assert (store.get("a"), store.get("a", as_of=8_999), store.get("a", as_of=0)) == (
            (3, 9_000),
            (2, 5_000),
            None,
        )


def test_changelog_is_compacted_no_sooner_than_the_history_goes_back() -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES, store=VERSIONS)
    assert changelog_config(builder.build().stores["versions"]) == {
        "cleanup.policy": "compact",
        "message.timestamp.type": "CreateTime",
        "min.compaction.lag.ms": "86410000",
    }


@hr.processor(VERSIONS)
def remember(
    record: hr.Record[str, int], versions: VersionedStore[str, int]
) -> Iterator[hr.Record[str, str]]:
    """Put each value; say until when it is valid, and what was valid before it."""
    before = versions.get(record.key, record.timestamp)
    until = versions.put(record.key, record.value, record.timestamp)
    yield hr.Record(record.key, f"{before} {until}", record.timestamp)


def test_processor_puts_and_reads_versions() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(PRICES).process(remember, value=str).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for price, time in ((1, 20_000), (2, 30_000), (3, 25_000), (4, 19_999)):
            driver.input(PRICES).pipe("a", price, timestamp=time)
        assert [value for _, value in driver.output(OUT).read_pairs()] == [
            "None None",
            "(1, 20000) None",
            "(1, 20000) 30000",
            "None 19999",
        ]
        store = driver.store(VERSIONS)
        assert store.delete("a", 26_000) == (3, 25_000)
        assert store.get("a", as_of=26_000) is None


def test_query_reads_versions_of_all_partitions() -> None:
    builder = hr.StreamsBuilder()
    builder.table(PRICES, store=VERSIONS)
    with testing.TopologyTestDriver(builder.build(), partitions=2) as driver:
        for key in ("a", "b", "c"):
            driver.input(PRICES).pipe(key, 1, timestamp=5)
        store = driver.store(VERSIONS)
        assert [store.get(key) for key in ("a", "b", "c", "d")] == [(1, 5), (1, 5), (1, 5), None]
        assert list(store.history("b", end=4)) == []
        with pytest.raises(hr.TopologyError, match="has 2 partitions, and a write goes to one of them"):
            store.put("a", 2, 6)


def test_table_with_versions_is_not_held_back() -> None:
    table = hr.StreamsBuilder().table(PRICES, store=VERSIONS).filter(lambda key, price: True)
    with pytest.raises(hr.TopologyError, match=r"suppress\(\) cannot hold back a table with versions"):
        table.suppress(hr.until_time_limit("5s"))


def test_windows_and_global_tables_take_no_versions() -> None:
    builder = hr.StreamsBuilder()
    windowed = builder.stream(ORDERS).group_by_key().windowed_by(hr.TimeWindows("1m", grace="0s"))
    for use, kind in (
        (lambda: windowed.count(store=cast("Any", VERSIONS)), "window"),
        (lambda: builder.global_table(PRICES, store=VERSIONS), "key-value"),
    ):
        with pytest.raises(
            hr.TopologyError, match=f"'versions' is a versioned store, and a {kind} store is needed"
        ):
            use()


def test_stream_joins_the_count_of_its_own_time() -> None:
    builder = hr.StreamsBuilder()
    priced(builder.stream(PRICES).group_by_key().count(store=VERSIONS), builder)
    assert look_back(builder) == ["late for 1", "new for 2"]


def test_stream_joins_what_groups_of_a_table_were() -> None:
    builder = hr.StreamsBuilder()
    groups = builder.table(PRICES).group_by(lambda key, price: (key, price), key=str, value=int)
    priced(
        groups.reduce(lambda total, one: total + one, lambda total, one: total - one, store=VERSIONS), builder
    )
    assert look_back(builder) == ["late for 1", "new for 2"]


def test_late_result_after_a_deletion_is_not_the_latest() -> None:
    builder = hr.StreamsBuilder()
    sums = (
        builder.stream(PRICES)
        .group_by_key()
        .aggregate(
            lambda: 0, lambda key, price, total: total + price if price else None, value=int, store=VERSIONS
        )
    )
    sums.to_stream().to(NUMBERS)
    priced(sums, builder)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for price, time in ((1, 1_000), (0, 5_000), (2, 3_000)):
            driver.input(PRICES).pipe("a", price, timestamp=time)
        assert driver.output(NUMBERS).read_pairs() == [("a", 1), ("a", None), ("a", 2)]
        store = driver.store(VERSIONS)
        assert store.get("a") is None
        assert list(store.history("a")) == [(1, 1_000, 3_000), (2, 3_000, 5_000)]
        driver.input(PRICES).pipe("a", 4, timestamp=6_000)
        driver.restart(lose_state=True)
        assert driver.store(VERSIONS).get("a") == (4, 6_000)
        driver.input(ORDERS).pipe("a", "x", timestamp=4_000)
        assert driver.output(OUT).read_pairs() == [("a", "x for 2")]


def test_joins_by_a_foreign_key_and_transformed_tables_have_versions() -> None:
    builder = hr.StreamsBuilder()
    names = builder.table(hr.Topic("names", value=str))
    joined = builder.table(PRICES).join(
        names, lambda price, name: f"{name}{price}", on=lambda price: "n", value=str,
        store=stores.versioned("joined", history="10s"),
    )  # fmt: skip
    builder.stream(ORDERS).join(joined, lambda order, name: f"{order} for {name}", value=str).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(hr.Topic("names", value=str)).pipe("n", "#", timestamp=0)
        driver.input(PRICES).pipe_all([("a", 1, 1_000), ("a", 2, 5_000)])
        driver.input(ORDERS).pipe_all([("a", "late", 4_999), ("a", "new", 5_000)])
        assert driver.output(OUT).read_pairs() == [("a", "late for #1"), ("a", "new for #2")]


@pytest.mark.parametrize(
    ("name", "history", "error", "words"),
    [
        ("v", 5, TypeError, "history=5 has no unit"),
        ("", "5s", ValueError, "name='' is no name"),
        (None, "5s", ValueError, "needs a name"),
    ],
)
def test_declaration_that_makes_no_sense_is_told(
    name: str, history: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        stores.versioned(name, history=history)


# ── joins that wait ──────────────────────────────────────────────────────────────────────────────────────────────────


def waiting(grace: str) -> hr.StreamsBuilder:
    builder = hr.StreamsBuilder()
    prices = builder.table(PRICES, store=VERSIONS)
    orders = builder.stream(ORDERS)
    orders.left_join(
        prices, lambda order, price: f"{order} for {price}", grace=grace, value=str, name="priced"
    ).to(OUT)
    return builder


def test_record_waits_for_versions_that_are_late() -> None:
    with testing.TopologyTestDriver(waiting("2s").build()) as driver:
        driver.input(ORDERS).pipe("a", "first", timestamp=1_000, headers=[("h", b"1")])
        driver.input(PRICES).pipe("a", 7, timestamp=900)
        driver.input(ORDERS).pipe("a", "second", timestamp=3_000)
        (record,) = driver.output(OUT).read_all()
        assert (record.value, record.timestamp, record.headers) == ("first for 7", 1_000, (("h", b"1"),))


def test_record_that_is_later_than_the_grace_is_joined_at_once() -> None:
    with testing.TopologyTestDriver(waiting("2s").build()) as driver:
        driver.input(ORDERS).pipe("a", "first", timestamp=5_000)
        driver.input(ORDERS).pipe("b", "late", timestamp=2_999)
        assert driver.output(OUT).read_pairs() == [("b", "late for None")]


def test_record_without_a_key_does_not_wait() -> None:
    # Kafka Streams fails on it.
    with testing.TopologyTestDriver(waiting("2s").build()) as driver:
        driver.input(ORDERS).pipe(None, "whose", timestamp=1_000)
        found: list[Any] = driver.output(OUT).read_pairs()
        assert found == [(None, "whose for None")]


@pytest.mark.parametrize("lose_state", [False, True])
def test_records_that_wait_survive_a_restart(lose_state: bool) -> None:
    with testing.TopologyTestDriver(waiting("2s").build()) as driver:
        for order in ("one", "two"):
            driver.input(ORDERS).pipe("a", order, timestamp=1_000)
        driver.restart(lose_state=lose_state)
        driver.input(ORDERS).pipe("a", "three", timestamp=1_000)
        driver.input(ORDERS).pipe("a", "four", timestamp=3_000)
        found = [value for _, value in driver.output(OUT).read_pairs()]
        assert found == ["one for None", "two for None", "three for None"]
        assert "test-priced-Buffer-changelog" in driver.log.topics()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            lambda builder: builder.table(PRICES),
            r"table KTABLE-SOURCE-\d+ has none: keep it in stores\.versioned",
        ),
        (
            lambda builder: builder.table(PRICES, store=VERSIONS),
            "wait for 60000 ms, and the versions .* go back 10000 ms",
        ),
        (lambda builder: builder.global_table(PRICES), "grace= is of a join with a table of versions"),
    ],
)
def test_grace_needs_versions_that_go_back_so_far(other: Any, words: str) -> None:
    builder = hr.StreamsBuilder()
    stream: Any = builder.stream(ORDERS)
    table = other(builder)
    with pytest.raises(hr.TopologyError, match=words):
        stream.join(table, lambda order, price: order, grace="60s")
