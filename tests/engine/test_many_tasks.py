"""What a turn of the worker costs goes by the tasks that have something to do, not by those that are there."""

import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import TransactionAbortedError
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import Log, TopicSpec

FEW, MANY = 20, 400
HOUR_MS = 3_600_000


class Ticking(hr.Processor[str, str, str, str]):
    """Has something to do by the wall clock, in an hour."""

    def init(self) -> None:
        self.context.schedule("1h", lambda now: None, on="wall")

    def process(self, record: hr.Record[str, str]) -> None:
        self.context.forward(record)


def topology(*, ticks: bool) -> hr.Topology:
    builder = hr.StreamsBuilder()
    lines = builder.stream(hr.Topic("in", value=str))
    (lines.process(Ticking) if ticks else lines).to(hr.Topic("out", value=str))
    return builder.build()


def opened(folder: Path, log: MemoryLog, *, ticks: bool = False) -> Worker:
    worker = build_worker(
        topology(ticks=ticks),
        log,
        EngineOptions.of({}),
        application_id="app",
        state_dir=folder,
        clock=ManualClock(),
    )
    worker.open()
    while worker.step(0):
        pass
    return worker


def log_of(partitions: int) -> MemoryLog:
    log = MemoryLog()
    log.create_topics([TopicSpec("in", partitions), TopicSpec("out", 1)])
    return log


def write(log: MemoryLog, partitions: int) -> None:
    """Write two records to each partition, so far from each other that a task gets one each time it is picked."""
    writer = log.writer("feed")
    for partition in range(partitions):
        columns = Columns()
        for hour in (0, 10):
            columns.append(b"key", b"text", hour * HOUR_MS + partition, ())
        writer.append("in", partition, columns)
    writer.commit({})
    writer.close()


def calls_of_the_engine(do: Callable[[], object]) -> int:
    found = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal found
        found += event == "call" and Path(frame.f_code.co_filename).parent.name == "engine"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(before)
    return found


def calls_a_record(folder: Path, partitions: int) -> float:
    log = log_of(partitions)
    worker = opened(folder, log)
    write(log, partitions)
    # Time stands still: no turn ends before there is nothing left.
    calls = calls_of_the_engine(lambda: worker.step(0))
    processed = sum(task.processed for task in worker.tasks)
    assert processed == 2 * partitions
    worker.close()
    return calls / processed


def calls_of_an_idle_turn(folder: Path, partitions: int, *, ticks: bool) -> int:
    worker = opened(folder, log_of(partitions), ticks=ticks)
    calls = calls_of_the_engine(lambda: worker.step(0))
    worker.close()
    return calls


def test_record_takes_no_more_calls_where_there_are_twenty_times_as_many_tasks(tmp_path: Path) -> None:
    assert calls_a_record(tmp_path, MANY) < 1.2 * calls_a_record(tmp_path, FEW)


@pytest.mark.parametrize("ticks", [False, True])
def test_idle_turn_takes_no_more_calls_where_there_are_twenty_times_as_many_tasks(
    tmp_path: Path, ticks: bool
) -> None:
    many, few = (calls_of_an_idle_turn(tmp_path, count, ticks=ticks) for count in (MANY, FEW))
    assert many < 2 * few


class CountingLog:
    """A log that counts how often it is asked for something."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.questions: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.questions[name] += 1
        return getattr(self._log, name)


def questions_of_a_start_and_an_abort(folder: Path, partitions: int) -> tuple[Counter[str], Counter[str]]:
    memory = MemoryLog()
    memory.create_topics([TopicSpec(name, partitions) for name in ("in", "late", "since")])
    log = CountingLog(memory)
    builder = hr.StreamsBuilder()
    streams = [
        builder.stream(hr.Topic("in", value=str)),
        builder.stream(hr.Topic("late", value=str), offset_reset="latest"),
        builder.stream(hr.Topic("since", value=str), offset_reset=timedelta(hours=1)),
    ]
    for number, stream in enumerate(streams):
        stream.group_by_key().count(store=stores.key_value(f"counts{number}", value=int, engine="memory"))
    options = EngineOptions.of({})
    worker = build_worker(
        builder.build(), cast(Log, log), options, application_id="app", state_dir=folder, clock=ManualClock()
    )
    worker.open()
    while worker.step(0):
        pass
    at_start = log.questions.copy()
    log.questions.clear()
    worker._assignment.start_over(TransactionAbortedError("for once"))
    after_abort = log.questions.copy()
    worker.close()
    return at_start, after_abort


def test_how_often_a_log_is_asked_does_not_go_by_how_many_tasks_there_are(tmp_path: Path) -> None:
    counted = [
        questions_of_a_start_and_an_abort(tmp_path / str(partitions), partitions)
        for partitions in (1, 20, 200)
    ]
    assert counted[0] == counted[1] == counted[2]
    at_start, after_abort = counted[0]
    assert at_start["committed"] == after_abort["committed"] == 1
    assert at_start["end_offsets"] == 2  # of the changelogs, and for the source that starts at the end
    assert after_abort["end_offsets"] == 1
    assert at_start["beginning_offsets"] == after_abort["beginning_offsets"] == 2
