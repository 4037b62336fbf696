"""Windows as users write them: what is refused, and what is equal."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.plan.internal_topics import changelog_config

LATE = hr.Topic("in", value=str)
OUT = hr.Topic("out", key=hr.time_windowed(str, timedelta(milliseconds=10)), value=str)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: hr.SlidingWindows(10, grace="0s"), "difference=10 has no unit"),  # type: ignore[arg-type]
        (lambda: hr.SlidingWindows("10s", grace=0), "grace=0 has no unit"),  # type: ignore[arg-type]
        (lambda: hr.SlidingWindows("-1s", grace="0s"), "difference='-1s' is negative"),
        (lambda: hr.SlidingWindows("1s", grace="-1s"), "grace='-1s' is negative"),
        (lambda: hr.SlidingWindows("0s", grace="1s"), "windows of one moment"),
        (lambda: hr.SlidingWindows("1s"), "grace"),  # type: ignore[call-arg]
        (lambda: hr.UnlimitedWindows("1s"), "start='1s' is no moment: epoch ms are wanted"),  # type: ignore[arg-type]
        (lambda: hr.UnlimitedWindows(1.5), "start=1.5 is no moment"),  # type: ignore[arg-type]
        (lambda: hr.UnlimitedWindows(-1), "before 1970"),
        (lambda: hr.UnlimitedWindows(2**63), "beyond 64 bits"),
    ],
)
def test_windows_that_are_none_are_refused_where_they_are_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        make()


def test_windows_are_equal_by_what_they_say() -> None:
    assert hr.SlidingWindows("1m", grace="1s") == hr.SlidingWindows("60s", grace="1000ms")
    assert hr.SlidingWindows("1m", grace="1s") != hr.SlidingWindows("1m", grace="2s")
    assert hr.SlidingWindows("1m", grace="1s") != hr.TimeWindows("1m", grace="1s")
    assert hr.UnlimitedWindows() == hr.UnlimitedWindows(0) != hr.UnlimitedWindows(1)
    assert len({hr.SlidingWindows("1m", grace="1s"), hr.SlidingWindows("60s", grace="1s")}) == 1


def test_windows_show_how_they_are_written() -> None:
    assert repr(hr.SlidingWindows("1m", grace="1s")) == "SlidingWindows('60000ms', grace='1000ms')"
    assert repr(hr.UnlimitedWindows(5)) == "UnlimitedWindows(5)"


def test_an_unlimited_window_takes_what_comes_from_its_start_on() -> None:
    builder = hr.StreamsBuilder()
    counts = builder.stream(LATE).group_by_key().windowed_by(hr.UnlimitedWindows(100)).count(store="counts")
    counts.to_stream().to("counted")
    with testing.TopologyTestDriver(builder.build()) as driver:
        for timestamp in (99, 100, 10**12, 150):
            driver.input(LATE).pipe("k", "x", timestamp=timestamp)
        assert list(driver.store("counts").range()) == [(hr.Windowed("k", hr.Window(100, 2**63 - 1)), 3)]


def test_sliding_windows_of_a_stream_leave_with_their_starts_and_ends() -> None:
    builder = hr.StreamsBuilder()
    windows = hr.SlidingWindows("10ms", grace="1s")
    joined = builder.stream(LATE).group_by_key().windowed_by(windows).reduce(lambda one, two: one + two)
    joined.to_stream().to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for value, timestamp in (("a", 100), ("b", 105)):
            driver.input(LATE).pipe("k", value, timestamp=timestamp)
        assert driver.output(OUT).read_pairs() == [
            (hr.Windowed("k", hr.Window(90, 100)), "a"),
            (hr.Windowed("k", hr.Window(101, 111)), "b"),
            (hr.Windowed("k", hr.Window(95, 105)), "ab"),
        ]


def test_sliding_windows_are_kept_for_twice_their_difference_and_the_grace() -> None:
    builder = hr.StreamsBuilder()
    windowed = builder.stream("in").group_by_key().windowed_by(hr.SlidingWindows("5m", grace="1m"))
    with pytest.raises(
        hr.TopologyError, match="less than twice the difference and the grace together, 660000 ms"
    ):
        windowed.count(store=stores.window("short", retention="10m"))
    windowed.count(store="w")
    spec = builder.build().stores["w"]
    assert (spec.size_ms, spec.grace_ms, spec.retention_ms) == (300_000, 60_000, 660_000)


def test_unlimited_windows_are_kept_for_ever() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").group_by_key().windowed_by(hr.UnlimitedWindows()).count(store="w")
    spec = builder.build().stores["w"]
    assert (spec.size_ms, spec.grace_ms, spec.retention_ms) == (2**63 - 1, None, 2**63 - 1)
    assert changelog_config(spec)["retention.ms"] == "9223372036854775807"


@pytest.mark.parametrize("windows", ["5m", None, hr.Window(0, 10)])
def test_what_is_no_windows_is_refused(windows: Any) -> None:
    grouped = hr.StreamsBuilder().stream("in").group_by_key()
    with pytest.raises(hr.TopologyError, match=r"test_windows.py:\d+: windowed_by\(\) takes windows such as"):
        grouped.windowed_by(windows)
