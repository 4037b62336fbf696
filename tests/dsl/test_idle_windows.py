"""Windows that close when nothing comes: when, which, what is late then, and what a restart makes of it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import stores, testing
from headrace.base.ids import TopicPartition
from headrace.engine.commit_metadata import decode_metadata

IN = hr.Topic("in", value=str)
OUT = hr.Topic("out", key=str, value=int)
LATE = hr.Topic("late", value=str)
MINUTE = 60_000
MINUTES = hr.TimeWindows("1m", grace="10s")
UNCACHED = {"statestore.cache.max.bytes": "0"}


def closing(windows: Any = MINUTES, store: Any = "counts") -> hr.Topology:
    builder = hr.StreamsBuilder()
    grouped = builder.stream(IN).group_by_key()
    counted = grouped.windowed_by(windows, emit="close", idle="30s", late_to=LATE).count(store=store)
    counted.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(OUT)
    return builder.build()


def suppressed(windows: Any = MINUTES, store: Any = "counts") -> hr.Topology:
    builder = hr.StreamsBuilder()
    counted = (
        builder.stream(IN).group_by_key().windowed_by(windows, idle="30s", late_to=LATE).count(store=store)
    )
    final = counted.suppress(hr.until_window_closes())
    final.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(OUT)
    return builder.build()


BOTH = pytest.mark.parametrize("build", [closing, suppressed])
RESTARTS = pytest.mark.parametrize("lose_state", [False, True])


def pipe(driver: testing.TopologyTestDriver, *records: tuple[str, int]) -> list[tuple[str, int]]:
    for key, timestamp in records:
        driver.input(IN).pipe(key, "x", timestamp=timestamp)
    return left(driver)


def left(driver: testing.TopologyTestDriver) -> list[tuple[str, int]]:
    return driver.output(OUT).read_pairs()


def late(driver: testing.TopologyTestDriver) -> list[tuple[str | None, int]]:
    return [(each.key, each.timestamp) for each in driver.output(LATE).read_all()]


@BOTH
@pytest.mark.parametrize("properties", [{}, UNCACHED], ids=["cached", "uncached"])
def test_open_windows_close_once_nothing_has_come_for_so_long(
    build: Callable[..., hr.Topology], properties: dict[str, str]
) -> None:
    with testing.TopologyTestDriver(build(), properties=properties) as driver:
        assert pipe(driver, ("a", 5), ("a", 6), ("b", MINUTE + 5)) == []
        driver.advance("29999ms")
        assert left(driver) == []
        driver.advance("1ms")
        assert left(driver) == [("a@0", 2), ("b@60000", 1)]
        driver.advance("1h")
        assert left(driver) == []


@BOTH
@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (hr.TimeWindows("1m", grace="30s", advance="30s"), [("a@30000", 1), ("a@60000", 2), ("a@90000", 1)]),
        (hr.SlidingWindows("1m", grace="30s"), [("a@10000", 1), ("a@30000", 2), ("a@70001", 1)]),
        (hr.SessionWindows("1m", grace="30s"), [("a@70000", 2)]),
    ],
)
def test_windows_of_all_kinds_close(
    build: Callable[..., hr.Topology], windows: Any, expected: list[tuple[str, int]]
) -> None:
    with testing.TopologyTestDriver(build(windows)) as driver:
        assert pipe(driver, ("a", 70_000), ("a", 90_000)) == []
        driver.advance("30s")
        assert left(driver) == expected
        pipe(driver, ("a", 90_000))
        assert (left(driver), late(driver)) == ([], [("a", 90_000)])


@BOTH
def test_each_record_begins_the_silence_anew(build: Callable[..., hr.Topology]) -> None:
    with testing.TopologyTestDriver(build()) as driver:
        pipe(driver, ("a", 5))
        driver.advance("20s")
        pipe(driver, ("a", 6))
        driver.advance("20s")
        assert left(driver) == []
        driver.advance("10s")
        assert left(driver) == [("a@0", 2)]


@BOTH
def test_what_comes_for_a_closed_window_is_late_and_what_comes_for_the_next_one_is_not(
    build: Callable[..., hr.Topology],
) -> None:
    with testing.TopologyTestDriver(build()) as driver:
        pipe(driver, ("a", 5))
        driver.advance("30s")
        assert left(driver) == [("a@0", 1)]
        pipe(driver, ("a", 59_999), ("a", 60_000))
        assert (late(driver), left(driver)) == ([("a", 59_999)], [])
        driver.advance("30s")
        assert left(driver) == [("a@60000", 1)]


@BOTH
def test_late_records_do_not_move_time_on_when_the_input_is_silent_again(
    build: Callable[..., hr.Topology],
) -> None:
    with testing.TopologyTestDriver(build()) as driver:
        pipe(driver, ("a", 5))
        for _ in range(3):
            driver.advance("30s")
            pipe(driver, ("a", 6))
        driver.advance("30s")
        pipe(driver, ("a", 60_000))
        assert late(driver) == [("a", 6)] * 3


@BOTH
@RESTARTS
def test_after_a_restart_the_same_records_are_late_and_nothing_leaves_twice(
    build: Callable[..., hr.Topology], lose_state: bool
) -> None:
    with testing.TopologyTestDriver(build()) as driver:
        pipe(driver, ("a", 5), ("b", 6))
        driver.advance("30s")
        assert left(driver) == [("a@0", 1), ("b@0", 1)]
        driver.restart(lose_state=lose_state)
        pipe(driver, ("a", 59_999), ("a", 60_000))
        assert (late(driver), left(driver)) == ([("a", 59_999)], [])
        driver.advance("30s")
        assert left(driver) == [("a@60000", 1)]


@BOTH
@RESTARTS
def test_windows_that_were_open_at_a_restart_close_when_nothing_comes_after_it(
    build: Callable[..., hr.Topology], lose_state: bool
) -> None:
    with testing.TopologyTestDriver(build()) as driver:
        pipe(driver, ("a", 5), ("b", MINUTE))
        driver.advance("20s")
        driver.restart(lose_state=lose_state)
        driver.advance("29s")
        assert left(driver) == []  # it waits anew
        driver.advance("1s")
        assert left(driver) == [("a@0", 1), ("b@60000", 1)]


@BOTH
def test_how_far_time_has_gone_on_is_committed_with_the_offsets(build: Callable[..., hr.Topology]) -> None:
    with testing.TopologyTestDriver(build(), application_id="idle") as driver:
        pipe(driver, ("a", 5))
        driver.advance("30s")
        (committed,) = driver.log.committed("idle", [TopicPartition("in", 0)]).values()
        assert decode_metadata(committed.metadata).processors["counts-idle"] == MINUTE + 10_000


@BOTH
def test_partitions_are_silent_on_their_own(build: Callable[..., hr.Topology]) -> None:
    with testing.TopologyTestDriver(build(), partitions=2) as driver:
        pipe(driver, ("a", 5), ("d", 5))
        found = []
        for _ in range(3):
            driver.advance("10s")
            found += pipe(driver, ("d", 6))
        assert found == [("a@0", 1)]


def test_after_a_failure_that_is_tried_again_windows_close_once() -> None:
    tries = []

    def sink(key: str, count: int) -> None:
        tries.append(key)
        if len(tries) == 1:
            raise ValueError("the first time")

    builder = hr.StreamsBuilder()
    counted = builder.stream(IN).group_by_key().windowed_by(MINUTES, emit="close", idle="30s").count()
    counted.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).peek(sink).to(OUT)
    with testing.TopologyTestDriver(
        builder.build(), processing_exception_handler=lambda failure: hr.Reaction.retry
    ) as driver:
        pipe(driver, ("a", 5))
        driver.advance("30s")
        driver.advance("30s")  # the silence begins anew
        assert (left(driver), tries) == ([("a@0", 1)], ["a@0", "a@0"])


def test_a_table_that_is_filtered_before_it_is_suppressed_closes_too() -> None:
    builder = hr.StreamsBuilder()
    counted = builder.stream(IN).group_by_key().windowed_by(MINUTES, idle="30s").count()
    many = counted.filter(lambda each, count: count > 1)
    final = many.suppress(hr.until_window_closes())
    final.to_stream(lambda each, count: each.key, key=str).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        pipe(driver, ("a", 5), ("b", 5), ("a", 6))
        driver.advance("30s")
        assert left(driver) == [("a", 2)]


def test_windows_that_are_joined_before_they_are_suppressed_are_refused() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream(IN).group_by_key()
    one, two = (grouped.windowed_by(MINUTES, idle=idle).count() for idle in ("30s", None))
    joined = one.join(two, lambda left, right: left + right)
    with pytest.raises(
        hr.TopologyError, match=r"test_idle_windows.py:\d+: .* are joined with others before: suppress"
    ):
        joined.suppress(hr.until_window_closes())


@pytest.mark.parametrize(
    ("windows", "idle", "error", "said"),
    [
        (MINUTES, 30, TypeError, "idle=30 has no unit"),
        (MINUTES, "0s", hr.TopologyError, "idle='0s' is no time"),
        (hr.UnlimitedWindows(), "30s", hr.TopologyError, "idle= would never close anything"),
    ],
)
def test_an_idle_time_that_closes_nothing_is_refused(
    windows: Any, idle: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        hr.StreamsBuilder().stream(IN).group_by_key().windowed_by(windows, idle=idle)


RECORDS = st.tuples(st.sampled_from("ab"), st.sampled_from([0, 1, 20_000, 70_000, -5_000, -80_000]))


@pytest.mark.campaign
@BOTH
@pytest.mark.parametrize(
    ("windows", "store"),
    [
        (MINUTES, stores.window("counts", retention="1h")),
        (hr.SessionWindows("20s", grace="10s"), stores.session("counts", retention="1h")),
    ],
    ids=["minutes", "sessions"],
)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    steps=st.lists(st.one_of(RECORDS, RECORDS, st.sampled_from(["silence", "pause", "restart"])), max_size=25)
)
def test_each_record_is_in_one_result_or_late_whatever_happens_between(
    build: Callable[..., hr.Topology], windows: Any, store: Any, steps: list[Any]
) -> None:
    with testing.TopologyTestDriver(build(windows, store)) as driver:
        time, sent = 0, 0
        found: list[tuple[str, int]] = []
        for step in steps:
            if step == "silence":
                driver.advance("30s")
            elif step == "pause":
                driver.advance("7s")
            elif step == "restart":
                driver.restart()
            else:
                key, by = step
                time = max(time + by, 0)
                found += pipe(driver, (key, time))
                sent += 1
        driver.advance("30s")
        found += left(driver)
        assert len({window for window, _ in found}) == len(found)
        assert sum(count for _, count in found) + len(late(driver)) == sent


@BOTH
def test_what_was_late_before_a_restart_is_late_after_it_also_if_a_record_has_moved_time(
    build: Callable[..., hr.Topology],
) -> None:
    with testing.TopologyTestDriver(build()) as driver:
        pipe(driver, ("a", 5), ("b", 10 * MINUTE))
        driver.restart()
        pipe(driver, ("a", 6))
        assert late(driver) == [("a", 6)]


@BOTH
def test_a_session_that_has_closed_takes_no_record_that_is_not_late_itself(
    build: Callable[..., hr.Topology],
) -> None:
    sessions = hr.SessionWindows("20s", grace="10s")
    with testing.TopologyTestDriver(build(sessions)) as driver:
        pipe(driver, ("a", 0))
        driver.advance("30s")
        assert left(driver) == [("a@0", 1)]
        pipe(driver, ("a", 0), ("a", 1))
        driver.advance("30s")
        assert (late(driver), left(driver)) == ([("a", 0)], [("a@1", 1)])
