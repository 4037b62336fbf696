"""What a topology's metrics say, in the test driver, whose clock stands still unless it is told otherwise."""

import math
from collections.abc import Callable
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.metrics.catalogue import CATALOGUE
from headrace.testing import TopologyTestDriver

WORDS = hr.Topic("words", value=str)
OTHERS = hr.Topic("others", value=str)
COUNTS = stores.key_value("counts", key=str, value=int)
TASK, NODE, TOPIC = "stream-task-metrics", "stream-processor-node-metrics", "stream-topic-metrics"
STATE = "stream-state-metrics"


def fail_on_b(word: str) -> str:
    if word == "b":
        raise ValueError("a b")
    return word


def counting(value: Callable[[str], str] = str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    words = builder.stream(WORDS).map_values(value, value=str)
    words.group_by_key().count(store=COUNTS).to_stream().to("counted", value=int)
    return builder.build()


def every_kind() -> hr.Topology:
    """A topology with each kind of store and of join."""
    builder = hr.StreamsBuilder()
    words, others = builder.stream(WORDS), builder.stream(OTHERS)
    table = builder.table(hr.Topic("table", value=str), store=stores.key_value("table", engine="memory"))
    words.join(table, lambda a, b: a + b, value=str).to("out")
    words.left_join(others, lambda a, b: f"{a}{b}", within=hr.JoinWindows("1m", grace="0s"), value=str).to(
        "out"
    )
    grouped = words.group_by_key()
    grouped.count(store=COUNTS)
    windows = grouped.windowed_by(hr.TimeWindows("1m", grace="0s"))
    closed = windows.count(store="windowed").suppress(hr.until_window_closes()).to_stream()
    closed.select_key(lambda window, n: window.key, key=str).to("out", value=int)
    grouped.windowed_by(hr.SessionWindows("1m", grace="0s")).count(store="sessions")
    words.to_table(store=stores.versioned("versions", history="1h"))
    return builder.build()


def value(metrics: hr.Metrics, name: str, group: str, **tags: str) -> Any:
    (found,) = metrics.find(name, group, **tags)
    return found.value


def test_a_task_and_its_source_count_what_is_processed() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe_all([("k", "a", 0), ("k", "b", 1), ("j", "c", 2)])
        metrics = driver.metrics()
        assert value(metrics, "process-total", TASK, task_id="0_0") == 3
        assert value(metrics, "process-total", NODE, processor_node_id="KSTREAM-SOURCE-0000000000") == 3
        assert value(metrics, "records-consumed-total", TOPIC, topic="words") == 3
        assert value(metrics, "records-produced-total", TOPIC, topic="counted") == 3
        assert value(metrics, "records-produced-total", TOPIC, topic="test-counts-changelog") == 3
        assert value(metrics, "bytes-produced-total", TOPIC, topic="counted") > 0
        assert value(metrics, "process-total", "stream-thread-metrics") == 3


def test_a_task_counts_by_partition() -> None:
    with TopologyTestDriver(counting(), partitions=2) as driver:
        driver.input(WORDS).pipe("k", "a", timestamp=0)
        totals = [each.value for each in driver.metrics().find("process-total", TASK)]
        assert sorted(totals) == [0, 1]


def test_dropped_records_are_counted_by_node_and_reason() -> None:
    with TopologyTestDriver(counting(fail_on_b), processing_exception_handler=hr.log_and_continue) as driver:
        driver.input(WORDS).pipe_all([("k", "a", 0), (None, "a", 1), ("k", "b", 2), ("k", "b", 3)])
        metrics = driver.metrics()
        assert value(metrics, "dropped-records-total", TASK) == 3
        drops = {
            (each.tags["processor-node-id"], each.tags["reason"]): each.value
            for each in metrics.find("dropped-records-total", NODE)
        }
        assert drops == {
            ("KSTREAM-MAPVALUES-0000000001", "failed to process"): 2,
            ("KSTREAM-AGGREGATE-0000000002", "null key or value"): 1,
        }


def test_the_age_of_records_is_by_their_timestamps() -> None:
    with TopologyTestDriver(counting(), start=10_000) as driver:
        driver.input(WORDS).pipe("k", "a", timestamp=9_000)
        driver.advance("1s")
        driver.input(WORDS).pipe("j", "b", timestamp=5_000)
        driver.input(WORDS).pipe("j", "b", timestamp=0)  # of short stretches, one a millisecond is looked at
        metrics = driver.metrics()
        found = [
            value(metrics, f"record-e2e-latency-{each}", NODE, processor_node_id="KSTREAM-SOURCE-0000000000")
            for each in ("min", "avg", "max")
        ]
        assert found == [1_000, 3_500, 6_000]
        assert value(metrics, "record-e2e-latency-max", TOPIC, topic="counted") == 6_000


def test_the_lag_is_none_when_all_is_processed() -> None:
    with TopologyTestDriver(counting(), start=10_000) as driver:
        driver.input(WORDS).pipe("k", "a", timestamp=9_000)
        driver.advance("1s")
        metrics = driver.metrics()
        assert value(metrics, "records-lag", TOPIC, topic="words", partition="0") == 0
        assert value(metrics, "records-lag-age", TOPIC, topic="words", partition="0") == 0


def test_a_store_in_memory_tells_its_rows_and_rocksdb_its_properties() -> None:
    with TopologyTestDriver(every_kind(), rocksdb_memory_max_bytes=8 << 20) as driver:
        driver.input(hr.Topic("table", value=str)).pipe_all([("a", "1", 0), ("b", "2", 1)])
        driver.input(WORDS).pipe("a", "x", timestamp=2)
        metrics = driver.metrics()
        assert value(metrics, "num-keys", STATE, in_memory_state_id="table") == 2
        assert value(metrics, "estimate-num-keys", STATE, rocksdb_state_id="counts") >= 1
        assert value(metrics, "cur-size-all-mem-tables", STATE, rocksdb_window_state_id="windowed") > 0
        assert value(metrics, "block-cache-capacity", STATE, rocksdb_session_state_id="sessions") == 8 << 20


def test_what_suppression_holds_back_is_measured_at_commits() -> None:
    with TopologyTestDriver(every_kind()) as driver:
        driver.input(WORDS).pipe_all([("a", "x", 0), ("b", "x", 1)])
        (held,) = driver.metrics().find("suppression-buffer-count-max", STATE)
        assert held.value == 2
        driver.input(WORDS).pipe("c", "x", timestamp=120_000)
        assert (
            value(
                driver.metrics(),
                "suppression-emit-total",
                NODE,
                processor_node_id="KTABLE-SUPPRESS-0000000014",
            )
            == 2
        )
        assert [tag for tag in held.tags if tag.endswith("state-id")] == ["in-memory-suppression-state-id"]


def test_calls_are_timed_at_level_debug_only() -> None:
    with TopologyTestDriver(every_kind()) as driver:
        driver.input(WORDS).pipe("a", "x", timestamp=0)
        assert not driver.metrics().find("put-rate")
        assert not driver.metrics().find("hit-ratio-avg")
    debug = {"metrics.recording.level": "DEBUG"}
    with TopologyTestDriver(every_kind(), properties=debug) as driver:
        driver.input(WORDS).pipe_all([("a", "x", 0), ("a", "x", 1)])
        metrics = driver.metrics()
        assert (
            value(metrics, "put-latency-max", STATE, rocksdb_state_id="counts") == 0.0
        )  # the clock stands still
        assert value(metrics, "get-rate", STATE, rocksdb_state_id="counts") == 2.0
        assert value(metrics, "hit-ratio-avg", "stream-record-cache-metrics", record_cache_id="counts") == 0.5
        assert value(metrics, "fetch-rate", STATE, rocksdb_window_state_id="windowed") > 0
        assert value(metrics, "process-total", NODE, processor_node_id="KSTREAM-JOIN-0000000004") == 2


@pytest.mark.parametrize("level", ["INFO", "DEBUG", "TRACE"])
def test_what_is_measured_changes_no_result(level: str) -> None:
    records = [(f"k{n % 3}", f"v{n}", n * 7_000) for n in range(40)]
    results = []
    for properties in ({}, {"metrics.recording.level": level}):
        with TopologyTestDriver(every_kind(), properties=properties) as driver:
            driver.input(hr.Topic("table", value=str)).pipe_all([("k0", "1", 0), ("k1", "2", 1)])
            driver.input(OTHERS).pipe_all(records[::2])
            driver.input(WORDS).pipe_all(records)
            results.append(driver.output(hr.Topic("out", value=hr.raw)).read_all())
    assert results[0] == results[1] != []


def test_all_that_the_catalogue_has_of_tasks_is_there() -> None:
    with TopologyTestDriver(every_kind(), properties={"metrics.recording.level": "TRACE"}) as driver:
        driver.input(WORDS).pipe_all([("a", "x", 0), (None, "x", 1)])
        found = {(each.group, each.name) for each in driver.metrics()}
    # An instance's own are added by `Streams`, those of a sink by a sink. What RocksDB reads is read by nobody here.
    others = {"stream-metrics", "stream-sink-metrics"}
    wanted = {(each.group, each.name) for each in CATALOGUE if each.group not in others}
    of_streams = {"state", "thread-state", "thread-start-time"}
    unused = {"range", "prefix-scan", "put-all"}
    missing = {
        name
        for _, name in wanted - found
        if name not in of_streams and name.rsplit("-", 1)[0].removesuffix("-latency") not in unused
    }
    assert missing == set()


def test_a_metric_without_anything_in_the_last_minute_has_no_average_and_keeps_its_total() -> None:
    with TopologyTestDriver(counting()) as driver:
        driver.input(WORDS).pipe("k", "a", timestamp=0)
        assert value(driver.metrics(), "process-latency-avg", TASK) == 0.0
        driver.advance("2m")
        assert math.isnan(value(driver.metrics(), "process-latency-avg", TASK))
        assert value(driver.metrics(), "process-total", TASK) == 1
