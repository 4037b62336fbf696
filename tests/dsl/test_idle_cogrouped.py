"""Cogrouped windows that close when nothing comes to any of the groups."""

from typing import Any

import pytest

import headrace as hr
from headrace import testing

ONE, TWO = hr.Topic("in", value=str), hr.Topic("more", value=str)
OUT, LATE = hr.Topic("out", key=str, value=str), hr.Topic("late", value=str)
MINUTE = 60_000
WINDOWS = {
    "minutes": hr.TimeWindows("1m", grace="10s"),
    "sliding": hr.SlidingWindows("1m", grace="10s"),
    "sessions": hr.SessionWindows("1m", grace="10s"),
}
RESTARTS = pytest.mark.parametrize("lose_state", [False, True])


def joined(key: str, value: str, texts: str) -> str:
    return texts + value


def topology(windows: Any = WINDOWS["minutes"], idle: Any = "30s") -> hr.Topology:
    builder = hr.StreamsBuilder()
    one, two = (builder.stream(topic).group_by_key() for topic in (ONE, TWO))
    grouped: Any = one.cogroup(joined).cogroup(two, joined).windowed_by(windows, idle=idle, late_to=LATE)
    merge = (lambda key, texts, other: texts + other,) if isinstance(windows, hr.SessionWindows) else ()
    table = grouped.aggregate(str, *merge, store="texts").suppress(hr.until_window_closes())
    table.to_stream(lambda each, text: f"{each.key}@{each.window.start}", key=str).to(OUT)
    return builder.build()


def pipe(driver: testing.TopologyTestDriver, topic: hr.Topic[str, str], value: str, timestamp: int) -> None:
    driver.input(topic).pipe("a", value, timestamp=timestamp)


def left(driver: testing.TopologyTestDriver) -> list[tuple[str, str]]:
    return driver.output(OUT).read_pairs()


def late(driver: testing.TopologyTestDriver) -> list[str]:
    return [value for _, value in driver.output(LATE).read_pairs()]


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ("minutes", [("a@0", "xy")]),
        ("sliding", [("a@0", "xy"), ("a@6", "y")]),
        ("sessions", [("a@5", "xy")]),
    ],
)
@pytest.mark.parametrize("cache_bytes", ["0", "1000000"])
def test_windows_close_once_when_none_of_the_groups_has_records(
    windows: str, expected: list[tuple[str, str]], cache_bytes: str
) -> None:
    properties = {"statestore.cache.max.bytes": cache_bytes}
    with testing.TopologyTestDriver(topology(WINDOWS[windows]), properties=properties) as driver:
        pipe(driver, ONE, "x", 5)
        driver.advance("20s")
        pipe(driver, TWO, "y", 7)
        driver.advance("29s")
        assert left(driver) == []
        driver.advance("1s")
        assert left(driver) == expected
        driver.advance("1h")
        assert left(driver) == []


@RESTARTS
def test_what_comes_to_any_group_for_a_closed_window_is_late_also_after_a_restart(lose_state: bool) -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        pipe(driver, ONE, "x", 5)
        driver.advance("30s")
        assert left(driver) == [("a@0", "x")]
        # A group that has had no record at all closes too.
        pipe(driver, TWO, "y", 6)
        assert late(driver) == ["y"]
        driver.restart(lose_state=lose_state)
        pipe(driver, ONE, "v", 6)
        pipe(driver, TWO, "w", MINUTE - 1)
        pipe(driver, TWO, "z", MINUTE)
        assert (late(driver), left(driver)) == (["v", "w"], [])
        driver.advance("30s")
        assert left(driver) == [("a@60000", "z")]


@RESTARTS
def test_windows_that_were_open_at_a_restart_close_when_nothing_comes_after_it(lose_state: bool) -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        pipe(driver, ONE, "x", 5)
        pipe(driver, TWO, "y", MINUTE)
        driver.advance("20s")
        driver.restart(lose_state=lose_state)
        driver.advance("29s")
        assert left(driver) == []
        driver.advance("1s")
        assert left(driver) == [("a@0", "x"), ("a@60000", "y")]


def test_without_an_idle_time_windows_wait_for_records() -> None:
    with testing.TopologyTestDriver(topology(idle=None)) as driver:
        pipe(driver, ONE, "x", 5)
        driver.advance("1h")
        assert left(driver) == []


def test_an_idle_time_of_windows_without_end_is_refused() -> None:
    one = hr.StreamsBuilder().stream(ONE).group_by_key()
    with pytest.raises(hr.TopologyError, match=r"test_idle_cogrouped.py:\d+: idle= would never close"):
        one.cogroup(joined).windowed_by(hr.UnlimitedWindows(), idle="30s")
