"""Rows that expire, from the declaration to the records: what tables send on, what processors read, what comes back."""

from collections.abc import Iterator
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.stores import KeyValueStore

IN = hr.Topic("in", value=int)
OTHER = hr.Topic("other", value=int)
OUT = hr.Topic("out", value=int)
HOUR = 3_600_000
UNCACHED = {"statestore.cache.max.bytes": "0"}


def records(driver: testing.TopologyTestDriver) -> list[tuple[str, int | None, int]]:
    return [(each.key, each.value, each.timestamp) for each in driver.output(OUT).read_all()]


def pipe(driver: testing.TopologyTestDriver, *given: tuple[str, int | None, int]) -> None:
    for key, value, timestamp in given:
        driver.input(IN).pipe(key, value, timestamp=timestamp)


def changelog(driver: testing.TopologyTestDriver, store: str) -> list[tuple[bytes | None, bytes | None, int]]:
    return [record[2:5] for record in driver.log.records(f"test-{store}-changelog")]


def deduplicated(seen: Any) -> hr.Topology:
    @hr.processor(seen)
    def first_only(
        record: hr.Record[str, int], seen: KeyValueStore[str, int]
    ) -> Iterator[hr.Record[str, int]]:
        if seen.put_if_absent(record.key, record.value) is None:
            yield record

    builder = hr.StreamsBuilder()
    builder.stream(IN).process(first_only).to(OUT)
    return builder.build()


SEEN = stores.key_value("seen", key=str, value=int, ttl="1h")


@pytest.mark.parametrize("caching", [False, True])
def test_a_processor_finds_a_row_until_it_is_as_old_as_its_ttl(caching: bool) -> None:
    seen = stores.key_value("seen", key=str, value=int, ttl="1h", caching=caching)
    with testing.TopologyTestDriver(deduplicated(seen)) as driver:
        pipe(driver, ("a", 1, 0), ("a", 2, HOUR - 1), ("a", 3, HOUR), ("a", 4, HOUR + 1))
        assert records(driver) == [("a", 1, 0), ("a", 3, HOUR)]


def test_a_record_moves_time_before_it_is_processed_also_if_it_puts_nothing() -> None:
    with testing.TopologyTestDriver(deduplicated(SEEN)) as driver:
        pipe(driver, ("a", 1, 0), ("b", 1, 1), ("b", 2, 2 * HOUR))
        assert driver.store(SEEN).get("a") is None
        assert list(driver.store(SEEN).all()) == [("b", 2)]


def test_an_expired_row_is_deleted_in_the_changelog_and_a_processors_store_sends_nothing() -> None:
    with testing.TopologyTestDriver(deduplicated(SEEN)) as driver:
        pipe(driver, ("a", 1, 0), ("b", 2, 2 * HOUR))
        one, two = (1).to_bytes(8, "big"), (2).to_bytes(8, "big")
        assert changelog(driver, "seen") == [
            (b"a", one, 0),
            (b"a", None, HOUR),
            (b"b", two, 2 * HOUR),
        ]
        assert records(driver) == [("a", 1, 0), ("b", 2, 2 * HOUR)]


def test_a_row_that_would_have_expired_when_it_is_put_is_not_put() -> None:
    with testing.TopologyTestDriver(deduplicated(SEEN)) as driver:
        pipe(driver, ("a", 1, 2 * HOUR), ("b", 1, HOUR), ("b", 2, HOUR + 1))
        assert list(driver.store(SEEN).all()) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("lose_state", [False, True])
def test_time_survives_a_restart_even_if_the_record_that_moved_it_put_nothing(lose_state: bool) -> None:
    @hr.processor(SEEN)
    def even_only(
        record: hr.Record[str, int], seen: KeyValueStore[str, int]
    ) -> Iterator[hr.Record[str, int]]:
        if record.value % 2 == 0:
            seen.put(record.key, record.value)
        found = seen.get(record.key)
        yield hr.Record(record.key, -1 if found is None else found, record.timestamp)

    builder = hr.StreamsBuilder()
    builder.stream(IN).process(even_only, value=int).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, ("a", 2, 5 * HOUR), ("b", 1, 7 * HOUR))
        driver.restart(lose_state=lose_state)
        pipe(driver, ("c", 4, 6 * HOUR))  # has expired by the time of b, as it would have before
        assert records(driver)[2:] == [("c", -1, 6 * HOUR)]
        assert list(driver.store(SEEN).all()) == []


@pytest.mark.parametrize("lose_state", [False, True])
@pytest.mark.parametrize("engine", ["rocksdb", "memory"])
def test_rows_of_before_a_restart_expire_after_it(lose_state: bool, engine: stores.Engine) -> None:
    seen = stores.key_value("seen", key=str, value=int, ttl="1h", engine=engine)
    with testing.TopologyTestDriver(deduplicated(seen)) as driver:
        pipe(driver, ("a", 1, 0), ("b", 1, 10))
        driver.restart(lose_state=lose_state)
        pipe(driver, ("c", 1, HOUR), ("a", 2, HOUR), ("b", 2, HOUR))
        assert records(driver)[2:] == [("c", 1, HOUR), ("a", 2, HOUR)]


def counted(properties: dict[str, str], **arguments: Any) -> tuple[hr.Topology, dict[str, str]]:
    builder = hr.StreamsBuilder()
    counts = stores.key_value("counts", key=str, value=int, ttl="1h", **arguments)
    builder.stream(IN).group_by_key().count(store=counts).to_stream().to(OUT)
    return builder.build(), properties


@pytest.mark.parametrize("properties", [{}, UNCACHED], ids=["cached", "uncached"])
def test_a_table_sends_a_deletion_of_what_expires_and_begins_anew(properties: dict[str, str]) -> None:
    topology, properties = counted(properties)
    with testing.TopologyTestDriver(topology, properties=properties) as driver:
        pipe(driver, ("a", 1, 0), ("a", 1, 100), ("b", 1, HOUR + 100), ("a", 1, HOUR + 200))
        assert records(driver) == [
            ("a", 1, 0),
            ("a", 2, 100),
            ("a", None, HOUR + 100),
            ("b", 1, HOUR + 100),
            ("a", 1, HOUR + 200),
        ]


def test_a_late_record_that_makes_a_row_which_has_expired_sends_nothing() -> None:
    for properties in ({}, UNCACHED):
        topology, properties = counted(properties)
        with testing.TopologyTestDriver(topology, properties=properties) as driver:
            pipe(driver, ("a", 1, 5 * HOUR), ("b", 1, 4 * HOUR), ("a", 1, HOUR))
            assert records(driver) == [("a", 1, 5 * HOUR), ("a", 2, 5 * HOUR)]


@pytest.mark.parametrize("properties", [{}, UNCACHED], ids=["cached", "uncached"])
def test_what_is_made_of_a_table_follows_its_deletions(properties: dict[str, str]) -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(IN, store=stores.key_value("last", key=str, value=int, ttl="1h"))
    groups = table.group_by(lambda key, value: ("all", value), key=str, value=int)
    groups.reduce(lambda total, value: total + value, lambda total, value: total - value).to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build(), properties=properties) as driver:
        pipe(driver, ("a", 1, 0), ("b", 2, 10), ("c", 4, HOUR + 5))
        assert driver.output(OUT).read_table() == {"all": 6}


def test_a_row_expires_for_the_records_that_are_joined_with_it_too() -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(OTHER, store=stores.key_value("last", key=str, value=int, ttl="1h"))
    builder.stream(IN).left_join(table, lambda one, two: one if two is None else one + two, value=int).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(OTHER).pipe("a", 10, timestamp=0)
        pipe(driver, ("a", 1, HOUR - 1), ("a", 2, HOUR))
        assert records(driver) == [("a", 11, HOUR - 1), ("a", 2, HOUR)]


def test_a_table_that_would_be_restored_from_its_topic_has_a_changelog_if_its_rows_expire() -> None:
    builder = hr.StreamsBuilder(optimize="all")
    builder.table(IN, store=stores.key_value("last", key=str, value=int, ttl="1h")).to_stream().to(OUT)
    topology = builder.build()
    assert topology.stores["last"].source_topic is None
    with testing.TopologyTestDriver(topology) as driver:
        pipe(driver, ("a", 1, 0), ("b", 2, HOUR))
        driver.restart(lose_state=True)
        assert list(driver.store(stores.key_value("last", key=str, value=int)).all()) == [("b", 2)]
        assert records(driver) == [("a", 1, 0), ("a", None, HOUR), ("b", 2, HOUR)]


def test_a_store_that_is_given_a_ttl_later_is_built_anew_from_its_changelog() -> None:
    plain = stores.key_value("seen", key=str, value=int)
    assert deduplicated(plain).stores["seen"].mark != deduplicated(SEEN).stores["seen"].mark


def test_another_ttl_goes_on_with_the_same_rows() -> None:
    longer = stores.key_value("seen", key=str, value=int, ttl="2h")
    assert deduplicated(longer).stores["seen"].mark == deduplicated(SEEN).stores["seen"].mark


def test_ranges_and_prefixes_leave_out_what_has_expired() -> None:
    with testing.TopologyTestDriver(deduplicated(SEEN)) as driver:
        pipe(driver, ("aa", 1, 0), ("ab", 2, 10), ("b", 3, HOUR))
        store = driver.store(SEEN)
        assert list(store.range("a", "b", reverse=True)) == [("b", 3), ("ab", 2)]
        assert list(store.prefix("a")) == [("ab", 2)]


def test_a_mock_context_lets_rows_expire_as_a_task_does() -> None:
    @hr.processor(SEEN)
    def first_only(
        record: hr.Record[str, int], seen: KeyValueStore[str, int]
    ) -> Iterator[hr.Record[str, int]]:
        if seen.put_if_absent(record.key, record.value) is None:
            yield record

    with testing.MockProcessorContext(first_only) as context:
        for timestamp in (0, HOUR - 1, HOUR):
            context.process(hr.Record("a", 1, timestamp))
        assert [each.record.timestamp for each in context.forwarded] == [0, HOUR]


@pytest.mark.parametrize(("ttl", "error"), [("0s", ValueError), (60_000, TypeError), ("-1s", ValueError)])
def test_a_ttl_that_keeps_nothing_or_has_no_unit_is_refused(ttl: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="ttl="):
        stores.key_value("seen", ttl=ttl)


def test_a_global_table_keeps_what_its_topic_has() -> None:
    builder = hr.StreamsBuilder()
    with pytest.raises(hr.TopologyError, match=r"global store 'seen' .* leave ttl= out"):
        builder.global_table(IN, store=SEEN)
        builder.build()
