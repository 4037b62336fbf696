"""Counting in a cache takes a short cut; what comes out is what an aggregation with the same result gives."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace import KGroupedStream
from headrace.base.columns import Columns
from headrace.base.records import Headers
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

EVENTS = hr.Topic("events", key=str, value=str)
Rows = list[tuple[bytes | None, bytes | None, int, Headers]]


def add_one(key: str, value: str, count: int) -> int:
    return count + 1


def outputs(
    folder: Path, build: Callable[[KGroupedStream[str, str]], None], cache_bytes: int
) -> dict[str, Rows]:
    """Feed batches with commits in between, and return what was written to the output and to the changelog."""
    builder = hr.StreamsBuilder()
    build(builder.stream(EVENTS).group_by_key())
    log, choice = MemoryLog(), random.Random(5)
    log.create_topics([TopicSpec("events", 1)])
    worker = build_worker(
        builder.build(),
        log,
        EngineOptions.of({"statestore.cache.max.bytes": cache_bytes, "commit.interval.ms": 1_000_000}),
        application_id="app",
        state_dir=folder,
        clock=ManualClock(),
    )
    worker.open()
    for batch in range(12):
        columns = Columns()
        for _ in range(60):
            key = None if choice.random() < 0.05 else choice.choice("abcdef").encode()
            value = None if choice.random() < 0.05 else b"x"
            timestamp = max(0, batch * 3_000 + choice.randrange(-9_000, 4_000))
            headers = (("n", b"%d" % choice.randrange(9)),) if choice.random() < 0.2 else ()
            columns.append(key, value, timestamp, headers)
        writer = log.writer("feed")
        writer.append("events", 0, columns)
        writer.commit({})
        while worker.step(0):
            pass
        worker.commit()
    worker.close()
    names = {"out": "out", "changelog": next(name for name in log.topics() if name.endswith("-changelog"))}
    if "late" in log.topics():
        names["late"] = "late"
    return {which: [record[2:] for record in log.records(name)] for which, name in names.items()}


@pytest.mark.parametrize("cache_bytes", [10_000_000, 700])
def test_cached_count_gives_what_an_aggregation_gives(tmp_path: Path, cache_bytes: int) -> None:
    def count(grouped: KGroupedStream[str, str]) -> None:
        grouped.count().to_stream().to("out")

    def aggregate(grouped: KGroupedStream[str, str]) -> None:
        grouped.aggregate(int, add_one).to_stream().to("out")

    counted = outputs(tmp_path / "count", count, cache_bytes)
    # A count has no use for the records' values, but drops null ones as an aggregation does.
    assert counted == outputs(tmp_path / "aggregate", aggregate, cache_bytes)
    assert len(counted["out"]) > 60


@pytest.mark.parametrize("cache_bytes", [10_000_000, 700])
def test_cached_window_count_gives_what_an_aggregation_gives(tmp_path: Path, cache_bytes: int) -> None:
    windows = hr.TimeWindows("4s", grace="2s")

    def count(grouped: KGroupedStream[str, str]) -> None:
        grouped.windowed_by(windows, late_to="late").count().to_stream().to("out")

    def aggregate(grouped: KGroupedStream[str, str]) -> None:
        grouped.windowed_by(windows, late_to="late").aggregate(int, add_one).to_stream().to("out")

    counted = outputs(tmp_path / "count", count, cache_bytes)
    aggregated = outputs(tmp_path / "aggregate", aggregate, cache_bytes)
    late, also_late = (
        [(*record[:3], [each for each in record[3] if each[0] != "__headrace.late.node"]) for record in rows]
        for rows in (counted.pop("late"), aggregated.pop("late"))
    )
    assert counted == aggregated
    assert len(counted["out"]) > 60
    assert late == also_late
    assert len(late) > 60
