"""Tasks of one worker advance together in record time, and what they write keeps that order."""

from pathlib import Path

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.engine.alignment import alignment_ms
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

HOUR_MS = 3_600_000
EVENTS = hr.Topic("events", key=str, value=int, partitions=3)


def worst_lateness_hours(folder: Path, alignment_ms: int) -> float:
    """Catch up on 3,000 hours in three partitions, and say how late a record stands in the repartition topic."""
    builder = hr.StreamsBuilder()
    builder.stream(EVENTS).group_by(lambda key, value: "all", key=str).count()
    log = MemoryLog()
    log.create_topics([TopicSpec("events", 3)])
    writer = log.writer("feed")
    for partition in range(3):
        columns = Columns()
        for hour in range(3_000):
            columns.append(b"key", (1).to_bytes(8, "big"), hour * HOUR_MS + partition, ())
        writer.append("events", partition, columns)
    writer.commit({})
    worker = build_worker(
        builder.build(),
        log,
        EngineOptions.of({"task.alignment.ms": alignment_ms}),
        application_id="app",
        state_dir=folder,
        clock=ManualClock(),
    )
    worker.open()
    while worker.step(0):
        pass
    worker.commit()
    worker.close()
    name = "app-KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition"
    timestamps = [record[4] for record in log.records(name)]
    assert len(timestamps) == 9_000
    newest, worst = 0, 0
    for timestamp in timestamps:
        newest = max(newest, timestamp)
        worst = max(worst, newest - timestamp)
    return worst / HOUR_MS


def test_records_of_aligned_tasks_meet_in_a_repartition_topic_no_later_than_the_alignment(
    tmp_path: Path,
) -> None:
    assert worst_lateness_hours(tmp_path, 2 * HOUR_MS) <= 3


def test_without_alignment_a_task_runs_far_ahead_of_the_others(tmp_path: Path) -> None:
    assert worst_lateness_hours(tmp_path, 10_000 * HOUR_MS) > 100


def topology(*graces: str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    events = builder.stream(EVENTS).group_by_key()
    for grace in graces:
        events.windowed_by(hr.TimeWindows("5m", grace=grace)).count()
    events.count()
    return builder.build()


def test_alignment_is_an_hour_unless_a_grace_is_short() -> None:
    assert alignment_ms(None, topology().stores.values()) == HOUR_MS
    assert alignment_ms(None, topology("400d").stores.values()) == HOUR_MS
    assert alignment_ms(None, topology("400d", "10m").stores.values()) == 150_000


def test_alignment_goes_by_the_grace_however_long_the_store_keeps_windows() -> None:
    builder = hr.StreamsBuilder()
    kept = stores.window("kept", key=str, value=int, retention="30d")
    builder.stream(EVENTS).group_by_key().windowed_by(hr.TimeWindows("5m", grace="10m")).count(store=kept)
    assert alignment_ms(None, builder.build().stores.values()) == 150_000


def test_alignment_without_grace_is_a_second() -> None:
    assert alignment_ms(None, topology("0s").stores.values()) == 1_000


def test_alignment_that_is_set_is_taken_as_it_is() -> None:
    assert alignment_ms(0, topology("10m").stores.values()) == 0
