"""At least once, whatever of what was sent a crash leaves: nothing is lost that operators hold back for a while."""

import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.engine.options import WINDOW_EMIT_INTERVAL, EngineOptions
from headrace.log.membership import MemberIdentity
from headrace.log.memory import MemoryLog
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicSpec
from tests.engine.bench import Bench

EVENTS = hr.Topic("events", key=str, value=str)
LAST = 600


class _Crash(BaseException):
    """The process is gone."""


class _Cluster(MemoryLog):
    """Takes what it is sent at any time after it was sent, each partition's in order, as brokers do."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.appends_left: int | None = None

    def writer(self, group: str, transactional_id: str | None = None) -> Any:
        writer = super().writer(group, transactional_id)
        return writer if group == "feed" else _SeenAtOnce(writer, self)

    def crash_within(self, appends: int) -> None:
        self.appends_left = self._random.randrange(appends)

    def crash_if_due(self, sent: list[list[tuple[str, int, Columns]]], writer: MemoryWriter) -> None:
        """Write some of what was sent, and end it."""
        if self.appends_left is None:
            return
        self.appends_left -= 1
        if self.appends_left > 0:
            return
        self.appends_left = None
        whole = self._random.randrange(len(sent))
        for stage in sent[:whole]:
            for each in stage:
                writer.append(*each)
        taken: dict[tuple[str, int], bool] = {}
        for topic, partition, columns in sent[whole]:
            taken[topic, partition] = taken.get((topic, partition), True) and self._random.random() < 0.6
            if taken[topic, partition]:
                writer.append(topic, partition, columns)
        writer.commit({})
        raise _Crash


class _SeenAtOnce:
    """A writer without transactions. `_sent` is not acknowledged yet: lists with a barrier between them."""

    is_atomic = False
    takes_text = False

    def __init__(self, writer: MemoryWriter, cluster: _Cluster) -> None:
        self._writer = writer
        self._cluster = cluster
        self._sent: list[list[tuple[str, int, Columns]]] = [[]]

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        copy = Columns()
        for row in zip(columns.keys, columns.values, columns.timestamps, columns.headers):
            copy.append(*row)
        self._sent[-1].append((topic, partition, copy))
        self._cluster.crash_if_due(self._sent, self._writer)

    def barrier(self) -> None:
        if self._sent[-1]:
            self._sent.append([])

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        for stage in self._sent:
            for each in stage:
                self._writer.append(*each)
        self._sent = [[]]
        ends = self._writer.commit({})
        self._cluster.crash_if_due([[]], self._writer)
        self._writer.commit(offsets, member)
        return ends

    def send(self) -> None: ...

    def abort(self) -> None:
        self._sent = [[]]

    @property
    def pending_bytes(self) -> int:
        return sum(len(stage) for stage in self._sent)

    def close(self) -> None:
        self._writer.close()


def holding_back() -> hr.Topology:
    """All that lets records go later, which it then forgets."""
    builder = hr.StreamsBuilder()
    events = builder.stream(EVENTS)
    windows = hr.TimeWindows("10ms", grace="5ms")
    counted = events.group_by_key().windowed_by(windows).count()

    def place(each: hr.Windowed[str], count: int) -> str:
        return f"{each.key}@{each.window.start}"

    final = counted.suppress(hr.until_window_closes())
    final.to_stream(place, key=str).to("suppressed", value=int)
    closed = events.group_by_key().windowed_by(windows, emit="close").count()
    closed.to_stream(place, key=str).to("closed", value=int)
    even, odd = events.split_by(lambda key, value: int(value) % 2 == 0)
    within = hr.JoinWindows("3ms", grace="5ms")
    even.left_join(odd, lambda one, two: f"{one}+{two}", within=within, value=str).to("joined", value=str)
    table = events.to_table(store=hr.stores.versioned("versions", key=str, value=str, history="100ms"))
    events.left_join(table, lambda one, two: one, grace="20ms", name="late", value=str).to("late", value=str)
    return builder.build()


TOPICS = ("suppressed", "closed", "joined", "late")


def _bench(folder: Path, log: MemoryLog) -> Bench:
    bench = Bench(holding_back(), folder)
    bench.options = EngineOptions.of({"commit.interval.ms": 500, WINDOW_EMIT_INTERVAL: 0})
    bench.log = log
    return bench


def _events() -> Iterator[tuple[bytes, bytes, int]]:
    moments = random.Random(3)
    for number in range(LAST):
        yield f"k{moments.randrange(5)}".encode(), str(number).encode(), number * 2 + moments.randrange(6)


def _run(bench: Bench, events: Iterator[tuple[bytes, bytes, int]]) -> None:
    """Process these, some at a time."""
    bench.log.create_topics([TopicSpec("events", 1)])
    bench.open()
    while records := tuple(islice(events, 15)):
        bench.write("events", *records)
        bench.turn()
        bench.clock.advance(110)
    for _ in range(20):
        bench.turn()
        bench.clock.advance(110)


def _results(bench: Bench) -> dict[str, set[tuple[bytes | None, bytes | None]]]:
    """Of windows it is their keys that count: records that came again were counted again."""
    found = {topic: set(bench.read(topic)) for topic in TOPICS}
    for topic in ("suppressed", "closed"):
        found[topic] = {(key, None) for key, _ in found[topic]}
    return found


@pytest.mark.parametrize("seed", range(12))
def test_crash_loses_nothing_that_was_held_back(tmp_path: Path, seed: int) -> None:
    straight = _bench(tmp_path / "straight", MemoryLog())
    _run(straight, _events())
    expected = _results(straight)
    straight.close()
    assert all(expected.values())
    cluster = _Cluster(seed)
    bench, events = _bench(tmp_path / "hurt", cluster), _events()
    for _ in range(3):
        cluster.crash_within(60)
        with suppress(_Crash):
            _run(bench, events)
        bench.close()
    cluster.appends_left = None
    _run(bench, events)
    found = _results(bench)
    bench.close()
    assert {topic: expected[topic] - found[topic] for topic in TOPICS} == {topic: set() for topic in TOPICS}
