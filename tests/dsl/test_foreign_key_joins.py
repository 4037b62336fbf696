"""Foreign-key joins, from the builder to the records: results, names, topics, partitions, and what is refused."""

from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.plan import make_plan

#: A value is `<foreign key>/<anything>`.
LEFT = hr.Topic("left", value=str)
RIGHT = hr.Topic("right", value=str)
OUT = hr.Topic("out", value=str)
JOINED = stores.key_value("joined", key=str, value=str)


def both(one: str | None, two: str | None) -> str:
    return f"{one}+{two}"


def named(value: str) -> str | None:
    return value.partition("/")[0] or None


def tables(**options: Any) -> tuple[hr.StreamsBuilder, hr.KTable[str, str], hr.KTable[str, str]]:
    builder = hr.StreamsBuilder(**options)
    return builder, builder.table(LEFT), builder.table(RIGHT)


def results(builder: hr.StreamsBuilder, *steps: tuple[hr.Topic[str, str], str, str | None]) -> list[Any]:
    with testing.TopologyTestDriver(builder.build()) as driver:
        for topic, key, value in steps:
            driver.input(topic).pipe(key, value)
        return driver.output(OUT).read_pairs()


STEPS = (
    (LEFT, "k", "a/1"),
    (RIGHT, "a", "A"),
    (LEFT, "l", "a/2"),
    (RIGHT, "a", "B"),
    (LEFT, "k", "b/1"),
    (RIGHT, "a", None),
    (LEFT, "l", None),
)


def test_join_has_a_row_for_each_row_whose_foreign_key_has_one() -> None:
    builder, left, right = tables()
    left.join(right, both, on=named).to_stream().to(OUT)
    assert results(builder, *STEPS) == [
        ("k", "a/1+A"),
        ("l", "a/2+A"),
        ("k", "a/1+B"),
        ("l", "a/2+B"),
        ("k", None),
        ("l", None),
        ("l", None),
    ]


def test_left_join_has_a_row_for_each_row() -> None:
    builder, left, right = tables()
    left.left_join(right, both, on=named).to_stream().to(OUT)
    assert results(builder, *STEPS) == [
        ("k", "a/1+None"),
        ("k", "a/1+A"),
        ("l", "a/2+A"),
        ("k", "a/1+B"),
        ("l", "a/2+B"),
        ("k", "b/1+None"),
        ("l", "a/2+None"),
        ("l", None),
    ]


def test_left_join_has_a_row_whose_foreign_key_is_none() -> None:
    builder, left, right = tables()
    left.left_join(right, both, on=named).to_stream().to(OUT)
    steps = ((LEFT, "k", "/1"), (RIGHT, "a", "A"), (LEFT, "k", "a/1"), (LEFT, "k", "/2"))
    assert results(builder, *steps) == [("k", "/1+None"), ("k", "a/1+A"), ("k", "/2+None")]


def test_foreign_key_may_be_made_of_key_and_value() -> None:
    builder, left, right = tables()
    on = hr.with_key(lambda key, value: key[0] + value)
    left.join(right, both, on=on).to_stream().to(OUT)
    assert results(builder, (RIGHT, "ka", "A"), (LEFT, "k1", "a")) == [("k1", "a+A")]


def test_foreign_key_may_be_of_another_type_than_the_key() -> None:
    builder = hr.StreamsBuilder()
    numbers = hr.Topic("numbers", key=int, value=str)
    builder.table(LEFT).join(builder.table(numbers), both, on=len).to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(numbers).pipe(3, "three")
        driver.input(LEFT).pipe("k", "abc")
        assert driver.output(OUT).read_pairs() == [("k", "abc+three")]


@pytest.mark.parametrize(
    ("windows", "end"),
    [(hr.TimeWindows("1s", grace="0s"), 1000), (hr.SessionWindows("1s", grace="0s"), 999)],
)
def test_windowed_table_has_foreign_keys(windows: Any, end: int) -> None:
    builder = hr.StreamsBuilder()
    counts: Any = builder.stream(LEFT).group_by_key().windowed_by(windows).count()
    words = hr.Topic("words", key=int, value=str)
    joined = counts.left_join(builder.table(words), both, on=lambda count: count, value=str, store="J")
    joined.to_stream(lambda each, value: f"{each.key}@{each.window.end}").to(OUT)
    with testing.TopologyTestDriver(builder.build(), partitions=3) as driver:
        driver.input(words).pipe(1, "one")
        driver.input(LEFT).pipe("k", "x", timestamp=0)
        driver.input(LEFT).pipe("k", "x", timestamp=999)
        assert driver.output(OUT).read_pairs()[-1] == (f"k@{end}", "2+None")


def test_foreign_keys_may_be_windowed() -> None:
    builder = hr.StreamsBuilder()
    counts = builder.stream(RIGHT).group_by_key().windowed_by(hr.TimeWindows("1s", grace="0s")).count()
    first = builder.table(LEFT).join(
        counts,
        lambda value, count: f"{value}+{count}",
        on=lambda value: hr.Windowed(value, hr.Window(0, 1000)),
        value=str,
    )
    first.to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build(), partitions=3) as driver:
        driver.input(RIGHT).pipe("a", "x", timestamp=100)
        driver.input(LEFT).pipe("k", "a")
        driver.input(RIGHT).pipe("a", "x", timestamp=200)
        assert driver.output(OUT).read_pairs() == [("k", "a+1"), ("k", "a+2")]


def test_table_is_joined_with_itself() -> None:
    builder, left, _ = tables()
    left.left_join(left, both, on=named).to_stream().to(OUT)
    steps = ((LEFT, "a", "b/1"), (LEFT, "b", "a/2"))
    assert results(builder, *steps) == [("a", "b/1+None"), ("a", "b/1+a/2"), ("b", "a/2+b/1")]


def test_results_are_joined_again_and_grouped() -> None:
    builder, left, right = tables()
    third = builder.table("third", value=str)
    joined = left.join(right, both, on=named)
    again = joined.join(third, both, on=lambda value: value[-1])
    grouped = again.group_by(lambda key, value: (value[-1], key), key=str, value=str)
    grouped.count().map_values(str, value=str).to_stream().to(OUT)
    steps = (
        (LEFT, "k", "a/1"),
        (RIGHT, "a", "A"),
        (hr.Topic("third", value=str), "A", "T"),
        (LEFT, "l", "a/2"),
        (LEFT, "k", None),
    )
    assert results(builder, *steps) == [("T", "1"), ("T", "2"), ("T", "1")]


def test_subscriptions_and_results_come_back_after_a_crash() -> None:
    builder, left, right = tables()
    joined = left.join(right, both, on=named, store=JOINED)
    joined.to_stream().to(OUT)
    assert joined.store_name == "joined"
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(LEFT).pipe("k", "a/1")
        driver.input(RIGHT).pipe("a", "A")
        driver.restart()
        assert driver.store(JOINED).get("k") == "a/1+A"
        driver.input(RIGHT).pipe("a", "B")
        driver.restart()
        driver.input(LEFT).pipe("k", "a/2")
        assert driver.output(OUT).read_pairs() == [("k", "a/1+A"), ("k", "a/1+B"), ("k", "a/2+B")]


def test_row_restored_from_its_topic_still_gets_its_answers_though_others_wrote_other_bytes() -> None:
    builder = hr.StreamsBuilder(optimize="all")
    left = builder.table("left", value=dict[str, str])
    joined = left.join(
        builder.table(RIGHT), lambda row, other: f"{row['n']}+{other}", on=lambda row: row["on"]
    )
    joined.to_stream().to(OUT, value=str)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(hr.Topic("left")).pipe("k", b'{"on": "a", "n": "1"}')
        driver.restart()
        driver.input(RIGHT).pipe("a", "A")
        assert driver.output(OUT).read_pairs() == [("k", "1+A")]


def test_names_come_from_the_name_of_the_join() -> None:
    builder, left, right = tables()
    left.join(right, both, on=named, name="J", store="S")
    topology = builder.build()
    assert [name for name in topology.nodes if name.startswith("J")] == [
        "J-subscription-registration-processor",
        "J-subscription-registration-sink",
        "J-subscription-registration-source",
        "J-subscription-receive",
        "J-subscription-join-foreign",
        "J-foreign-join-subscription",
        "J-subscription-response-sink",
        "J-subscription-response-source",
        "J-subscription-response-resolver",
        "J-result",
    ]
    assert list(topology.repartition_topics) == [
        "J-subscription-registration-topic",
        "J-subscription-response-topic",
    ]
    assert list(topology.stores)[2:] == ["J-subscription-store", "S"]


@pytest.mark.parametrize("store", ["S", None])
def test_name_of_a_join_uses_up_as_many_indices_as_none(store: str | None) -> None:
    after = []
    for name in ("J", None):
        builder, left, right = tables()
        left.join(right, both, on=named, name=name, store=store).filter(lambda key, value: True)
        after.append(f"KTABLE-FILTER-{19 if store else 20:010d}" in builder.build().describe())
    assert after == [True, True]


def test_tables_of_different_partition_counts_are_joined() -> None:
    builder, left, right = tables()
    left.join(right, both, on=named, name="J", store="S").to_stream().to(OUT)
    plan = make_plan(builder.build(), {"left": 4, "right": 3, "out": 1}, "app")
    assert {name: count for name, count in plan.partitions.items() if name.startswith("app-J")} == {
        "app-J-subscription-registration-topic": 3,
        "app-J-subscription-response-topic": 4,
        "app-J-subscription-store-changelog": 3,
    }
    assert plan.partitions["app-S-changelog"] == 4


def test_only_keys_that_foreign_keys_meet_have_to_lie_where_their_bytes_put_them() -> None:
    builder, left, right = tables()
    left.join(right, both, on=named)
    assert builder.build().keyed_topics == {"right"}
    builder, left, right = tables()
    left.join(right, both, on=named, other_partitioner=lambda topic, key, value, count: 0)
    assert builder.build().keyed_topics == set()


def test_internal_names_may_be_asked_for() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    left, right = builder.table(LEFT, store="l"), builder.table(RIGHT, store="r")
    left.join(right, both, on=named)
    with pytest.raises(hr.TopologyError) as told:
        builder.build()
    assert "KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-0000000008" in str(told.value)
    assert "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000004-topic" in str(told.value)
    assert "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-0000000012-topic" in str(told.value)
    builder = hr.StreamsBuilder(explicit_names=True)
    left, right = builder.table(LEFT, store="l"), builder.table(RIGHT, store="r")
    left.join(right, both, on=named, name="J")
    builder.build()


WRONG: dict[str, tuple[Any, str]] = {
    "no function": ("a", r"the extractor of the foreign key, on=, must be a function, found 'a'"),
    "key and value": (
        lambda key, value: key,
        r"is called with \(value\); write hr.with_key\(...\) around it",
    ),
    "nothing": (lambda: "a", r"takes \(\), and is called with \(value\)"),
    "with_key around a function of the value": (
        hr.with_key(lambda value: value),
        r"called with \(key, value\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_extractor_of_other_arguments_is_refused_where_it_is_written(case: str) -> None:
    _, left, right = tables()
    on, told = WRONG[case]
    with pytest.raises(hr.TopologyError, match=rf"^test_foreign_key_joins.py:\d+: .*{told}"):
        left.join(right, both, on=on)


def test_foreign_keys_of_another_type_than_the_other_tables_keys_are_refused() -> None:
    def number(value: str) -> int | None:
        return len(value)

    _, left, right = tables()
    other: Any = right
    with pytest.raises(
        hr.TopologyError,
        match=r"^test_foreign_key_joins.py:\d+: number\(\) at .* gives keys of int64, .* are of string: let on= return",
    ):
        left.join(other, both, on=number)


def test_unknown_serdes_are_told_with_what_to_write_where() -> None:
    builder, left, right = tables()
    left.map_values(lambda value: value).join(right, both, on=named)
    with pytest.raises(
        hr.TopologyError, match=r"-REGISTRATION-\d+ .* its value, which comes from the lambda at .*value="
    ):
        builder.build()
    builder, left, right = tables()
    left.join(right.map_values(lambda value: value), both, on=named)
    with pytest.raises(
        hr.TopologyError, match=r"^KTABLE-SINK-\d+ .* its value, which comes from the lambda at .*value="
    ):
        builder.build()
    builder, left, _ = tables()
    rekeyed: Any = builder.stream("in", value=str).select_key(lambda key, value: value).to_table()
    left.join(rekeyed, both, on=named)
    with pytest.raises(hr.TopologyError, match=r"its key, which comes from the lambda at .*key="):
        builder.build()


def test_partitioners_without_a_foreign_key_are_refused() -> None:
    _, left, right = tables()
    join: Any = left.join
    with pytest.raises(hr.TopologyError, match="partitioners are for a join by a foreign key: write on="):
        join(right, both, partitioner=lambda topic, key, value, count: 0)


def test_stream_is_no_table_to_join_with() -> None:
    builder, left, _ = tables()
    other: Any = builder.stream("in")
    with pytest.raises(hr.TopologyError, match=r"to_table\(\) makes one of a stream"):
        left.join(other, both, on=named)
