"""A log that refuses what was written: all since the last commit is done again, a handler decides about each record."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import RecordsRefusedError
from headrace.base.ids import TopicPartition
from headrace.base.records import RawRecord
from headrace.engine.admission import Admission
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.refusals import Refusals
from headrace.engine.worker_building import build_worker
from headrace.log.admission import without_text
from headrace.log.membership import MemberIdentity
from headrace.log.memory import MemoryLog
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec

EVENTS = hr.Topic("events", key=str, value=str)
OUT = hr.Topic("out", key=str, value=str)
_A, _B = RawRecord(b"a", b"1", 0), RawRecord(b"a", b"2", 0)


class _StrictWriter:
    """Refuses a transaction because of some records, as a broker does, which it names."""

    is_atomic = True
    takes_text = False

    def __init__(self, writer: MemoryWriter, log: "_StrictLog") -> None:
        self._writer = writer
        self._log = log
        self._refused: dict[TopicPartition, list[RawRecord]] = {}

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        for record in map(RawRecord, *without_text(columns), columns.timestamps):
            if topic.endswith(self._log.strict_topic) and b"bad" in (record.value or b""):
                self._refused.setdefault(TopicPartition(topic, partition), []).append(record)
        self._writer.append(topic, partition, columns)

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        for (topic, partition), records in self._refused.items():
            self._log.refusals += 1
            raise RecordsRefusedError(
                f"cannot write to {topic}: bad", topic=topic, partition=partition, records=records
            )
        return self._writer.commit(offsets, member)

    def barrier(self) -> None:
        self._writer.barrier()

    def send(self) -> None:
        self._writer.send()

    def abort(self) -> None:
        self._refused.clear()
        self._writer.abort()

    @property
    def pending_bytes(self) -> int:
        return self._writer.pending_bytes

    def close(self) -> None:
        self._writer.close()


class _StrictLog(MemoryLog):
    def __init__(self, strict_topic: str) -> None:
        super().__init__()
        self.strict_topic = strict_topic
        self.refusals = 0

    def writer(self, group: str, transactional_id: str | None = None) -> Any:
        writer = super().writer(group, transactional_id)
        return writer if group == "feed" else _StrictWriter(writer, self)


def _run(
    folder: Path, topology: hr.Topology, log: _StrictLog, values: list[str], **handlers: Any
) -> list[str | None]:
    """Process records in one transaction; return what came out."""
    log.create_topics([TopicSpec(name, 1) for name in ("events", "out", "dead")])
    columns = Columns()
    for number, value in enumerate(values):
        columns.append(b"%d" % (number % 2), value.encode(), number, ())
    writer = log.writer("feed")
    writer.append("events", 0, columns)
    writer.commit({})
    clock = ManualClock(0)
    worker = build_worker(
        topology,
        log,
        EngineOptions.of({name.replace("_", "."): value for name, value in handlers.items()}),
        application_id="app",
        state_dir=folder,
        clock=clock,
    )
    try:
        worker.open()
        for _ in range(5):
            while worker.step(0):
                pass
            clock.advance(30_000)  # a commit is due
    finally:
        worker.close()
    return [None if record[3] is None else record[3].decode() for record in log.records("out")]


def _copying(change: Callable[[str], str] = str) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(EVENTS).map_values(change, value=str, name="changed").to(OUT, name="written")
    return builder.build()


def test_refused_record_is_the_production_handlers_and_the_others_are_written(tmp_path: Path) -> None:
    seen: list[tuple[str, str, int, str]] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append((failure.stage, failure.node.split(" ")[0], failure.offset, str(failure.error)))
        return hr.Reaction.resume

    log = _StrictLog("out")
    values = ["1", "bad 2", "3", "bad 4", "5"]
    assert _run(tmp_path, _copying(), log, values, production_exception_handler=resume) == ["1", "3", "5"]
    assert seen == [
        ("produce", "written", 1, "cannot write to out: bad"),
        ("produce", "written", 3, "cannot write to out: bad"),
    ]
    assert log.refusals == 1


def test_refused_record_stops_the_application_by_default_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(hr.ProcessingError, match=r"written .* topic 'events', partition 0, offset 1"):
        _run(tmp_path, _copying(), _StrictLog("out"), ["1", "bad 2"])


def test_refused_record_becomes_a_dead_letter(tmp_path: Path) -> None:
    log = _StrictLog("out")
    out = _run(
        tmp_path,
        _copying(),
        log,
        ["1", "bad 2", "3"],
        production_exception_handler=lambda failure: hr.Reaction.dead_letter("dead"),
    )
    assert out == ["1", "3"]
    assert [record[3] for record in log.records("dead")] == [b"bad 2"]


@pytest.mark.parametrize("caching", [True, False])
def test_refused_change_of_a_store_leaves_the_store_as_it_was(tmp_path: Path, caching: bool) -> None:
    last = stores.key_value(
        "last", key=str, value=str, caching=caching, logging={"max.message.bytes": "9000"}
    )
    builder = hr.StreamsBuilder()
    builder.stream(EVENTS).group_by_key().reduce(lambda old, new: f"{old}+{new}", store=last).to_stream().to(
        OUT
    )
    offsets: list[int] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        offsets.append(failure.offset)
        return hr.Reaction.resume

    log = _StrictLog("-changelog")
    values = ["1", "2", "bad 3", "bad 4", "5", "6"]
    out = _run(tmp_path, builder.build(), log, values, production_exception_handler=resume)
    assert out[-2:] == ["1+5", "2+6"]
    assert [record[3] for record in log.records("app-last-changelog")][-2:] == [b"1+5", b"2+6"]
    assert set(offsets) >= {2, 3}


def test_record_that_is_made_anew_each_time_is_told_by_its_key(tmp_path: Path) -> None:
    tries = itertools.count()
    offsets: list[int] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        offsets.append(failure.offset)
        return hr.Reaction.resume

    def numbered(value: str) -> str:
        return f"{value} {next(tries)}" if "bad" in value else value

    log = _StrictLog("out")
    out = _run(tmp_path, _copying(numbered), log, ["1", "bad", "3"], production_exception_handler=resume)
    assert out == ["1", "3"]
    assert offsets == [1]
    assert log.refusals == 2


def test_refusals_end_even_if_neither_content_nor_key_come_again() -> None:
    refusals = Refusals()
    for number in range(3):
        assert refusals.reason(0, RawRecord(b"%d" % number, b"v", 0)) is None
        refusals.add(0, [RawRecord(b"%d" % number, b"v", 0)], "bad")
    assert refusals.reason(0, RawRecord(b"3", b"v", 0)) == "bad"
    assert refusals.reason(1, RawRecord(b"3", b"v", 0)) is None


def test_refused_record_is_forgotten_once_a_handler_has_decided_and_that_is_committed() -> None:
    refusals = Refusals()
    refusals.add(0, [_A], "bad")
    refusals.committed()
    assert refusals.reason(0, _B) is None
    assert refusals.reason(0, _A) == "bad"
    refusals.committed()
    assert not refusals
    assert refusals.reason(0, _A) is None


def test_several_refused_batches_in_turn_are_told_by_their_content() -> None:
    refusals = Refusals()
    refusals.add(0, [_A], "bad")
    assert refusals.reason(0, _A) == "bad"
    refusals.add(0, [_B], "bad too")
    assert refusals.reason(0, RawRecord(b"a", b"3", 0)) is None
    assert refusals.reason(0, _B) == "bad too"


def test_topic_is_judged_at_a_glance_again_once_nothing_is_refused_any_more() -> None:
    admission = Admission(TopicInfo("out", 1, "id"), ManualClock(0).wall_ms, needs_key=False)
    admission.refuse(0, [_A], "bad")
    assert not admission.admits_all([b"a"], [b"2"], [0])
    assert admission.horizon() == -2
    admission.check(0, *_B)
    with pytest.raises(hr.ProductionError, match="bad"):
        admission.check(0, *_A)
    admission.committed()
    assert admission.admits_all([b"a"], [b"2"], [0])
    assert admission.horizon() == 2**63 - 1
