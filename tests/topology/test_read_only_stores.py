"""Stores of a topology made by hand that hold a topic as it is, and processors that are connected to them."""

from collections.abc import Iterator
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.stores import Stamped, VersionedStore

PRICES = hr.Topic("prices", value=int)
ORDERS = hr.Topic("orders", value=str)
OUT = hr.Topic("out", value=str)
ROWS = stores.key_value("rows", key=str, value=int)


class Priced(hr.Processor[str, str, str, str]):
    def init(self) -> None:
        self.rows: Any = self.context.store("rows")

    def process(self, record: hr.Record[str, str]) -> Iterator[hr.Record[str, str]]:
        if record.value == "put":
            self.rows.put("a", 1)
        yield record.with_value(f"{record.value} for {self.rows.get(record.key)}")


def priced(store: stores.Store[Any] = ROWS, **filled: Any) -> hr.Topology:
    return (
        hr.Topology()
        .add_read_only_state_store("fill", store, PRICES, **filled)
        .add_source("orders-source", ORDERS)
        .add_processor("priced", Priced, "orders-source")
        .connect_processor_and_state_stores("priced", "rows")
        .add_sink("sink", OUT, "priced")
    )


@pytest.mark.parametrize("loses_state", [False, True])
def test_store_has_the_topic_also_after_a_restart_and_no_changelog(loses_state: bool) -> None:
    with testing.TopologyTestDriver(priced()) as driver:
        driver.input(PRICES).pipe_all([("a", 1), ("b", 2), ("b", None), (None, 3)])
        driver.restart(lose_state=loses_state)
        driver.input(ORDERS).pipe_all([("a", "x"), ("b", "y")])
        assert driver.output(OUT).read_pairs() == [("a", "x for 1"), ("b", "y for None")]
        assert set(driver.log.topics()) == {"prices", "orders", "out"}


def test_processors_that_do_not_fill_it_only_read_it() -> None:
    with testing.TopologyTestDriver(priced()) as driver, pytest.raises(hr.ProcessingError) as failed:
        driver.input(ORDERS).pipe("a", "put")
    assert "can only be read here" in str(failed.value.__cause__)


def test_store_is_filled_by_a_processor_of_ones_own() -> None:
    class Filling(hr.Processor[str, int, Any, Any]):
        def init(self) -> None:
            self.rows = self.context.store(ROWS)

        def process(self, record: hr.Record[str, int]) -> None:
            self.rows.put(record.key, record.value)

    topology = priced(processor=Filling)
    assert topology.describe().count("Sub-topology") == 1
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(PRICES).pipe("a", 5)
        driver.input(ORDERS).pipe("a", "x")
        assert driver.output(OUT).read_pairs() == [("a", "x for 5")]


def test_store_with_headers_and_one_of_versions_hold_a_topic_too() -> None:
    with_headers = stores.key_value("rows", key=str, value=int, headers=True)
    with testing.TopologyTestDriver(priced(with_headers)) as driver:
        driver.input(PRICES).pipe("a", 5, timestamp=7, headers=(("h", b"1"),))
        driver.restart(lose_state=True)
        assert driver.store(with_headers).get("a") == Stamped(5, 7, (("h", b"1"),))
    versions: stores.Store[VersionedStore[str, int]] = stores.versioned(
        "rows", history="1h", key=str, value=int
    )
    with testing.TopologyTestDriver(priced(versions)) as driver:
        driver.input(PRICES).pipe_all([("a", 5, 10), ("a", 6, 20)])
        driver.restart(lose_state=True)
        assert driver.store(versions).get("a", as_of=15) == (5, 10)


def test_mistakes_are_told_with_what_to_write() -> None:
    topology = hr.Topology()
    with pytest.raises(hr.TopologyError, match="a window store cannot hold a topic as it is"):
        window = stores.window("w", key=str, value=int, size="1m", retention="1h")
        topology.add_read_only_state_store("fill", window, PRICES)
    with pytest.raises(hr.TopologyError, match=r"has values of .*, and topic 'orders' of"):
        topology.add_read_only_state_store("fill", ROWS, ORDERS)
    topology.add_read_only_state_store("fill", ROWS, "prices")
    with pytest.raises(hr.TopologyError, match="there is no processor 'nobody' to connect store 'rows' to"):
        topology.connect_processor_and_state_stores("nobody", "rows")
    with pytest.raises(hr.TopologyError, match="no store is named to connect 'fill' to"):
        topology.connect_processor_and_state_stores("fill")
    with pytest.raises(
        hr.TopologyError, match=r"name the store, found .*; add_state_store\(\) adds a declared one"
    ):
        topology.connect_processor_and_state_stores("fill", ROWS)  # type: ignore[arg-type]  # the mistake under test
