"""`late_to=`: what is late goes to a topic, and nothing else of the topology changes."""

from typing import Any

import pytest

import headrace as hr
from headrace import testing

IN = hr.Topic("in", value=int)
OTHER = hr.Topic("other", value=str)
LATE = hr.Topic("late", value=int)
MINUTES = hr.TimeWindows("1m", grace="10s")
MINUTE = 60_000


def counting(windows: Any = MINUTES, **arguments: Any) -> hr.Topology:
    builder = hr.StreamsBuilder()
    counted = builder.stream(IN).group_by_key().windowed_by(windows, **arguments).count()
    counted.to_stream(lambda each, count: each.key, key=str).to("out", value=int)
    return builder.build()


def pipe(
    driver: testing.TopologyTestDriver, topic: hr.Topic[str, Any], *records: tuple[str, Any, int]
) -> None:
    for key, value, timestamp in records:
        driver.input(topic).pipe(key, value, timestamp=timestamp)


def late_of(
    driver: testing.TopologyTestDriver, topic: hr.Topic[Any, Any] = LATE
) -> list[tuple[Any, Any, int]]:
    return [(each.key, each.value, each.timestamp) for each in driver.output(topic).read_all()]


@pytest.mark.parametrize("emit", ["update", "close"])
@pytest.mark.parametrize(
    "windows",
    [
        MINUTES,
        hr.TimeWindows("1m", grace="10s", advance="20s"),
        hr.SlidingWindows("1m", grace="10s"),
        hr.SessionWindows("1m", grace="10s"),
    ],
)
@pytest.mark.parametrize("to", [LATE, "late"])
def test_a_late_record_goes_to_the_topic(windows: Any, emit: str, to: Any) -> None:
    with testing.TopologyTestDriver(counting(windows, emit=emit, late_to=to)) as driver:
        pipe(driver, IN, ("a", 1, 0), ("b", 2, 10 * MINUTE), ("a", 3, 5), ("b", 4, 10 * MINUTE))
        assert late_of(driver) == [("a", 3, 5)]


def test_a_record_before_a_window_without_end_goes_to_the_topic() -> None:
    with testing.TopologyTestDriver(counting(hr.UnlimitedWindows(10), late_to=LATE)) as driver:
        pipe(driver, IN, ("a", 1, 5), ("a", 2, 10))
        assert late_of(driver) == [("a", 1, 5)]


def test_headers_tell_where_the_record_was_read_and_which_node_found_it_late() -> None:
    with testing.TopologyTestDriver(counting(late_to=LATE)) as driver:
        pipe(driver, IN, ("a", 1, 0), ("b", 2, 10 * MINUTE))
        driver.input(IN).pipe("a", 3, timestamp=5, headers=(("own", b"x"),))
        headers = dict(driver.output(LATE).read().headers)
    node = headers.pop("__headrace.late.node")
    assert node is not None
    assert node.startswith(b"KSTREAM-AGGREGATE-0000000002 (")
    assert headers == {
        "own": b"x",
        "__headrace.late.stream.time": b"600000",
        "__headrace.late.closed.at": b"70000",
        "__headrace.late.topic": b"in",
        "__headrace.late.partition": b"0",
        "__headrace.late.offset": b"2",
    }


def test_what_is_aggregated_is_what_comes_late_not_what_was_read() -> None:
    builder = hr.StreamsBuilder()
    words = (
        builder.stream(OTHER).map_values(len, value=int).group_by(lambda key, size: f"size-{size}", key=str)
    )
    words.windowed_by(MINUTES, late_to=LATE).count()
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, OTHER, ("a", "word", 0), ("b", "words", 10 * MINUTE), ("a", "late", 5))
        assert late_of(driver) == [("size-4", 4, 5)]


def test_each_group_of_several_sends_its_own_late_records() -> None:
    builder = hr.StreamsBuilder()
    numbers, texts = builder.stream(IN).group_by_key(), builder.stream(OTHER).group_by_key()
    grouped = numbers.cogroup(lambda key, number, total: total + number, value=int)
    both = grouped.cogroup(texts, lambda key, text, total: total + len(text))
    both.windowed_by(MINUTES, late_to="late").aggregate(int)
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, IN, ("a", 1, 0), ("b", 2, 10 * MINUTE), ("a", 3, 5))
        pipe(driver, OTHER, ("a", "in time", 0), ("b", "x", 10 * MINUTE), ("a", "late", 5))
        raw = driver.output(hr.Topic("late")).read_all()
    assert [each.value for each in raw] == [(3).to_bytes(8, "big"), b"late"]
    assert [(dict(each.headers)["__headrace.late.node"] or b"").split(b" ")[0] for each in raw] == [
        b"COGROUPKSTREAM-AGGREGATE-0000000003",
        b"COGROUPKSTREAM-AGGREGATE-0000000004",
    ]


def test_sessions_of_several_groups_send_theirs_too() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream(IN).group_by_key().cogroup(lambda key, number, total: total + number, value=int)
    grouped.windowed_by(hr.SessionWindows("1m", grace="0s"), late_to=LATE).aggregate(
        int, lambda key, a, b: a + b
    )
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, IN, ("a", 1, 0), ("b", 2, 10 * MINUTE), ("a", 3, 5))
        assert late_of(driver) == [("a", 3, 5)]


@pytest.mark.parametrize("kind", ["join", "left_join", "outer_join"])
def test_both_sides_of_a_join_send_what_they_do_not_keep(kind: str) -> None:
    builder = hr.StreamsBuilder()
    numbers, texts = builder.stream(IN), builder.stream(OTHER)
    within = hr.JoinWindows("1m", grace="10s")
    joined = getattr(numbers, kind)(
        texts, lambda one, two: f"{one}+{two}", within=within, late_to="late", value=str
    )
    joined.to("out")
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, IN, ("a", 1, 0), ("b", 2, 10 * MINUTE), ("a", 3, 5))
        pipe(driver, OTHER, ("a", "in time", 0), ("b", "x", 10 * MINUTE), ("a", "late", 5))
        raw = driver.output(hr.Topic("late")).read_all()
    assert [(each.key, each.value) for each in raw] == [("a", (3).to_bytes(8, "big")), ("a", b"late")]


def test_a_stream_joined_with_itself_in_one_store_sends_a_late_record_once() -> None:
    builder = hr.StreamsBuilder(optimize="all")
    numbers = builder.stream(IN)
    numbers.join(
        numbers, lambda one, two: one + two, within=hr.JoinWindows("1m", grace="10s"), late_to=LATE, value=int
    )
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, IN, ("a", 1, 0), ("b", 2, 10 * MINUTE), ("a", 3, 5))
        assert late_of(driver) == [("a", 3, 5)]


@pytest.mark.parametrize("lose_state", [False, True])
def test_a_late_record_is_written_once_however_often_the_application_restarts(lose_state: bool) -> None:
    with testing.TopologyTestDriver(counting(late_to=LATE)) as driver:
        for record in (("a", 1, 0), ("b", 2, 10 * MINUTE), ("a", 3, 5)):
            pipe(driver, IN, record)
        driver.restart(lose_state=lose_state)
        assert late_of(driver) == [("a", 3, 5)]


def test_no_other_node_and_no_store_gets_another_name() -> None:
    def build(**arguments: Any) -> hr.Topology:
        builder = hr.StreamsBuilder()
        numbers, texts = builder.stream(IN), builder.stream(OTHER)
        numbers.group_by(lambda key, number: key, key=str).windowed_by(MINUTES, **arguments).count()
        within = hr.JoinWindows("1m", grace="10s")
        numbers.left_join(texts, lambda one, two: f"{one}", within=within, value=str, **arguments).to("out")
        numbers.group_by_key().cogroup(lambda key, number, total: total, value=int).windowed_by(
            MINUTES, **arguments
        ).aggregate(int)
        numbers.group_by_key().count()
        return builder.build()

    without, given = build(), build(late_to="late")
    added = [name for name in given.nodes if name not in without.nodes]
    assert added == [
        "KSTREAM-AGGREGATE-0000000004-late",
        "KSTREAM-WINDOWED-0000000008-late",
        "KSTREAM-WINDOWED-0000000009-late",
        "COGROUPKSTREAM-AGGREGATE-0000000015-late",
    ]
    assert [name for name in given.nodes if name not in added] == list(without.nodes)
    assert list(given.stores) == list(without.stores)
    assert [each.source_topics for each in given.subtopologies] == [
        each.source_topics for each in without.subtopologies
    ]


def test_a_topic_with_other_values_is_refused() -> None:
    texts: Any = hr.Topic("late", value=str)
    with pytest.raises(
        hr.TopologyError, match=r"test_late_records.py:\d+: the values .* topic 'late' of late_to="
    ):
        counting(late_to=texts)


@pytest.mark.parametrize("given", [5, hr.Pattern("late.*"), lambda key, value, metadata: "late"])
def test_what_is_no_topic_is_refused(given: Any) -> None:
    with pytest.raises(
        hr.TopologyError, match=r"test_late_records.py:\d+: late_to= takes a topic or its name"
    ):
        counting(late_to=given)


def test_a_name_that_no_topic_can_have_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match="the topic of late_to=, 'too late', may only have letters"):
        counting(late_to="too late")


def test_a_serde_that_nobody_knows_is_asked_for() -> None:
    builder = hr.StreamsBuilder()
    changed = builder.stream(IN).map_values(lambda number: [number])
    changed.group_by_key().windowed_by(MINUTES, late_to="late").count()
    with pytest.raises(hr.TopologyError, match=r"KSTREAM-AGGREGATE-\d+-late .* needs the serde of its value"):
        builder.build()


def test_a_join_with_a_table_has_no_late_records() -> None:
    builder = hr.StreamsBuilder()
    with pytest.raises(hr.TopologyError, match="leave late_to= out"):
        builder.stream(IN).join(builder.table("t", value=int), lambda one, two: one, late_to="late")  # type: ignore[call-overload]  # which is the mistake
