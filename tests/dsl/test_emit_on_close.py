"""Results that leave when their windows close: which, when, in which order, and what a restart makes of it."""

from typing import Any, Literal

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.ids import TopicPartition
from headrace.engine.commit_metadata import CommitMetadata, decode_metadata

IN = hr.Topic("in", value=str)
OUT = hr.Topic("out", key=str, value=int)
MINUTE = 60_000
THROTTLE = "__emit.interval.ms.kstreams.windowed.aggregation__"


def counts(windows: Any, store: Any = None, emit: Literal["update", "close"] = "close") -> hr.Topology:
    builder = hr.StreamsBuilder()
    counted = builder.stream(IN).group_by_key().windowed_by(windows, emit=emit).count(store=store)
    counted.to_stream(lambda each, count: f"{each.key}@{each.window.start}", key=str).to(OUT)
    return builder.build()


def pipe(driver: testing.TopologyTestDriver, *records: tuple[str, int]) -> list[tuple[str, int]]:
    for key, timestamp in records:
        driver.input(IN).pipe(key, "x", timestamp=timestamp)
    return driver.output(OUT).read_pairs()


MINUTES = hr.TimeWindows("1m", grace="10s")


def test_a_result_leaves_once_when_stream_time_has_passed_end_and_grace() -> None:
    with testing.TopologyTestDriver(counts(MINUTES)) as driver:
        assert pipe(driver, ("a", 0), ("a", 1), ("a", MINUTE + 9_999)) == []
        assert pipe(driver, ("b", MINUTE + 10_000)) == [("a@0", 2)]
        assert pipe(driver, ("b", MINUTE + 20_000)) == []


def test_results_leave_in_the_order_of_times_and_keys_with_the_times_that_went_into_them() -> None:
    with testing.TopologyTestDriver(counts(hr.TimeWindows("1m", grace="2m"))) as driver:
        pipe(driver, ("b", 70_000), ("a", 65_000), ("c", 5), ("a", 3 * MINUTE))
        assert driver.output(OUT).read_all() == []
        driver.input(IN).pipe("z", "x", timestamp=4 * MINUTE, headers=(("by", b"z"),))
        left = [(each.key, each.timestamp, each.headers) for each in driver.output(OUT).read_all()]
        by = (("by", b"z"),)
        assert left == [("a@60000", 65_000, by), ("b@60000", 70_000, by)]


def test_a_late_record_changes_nothing_that_has_left() -> None:
    with testing.TopologyTestDriver(counts(MINUTES)) as driver:
        assert pipe(driver, ("a", 0), ("b", MINUTE + 10_000), ("a", 1)) == [("a@0", 1)]


@pytest.mark.parametrize(
    ("windows", "left"),
    [
        (hr.TimeWindows("1m", grace="0s", advance="30s"), [("a@30000", 1), ("a@60000", 2), ("a@90000", 1)]),
        (hr.SlidingWindows("1m", grace="0s"), [("a@10000", 1), ("a@30000", 2), ("a@70001", 1)]),
        (hr.SessionWindows("1m", grace="0s"), [("a@70000", 2)]),
    ],
)
def test_windows_of_all_kinds_close(windows: Any, left: list[tuple[str, int]]) -> None:
    with testing.TopologyTestDriver(counts(windows)) as driver:
        assert pipe(driver, ("a", 70_000), ("a", 90_000), ("b", 151_000)) == left


@pytest.mark.parametrize("lose_state", [False, True])
@pytest.mark.parametrize(
    "windows", [MINUTES, hr.SlidingWindows("1m", grace="10s"), hr.SessionWindows("30s", grace="10s")]
)
def test_after_a_restart_nothing_leaves_twice_and_nothing_is_left_out(windows: Any, lose_state: bool) -> None:
    keys = ("a", 100_000), ("b", 110_000), ("c", 135_000), ("d", 195_000), ("e", 199_000)
    with testing.TopologyTestDriver(counts(windows)) as driver:
        expected = pipe(driver, *keys)
    with testing.TopologyTestDriver(counts(windows)) as driver:
        found = []
        for key in keys:
            found += pipe(driver, key)
            driver.restart(lose_state=lose_state)
        assert found == expected
        assert found


def test_how_far_results_have_left_is_committed_as_kafka_streams_commits_it() -> None:
    with testing.TopologyTestDriver(counts(MINUTES, "minutes"), application_id="closing") as driver:
        pipe(driver, ("a", 0), ("b", 100_000))
        (committed,) = driver.log.committed("closing", [TopicPartition("in", 0)]).values()
        assert decode_metadata(committed.metadata) == CommitMetadata(100_000, {"minutes": 90_000})


def test_looks_for_closed_windows_as_often_as_the_wall_clock_allows() -> None:
    with testing.TopologyTestDriver(
        counts(hr.TimeWindows("1s", grace="10s")), properties={THROTTLE: "1000"}
    ) as driver:
        assert pipe(driver, ("a", 0), ("b", 11_000), ("c", 12_000)) == []
        driver.advance("1s")
        assert pipe(driver, ("d", 12_500)) == [("a@0", 1)]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("windows", "left"),
    [
        (hr.TimeWindows("1s", grace="10s"), "a@2000"),
        (hr.SlidingWindows("1s", grace="10s"), "a@1000"),
        (hr.SessionWindows("1s", grace="10s"), "a@2000"),
    ],
)
def test_what_the_wall_clock_puts_off_leaves_when_its_time_has_come_although_nothing_comes(
    windows: Any, left: str, restarts: bool
) -> None:
    complete = {THROTTLE: "1000", "windows.expired.emit": "true"}
    with testing.TopologyTestDriver(counts(windows), properties=complete) as driver:
        assert pipe(driver, ("a", 2_000), ("b", 13_001)) == []
        if restarts:
            driver.restart()
        driver.advance("1s")
        assert driver.output(OUT).read_pairs() == [(left, 1)]
        driver.advance("10s")
        assert driver.output(OUT).read_all() == []


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "windows",
    [
        hr.TimeWindows("10s", grace="5s"),
        hr.TimeWindows("10s", grace="5s", advance="5s"),
        hr.TimeWindows("1h", grace="0s"),
        hr.SlidingWindows("10s", grace="5s"),
        hr.SessionWindows("7s", grace="5s"),
    ],
)
def test_who_reads_a_backlog_faster_than_windows_are_looked_for_gets_all_of_them(
    windows: Any, restarts: bool
) -> None:
    """An hour in a second, then two hours of silence: stores without a cache have all that has closed."""
    keys = [(f"k{number % 7}", number * 3_100) for number in range(1_000)]
    keys.append(("last", keys[-1][1] + 120 * MINUTE))
    uncached = {"statestore.cache.max.bytes": "0"}
    complete = {THROTTLE: "1000", "windows.expired.emit": "true", **uncached}
    with testing.TopologyTestDriver(counts(windows, emit="update"), properties=uncached) as driver:
        final = dict(pipe(driver, *keys[:-1]))
    with testing.TopologyTestDriver(counts(windows), properties=complete) as driver:
        found = []
        for number, key in enumerate(keys):
            found += pipe(driver, key)
            if restarts and number % 83 == 82:
                driver.restart()
        driver.advance("1s")
        found += pipe(driver, ("last", keys[-1][1] + 1))
    assert dict(found) == final
    assert len(found) == len(final)


def test_what_has_expired_when_the_stream_goes_on_does_not_leave_unless_the_store_keeps_it_longer() -> None:
    silence = ("a", 0), ("b", 10 * MINUTE)
    uncached = {"statestore.cache.max.bytes": "0"}
    with testing.TopologyTestDriver(counts(MINUTES), properties=uncached) as driver:
        assert pipe(driver, *silence) == []
    longer = stores.window("longer", retention="1h")
    with testing.TopologyTestDriver(counts(MINUTES, longer), properties=uncached) as driver:
        assert pipe(driver, *silence) == [("a@0", 1)]


def test_windows_that_never_close_are_refused() -> None:
    grouped = hr.StreamsBuilder().stream(IN).group_by_key()
    with pytest.raises(
        hr.TopologyError, match=r"test_emit_on_close.py:\d+: emit='close' would never emit anything"
    ):
        grouped.windowed_by(hr.UnlimitedWindows(), emit="close")


@pytest.mark.parametrize("emit", ["closed", None, []])
def test_another_emit_is_refused(emit: Any) -> None:
    grouped = hr.StreamsBuilder().stream(IN).group_by_key()
    with pytest.raises(hr.TopologyError, match=r"test_emit_on_close.py:\d+: emit=.* write 'update'"):
        grouped.windowed_by(MINUTES, emit=emit)


def test_stores_of_sliding_windows_and_sessions_that_close_are_not_cached() -> None:
    for windows, caching in (
        (MINUTES, True),
        (hr.SlidingWindows("1m", grace="0s"), False),
        (hr.SessionWindows("1m", grace="0s"), False),
    ):
        spec = counts(windows, "s").stores["s"]
        assert (spec.caching, spec.time_ordered) == (caching, True)
