"""What the builder refuses, and with which words; what it remembers."""

import pytest

import headrace as hr
from headrace import stores
from headrace.topology.nodes import ProcessorNode


class Keep(hr.Processor[str, bytes, str, bytes]):
    pass


def test_node_remembers_where_it_was_declared() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").filter(lambda k, v: True).to("out")
    where = builder.build().nodes["KSTREAM-FILTER-0000000001"].where
    assert str(where) == "test_builder.py:16"


def test_explicit_names_lists_generated_stores_and_topics() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    builder.stream("in").group_by(lambda k, v: v, key=bytes).count()
    with pytest.raises(hr.TopologyError) as caught:
        builder.build()
    assert str(caught.value) == (
        "explicit_names=True, but these internal resources have generated names:\n"
        "  stores and their changelogs: KSTREAM-AGGREGATE-STATE-STORE-0000000002 (name them with store=)\n"
        "  repartition topics: KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition (name them with name= or store=)"
    )


def test_explicit_names_accepts_given_ones() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    builder.stream("in").group_by(lambda k, v: v, key=bytes).count(store="counts")
    assert list(builder.build().repartition_topics) == ["counts-repartition"]


def test_table_that_nobody_keeps_needs_no_name() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    builder.table("in").to_stream().to("out")
    assert dict(builder.build().stores) == {}


def test_equal_names_are_refused_with_both_places() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream("in")
    stream.filter(lambda k, v: True, name="same")
    stream.filter(lambda k, v: True, name="same")
    with pytest.raises(
        hr.TopologyError, match=r"two nodes named 'same': test_builder.py:48 and test_builder.py:49"
    ):
        builder.build()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "ä", "x" * 250])
def test_illegal_names_are_refused(name: str) -> None:
    stream = hr.StreamsBuilder().stream("in")
    with pytest.raises(hr.TopologyError, match="of a node"):
        stream.filter(lambda k, v: True, name=name)


def test_topics_that_overlap_are_refused() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(["a", "b"])
    builder.stream(["b", "c"])
    with pytest.raises(hr.TopologyError, match="sources that overlap must read the same topics"):
        builder.build()


def test_same_topic_with_two_serdes_is_refused() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("a", value=int)
    builder.stream("a", value=str)
    with pytest.raises(hr.TopologyError, match="with different value serdes"):
        builder.build()


def test_topic_cannot_be_stream_and_table() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("a")
    builder.table("a")
    with pytest.raises(hr.TopologyError, match=r"reads topic 'a', which .* reads already"):
        builder.build()


def test_store_that_nobody_uses_is_refused() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").to("out")
    builder.add_state_store(stores.key_value("seen", key=str, value=str))
    with pytest.raises(
        hr.TopologyError, match=r"no processor is connected to store 'seen' \(test_builder.py:\d+\)"
    ):
        builder.build()


def test_processor_with_an_unknown_store_is_refused() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").process(Keep, "seen")
    with pytest.raises(hr.TopologyError, match=r"uses store 'seen', which was not added"):
        builder.build()


def test_declared_store_is_added_and_connected() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").process(Keep, stores.key_value("seen", key=str, value=str), name="keep")
    topology = builder.build()
    node = topology.nodes["keep"]
    assert isinstance(node, ProcessorNode)
    assert node.stores == ("seen",)
    assert not topology.stores["seen"].timestamped


def test_supplier_of_one_object_is_refused() -> None:
    one = Keep()
    with pytest.raises(hr.TopologyError, match="gives the same Keep object twice"):
        hr.StreamsBuilder().stream("in").process(lambda: one)


def test_processor_object_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match="every task needs its own; pass the class"):
        hr.StreamsBuilder().stream("in").process(Keep())  # type: ignore[arg-type]  # the mistake


def test_function_that_takes_the_record_is_told_how_it_becomes_a_processor() -> None:
    def keep(record: hr.Record[str, bytes]) -> None: ...

    with pytest.raises(hr.TopologyError, match=r"keep\(.*\) .* needs @hr.processor\(\)"):
        hr.StreamsBuilder().stream("in").process(keep)  # type: ignore[arg-type]  # the mistake


def test_window_store_for_a_count_without_windows_is_refused() -> None:
    grouped = hr.StreamsBuilder().stream("in").group_by_key()
    with pytest.raises(hr.TopologyError, match="is a window store, and a key-value store is needed here"):
        grouped.count(store=stores.window("w"))  # type: ignore[arg-type]  # the mistake


def test_retention_below_size_and_grace_is_refused() -> None:
    windowed = hr.StreamsBuilder().stream("in").group_by_key().windowed_by(hr.TimeWindows("5m", grace="1m"))
    with pytest.raises(hr.TopologyError, match="less than size and grace together, 360000 ms"):
        windowed.count(store=stores.window("w", retention="5m"))


def test_retention_is_size_and_grace_if_none_is_given() -> None:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows("5m", grace="1m")
    builder.stream("in").group_by_key().windowed_by(windows).count(store="w")
    spec = builder.build().stores["w"]
    assert (spec.size_ms, spec.retention_ms) == (300_000, 360_000)


def test_builder_builds_once() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").to("out")
    builder.build()
    with pytest.raises(hr.TopologyError, match="make a new StreamsBuilder"):
        builder.build()


def test_built_topology_cannot_be_changed() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").to("out")
    with pytest.raises(hr.TopologyError, match="cannot be changed"):
        builder.build().add_source("more", "topic")


def test_branches_are_named_after_the_split() -> None:
    builder = hr.StreamsBuilder()
    branches = (
        builder.stream("in")
        .split(name="by-")
        .branch(lambda k, v: True, name="big")
        .branch(lambda k, v: True, then=lambda stream: None)
        .default_branch()
    )
    assert list(branches) == ["by-big", "by-0"]


def test_split_by_names_nodes_as_a_split_with_default_branch() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").split_by(lambda k, v: True)
    assert list(builder.build().nodes)[1:] == [
        "KSTREAM-BRANCH-0000000001",
        "KSTREAM-BRANCH-00000000011",
        "KSTREAM-BRANCH-00000000010",
    ]


def test_left_join_lets_null_keys_through_its_repartition() -> None:
    builder = hr.StreamsBuilder()
    table = builder.table("t", key=bytes)
    rekeyed = builder.stream("in").select_key(lambda k, v: v, key=bytes)
    rekeyed.left_join(table, lambda v, other: v, value=bytes, name="J").to("out")
    node = builder.build().nodes["J-repartition-filter"]
    assert isinstance(node, ProcessorNode)
    assert vars(node.operator) == {"keep_null_keys": True}


def test_optimised_table_is_restored_from_its_topic() -> None:
    builder = hr.StreamsBuilder(optimize=frozenset({"reuse.ktable.source.topics"}))
    builder.table("in", store="S")
    spec = builder.build().stores["S"]
    assert (spec.source_topic, spec.logging) == ("in", False)


def test_unknown_optimisation_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match="optimize="):
        hr.StreamsBuilder(optimize=frozenset({"everything"}))


def test_joined_topics_are_a_copartition_group() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("clicks").join(builder.table("users"), lambda a, b: a, value=bytes).to("out")
    assert builder.build().copartition_groups == (frozenset({"clicks", "users"}),)


def test_merged_source_stays_in_its_copartition_group() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("clicks").to("copy")
    builder.stream("clicks").join(builder.table("users"), lambda a, b: a, value=bytes).to("out")
    assert builder.build().copartition_groups == (frozenset({"clicks", "users"}),)


# ── streams that lead nowhere ────────────────────────────────────────────────────────────────────────────────────


def test_operator_whose_stream_is_not_used_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream("in", value=str)
    stream.filter(lambda key, value: value != "secret")
    stream.map_values(str.upper, value=str)
    stream.to("out")
    builder.build()
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split(" (test_builder.py:")[0] for message in messages] == [
        "KSTREAM-FILTER-0000000001",
        "KSTREAM-MAPVALUES-0000000002",
    ]
    assert "leads nowhere: the stream that it gives is not used" in messages[0]


def test_streams_that_are_used_and_functions_that_act_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream("in", value=str)
    stream.filter(lambda key, value: True).group_by_key().count()
    stream.map_values(str.upper, value=str).merge(stream).to("out")
    stream.peek(lambda key, value: None)
    stream.foreach(lambda key, value: None)
    builder.table("rows", value=str).filter(lambda key, value: True)
    builder.build()
    assert caplog.records == []


def test_explicit_names_says_how_what_is_held_back_is_named() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    counts = (
        builder.stream("in")
        .group_by_key()
        .windowed_by(hr.TimeWindows("1m", grace="0s"))
        .count(store="counts")
    )
    counts.suppress(hr.until_window_closes())
    with pytest.raises(hr.TopologyError) as caught:
        builder.build()
    assert str(caught.value) == (
        "explicit_names=True, but these internal resources have generated names:\n"
        "  what suppress() holds back, and its changelogs: KTABLE-SUPPRESS-STATE-STORE-0000000003 (name them with "
        "name= of until_window_closes() or until_time_limit())"
    )
