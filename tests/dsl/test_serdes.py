"""Serdes travel while a type stays; a changed type without a serde is refused where bytes are needed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

import headrace as hr
from headrace import Serde, Topology, stores
from headrace.testing import TopologyTestDriver
from headrace.topology.nodes import SinkNode, SourceNode


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


COUNTS = stores.key_value("counts", key=str, value=int)
USERS = hr.Topic("users", value=str)


def user(key: str, value: bytes) -> str:
    return key


def through_repartitions(topology: Topology) -> dict[str, tuple[Serde[Any], Serde[Any]]]:
    """Return the serdes of each repartition topic, and make sure that it is read as it is written."""
    nodes = topology.nodes.values()
    written = {
        node.topic: (node.key, node.value)
        for node in nodes
        if isinstance(node, SinkNode) and isinstance(node.topic, str) and node.topic.endswith("-repartition")
    }
    read = {
        node.topics[0]: (node.key, node.value)
        for node in nodes
        if isinstance(node, SourceNode) and node.topics[0] in written
    }
    assert written == read
    return written


def test_repartition_takes_the_key_of_the_store_that_a_grouping_leads_to() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").group_by(lambda k, v: k[:1]).count(store=COUNTS)
    assert through_repartitions(builder.build()) == {"counts-repartition": (hr.string, hr.raw)}


def test_repartition_takes_the_key_of_a_window_store_and_the_table_has_it_too() -> None:
    store = stores.window("quarters", key=hr.int32, value=int)
    builder = hr.StreamsBuilder()
    by_length = builder.stream("in").select_key(lambda k, v: len(v))
    windows = hr.TimeWindows("1h", advance="15m", grace="0s")
    by_length.group_by_key().windowed_by(windows).count(store=store).to_stream().to("out")
    topology = builder.build()
    assert through_repartitions(topology) == {"quarters-repartition": (hr.int32, hr.raw)}
    assert [node.key for node in topology.nodes.values() if isinstance(node, SinkNode)][
        -1
    ] == hr.time_windowed(hr.int32, "1h")


def test_repartition_takes_both_serdes_of_the_store_of_a_reduction() -> None:
    builder = hr.StreamsBuilder()
    sizes = builder.stream("in").map(lambda k, v: (k[:1], len(v)))
    sizes.group_by_key().reduce(lambda a, b: a + b, store=COUNTS)
    assert through_repartitions(builder.build()) == {"counts-repartition": (hr.string, hr.int64)}


def test_values_are_not_taken_from_a_store_of_another_type() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").map(lambda k, v: (k[:1], len(v))).group_by_key().count(store=COUNTS)
    with pytest.raises(
        hr.TopologyError, match=r"^counts-repartition-sink \(.*\) needs the serde of its value, which comes"
    ):
        builder.build()


def test_key_given_to_the_grouping_goes_first_and_the_store_keeps_its_own() -> None:
    builder = hr.StreamsBuilder()
    store = stores.key_value("lengths", key=hr.int64, value=int)
    builder.stream("in").group_by(lambda k, v: len(v), key=hr.int32).count(store=store)
    topology = builder.build()
    assert through_repartitions(topology) == {"lengths-repartition": (hr.int32, hr.raw)}
    assert topology.stores["lengths"].key == hr.int64


def test_annotated_key_goes_first_too() -> None:
    builder = hr.StreamsBuilder()
    store = stores.key_value("users", key=hr.json(str), value=int)
    builder.stream("in").group_by(user).count(store=store)
    assert through_repartitions(builder.build()) == {"users-repartition": (hr.string, hr.raw)}


def test_join_takes_the_key_of_the_table_and_so_does_its_result() -> None:
    builder = hr.StreamsBuilder()
    by_user = builder.stream("in").select_key(lambda k, v: k[:1])
    by_user.join(builder.table(USERS), lambda v, name: name, value=str, name="named").to("out")
    topology = builder.build()
    assert through_repartitions(topology) == {"named-repartition": (hr.string, hr.raw)}
    assert [node.key for node in topology.nodes.values() if isinstance(node, SinkNode)][-1] == hr.string


def test_left_join_takes_the_key_of_the_table() -> None:
    builder = hr.StreamsBuilder()
    by_user = builder.stream("in").select_key(lambda k, v: k[:1])
    by_user.left_join(builder.table(USERS), lambda v, name: name or "", name="named")
    assert through_repartitions(builder.build()) == {"named-repartition": (hr.string, hr.raw)}


def test_to_table_takes_both_serdes_of_its_store() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").map(lambda k, v: (k[:1], len(v))).to_table(store=COUNTS, name="sizes")
    assert through_repartitions(builder.build()) == {"sizes-repartition": (hr.string, hr.int64)}


def test_to_table_refuses_a_key_that_its_store_does_not_have() -> None:
    stream = hr.StreamsBuilder().stream("in", key=int, value=int)
    store = stores.key_value("s", key=hr.int64, value=int)
    with pytest.raises(
        hr.TopologyError, match=r"^test_serdes.py:\d+: key= is int32, but store 's' is declared with int64$"
    ):
        stream.to_table(key=hr.int32, store=store)


def test_named_grouping_takes_serdes_from_whichever_store_declares_them() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream("in").map(lambda k, v: (k[:1], len(v))).group_by_key(name="by-user")
    grouped.count(store=COUNTS)
    grouped.reduce(lambda a, b: a + b, store=stores.key_value("sizes", key=str, value=int))
    assert through_repartitions(builder.build()) == {"by-user-repartition": (hr.string, hr.int64)}


def test_merged_repartition_takes_serdes_from_any_store_that_declares_them() -> None:
    builder = hr.StreamsBuilder(optimize="all")
    sizes = builder.stream("in").map(lambda k, v: (k[:1], len(v)))
    sizes.group_by_key().count(store=COUNTS)
    sizes.group_by_key().reduce(lambda a, b: a + b, store=stores.key_value("sizes", key=str, value=int))
    assert through_repartitions(builder.build()) == {"counts-repartition": (hr.string, hr.int64)}


def test_in_a_merged_repartition_a_key_that_travels_goes_before_a_declared_one() -> None:
    builder = hr.StreamsBuilder(optimize="all")
    by_length = builder.stream("in").select_key(lambda k, v: len(v))
    by_length.group_by_key().count(store=stores.key_value("first", key=hr.int64, value=int))
    by_length.group_by_key(key=hr.int32).count(store=stores.key_value("second", key=hr.int64, value=int))
    assert through_repartitions(builder.build()) == {"first-repartition": (hr.int32, hr.raw)}


def test_equal_keys_are_one_row_whatever_their_order() -> None:
    source = hr.Topic("visits", key=hr.json(dict[str, float]), value=str, partitions=4)
    store = stores.key_value("tags", key=hr.json(frozenset[str]), value=int)
    builder = hr.StreamsBuilder()
    visits = builder.stream(source)
    visits.group_by_key().count(store="visits")
    visits.group_by(lambda key, value: frozenset(value)).count(store=store)
    with TopologyTestDriver(builder.build(), partitions=4) as driver:
        pipe = driver.input(source).pipe
        pipe({"x": 1.0, "y": 0.0}, "abcdefgh", timestamp=0)
        pipe({"y": -0.0, "x": 1}, "hgfedcba", timestamp=1)
        assert [count for _, count in driver.store(store).all()] == [2]
        assert driver.store("visits").get({"y": 0, "x": 1}) == 2


def test_key_whose_equals_differ_in_bytes_is_refused_where_it_is_written() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream(hr.Topic("texts", value=str)).group_by(
        lambda key, value: (value, 1), key=hr.json(tuple[str, int | float])
    )
    grouped.count(store="counts")
    with pytest.raises(
        hr.TopologyError,
        match=r"counts-repartition-sink \(test_serdes.py:\d+\): json\(tuple\[str, int \| float\]\) cannot be the "
        r"serde of a key: a part may be int or float, where 1 and 1.0 are equal and are written "
        r"differently: choose one",
    ):
        builder.build()


def test_key_of_any_kind_may_be_read() -> None:
    builder = hr.StreamsBuilder()
    source = hr.Topic("anything", key=hr.json(object), value=str)
    builder.stream(source).select_key(lambda key, value: str(key), key=str).to("out")
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(source).pipe({"a": 1}, "x", timestamp=0)
        assert driver.output(hr.Topic("out", value=str)).read_pairs() == [("{'a': 1}", "x")]


def test_types_that_hold_others_are_taken_wherever_a_serde_is() -> None:
    def words(line: str) -> list[str]:
        return line.split()

    def lengths(words: list[str]) -> Annotated[dict[str, int], "of words"]:
        return {word: len(word) for word in words}

    lines = hr.Topic("lines", value=str)
    totals = hr.Topic("totals", key=tuple[str, int], value=dict[str, int])
    longest = stores.key_value("longest", key=tuple[str, int], value=dict[str, int])
    builder = hr.StreamsBuilder()
    (
        builder.stream(lines)
        .map_values(words)
        .map_values(lengths)
        .select_key(lambda key, value: (key, len(value)), key=tuple[str, int])
        .group_by_key()
        .aggregate(dict, lambda key, value, total: {**total, **value}, store=longest)
        .to_stream()
        .to(totals)
    )
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(lines).pipe("x", "to be", timestamp=0)
        assert driver.output(totals).read_pairs() == [(("x", 2), {"to": 2, "be": 2})]


def test_aggregator_tells_what_a_bare_initialiser_leaves_open() -> None:
    def add(key: str, value: str, total: dict[str, int]) -> dict[str, int]:
        return {**total, value: len(value)}

    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("in", value=str)).group_by_key().aggregate(dict, add).to_stream().to("out")
    assert sink(builder).value == hr.json(dict[str, int])


def test_open_annotation_is_refused_with_what_to_paste() -> None:
    def parse(line: str) -> dict:  # type: ignore[type-arg]  # as users write it
        return {"line": line}

    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("in", value=str)).map_values(parse).to("out")
    with pytest.raises(
        hr.TopologyError, match=r"parse\(\) at .*: write `value=hr.json\(dict\)` there, or annotate"
    ):
        builder.build()
    with pytest.raises(
        hr.TopologyError, match=r"^test_serdes.py:\d+: value=dict: dict does not say what it holds: write hr"
    ):
        hr.StreamsBuilder().stream("lines", value=dict)


# ── two types in one place ───────────────────────────────────────────────────────────────────────────────────────


def _read(value: Any = None) -> Any:
    return hr.StreamsBuilder().stream("in", value=value)


def _hourly() -> Any:
    windows = hr.TimeWindows("1h", grace="0s")
    return hr.StreamsBuilder().stream("in").group_by_key().windowed_by(windows).count().to_stream()


def _counted() -> Any:
    return hr.StreamsBuilder().stream("in").group_by_key().count().to_stream()


CLASHES: dict[str, Callable[[], Any]] = {
    "a windowed key as text": lambda: _hourly().to(hr.Topic("out", value=int)),
    "windows of another size": lambda: _hourly().to(
        hr.Topic("out", key=hr.time_windowed(str, "5m"), value=int)
    ),
    "windows of sessions": lambda: _hourly().to(hr.Topic("out", key=hr.session_windowed(str), value=int)),
    "windows of another key": lambda: _hourly().to(
        hr.Topic("out", key=hr.time_windowed(int, "1h"), value=int)
    ),
    "a plain key as a window": lambda: _counted().to(
        hr.Topic("out", key=hr.time_windowed(str, "1h"), value=int)
    ),
    "a count as text": lambda: _counted().to(hr.Topic("out", value=str)),
    "a float as an int": lambda: _read(float).to(hr.Topic("out", value=int)),
    "one class as another": lambda: _read(Order).to(hr.Topic("out", value=Customer)),
    "a store of other keys": lambda: _read().group_by_key().count(store=stores.key_value("s", key=int)),
    "a table of other keys": lambda: _joined(hr.Topic("users", key=int, value=str)),
    "two tables of other keys": lambda: _joined_tables(int),
    "two tables of keys of other bytes": lambda: _joined_tables(hr.int32, key=int),
    "a store of a join of other values": lambda: _joined_tables(str, store=stores.key_value("s", value=int)),
    "a table of keys of other bytes": lambda: _joined(hr.Topic("users", key=hr.int32, value=str), key=int),
}

AGREEMENTS: dict[str, Callable[[], Any]] = {
    "windows of that size": lambda: _hourly().to(hr.Topic("out", key=hr.time_windowed(str, "1h"), value=int)),
    "an int as a float": lambda: _counted().to(hr.Topic("out", value=float)),
    "an int in fewer bytes": lambda: _counted().to(hr.Topic("out", value=hr.int32)),
    "one of several classes": lambda: _read(Order).to(hr.Topic("out", value=hr.json(Order | Customer))),
    "anything": lambda: _read(Order).to(hr.Topic("out", value=hr.json(object))),
    "a serde that says nothing of its type": lambda: _counted().to(hr.Topic("out", value=Silent())),
    "what is not known": lambda: _read().map_values(lambda value: value).to(hr.Topic("out", value=str)),
    "a table of the same keys": lambda: _joined(hr.Topic("users", key=str, value=str)),
}


@dataclass
class Order:
    id: str


@dataclass
class Customer:
    country: str


class Silent(hr.Serde[int]):
    pass


def _joined(users: hr.Topic[Any, str], *, key: Any = str) -> Any:
    builder = hr.StreamsBuilder()
    return builder.stream("in", key=key, value=str).join(builder.table(users), lambda one, two: one)


def _joined_tables(other: Any, *, key: Any = str, store: Any = None) -> Any:
    builder = hr.StreamsBuilder()
    this, other = builder.table("in", key=key, value=str), builder.table("other", key=other, value=str)
    return this.join(other, lambda one, two: one, value=str, store=store)


@pytest.mark.parametrize("case", CLASHES)
def test_type_that_is_known_to_be_another_is_refused_where_it_is_written(case: str) -> None:
    with pytest.raises(
        hr.TopologyError, match=r"^test_serdes.py:\d+: the (key|value)s are of .*, and .* has "
    ):
        CLASHES[case]()


@pytest.mark.parametrize("case", AGREEMENTS)
def test_types_that_may_be_the_same_are_let_through(case: str) -> None:
    AGREEMENTS[case]()


def test_clash_names_both_serdes_and_the_topic() -> None:
    with pytest.raises(hr.TopologyError) as caught:
        CLASHES["a windowed key as text"]()
    assert str(caught.value).endswith(
        ": the keys are of time_windowed(string, '3600000ms'), and topic 'out' has string: make them the same, or give "
        "`key=` where they come from if that is not what they are"
    )
