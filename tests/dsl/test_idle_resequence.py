"""Records that wait for others of their key: what a silence of the input ends, and what a restart makes of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import testing

IN, OUT, LATE = (hr.Topic(name, value=str) for name in ("in", "out", "late"))
RESTARTS = pytest.mark.parametrize("lose_state", [False, True])


def by_time() -> hr.Topology:
    return ordered(by="timestamp")


def ordered(**arguments: Any) -> hr.Topology:
    builder = hr.StreamsBuilder()
    given: dict[str, Any] = {"by": int, "within": "1m", "late_to": LATE, "idle": "30s", **arguments}
    builder.stream(IN).resequence(**given).to(OUT)
    return builder.build()


def pipe(driver: testing.TopologyTestDriver, *records: tuple[str, str, int]) -> list[tuple[str, str]]:
    for key, number, timestamp in records:
        driver.input(IN).pipe(key, number, timestamp=timestamp)
    return left(driver)


def left(driver: testing.TopologyTestDriver) -> list[tuple[str, str]]:
    return driver.output(OUT).read_pairs()


def late(driver: testing.TopologyTestDriver) -> list[tuple[str, str]]:
    return driver.output(LATE).read_pairs()


@RESTARTS
def test_by_number_what_waits_goes_on_when_nothing_comes_and_what_is_missing_is_a_gap(
    lose_state: bool,
) -> None:
    gaps: list[Any] = []
    with testing.TopologyTestDriver(ordered(on_gap=lambda *gap: gaps.append(gap))) as driver:
        assert pipe(driver, ("a", "1", 0), ("a", "4", 5), ("a", "3", 9), ("b", "7", 7)) == [
            ("a", "1"),
            ("b", "7"),
        ]
        driver.advance("29s")
        assert left(driver) == []
        driver.advance("1s")
        assert (left(driver), gaps) == ([("a", "3"), ("a", "4")], [("a", 2, 2)])
        driver.restart(lose_state=lose_state)
        assert pipe(driver, ("a", "2", 10), ("a", "5", 11)) == [("a", "5")]
        assert late(driver) == [("a", "2")]


@RESTARTS
def test_by_time_all_that_waits_goes_on_when_nothing_comes_and_what_is_before_it_is_late(
    lose_state: bool,
) -> None:
    with testing.TopologyTestDriver(by_time()) as driver:
        assert pipe(driver, ("a", "x", 90_000), ("a", "y", 40_000)) == []
        driver.advance("30s")
        assert left(driver) == [("a", "y"), ("a", "x")]
        driver.restart(lose_state=lose_state)
        assert pipe(driver, ("b", "u", 90_000), ("b", "v", 90_001)) == []
        assert late(driver) == [("b", "u")]
        driver.advance("30s")
        assert left(driver) == [("b", "v")]


@RESTARTS
def test_what_waited_at_a_restart_goes_on_when_nothing_comes_after_it(lose_state: bool) -> None:
    with testing.TopologyTestDriver(by_time()) as driver:
        pipe(driver, ("a", "x", 5))
        driver.advance("20s")
        driver.restart(lose_state=lose_state)
        driver.advance("29s")
        assert left(driver) == []
        driver.advance("1s")
        assert left(driver) == [("a", "x")]


def test_a_silence_in_which_nothing_waits_moves_no_time() -> None:
    with testing.TopologyTestDriver(by_time()) as driver:
        pipe(driver, ("a", "x", 5))
        driver.advance("30s")
        for _ in range(3):
            assert pipe(driver, ("a", "y", 5)) in ([], [("a", "x")])
            driver.advance("30s")
        pipe(driver, ("a", "z", 6))
        assert late(driver) == [("a", "y")] * 3


def test_without_an_idle_time_records_wait_for_records() -> None:
    with testing.TopologyTestDriver(ordered(by="timestamp", idle=None)) as driver:
        pipe(driver, ("a", "x", 5))
        driver.advance("1h")
        assert left(driver) == []


@pytest.mark.parametrize(
    ("idle", "error", "said"),
    [(30, TypeError, "idle=30 has no unit"), ("0s", hr.TopologyError, "idle='0s' is no time")],
)
def test_an_idle_time_that_is_none_is_refused(idle: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        ordered(idle=idle)


STEPS = st.one_of(
    st.tuples(st.sampled_from("ab"), st.sampled_from([0, 1, 20_000, 70_000, -5_000, -80_000])),
    st.sampled_from(["silence", "pause", "restart"]),
)


@pytest.mark.campaign
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_each_record_leaves_in_order_once_or_is_late_whatever_happens_between(steps: list[Any]) -> None:
    with testing.TopologyTestDriver(by_time()) as driver:
        time, sent = 0, 0
        found: list[tuple[Any, int]] = []

        def read() -> None:
            found.extend((each.key, each.timestamp) for each in driver.output(OUT).read_all())

        for step in steps:
            match step:
                case "silence":
                    driver.advance("30s")
                case "pause":
                    driver.advance("7s")
                case "restart":
                    driver.restart()
                case key, by:
                    time = max(time + by, 0)
                    driver.input(IN).pipe(key, "x", timestamp=time)
                    sent += 1
            read()
        driver.advance("30s")
        read()
        assert len(found) + len(late(driver)) == sent
        for key in "ab":
            times = [timestamp for other, timestamp in found if other == key]
            assert times == sorted(times)
