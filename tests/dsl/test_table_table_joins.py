"""Joins of tables, from the builder to the records: names, stores, serdes, what is joined and looked up again."""

from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.plan import make_plan

LEFT = hr.Topic("left", value=str)
RIGHT = hr.Topic("right", value=str)
OUT = hr.Topic("out", value=str)
BOTH = stores.key_value("both", key=str, value=str)


def both(one: str | None, two: str | None) -> str:
    return f"{one}+{two}"


def tables() -> tuple[hr.StreamsBuilder, hr.KTable[str, str], hr.KTable[str, str]]:
    builder = hr.StreamsBuilder()
    return builder, builder.table(LEFT), builder.table(RIGHT)


def results(builder: hr.StreamsBuilder, *steps: tuple[hr.Topic[str, str], str, str | None]) -> list[Any]:
    with testing.TopologyTestDriver(builder.build()) as driver:
        for topic, key, value in steps:
            driver.input(topic).pipe(key, value)
        return driver.output(OUT).read_pairs()


STEPS = (
    (LEFT, "a", "L"),
    (RIGHT, "a", "R"),
    (RIGHT, "b", "S"),
    (LEFT, "a", None),
    (RIGHT, "a", None),
)


def test_join_has_rows_of_keys_that_both_tables_have() -> None:
    builder, left, right = tables()
    left.join(right, both).to_stream().to(OUT)
    assert results(builder, *STEPS) == [("a", "L+R"), ("a", None)]


def test_left_join_has_rows_of_keys_that_this_table_has() -> None:
    builder, left, right = tables()
    left.left_join(right, both).to_stream().to(OUT)
    assert results(builder, *STEPS) == [("a", "L+None"), ("a", "L+R"), ("a", None)]


def test_outer_join_has_rows_of_keys_that_either_table_has() -> None:
    builder, left, right = tables()
    left.outer_join(right, both).to_stream().to(OUT)
    assert results(builder, *STEPS) == [
        ("a", "L+None"),
        ("a", "L+R"),
        ("b", "None+S"),
        ("a", "None+R"),
        ("a", None),
    ]


def test_table_is_joined_with_itself() -> None:
    builder, left, _ = tables()
    left.join(left, both).to_stream().to(OUT)
    assert results(builder, (LEFT, "a", "L")) == [("a", "L+L"), ("a", "L+L")]


def test_result_in_a_store_comes_back_after_a_crash() -> None:
    builder, left, right = tables()
    joined = left.join(right, both, store=BOTH)
    joined.to_stream().to(OUT)
    assert joined.store_name == "both"
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(LEFT).pipe("a", "L")
        driver.input(RIGHT).pipe("a", "R")
        driver.restart()
        assert driver.store(BOTH).get("a") == "L+R"
        driver.input(RIGHT).pipe("a", "S")
        assert driver.output(OUT).read_pairs() == [("a", "L+R"), ("a", "L+S")]


def test_result_without_a_store_joins_a_third_table_and_a_stream() -> None:
    builder, left, right = tables()
    joined = left.outer_join(right, both)
    joined.join(builder.table("third", value=str), both).to_stream().to(OUT)
    builder.stream("in", value=str).join(joined, both).to(OUT)
    third, stream = hr.Topic("third", value=str), hr.Topic("in", value=str)
    steps = ((RIGHT, "a", "R"), (third, "a", "T"), (LEFT, "a", "L"), (stream, "a", "I"))
    assert results(builder, *steps) == [("a", "None+R+T"), ("a", "L+R+T"), ("a", "I+L+R")]


def test_rows_of_a_join_leave_their_groups_when_they_change() -> None:
    builder, left, right = tables()
    grouped = left.join(right, both).group_by(lambda key, value: (value, key), key=str, value=str)
    grouped.count().map_values(str, value=str).to_stream().to(OUT)
    steps = ((LEFT, "a", "L"), (RIGHT, "a", "R"), (RIGHT, "a", "S"), (LEFT, "a", None))
    assert results(builder, *steps) == [("L+R", "1"), ("L+R", "0"), ("L+S", "1"), ("L+S", "0")]


def test_filter_below_a_join_sends_no_deletion_of_what_never_passed() -> None:
    builder, left, right = tables()
    left.join(right, both).filter(lambda key, value: value.endswith("S")).to_stream().to(OUT)
    steps = ((LEFT, "a", "L"), (RIGHT, "a", "R"), (RIGHT, "a", "S"), (RIGHT, "a", "R"))
    assert results(builder, *steps) == [("a", "L+S"), ("a", None)]


def test_aggregates_are_joined_with_each_other() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream(LEFT)
    by_value = stream.group_by(lambda key, value: value, key=str).count()
    stream.group_by_key().count().join(by_value, lambda one, two: f"{one}+{two}", value=str).to_stream().to(
        OUT
    )
    assert results(builder, (LEFT, "a", "x"), (LEFT, "b", "a")) == [("a", "1+1")]


def test_names_are_kafka_streams_own() -> None:
    builder, left, right = tables()
    left.left_join(right, both, name="J", store="S")
    assert builder.build().describe() == (
        "Topologies:\n"
        "   Sub-topology: 0\n"
        "    Source: KSTREAM-SOURCE-0000000001 (topics: [left])\n"
        "      --> KTABLE-SOURCE-0000000002\n"
        "    Source: KSTREAM-SOURCE-0000000004 (topics: [right])\n"
        "      --> KTABLE-SOURCE-0000000005\n"
        "    Processor: KTABLE-SOURCE-0000000002 (stores: [left-STATE-STORE-0000000000])\n"
        "      --> J-join-this\n"
        "      <-- KSTREAM-SOURCE-0000000001\n"
        "    Processor: KTABLE-SOURCE-0000000005 (stores: [right-STATE-STORE-0000000003])\n"
        "      --> J-join-other\n"
        "      <-- KSTREAM-SOURCE-0000000004\n"
        "    Processor: J-join-other (stores: [left-STATE-STORE-0000000000])\n"
        "      --> J\n"
        "      <-- KTABLE-SOURCE-0000000005\n"
        "    Processor: J-join-this (stores: [right-STATE-STORE-0000000003])\n"
        "      --> J\n"
        "      <-- KTABLE-SOURCE-0000000002\n"
        "    Processor: J (stores: [S])\n"
        "      --> none\n"
        "      <-- J-join-this, J-join-other\n"
        "\n"
    )


def test_name_of_a_join_uses_up_as_many_indices_as_none() -> None:
    after = []
    for name in ("J", None):
        builder, left, right = tables()
        left.join(right, both, name=name).filter(lambda key, value: True)
        after.append("KTABLE-FILTER-0000000009" in builder.build().describe())
    assert after == [True, True]


def test_joined_topics_are_a_copartition_group() -> None:
    builder, left, right = tables()
    left.join(right, both)
    assert builder.build().copartition_groups == (frozenset({"left", "right"}),)


def test_topics_of_different_partition_counts_are_refused() -> None:
    builder, left, _ = tables()
    left.outer_join(builder.table(hr.Topic("parted", value=str, partitions=3)), both)
    with pytest.raises(hr.TopologyError, match=r"^cannot join 'left' \(1 partitions, .* equal counts"):
        testing.TopologyTestDriver(builder.build())


def test_repartition_of_one_side_takes_the_partition_count_of_the_other() -> None:
    builder, left, _ = tables()
    rekeyed = builder.stream("in", value=str).select_key(lambda key, value: value, key=str)
    left.join(rekeyed.to_table(store="t", name="T"), both)
    plan = make_plan(builder.build(), {"left": 4, "right": 1, "in": 2}, "app")
    assert plan.partitions["app-T-repartition"] == 4


def test_stream_is_no_table_to_join_with() -> None:
    builder, left, _ = tables()
    other: Any = builder.stream("in")
    with pytest.raises(hr.TopologyError, match=r"^test_table_table_joins.py:\d+: .* to_table\(\) makes one"):
        left.join(other, both)


def test_something_else_is_no_table_to_join_with() -> None:
    _, left, _ = tables()
    other: Any = "right"
    with pytest.raises(hr.TopologyError, match=r"found 'right'; builder.table\(...\) makes one"):
        left.outer_join(other, both)


def test_joiner_is_not_given_the_key() -> None:
    _, left, right = tables()
    joiner: Any = hr.with_key(lambda key, one, two: one)
    with pytest.raises(hr.TopologyError, match=r"leave with_key\(\) out"):
        left.join(right, joiner)


def test_unknown_value_of_a_result_is_an_error_only_where_its_bytes_are_needed() -> None:
    builder, left, right = tables()
    left.join(right, lambda one, two: one).to_stream().foreach(lambda key, value: None)
    builder.build()
    builder, left, right = tables()
    left.join(right, lambda one, two: one, store="S")
    with pytest.raises(hr.TopologyError, match=r"^KTABLE-MERGE-0000000006 .* needs the serde of its value"):
        builder.build()


def test_internal_names_may_be_asked_for() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    left, right = builder.table(LEFT, store="l"), builder.table(RIGHT, store="r")
    left.join(right, both, store=stores.key_value())
    with pytest.raises(hr.TopologyError, match="KTABLE-MERGE-STATE-STORE-0000000004"):
        builder.build()
