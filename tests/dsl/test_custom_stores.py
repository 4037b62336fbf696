"""Stores of a user's own, from the builder to the records: retries, restarts, and what is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores, testing
from tests.state.own_stores import FileShelf, Shelf

LINES = hr.Topic("lines", value=str)
OUT = hr.Topic("out", value=str)
SHELF = stores.custom("shelf", Shelf)


@hr.processor(SHELF)
def keep(record: hr.Record[str, str], shelf: Shelf) -> Iterator[hr.Record[str, str]]:
    before = shelf.rows.get(record.key, "nothing")
    shelf.put(record.key, record.value)
    if record.value == "bad":
        raise ValueError("a bad value")
    yield record.with_value(f"{record.value} after {before}")


def topology() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(LINES).process(keep).to(OUT)
    return builder.build()


@pytest.mark.parametrize("loses_state", [False, True])
def test_store_has_after_a_restart_what_was_committed(loses_state: bool) -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        driver.input(LINES).pipe("a", "1")
        driver.restart(lose_state=loses_state)
        driver.input(LINES).pipe("a", "2")
        assert [value for _, value in driver.output(OUT).read_pairs()] == ["1 after nothing", "2 after 1"]
        assert driver.store(SHELF).rows == {"a": "2"}
        assert [(key, value) for _, _, key, value, *_ in driver.log.records("test-shelf-changelog")] == [
            (b"a", b"1"),
            (b"a", b"2"),
        ]


def test_record_that_is_tried_again_finds_the_store_as_it_was_before() -> None:
    tries = iter([hr.Reaction.retry, hr.Reaction.resume])
    with testing.TopologyTestDriver(
        topology(), processing_exception_handler=lambda failure: next(tries)
    ) as driver:
        driver.input(LINES).pipe("a", "1")
        driver.input(LINES).pipe("a", "bad")
        assert next(tries, None) is None
        calls = driver.store(SHELF).calls
        assert calls[:2] == ["init", "restore 1"], "another object took its place"


def test_store_with_files_keeps_them_in_a_directory_of_its_own() -> None:
    shelf = stores.custom("shelf", FileShelf, persistent=True)

    @hr.processor(shelf)
    def count(record: hr.Record[str, str], shelf: FileShelf) -> Iterator[hr.Record[str, str]]:
        shelf.put(record.key, str(int(shelf.rows.get(record.key, "0")) + 1))
        yield record.with_value(shelf.rows[record.key])

    builder = hr.StreamsBuilder()
    builder.stream(LINES).process(count).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for loses_state in (False, True, False):
            driver.input(LINES).pipe("a", "x")
            driver.restart(lose_state=loses_state)
        driver.input(LINES).pipe("a", "x")
        assert [value for _, value in driver.output(OUT).read_pairs()] == ["1", "2", "3", "4"]
        file = driver.store(shelf).file
        assert (file.parent.name, file.parent.parent.name) == ("shelf", "0_0")


def test_processor_is_tried_out_with_a_store_of_its_own() -> None:
    with testing.MockProcessorContext(keep) as mock:
        mock.process(hr.Record("a", "1"))
        assert mock.store(SHELF).rows == {"a": "1"}


def test_mistakes_are_told_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="write the class of yours"):
        stores.custom("shelf", Shelf())  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(hr.TopologyError, match="is a custom store, and a key-value store is needed here"):
        hr.StreamsBuilder().table(LINES, store=SHELF)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(hr.TopologyError, match="cannot be read by all tasks"):
        hr.StreamsBuilder().add_global_store(SHELF, LINES, keep)
    streams = hr.Streams(topology(), application_id="own", embedded_path=str(tmp_path / "log.db"))
    with pytest.raises(hr.TopologyError, match="is one of your own, which its processors alone have"):
        streams.query("shelf")
