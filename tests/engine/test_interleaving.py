"""Records of several inputs of a task come in the order of their timestamps, however few of each in a row."""

import random
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

TOPICS = ("a", "b", "c")


class Look(hr.Processor[str, str, str, str]):
    """Notes each record's place and time, and the stream time then; asks for a commit now and then."""

    seen: list[tuple[str, int, int, int]]
    ticks: list[int]

    def init(self) -> None:
        self.context.schedule("1s", self.ticks.append, on="stream")

    def process(self, record: hr.Record[str, str]) -> None:
        metadata = self.context.metadata
        assert metadata is not None
        self.seen.append((metadata.topic, metadata.offset, record.timestamp, self.context.stream_time))
        if record.value == "commit":
            self.context.request_commit()


def run(folder: Path, inputs: dict[str, list[tuple[int, bytes]]], **options: Any) -> type[Look]:
    """Run the inputs through one task; what it sees is in the class that is returned."""

    class Looking(Look):
        seen: list[tuple[str, int, int, int]] = []  # noqa: RUF012 - one class a run
        ticks: list[int] = []  # noqa: RUF012

    builder = hr.StreamsBuilder()
    merged = builder.stream("a", value=str)
    for topic in TOPICS[1:]:
        merged = merged.merge(builder.stream(topic, value=str))
    merged.process(Looking)
    log = MemoryLog()
    log.create_topics([TopicSpec(topic, 1) for topic in TOPICS])
    writer = log.writer("feed")
    for topic, records in inputs.items():
        columns = Columns()
        for timestamp, value in records:
            columns.append(b"k", value, timestamp, ())
        writer.append(topic, 0, columns)
    writer.commit({})
    handler = {"deserialization.exception.handler": hr.log_and_continue}
    worker = build_worker(
        builder.build(),
        log,
        EngineOptions.of({"commit.interval.ms": 1_000_000, **handler, **options}),
        application_id="app",
        state_dir=folder,
        clock=ManualClock(),
    )
    worker.open()
    while worker.step(0):
        pass
    worker.close()
    return Looking


def expected(inputs: dict[str, list[tuple[int, bytes]]]) -> list[tuple[str, int, int]]:
    """The oldest head comes first; of equal ones that of the input which has waited longest."""
    order = list(inputs)
    cursors = dict.fromkeys(inputs, 0)
    found = []
    while waiting := [topic for topic in order if cursors[topic] < len(inputs[topic])]:
        heads = {topic: inputs[topic][cursors[topic]][0] for topic in waiting}
        topic = min(waiting, key=lambda each: heads[each])
        found.append((topic, cursors[topic], heads[topic]))
        cursors[topic] += 1
        order.remove(topic)
        order.append(topic)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("records_max", [1, 7, 1000])
def test_records_of_three_inputs_come_by_time_and_equal_ones_take_turns(
    tmp_path: Path, seed: int, records_max: int
) -> None:
    choice = random.Random(seed)
    inputs = {}
    for topic in TOPICS:
        time, records = 0, []
        for _ in range(choice.choice([50, 1500, 2500])):
            time += choice.choice([0, 0, 1, 1, 2, 50, 400])
            records.append(
                (max(0, time - choice.choice([0, 0, 0, 30])), choice.choice([b"x"] * 30 + [b"commit"]))
            )
        inputs[topic] = records
    looking = run(tmp_path, inputs, **{"stretch.records.max": records_max})
    assert [row[:3] for row in looking.seen] == expected(inputs)
    highest = -1
    for _, _, timestamp, stream_time in looking.seen:
        highest = max(highest, timestamp)
        assert stream_time == highest
    assert looking.ticks == sorted(looking.ticks)
    assert len(looking.ticks) > 3


def test_record_that_cannot_be_read_is_told_in_its_turn_and_moves_no_clock(tmp_path: Path) -> None:
    inputs = {topic: [(time * 3 + at, b"x") for time in range(40)] for at, topic in enumerate(TOPICS)}
    inputs["b"][20] = (1_000_000, b"\xff")
    looking = run(tmp_path, inputs)
    assert len(looking.seen) == 119
    assert ("b", 20) not in {row[:2] for row in looking.seen}
    assert looking.seen[-1][3] == 119
