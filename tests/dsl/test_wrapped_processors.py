"""What a user puts around each processor, of a builder's topology and of one made by hand."""

from collections.abc import Sequence
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.topology.wrapping import Process

LINES = hr.Topic("lines", value=str)
COUNTS = hr.Topic("counts", value=int)
OUT = hr.Topic("out", value=str)


class Tracing:
    """Notes which processor was given what, and when it was done."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, name: str, process: Process) -> Process:
        def traced(record: hr.Record[object, object]) -> None:
            self.seen.append(f"{name} {record.value}")
            process(record)
            self.seen.append(f"{name} done")

        return traced


def test_wrapper_is_around_operators_and_what_follows_runs_within() -> None:
    tracing = Tracing()
    builder = hr.StreamsBuilder(wrap_processors=tracing)
    upper = builder.stream(LINES).map_values(str.upper, value=str, name="upper")
    upper.group_by_key().count(name="count").to_stream(name="changes").to(COUNTS)
    with testing.TopologyTestDriver(builder.build(), statestore_cache_max_bytes=0) as driver:
        driver.input(LINES).pipe("a", "x")
        assert driver.output(COUNTS).read_pairs() == [("a", 1)]
    assert tracing.seen == [
        "upper x",
        "count X",
        "changes (1, None, True)",
        "changes done",
        "count done",
        "upper done",
    ]


def test_wrapper_may_change_a_record_or_keep_it_back() -> None:
    def only_text(name: str, process: Process) -> Process:
        def run(record: hr.Record[object, object]) -> None:
            if name != "mine":
                process(record)
            elif record.value != "secret":
                process(record.with_value(f"<{record.value}>").with_headers([("by", b"the wrapper")]))

        return run

    class Mine(hr.Processor[str, str, str, str]):
        def process(self, record: hr.Record[str, str]) -> None:
            self.context.forward(record)

    topology = (
        hr.Topology(wrap_processors=only_text)
        .add_source("source", LINES)
        .add_processor("mine", Mine, "source")
        .add_sink("sink", OUT, "mine")
    )
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe_all([("a", "x"), ("a", "secret")])
        (record,) = driver.output(OUT).read_all()
        assert (record.value, record.headers) == ("<x>", (("by", b"the wrapper"),))


def test_failure_of_a_wrapper_is_one_of_its_node() -> None:
    def failing(name: str, process: Process) -> Process:
        def run(record: hr.Record[object, object]) -> None:
            if record.value == "bad":
                raise ValueError("no")
            process(record)

        return run

    nodes: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        nodes.append(failure.node.split()[0])
        return hr.Reaction.resume

    builder = hr.StreamsBuilder(wrap_processors=failing)
    builder.stream(LINES).map_values(str.upper, value=str, name="upper").to(OUT)
    with testing.TopologyTestDriver(builder.build(), processing_exception_handler=resume) as driver:
        driver.input(LINES).pipe_all([("a", "bad"), ("a", "good")])
        assert driver.output(OUT).read_pairs() == [("a", "GOOD")]
    assert nodes == ["upper"]


SEEN = stores.key_value("seen", key=str, value=int)


class Once:
    """Lets the first record of each key through, at processors of these names."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def stores(self, name: str) -> Sequence[stores.Store[Any]]:
        return [SEEN] if name in self._names else []

    def __call__(self, name: str, process: Process, *stores: Any) -> Process:
        if not stores:
            return process
        (seen,) = stores

        def once(record: hr.Record[object, object]) -> None:
            count = seen.get(record.key) or 0
            seen.put(record.key, count + 1)
            if not count:
                process(record)

        return once


def test_wrapper_has_stores_of_its_own_at_operators() -> None:
    builder = hr.StreamsBuilder(wrap_processors=Once("upper"))
    builder.stream(LINES).filter(lambda key, value: value != "no").map_values(
        str.upper, value=str, name="upper"
    ).to(OUT)
    topology = builder.build()
    assert list(topology.stores) == ["seen"]
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe_all([("a", "no"), ("a", "x"), ("a", "y"), ("b", "z")])
        driver.restart(lose_state=True)
        driver.input(LINES).pipe("a", "again")
        assert driver.output(OUT).read_pairs() == [("a", "X"), ("b", "Z")]
        assert driver.store(SEEN).get("a") == 3


def test_what_a_wrapper_puts_is_logged_as_of_the_record_at_that_processor() -> None:
    builder = hr.StreamsBuilder(wrap_processors=Once("upper"))

    @hr.processor()
    def later(record: hr.Record[str, str]) -> list[hr.Record[str, str]]:
        return [record.with_timestamp(7_000)]

    builder.stream(LINES).process(later).map_values(str.upper, value=str, name="upper").to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(LINES).pipe("a", "x", timestamp=5_000)
        (logged,) = driver.log.records("test-seen-changelog")
        assert 7_000 in logged


def test_wrapper_has_stores_of_its_own_at_processors_which_may_share_them() -> None:
    class Mine(hr.Processor[str, str, str, str]):
        def process(self, record: hr.Record[str, str]) -> None:
            self.context.forward(record)

    topology = (
        hr.Topology(wrap_processors=Once("first", "second"))
        .add_source("source", LINES)
        .add_processor("first", Mine, "source")
        .add_processor("second", Mine, "first")
        .add_sink("sink", OUT, "second")
    )
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe("a", "x")
        assert driver.output(OUT).read_pairs() == []
        assert driver.store(SEEN).get("a") == 2


def test_topology_of_a_pattern_keeps_its_wrapper() -> None:
    tracing = Tracing()
    builder = hr.StreamsBuilder(wrap_processors=tracing)
    builder.stream(hr.Pattern("li.*"), value=str).filter(lambda key, value: True, name="all").to(OUT)
    assert builder.build().with_topics(["lines"]).wrapper is tracing


def test_mistakes_are_told_with_what_to_write() -> None:
    with pytest.raises(hr.TopologyError, match="the wrapper, wrap_processors=,"):
        hr.StreamsBuilder(wrap_processors=lambda name: name)  # type: ignore[arg-type]  # the mistake under test
    builder = hr.StreamsBuilder(wrap_processors=lambda name, process: "x")  # type: ignore[arg-type]
    builder.stream(LINES).filter(lambda key, value: True).to(OUT)
    with pytest.raises(hr.TopologyError, match="let it return a function of a record"):
        testing.TopologyTestDriver(builder.build())


def test_mistakes_with_stores_are_told_with_what_to_write() -> None:
    class NoMethod(Once):
        stores = [SEEN]  # type: ignore[assignment]  # the mistake under test  # noqa: RUF012

    with pytest.raises(
        hr.TopologyError, match="the `stores` of the wrapper, wrap_processors=, cannot be called"
    ):
        hr.StreamsBuilder(wrap_processors=NoMethod())
    builder = hr.StreamsBuilder(wrap_processors=Once("upper", "shown"))
    builder.table(hr.Topic("table", value=int), store="seen", name="shown")
    with pytest.raises(hr.TopologyError, match="there are two stores named 'seen'"):
        builder.build()

    @hr.processor()
    def fill(record: hr.Record[str, str]) -> list[hr.Record[str, str]]:
        return []

    topology = hr.Topology(wrap_processors=Once("all"))
    with pytest.raises(hr.TopologyError, match=r"let its stores\(\) return none there"):
        topology.add_global_store("all", stores.key_value("all", key=str, value=str), LINES, fill)
