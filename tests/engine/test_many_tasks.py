"""What a turn of the worker costs goes by the tasks that have something to do, not by those that are there."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

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
    worker = Worker(
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
    """Write two records to each partition, so far from each other that each is a turn of its own."""
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


def calls_of_a_busy_turn(folder: Path, partitions: int) -> int:
    log = log_of(partitions)
    worker = opened(folder, log)
    write(log, partitions)
    for _ in range(5):
        worker.step(0)
    calls = calls_of_the_engine(lambda: worker.step(0))
    assert sum(task.processed for task in worker.tasks) == 6
    worker.close()
    return calls


def calls_of_an_idle_turn(folder: Path, partitions: int, *, ticks: bool) -> int:
    worker = opened(folder, log_of(partitions), ticks=ticks)
    calls = calls_of_the_engine(lambda: worker.step(0))
    worker.close()
    return calls


def test_busy_turn_takes_no_more_calls_where_there_are_twenty_times_as_many_tasks(tmp_path: Path) -> None:
    assert calls_of_a_busy_turn(tmp_path, MANY) < 2 * calls_of_a_busy_turn(tmp_path, FEW)


@pytest.mark.parametrize("ticks", [False, True])
def test_idle_turn_takes_no_more_calls_where_there_are_twenty_times_as_many_tasks(
    tmp_path: Path, ticks: bool
) -> None:
    many, few = (calls_of_an_idle_turn(tmp_path, count, ticks=ticks) for count in (MANY, FEW))
    assert many < 2 * few
