"""Left and outer joins of streams, whose last records have no match: when they leave, and what is late for them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import testing
from headrace.base.ids import TopicPartition
from headrace.engine.commit_metadata import decode_metadata

LEFT, RIGHT = hr.Topic("in", value=str), hr.Topic("more", value=str)
OUT = hr.Topic("out", value=str)
WITHIN = hr.JoinWindows("2m", grace="10s")
MINUTE = 60_000
RESTARTS = pytest.mark.parametrize("lose_state", [False, True])


def joined(left: str | None, right: str | None) -> str:
    return f"{left or ''}+{right or ''}"


def topology(
    within: hr.JoinWindows = WITHIN, *, idle: str | None = "30s", outer: bool = False
) -> hr.Topology:
    builder = hr.StreamsBuilder()
    left, right = builder.stream(LEFT), builder.stream(RIGHT)
    if outer:
        left.outer_join(right, joined, within=within, idle=idle, store="pairs").to(OUT)
    else:
        left.left_join(right, joined, within=within, idle=idle, store="pairs").to(OUT)
    return builder.build()


def pipe(driver: testing.TopologyTestDriver, topic: hr.Topic[str, str], value: str, timestamp: int) -> None:
    driver.input(topic).pipe("a", value, timestamp=timestamp)


def left(driver: testing.TopologyTestDriver) -> list[tuple[str, int]]:
    return [(each.value, each.timestamp) for each in driver.output(OUT).read_all() if each.value is not None]


@pytest.mark.parametrize(
    ("outer", "expected"),
    [(False, [("l+", 5), ("m+", MINUTE)]), (True, [("l+", 5), ("m+", MINUTE), ("+r", 4 * MINUTE)])],
)
def test_what_has_no_match_leaves_once_nothing_has_come_to_either_side_for_so_long(
    outer: bool, expected: list[tuple[str, int]]
) -> None:
    within = hr.JoinWindows("2m", grace="10m")
    with testing.TopologyTestDriver(topology(within, outer=outer)) as driver:
        pipe(driver, LEFT, "l", 5)
        pipe(driver, LEFT, "m", MINUTE)
        driver.advance("20s")
        pipe(driver, RIGHT, "r", 4 * MINUTE)
        driver.advance("29999ms")
        assert left(driver) == []
        driver.advance("1ms")
        assert left(driver) == expected
        driver.advance("1h")
        assert left(driver) == []


@RESTARTS
def test_what_has_left_alone_is_joined_with_nothing_that_comes_later(lose_state: bool) -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        pipe(driver, LEFT, "l", 5)
        driver.advance("30s")
        assert left(driver) == [("l+", 5)]
        pipe(driver, RIGHT, "r", 6)
        driver.restart(lose_state=lose_state)
        pipe(driver, RIGHT, "s", 7)
        assert left(driver) == []
        # It is kept for what comes to the other side, which has not closed.
        pipe(driver, LEFT, "m", 8)
        assert left(driver) == [("m+r", 8), ("m+s", 8)]


@RESTARTS
def test_of_both_sides_each_leaves_alone_or_in_a_pair(lose_state: bool) -> None:
    with testing.TopologyTestDriver(topology(outer=True)) as driver:
        pipe(driver, RIGHT, "r", 5)
        driver.advance("30s")
        driver.restart(lose_state=lose_state)
        # As late as what has closed: nothing is waited for.
        pipe(driver, LEFT, "k", 5)
        pipe(driver, LEFT, "l", 6)
        assert left(driver) == [("+r", 5), ("k+", 5)]
        pipe(driver, RIGHT, "s", 5)
        driver.advance("30s")
        assert left(driver) == [("l+s", 6)]


def test_what_comes_after_a_silence_waits_as_long_as_ever() -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        pipe(driver, LEFT, "l", 5)
        driver.advance("30s")
        assert left(driver) == [("l+", 5)]
        pipe(driver, LEFT, "m", 6)
        driver.advance("20s")
        pipe(driver, RIGHT, "r", MINUTE)
        driver.advance("30s")
        assert left(driver) == [("m+r", MINUTE)]


def test_a_record_with_a_match_closes_with_the_others() -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        pipe(driver, LEFT, "l", 5)
        pipe(driver, RIGHT, "r", 6)
        driver.advance("30s")
        pipe(driver, RIGHT, "s", 7)
        assert left(driver) == [("l+r", 6), ("l+s", 7)]  # none waited in the silence: nothing has closed
        driver.input(LEFT).pipe("b", "m", timestamp=8)
        driver.advance("30s")
        pipe(driver, RIGHT, "t", 8)
        assert left(driver) == [("m+", 8)]


@RESTARTS
def test_what_waited_at_a_restart_leaves_when_nothing_comes_after_it(lose_state: bool) -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        pipe(driver, LEFT, "l", 5)
        driver.advance("20s")
        driver.restart(lose_state=lose_state)
        driver.advance("29s")
        assert left(driver) == []
        driver.advance("1s")
        assert left(driver) == [("l+", 5)]


def test_up_to_where_records_have_closed_is_committed_with_the_offsets() -> None:
    with testing.TopologyTestDriver(topology(), application_id="idle") as driver:
        pipe(driver, LEFT, "l", 5)
        driver.advance("30s")
        places = [TopicPartition(topic.name, 0) for topic in (LEFT, RIGHT)]
        metadata = [each.metadata for each in driver.log.committed("idle", places).values()]
        assert [decode_metadata(each).processors["pairs-left-shared-join-store-idle"] for each in metadata][
            -1
        ] == 2 * MINUTE + 10_000 + 5 + 1


def test_without_an_idle_time_they_wait_for_records() -> None:
    with testing.TopologyTestDriver(topology(idle=None)) as driver:
        pipe(driver, LEFT, "l", 5)
        driver.advance("1h")
        assert left(driver) == []


def test_an_idle_time_that_closes_nothing_is_refused() -> None:
    builder = hr.StreamsBuilder()
    stream, table = builder.stream(LEFT), builder.table("table", value=str)
    call: Any = stream.left_join
    with pytest.raises(hr.TopologyError, match=r"test_idle_joins.py:\d+: .* leave idle= out"):
        call(table, joined, idle="30s")
    with pytest.raises(hr.TopologyError, match="idle='0s' is no time"):
        call(builder.stream(RIGHT), joined, within=WITHIN, idle="0s")


STEPS = st.one_of(
    st.tuples(st.sampled_from([LEFT, RIGHT]), st.sampled_from([0, 1, 3_000, 25_000, -3_000, -8_000])),
    st.sampled_from(["silence", "pause", "restart"]),
)


@pytest.mark.campaign
@pytest.mark.parametrize("outer", [False, True])
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_each_record_leaves_alone_or_in_pairs_whatever_happens_between(outer: bool, steps: list[Any]) -> None:
    # None is so late that Kafka Streams, whose stream time is that of the records, would let it go before its time.
    within = hr.JoinWindows("10s", grace="10s")
    with testing.TopologyTestDriver(topology(within, outer=outer)) as driver:
        latest = 0
        sent: list[tuple[str, int, int]] = []  # which side, when, after how many silences
        silences = 0
        for step in steps:
            match step:
                case "silence":
                    driver.advance("30s")
                    silences += 1
                case "pause":
                    driver.advance("7s")
                case "restart":
                    driver.restart()
                case topic, by:
                    time = max(latest + by, 0)
                    latest = max(latest, time)
                    pipe(driver, topic, str(len(sent)), time)
                    sent.append((topic.name, time, silences))
        driver.advance("30s")
        found = [value.split("+") for value, _ in left(driver)]
    pairs = [(int(one), int(two)) for one, two in found if one and two]
    alone = [int(one or two) for one, two in found if not (one and two)]
    assert len(set(pairs)) == len(pairs)
    assert len(set(alone)) == len(alone)
    paired = {each for pair in pairs for each in pair}
    kept = {at for at, (side, *_) in enumerate(sent) if outer or side == LEFT.name}
    assert set(alone) == kept - paired
    for one, (side, time, silence) in enumerate(sent):
        for two, (other, at, later) in enumerate(sent):
            if side == LEFT.name and other == RIGHT.name and abs(time - at) <= 10_000:
                assert (one, two) in pairs or silence != later
