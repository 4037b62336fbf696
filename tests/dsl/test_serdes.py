"""Serdes travel while a type stays; a changed type without a serde is refused where bytes are needed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.topology.nodes import SinkNode


@dataclass
class Stats:
    total: int = 0

    def add(self, amount: int) -> "Stats":
        return Stats(self.total + amount)


def sink(builder: hr.StreamsBuilder) -> SinkNode:
    nodes = [node for node in builder.build().nodes.values() if isinstance(node, SinkNode)]
    return nodes[-1]


def test_topic_without_serdes_has_text_keys_and_raw_values() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").to("out")
    node = sink(builder)
    assert (node.key, node.value) == (hr.string, hr.raw)


def test_serdes_stay_through_a_filter() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in", key=int, value=float).filter(lambda k, v: True).to("out")
    node = sink(builder)
    assert (node.key, node.value) == (hr.int64, hr.float64)


def test_value_serde_comes_from_the_argument_first() -> None:
    def length(value: bytes) -> int:
        return len(value)

    builder = hr.StreamsBuilder()
    builder.stream("in").map_values(length, value=hr.int32).to("out")
    assert sink(builder).value == hr.int32


def test_value_serde_comes_from_the_return_annotation() -> None:
    def length(value: bytes) -> int:
        return len(value)

    builder = hr.StreamsBuilder()
    builder.stream("in").map_values(length).to("out")
    assert sink(builder).value == hr.int64


def test_value_serde_comes_from_a_class_used_as_function() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in", value=int).map_values(str).to("out")
    assert sink(builder).value == hr.string


def test_both_serdes_come_from_an_annotated_pair() -> None:
    def swap(key: str, value: bytes) -> tuple[int, str]:
        return len(value), key

    builder = hr.StreamsBuilder()
    builder.stream("in").map(swap).to("out")
    node = sink(builder)
    assert (node.key, node.value) == (hr.int64, hr.string)


def test_value_serde_comes_from_what_an_annotated_iterable_holds() -> None:
    def words(value: str) -> Iterable[str]:
        return value.split()

    builder = hr.StreamsBuilder()
    builder.stream("in", value=str).flat_map_values(words).to("out")
    assert sink(builder).value == hr.string


def test_aggregate_serde_comes_from_the_initialiser_class() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream("in", value=int).group_by_key()
    grouped.aggregate(Stats, lambda k, v, stats: stats.add(v), store="s")
    assert builder.build().stores["s"].value == hr.json(Stats)


def test_count_is_a_64_bit_integer_and_its_windowed_key_knows_the_size() -> None:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows("5m", grace="0s")
    builder.stream("in").group_by_key().windowed_by(windows).count().to_stream().to("out")
    node = sink(builder)
    assert node.value == hr.int64
    assert node.key == hr.time_windowed(str, "5m")


def test_processor_function_tells_what_it_yields() -> None:
    @hr.processor()
    def lengths(record: hr.Record[str, bytes]) -> Iterator[hr.Record[str, int]]:
        yield record.with_value(len(record.value))

    builder = hr.StreamsBuilder()
    builder.stream("in").process(lengths).to("out")
    node = sink(builder)
    assert (node.key, node.value) == (hr.string, hr.int64)


def test_merge_keeps_equal_serdes() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("a", value=int).merge(builder.stream("b", value=int)).to("out")
    assert sink(builder).value == hr.int64


def test_merge_forgets_different_serdes() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("a", value=int).merge(builder.stream("b", value=str)).to("out")
    with pytest.raises(
        hr.TopologyError, match=r"needs the serde of its value, which comes from the merge at"
    ):
        builder.build()


def test_unknown_serde_names_node_and_lambda() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").map_values(lambda v: len(v)).group_by_key().reduce(lambda a, b: a + b)
    with pytest.raises(
        hr.TopologyError,
        match=r"^KSTREAM-REDUCE-0000000003 \(test_serdes.py:\d+\) needs the serde of its value, which comes from "
        r"the lambda at test_serdes.py:\d+: write `value=` there$",
    ):
        builder.build()


def test_unknown_serde_costs_nothing_where_no_bytes_are_needed() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").map_values(lambda v: len(v)).foreach(lambda k, v: None)
    assert len(builder.build().nodes) == 3


def test_no_default_is_applied_to_a_changed_key() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").select_key(lambda k, v: len(v)).to("out")
    with pytest.raises(hr.TopologyError, match="needs the serde of its key"):
        builder.build()


def test_store_declares_the_serde_of_an_aggregate() -> None:
    builder = hr.StreamsBuilder()
    store = stores.key_value("s", key=str, value=hr.int32)
    builder.stream("in").group_by_key().aggregate(
        lambda: 0, lambda k, v, n: n + 1, store=store, value=hr.int32
    )
    assert builder.build().stores["s"].value == hr.int32


def test_value_and_store_must_agree() -> None:
    builder = hr.StreamsBuilder()
    store: Any = stores.key_value("s", key=str, value=str)
    grouped = builder.stream("in").group_by_key()
    with pytest.raises(hr.TopologyError, match=r"store 's' is declared with string"):
        grouped.aggregate(lambda: 0, lambda k, v, n: n, value=int, store=store)


def test_serde_that_is_none_is_refused_at_once() -> None:
    builder = hr.StreamsBuilder()
    with pytest.raises(hr.TopologyError, match=r"^test_serdes.py:\d+: value='text': 'text' is no serde"):
        builder.stream("in", value="text")  # type: ignore[call-overload]  # the mistake
