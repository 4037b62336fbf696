"""Sources and sinks of a topology made by hand: patterns, times, where to begin, which topic, which partition."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

import headrace as hr
from headrace import testing
from headrace.base.records import Headers
from headrace.topology.nodes import SourceNode

OUT = hr.Topic("out", value=str, partitions=3)
TOO_FEW: Any = lambda key: 0  # noqa: E731 - of any type, since it is a mistake


def source(topology: hr.Topology) -> SourceNode:
    (found,) = (node for node in topology.nodes.values() if isinstance(node, SourceNode))
    return found


def by_region(topic: str, key: str, value: str, headers: Headers, partitions: int) -> int | None:
    region = dict(headers).get("region")
    return None if region is None else {b"eu": 0, b"us": 1}[region] % partitions


def written(topology: hr.Topology, *records: tuple[str, str, Headers]) -> list[tuple[int, bytes | None]]:
    """Partition and value of each record that comes out."""
    with testing.TopologyTestDriver(topology) as driver:
        for key, value, headers in records:
            driver.input(hr.Topic("in", value=str)).pipe(key, value, headers=headers)
        return [(row[0], row[3]) for row in driver.log.records("out")]


def test_source_reads_all_topics_that_match_a_pattern() -> None:
    topology = (
        hr.Topology()
        .add_source("src", hr.Pattern("in-.*"), value=str)
        .add_sink("snk", "out", "src", value=str)
    )
    assert topology.describe().splitlines()[2] == "    Source: src (topics: in-.*)"
    assert source(topology.with_topics(["in-1", "in-2", "out"])).topics == ("in-1", "in-2")


def test_source_takes_serdes_time_and_where_to_begin() -> None:
    topology = hr.Topology().add_source(
        "src",
        "in",
        "more",
        key=int,
        timestamp=lambda record, time: record.key,
        offset_reset=timedelta(hours=1),
    )
    topology.add_sink("snk", "out", "src", key=int)
    found = source(topology)
    assert (found.key, found.value, found.offset_reset) == (hr.int64, hr.raw, timedelta(hours=1))
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(hr.Topic("in", key=int)).pipe(7, b"a", timestamp=3)
        assert driver.output(hr.Topic("out", key=int)).read() == hr.Record(7, b"a", 7)


def test_sink_asks_for_the_topic_of_each_record() -> None:
    topology = (
        hr.Topology()
        .add_source("src", "in", value=str)
        .add_sink("snk", lambda key, value, metadata: f"to-{key}", "src", value=str)
    )
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(hr.Topic("in", value=str)).pipe_all([("a", "1"), ("b", "2")])
        assert driver.output(hr.Topic("to-b", value=str)).read_pairs() == [("b", "2")]


def test_sink_asks_its_partitioner() -> None:
    topology = (
        hr.Topology()
        .add_source("src", "in", value=str)
        .add_sink("snk", OUT, "src", partitioner=lambda topic, key, value, count: int(value) % count)
    )
    assert written(topology, ("a", "1", ()), ("a", "5", ())) == [(1, b"1"), (2, b"5")]


def test_partitioner_may_look_at_headers() -> None:
    topology = (
        hr.Topology()
        .add_source("src", "in", value=str)
        .add_sink("snk", OUT, "src", partitioner=hr.with_headers(by_region))
    )
    eu, us = (("region", b"eu"),), (("region", b"us"),)
    # Without a region the key decides.
    assert written(topology, ("a", "1", eu), ("a", "2", us), ("a", "3", ())) == [
        (0, b"1"),
        (1, b"2"),
        (1, b"3"),
    ]


def test_stream_may_be_written_and_repartitioned_by_headers() -> None:
    def everywhere(topic: str, key: str, value: str, headers: Headers, partitions: int) -> Iterable[int]:
        return range(len(headers))

    builder = hr.StreamsBuilder()
    stream = builder.stream("in", value=str).repartition(
        partitions=3, partitioner=hr.with_headers(by_region), name="by"
    )
    stream.to(OUT, partitioner=hr.with_headers(everywhere))
    topology = builder.build()
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(hr.Topic("in", value=str)).pipe("a", "1", headers=(("region", b"us"), ("x", None)))
        assert [row[0] for row in driver.log.records("test-by-repartition")] == [1]
        assert [row[0] for row in driver.log.records("out")] == [0, 1]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda t: t.add_source("s"), "reads no topic; name at least one"),
        (lambda t: t.add_source("s", hr.Pattern("a.*"), "b"), "expected the name of a topic, or a Topic"),
        (
            lambda t: t.add_source("s", hr.Topic("a"), key=int),
            "has serdes already: leave key= and value= out",
        ),
        (lambda t: t.add_source("s", "a", key=3), "key=3"),
        (lambda t: t.add_source("s", "a", offset_reset="first"), "offset_reset='first' does not exist"),
        (lambda t: t.add_source("s", "a", timestamp=lambda record: 0), "the timestamp extractor"),
        (
            lambda t: t.add_source("s", "a").add_sink("k", lambda key: "x", "s"),
            "the function that chooses the topic",
        ),
        (
            lambda t: t.add_source("s", "a").add_sink("k", "x", "s", partitioner=lambda key: 0),
            "the partitioner",
        ),
        (
            lambda t: t.add_source("s", "a").add_sink("k", "x", "s", partitioner=hr.with_headers(TOO_FEW)),
            "the partitioner",
        ),
    ],
)
def test_wrong_use_is_refused_with_its_place(call: Any, said: str) -> None:
    with pytest.raises(hr.TopologyError) as caught:
        call(hr.Topology())
    assert said in str(caught.value)
    assert "test_sources_and_sinks.py:" in str(caught.value)


def test_partitioner_of_a_foreign_key_join_is_not_given_headers() -> None:
    builder = hr.StreamsBuilder()
    join: Any = builder.table("left", value=str).join
    with pytest.raises(hr.TopologyError, match="is given a key alone: leave with_headers"):
        join(
            builder.table("right", value=str),
            lambda one, two: one,
            on=lambda value: value,
            partitioner=hr.with_headers(by_region),
        )
