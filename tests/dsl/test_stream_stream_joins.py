"""Joins of streams as they are written: windows, stores, names, and what is told of mistakes."""

from datetime import timedelta
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.internal_topics import changelog_config
from headrace.serde.unmatched import UnmatchedKey, UnmatchedValue

WITHIN = hr.JoinWindows("10s", grace="1s")
LEFT = hr.Topic("left", value=str)
RIGHT = hr.Topic("right", value=str)
OUT = hr.Topic("out", value=str)


def sides() -> tuple[hr.StreamsBuilder, Any, Any]:
    builder = hr.StreamsBuilder()
    return builder, builder.stream(LEFT), builder.stream(RIGHT)


def joined(left: str | None, right: str | None) -> str:
    return f"{left}+{right}"


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_windows_reach_as_far_on_both_sides_unless_one_is_said() -> None:
    assert (
        repr(hr.JoinWindows("5s", grace="1s"))
        == "JoinWindows(before='5000ms', after='5000ms', grace='1000ms')"
    )
    assert hr.JoinWindows("5s", after="0s", grace="1s").span == (5_000, 0, 1_000)
    assert hr.JoinWindows(before="-2s", after=timedelta(seconds=5), grace="0s").span == (-2_000, 5_000, 0)
    assert hr.JoinWindows("5s", grace="1s") == hr.JoinWindows(before="5s", after="5s", grace="1s")
    assert len({hr.JoinWindows("5s", grace="1s"), hr.JoinWindows("5000ms", grace="1s")}) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"difference": 5, "grace": "1s"}, TypeError, 'difference=5 has no unit: write "5ms", "5s" or'),
        ({"difference": "5s", "grace": 1000}, TypeError, "grace=1000 has no unit"),
        ({"difference": "5s"}, TypeError, "missing 1 required keyword-only argument: 'grace'"),
        ({"difference": "-5s", "grace": "1s"}, ValueError, "difference='-5s' is negative"),
        ({"difference": "5s", "grace": "-1s"}, ValueError, "grace='-1s' is negative"),
        (
            {"difference": "5s", "before": "-6s", "grace": "1s"},
            ValueError,
            "before=-6000 ms and after=5000 ms leave no moment",
        ),
        ({"before": "5s", "grace": "1s"}, ValueError, "or both before= and after="),
    ],
)
def test_windows_that_cannot_be_are_refused(arguments: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        hr.JoinWindows(**arguments)
    assert said in str(caught.value)


# ── what does not go together ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "streams are joined within windows: write within=hr.JoinWindows('5m', grace='1m')"),
        (
            {"within": hr.TimeWindows("5m", grace="1m")},
            "within= takes hr.JoinWindows(difference, grace=…), found TimeWindows(",
        ),
        ({"within": "5m"}, "within= takes hr.JoinWindows(difference, grace=…), found '5m'"),
        (
            {"within": WITHIN, "store": stores.window("s")},
            "hr.JoinStores(name, this=…, other=…), found Store(",
        ),
        ({"within": WITHIN, "store": "no name"}, "the name 'no name' of a store"),
        ({"within": WITHIN, "name": "no name"}, "the name 'no name' of a node"),
        (
            {"within": WITHIN, "store": hr.JoinStores(this=stores.window("s", size="5s"))},
            "need a size of 20000 ms, but store 's' is declared with 5000 ms",
        ),
        (
            {"within": WITHIN, "store": hr.JoinStores(other=stores.window("s", retention="1h"))},
            "need a retention of 21000 ms, but store 's' is declared with 3600000 ms",
        ),
        ({"within": WITHIN, "store": hr.JoinStores(this=stores.window())}, "of hr.JoinStores needs a name"),
        (
            {"within": WITHIN, "store": hr.JoinStores(this=stores.key_value("s"))},
            "store 's' is a key-value store, and a window store is needed here",
        ),
        (
            {"within": WITHIN, "store": hr.JoinStores(this=stores.window("s", caching=True))},
            "there is nothing to cache",
        ),
        (
            {"within": WITHIN, "store": hr.JoinStores(this=stores.window("s"), other=stores.window("s"))},
            "need a store of their own, found two named 's'",
        ),
        (
            {"within": WITHIN, "store": hr.JoinStores(this=stores.window("s", value=int))},
            "the values are of string, and store 's' has int64",
        ),
    ],
)
def test_what_does_not_fit_a_join_of_streams_is_told_at_the_call(options: Any, said: str) -> None:
    _, left, right = sides()
    with pytest.raises(hr.TopologyError) as caught:
        left.join(right, joined, **options)
    assert said in str(caught.value)
    assert str(caught.value).startswith("test_stream_stream_joins.py:")


def test_join_with_a_table_takes_neither_windows_nor_stores() -> None:
    builder, left, _ = sides()
    table = builder.table("t", value=str)
    with pytest.raises(
        hr.TopologyError, match=r"without windows: leave within= out, or join with .* to_stream\(\)"
    ):
        left.join(table, joined, within=WITHIN)
    with pytest.raises(hr.TopologyError, match="no stores of its own: leave store= out"):
        left.left_join(table, joined, store="s")
    with pytest.raises(hr.TopologyError, match=r"joined with another stream, found .*KTable.*left_join"):
        left.outer_join(table, joined, within=WITHIN)
    with pytest.raises(hr.TopologyError, match="joined with a stream or a table, found 'right'"):
        left.join("right", joined, within=WITHIN)


def test_streams_with_other_keys_are_not_joined() -> None:
    builder, left, _ = sides()
    with pytest.raises(
        hr.TopologyError, match="the keys are of string, and the stream that it is joined with has int64"
    ):
        left.join(builder.stream("numbers", key=int, value=str), joined, within=WITHIN)


def test_value_whose_serde_nobody_knows_is_told_where_it_is_kept() -> None:
    builder, left, right = sides()
    left.map_values(lambda value: value).join(right, joined, within=WITHIN).to(OUT)
    with pytest.raises(
        hr.TopologyError, match=r"KSTREAM-WINDOWED-0000000003 .* needs the serde of its value"
    ):
        builder.build()


def test_topics_of_both_sides_need_equal_partition_counts() -> None:
    builder = hr.StreamsBuilder()
    left = builder.stream(hr.Topic("left", value=str, partitions=2))
    left.join(builder.stream(hr.Topic("right", value=str, partitions=3)), joined, within=WITHIN).to(OUT)
    with pytest.raises(hr.TopologyError, match=r"left.*2.*right.*3|right.*3.*left.*2"):
        testing.TopologyTestDriver(builder.build())


# ── stores ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stores_are_named_after_the_joins_name_for_them() -> None:
    builder, left, right = sides()
    left.left_join(right, joined, within=WITHIN, store="js").to(OUT)
    assert list(builder.build().stores) == [
        "js-this-join-store",
        "js-outer-other-join-store",
        "js-left-shared-join-store",
    ]


def test_given_stores_keep_their_names_and_decide_where_what_has_no_match_lives() -> None:
    builder, left, right = sides()
    mine = hr.JoinStores(this=stores.window("mine", engine="memory"), other=stores.window("theirs"))
    left.outer_join(right, joined, within=WITHIN, store=mine).to(OUT)
    found = builder.build().stores
    assert {name: spec.engine for name, spec in found.items()} == {
        "mine": "memory",
        "theirs": "rocksdb",
        "mine-outer-shared-join-store": "memory",
    }


def test_records_are_kept_for_size_and_grace_and_their_changelog_is_not_compacted() -> None:
    builder, left, right = sides()
    left.left_join(right, joined, within=WITHIN, store=hr.JoinStores("js", logging={"segment.ms": "1"})).to(
        OUT
    )
    found = builder.build().stores
    window, unmatched = found["js-this-join-store"], found["js-left-shared-join-store"]
    assert (window.size_ms, window.retention_ms, window.grace_ms) == (20_000, 21_000, 1_000)
    assert not window.caching
    config = {"message.timestamp.type": "CreateTime", "segment.ms": "1"}
    assert changelog_config(window) == config | {"cleanup.policy": "delete", "retention.ms": "86421000"}
    assert changelog_config(unmatched) == config | {"cleanup.policy": "compact"}


def test_join_without_logging_has_no_changelogs() -> None:
    builder, left, right = sides()
    left.outer_join(right, joined, within=WITHIN, store=hr.JoinStores(logging=False)).to(OUT)
    assert [spec.logging for spec in builder.build().stores.values()] == [False, False, False]


def test_generated_names_are_refused_where_all_are_to_be_given() -> None:
    builder = hr.StreamsBuilder(explicit_names=True)
    left, right = builder.stream(LEFT), builder.stream(RIGHT)
    left.outer_join(right, joined, within=WITHIN).to(OUT)
    with pytest.raises(hr.TopologyError) as caught:
        builder.build()
    for name in (
        "KSTREAM-OUTERTHIS-0000000004",
        "KSTREAM-OUTEROTHER-0000000005",
        "KSTREAM-OUTERSHARED-0000000004",
    ):
        assert f"{name}-store" in str(caught.value)
    builder = hr.StreamsBuilder(explicit_names=True)
    builder.stream(LEFT).outer_join(builder.stream(RIGHT), joined, within=WITHIN, store="js").to(OUT)
    builder.build()


def test_what_has_no_match_can_be_read() -> None:
    builder, left, right = sides()
    left.outer_join(right, joined, within=WITHIN, store="js").to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(LEFT).pipe("a", "x", timestamp=5)
        driver.input(RIGHT).pipe("b", "y", timestamp=5)
        driver.input(LEFT).pipe("a", "z", timestamp=5)
        unmatched = driver.store("js-outer-shared-join-store")
        assert list(unmatched.all()) == [
            (UnmatchedKey(5, False, "b"), [UnmatchedValue(False, "y")]),
            (UnmatchedKey(5, True, "a"), [UnmatchedValue(True, "x"), UnmatchedValue(True, "z")]),
        ]
        kept = driver.store("js-outer-this-join-store")
        assert [(key.key, key.window, value) for key, value in kept.range("a")] == [
            ("a", (5, 20_005), "x"),
            ("a", (5, 20_005), "z"),
        ]
        with pytest.raises(
            hr.StateError, match=r"several of one key and time .* range\(key, start=…, end=…\)"
        ):
            kept.get("a", 5)


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_results_without_a_match_wait_for_the_wall_clock_if_they_are_told_to() -> None:
    builder, left, right = sides()
    left.left_join(right, joined, within=hr.JoinWindows("10ms", grace="0s")).to(OUT)
    interval = {"__emit.interval.ms.kstreams.outer.join.spurious.results.fix__": 1_000}
    with testing.TopologyTestDriver(builder.build(), properties=interval) as driver:
        out = driver.output(OUT)
        for timestamp in (0, 20, 40):
            driver.input(LEFT).pipe("a", str(timestamp), timestamp=timestamp)
        assert out.read_pairs() == []  # the first look found nothing, and the next one is a second later
        driver.advance("1s")
        driver.input(LEFT).pipe("b", "60", timestamp=60)
        assert out.read_pairs() == [("a", "0+None"), ("a", "20+None"), ("a", "40+None")]


def test_joiner_may_take_the_key_first() -> None:
    builder, left, right = sides()
    left.outer_join(
        right, hr.with_key(lambda key, one, two: f"{key}:{one}+{two}"), within=WITHIN, value=str
    ).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        driver.input(RIGHT).pipe("a", "y", timestamp=0)
        driver.input(LEFT).pipe("a", "x", timestamp=1)
        driver.input(LEFT).pipe(None, "n", timestamp=2)
        driver.input(RIGHT).pipe("b", "z", timestamp=3)
        driver.input(LEFT).pipe("c", "end", timestamp=100_000)
        assert driver.output(OUT).read_pairs() == [("a", "a:x+y"), (None, "None:n+None"), ("b", "b:None+z")]


def test_record_that_the_joiner_fails_for_is_dropped_alone() -> None:
    def picky(one: str | None, two: str | None) -> str:
        if one == "bad":
            raise ValueError(one)
        return f"{one}+{two}"

    builder, left, right = sides()
    left.left_join(right, picky, within=hr.JoinWindows("10ms", grace="0s")).to(OUT)
    handler = {"processing_exception_handler": hr.log_and_continue}
    with testing.TopologyTestDriver(builder.build(), **handler) as driver:  # type: ignore[arg-type]  # a dictionary
        for timestamp, value in enumerate(("good", "bad", "better")):
            driver.input(LEFT).pipe("a", value, timestamp=timestamp)
        driver.input(LEFT).pipe("a", "end", timestamp=100)
        assert driver.output(OUT).read_pairs() == [("a", "good+None"), ("a", "better+None")]
        driver.input(RIGHT).pipe("a", "late", timestamp=1)
        assert driver.output(OUT).read_pairs() == []
