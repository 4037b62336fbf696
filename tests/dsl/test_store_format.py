"""Stores with headers: those of processors, and what changelogs of tables have in the format with headers."""

from collections.abc import Iterator

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.stores import KeyValueStore, Stamped

LINES = hr.Topic("lines", value=str)
OUT = hr.Topic("out", value=str)
LAST = stores.key_value("last", key=str, value=str, headers=True)


@hr.processor(LAST)
def before(
    record: hr.Record[str, str], last: KeyValueStore[str, Stamped[str]]
) -> Iterator[hr.Record[str, str]]:
    found = last.get(record.key)
    last.put(record.key, Stamped.of(record))
    if found is not None:
        yield hr.Record(record.key, found.value, found.timestamp, found.headers)


def driver_of(builder: hr.StreamsBuilder) -> testing.TopologyTestDriver:
    return testing.TopologyTestDriver(builder.build())


def test_processor_finds_a_record_as_it_was_put_also_after_the_disk_was_lost() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(LINES).process(before).to(OUT)
    with driver_of(builder) as driver:
        driver.input(LINES).pipe("a", "one", timestamp=5, headers=(("h", b"1"), ("e", None)))
        driver.restart(lose_state=True)
        driver.input(LINES).pipe("a", "two", timestamp=6)
        assert driver.output(OUT).read() == hr.Record("a", "one", 5, (("h", b"1"), ("e", None)))
        assert driver.store(LAST).get("a") == Stamped("two", 6)


@pytest.mark.parametrize("caching", [False, True])
@pytest.mark.parametrize("store_format", ["default", "headers"])
def test_deletions_of_tables_are_logged_with_headers_in_the_format_with_headers(
    store_format: str, caching: bool
) -> None:
    builder = hr.StreamsBuilder(store_format="headers" if store_format == "headers" else "default")
    builder.table(LINES, store=stores.key_value("rows", key=str, value=str, caching=caching))
    with driver_of(builder) as driver:
        rows = driver.input(LINES)
        rows.pipe("a", "x", timestamp=5, headers=(("h", b"1"),))
        rows.pipe("a", None, timestamp=6, headers=(("h", b"2"),))
        logged = [headers for *_, headers in driver.log.records("test-rows-changelog")]
        assert logged == [(), (("h", b"2"),) if store_format == "headers" else ()]


def test_mistakes_are_told_with_what_to_write() -> None:
    builder = hr.StreamsBuilder()
    with pytest.raises(hr.TopologyError, match=r"StreamsBuilder\(store_format='headers'\)"):
        builder.table(LINES, store=LAST)  # type: ignore[misc]  # the mistake under test
    with pytest.raises(hr.TopologyError, match="'default' or 'headers' is wanted"):
        hr.StreamsBuilder(store_format="HEADERS")  # type: ignore[arg-type]  # the mistake under test
    builder.stream(LINES).process(before).to(OUT)
    with (
        driver_of(builder) as driver,
        pytest.raises(
            hr.TopologyError, match=r"has values with headers, and is asked for with headers=False"
        ),
    ):
        driver.store(stores.key_value("last", key=str, value=str))
