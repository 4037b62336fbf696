"""Global stores: read to the end before anything runs, kept up to date, durable, and brought back after any failure."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import (
    OffsetOutOfRangeError,
    ProcessingError,
    StoreUnavailableError,
)
from headrace.base.ids import TopicPartition
from headrace.log.memory.reader import MemoryReader
from headrace.log.port import TopicSpec
from headrace.state.rocksdb_errors import translated
from headrace.state.rocksdb_family import RocksFamily
from headrace.stores import KeyValueStore
from tests.engine.bench import Bench, eight

RATES = hr.Topic("rates", key=str, value=int, partitions=2)
ORDERS = hr.Topic("orders", key=str, value=str)
OUT = hr.Topic("out", key=str, value=str)
KEPT = stores.key_value("kept", key=str, value=int)
DOUBLED = stores.key_value("doubled", key=str, value=int)

NewBench = Callable[..., Bench]


def joining(value: Any = int) -> hr.Topology:
    """Each order with the rate of what it names, or with None."""
    builder = hr.StreamsBuilder()
    rates = builder.global_table(hr.Topic("rates", key=str, value=value, partitions=2), store="kept")
    orders = builder.stream(ORDERS)
    orders.left_join(rates, lambda order, rate: f"{order}={rate}", on=lambda key, order: order).to(
        hr.Topic("out", value=str)
    )
    return builder.build()


@hr.processor(DOUBLED)
def doubling(record: hr.Record[str, int], doubled: KeyValueStore[str, int]) -> list[hr.Record[str, int]]:
    if record.value == 13:
        raise ValueError("unlucky")
    doubled.put(record.key, record.value * 2)
    return []


def filling(topic: hr.Topic[str, int] = RATES) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.add_global_store(DOUBLED, topic, doubling)
    return builder.build()


def rows(app: Bench, store: str = "kept") -> dict[str, int]:
    return dict(app.worker.query(store)[-1].all())


def rate(app: Bench, key: str, value: int, partition: int = 0) -> None:
    app.write_to(TopicPartition("rates", partition), (key.encode(), eight(value), 0))


def read_positions(monkeypatch: pytest.MonkeyPatch) -> list[dict[TopicPartition, int]]:
    """Notice where readers are asked to begin."""
    seen: list[dict[TopicPartition, int]] = []
    assign = MemoryReader.assign

    def noticing(self: MemoryReader, positions: dict[TopicPartition, int]) -> None:
        seen.append({each: offset for each, offset in positions.items() if each.topic == "rates"})
        assign(self, positions)

    monkeypatch.setattr(MemoryReader, "assign", noticing)
    return seen


def test_all_partitions_are_read_before_a_task_runs(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 2), TopicSpec("orders", 1)])
    app.write("orders", (b"1", b"a", 0), (b"2", b"b", 1))
    for number in range(5_000):
        rate(app, "a", number)
    rate(app, "b", 7, partition=1)
    app.open()
    app.worker.commit()
    assert app.read("out") == [(b"1", b"a=4999"), (b"2", b"b=7")]


def test_records_that_come_later_are_followed(bench: NewBench) -> None:
    app = bench(joining())
    app.open()
    rate(app, "a", 1)
    app.write("orders", (b"1", b"a", 0))
    app.turn()
    rate(app, "a", 2)
    app.write("orders", (b"2", b"a", 0))
    app.turn()
    app.write_to(TopicPartition("rates", 0), (b"a", None, 5))
    app.write("orders", (b"3", b"a", 0))
    app.turn()
    app.worker.commit()
    assert app.read("out") == [(b"1", b"a=1"), (b"2", b"a=2"), (b"3", b"a=None")]


def test_restart_reads_the_gap_alone(bench: NewBench, monkeypatch: pytest.MonkeyPatch) -> None:
    app = bench(joining())
    app.open()
    rate(app, "a", 1)
    rate(app, "b", 2, partition=1)
    rate(app, "c", 3, partition=1)
    app.turn()
    app.worker.commit()
    rate(app, "d", 4)
    app.turn()
    app.crash()
    seen = read_positions(monkeypatch)
    app.open()
    assert seen[0] == {TopicPartition("rates", 0): 1, TopicPartition("rates", 1): 2}
    assert rows(app) == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_store_in_memory_is_read_anew(bench: NewBench) -> None:
    builder = hr.StreamsBuilder(engine="memory")
    builder.global_table(RATES, store="kept")
    app = bench(builder.build())
    app.open()
    rate(app, "a", 1)
    app.turn()
    app.worker.commit()
    app.crash()
    app.open()
    assert rows(app) == {"a": 1}


def test_topic_made_anew_makes_the_store_anew(bench: NewBench, caplog: pytest.LogCaptureFixture) -> None:
    app = bench(joining())
    app.open()
    rate(app, "a", 1)
    app.turn()
    app.worker.commit()
    app.crash()
    app.log.delete_topics(["rates"])
    app.log.create_topics([TopicSpec("rates", 2)])
    rate(app, "b", 2)
    app.open()
    assert rows(app) == {"b": 2}
    assert (
        "global store 'kept' is read anew from topic 'rates': its changelog is another topic now"
        in caplog.text
    )


def test_partition_that_has_come_is_read_from_its_beginning(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 1)])
    app.open()
    rate(app, "a", 1)
    app.turn()
    app.worker.commit()
    app.crash()
    # A log of lists has no way to add one; a topic of the same id and records stands for it.
    contents = app.log._contents
    grown = contents.topics["rates"]
    app.log.create_topics([TopicSpec("other", 2)])
    other = contents.topics["other"]
    other.partitions[0] = grown.partitions[0]
    other.info = type(other.info)("rates", 2, grown.info.id, grown.info.config)
    contents.topics["rates"] = other
    rate(app, "b", 2, partition=1)
    app.open()
    assert rows(app) == {"a": 1, "b": 2}


def test_old_position_is_worth_nothing_where_tombstones_are_compacted_away(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 1, {"cleanup.policy": "compact"})])
    app.open()
    rate(app, "gone", 1)
    app.turn()
    app.worker.commit()
    app.crash()
    app.clock.advance(25 * 3_600_000)
    app.log._contents.topics["rates"].partitions[0].drop_before(1)  # compaction took it, and its tombstone
    for key in ("a", "b", "c"):
        rate(app, key, 2)
    app.open()
    assert rows(app) == {"a": 2, "b": 2, "c": 2}


def test_store_keeps_what_retention_deletes_from_its_topic(bench: NewBench) -> None:
    app = bench(joining())
    app.open()
    rate(app, "old", 1)
    app.turn()
    app.worker.commit()
    app.crash()
    app.clock.advance(25 * 3_600_000)
    for key in ("a", "b", "c"):
        rate(app, key, 2)
    app.log.delete_records({TopicPartition("rates", 0): 1})
    app.open()
    assert rows(app) == {"old": 1, "a": 2, "b": 2, "c": 2}


def test_retention_that_overtakes_a_running_store_makes_it_anew(bench: NewBench) -> None:
    app = bench(joining())
    app.open()
    rate(app, "deleted", 1)
    app.turn()
    rate(app, "deleted", 2)
    rate(app, "a", 3)
    app.log.delete_records({TopicPartition("rates", 0): 2})
    app.write("orders", (b"1", b"deleted", 0), (b"2", b"a", 0))
    app.turn()
    app.worker.commit()
    assert app.read("out") == [(b"1", b"deleted=None"), (b"2", b"a=3")]


def test_topic_made_anew_under_a_running_store_makes_it_anew_once(
    bench: NewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bench(joining())
    app.open()
    for number in range(5):
        rate(app, "old", number)
    app.turn()
    app.log.delete_topics(["rates"])
    app.log.create_topics([TopicSpec("rates", 2)])
    rate(app, "new", 1)
    app.turn()
    assert rows(app) == {"new": 1}
    app.worker.commit()
    app.crash()
    seen = read_positions(monkeypatch)
    app.open()
    assert seen[0][TopicPartition("rates", 0)] == 1
    assert rows(app) == {"new": 1}


def test_nobody_is_told_anything_before_the_stores_are_read(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 2)])
    rate(app, "a", 1)
    app.worker.open()
    with pytest.raises(StoreUnavailableError, match="global store 'kept' is still being read"):
        app.worker.query("kept")
    app.turn()
    assert rows(app) == {"a": 1}


def test_unreadable_record_goes_to_the_handler_also_while_the_store_is_read_anew(bench: NewBench) -> None:
    asked: list[int] = []

    def skip(failure: hr.Failure) -> hr.Reaction:
        asked.append(failure.offset)
        return hr.Reaction.resume

    app = bench(joining(), deserialization_exception_handler=skip)
    app.log.create_topics([TopicSpec("rates", 2)])
    app.write("rates", (b"a", b"three", 0), (b"b", eight(2), 0))
    app.open()
    app.write("rates", (b"c", b"three", 0))
    app.turn()
    assert rows(app) == {"b": 2}
    assert asked == [0, 2]


def test_unreadable_record_stops_without_a_handler(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 2)])
    app.write("rates", (b"a", b"three", 0))
    with pytest.raises(
        ProcessingError, match=r"KSTREAM-SOURCE-0000000000 \(.*\) could not read a record: topic 'rates'"
    ):
        app.open()


def test_processing_handler_is_not_asked_unless_it_is_told_to_be(bench: NewBench) -> None:
    app = bench(filling(), processing_exception_handler=hr.log_and_continue)
    app.open()
    rate(app, "a", 13)
    with pytest.raises(ProcessingError, match="unlucky"):
        app.turn()


def test_processing_handler_may_drop_a_record(bench: NewBench) -> None:
    app = bench(
        filling(),
        processing_exception_handler=hr.log_and_continue,
        processing_exception_handler_global_enabled=True,
    )
    app.open()
    rate(app, "a", 13)
    rate(app, "b", 4)
    app.turn()
    assert rows(app, "doubled") == {"b": 8}


def test_dead_letter_of_a_global_store_is_dropped(bench: NewBench, caplog: pytest.LogCaptureFixture) -> None:
    app = bench(
        joining(),
        deserialization_exception_handler=lambda failure: hr.Reaction.dead_letter("letters"),
    )
    app.log.create_topics([TopicSpec("rates", 2), TopicSpec("letters", 1)])
    app.write("rates", (b"a", b"three", 0))
    app.open()
    app.worker.commit()
    assert app.read("letters") == []
    assert (
        "no dead letter is written of a global store's record (topic rates, partition 0, offset 0)"
        in caplog.text
    )


def test_retry_brings_the_store_back_to_its_last_commit_and_reads_the_record_again(bench: NewBench) -> None:
    tries: list[str] = []

    def retrying(failure: hr.Failure) -> hr.Reaction:
        tries.append(failure.topic)
        return hr.Reaction.retry if len(tries) < 3 else hr.Reaction.resume

    app = bench(
        filling(),
        processing_exception_handler=retrying,
        processing_exception_handler_global_enabled=True,
    )
    app.open()
    rate(app, "a", 1)
    rate(app, "b", 13)
    rate(app, "c", 3)
    app.turn()
    assert tries == ["rates"] * 3
    assert rows(app, "doubled") == {"a": 2, "c": 6}


def test_abort_of_the_tasks_leaves_the_stores_as_they_are(bench: NewBench) -> None:
    tries: list[bytes | None] = []

    def once(failure: hr.Failure) -> hr.Reaction:
        tries.append(failure.value)
        return hr.Reaction.retry if len(tries) == 1 else hr.Reaction.resume

    app = bench(joining(), deserialization_exception_handler=once)
    app.open()
    rate(app, "a", 1)
    app.turn()
    app.write("orders", (b"1", b"a", 0), (b"2", b"\xff", 0), (b"3", b"a", 0))
    app.turn()
    app.worker.commit()
    assert app.read("out") == [(b"1", b"a=1"), (b"3", b"a=1")]
    assert rows(app) == {"a": 1}


def test_damaged_stores_are_deleted_and_read_anew(bench: NewBench, tmp_path: Path) -> None:
    app = bench(joining())
    app.open()
    rate(app, "a", 1)
    app.turn()
    app.worker.commit()
    app.crash()
    os.remove(tmp_path / "state" / "global" / "CURRENT")
    app.open()
    assert rows(app) == {"a": 1}


def test_damage_that_a_task_finds_brings_everything_back(
    bench: NewBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bench(joining())
    app.open()
    rate(app, "a", 1)
    app.turn()
    app.worker.commit()
    app.crash()  # what was just committed is in memory too
    app.open()
    app.turn()
    read = RocksFamily.get
    raised: list[bool] = []

    def damaged(self: RocksFamily, key: bytes) -> bytes | None:
        if not raised:
            raised.append(True)
            with translated(str(tmp_path / "state" / "global"), "read"):
                raise OSError("Corruption: a table is cut")
        return read(self, key)

    monkeypatch.setattr(RocksFamily, "get", damaged)
    app.write("orders", (b"1", b"a", 0))
    app.turn()
    app.worker.commit()
    assert raised
    assert app.read("out") == [(b"1", b"a=1")]


def test_reader_of_the_stores_may_be_out_of_range_at_once(
    bench: NewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bench(joining())
    app.open()
    rate(app, "a", 1)
    app.turn()
    poll = MemoryReader.poll
    raised: list[bool] = []

    def lost(self: MemoryReader, timeout_ms: int) -> Any:
        if not raised and TopicPartition("rates", 0) in self._positions.assigned():
            raised.append(True)
            raise OffsetOutOfRangeError(
                "rates-0 is shorter", topic="rates", partition=0, position=1, parts_at=0
            )
        return poll(self, timeout_ms)

    monkeypatch.setattr(MemoryReader, "poll", lost)
    rate(app, "b", 2)
    app.turn()
    assert rows(app) == {"a": 1, "b": 2}


def test_application_without_streams_keeps_its_stores(bench: NewBench) -> None:
    app = bench(filling())
    app.open()
    rate(app, "a", 1, partition=1)
    app.turn()
    assert rows(app, "doubled") == {"a": 2}
    assert app.worker.status().state == "running"
    assert app.worker.status().tasks == ()


def test_status_tells_how_far_the_stores_are(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 2), TopicSpec("orders", 1)])
    for number in range(3):
        rate(app, "a", number)
    app.worker.open()
    app.worker.reporting.begin(0.0)
    filling = app.worker._global_stores.status()
    assert filling is not None
    assert (filling.state, filling.restored, filling.remaining) == ("restoring", 0, 3)
    app.turn()
    filling = app.worker._global_stores.status()
    assert filling is not None
    assert (str(filling.id), filling.state, filling.remaining) == ("-1_-1", "running", 0)


def test_processor_of_a_global_store_has_no_punctuations(bench: NewBench) -> None:
    class Ticking(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.schedule("1s", lambda now: None, on="wall")

        def process(self, record: hr.Record[str, int]) -> None: ...

    builder = hr.StreamsBuilder()
    builder.add_global_store(DOUBLED, RATES, Ticking)
    with pytest.raises(hr.StateError, match="the processor of a global store has no punctuations"):
        bench(builder.build()).open()


def test_metadata_of_a_record_is_that_of_its_own_partition(bench: NewBench) -> None:
    seen: list[hr.RecordMetadata | None] = []

    class Noticing(hr.Processor[str, int, str, int]):
        def process(self, record: hr.Record[str, int]) -> None:
            seen.append(self.context.metadata)

    builder = hr.StreamsBuilder()
    builder.add_global_store(DOUBLED, RATES, Noticing)
    app = bench(builder.build())
    app.open()
    rate(app, "a", 1, partition=1)
    app.turn()
    assert seen == [hr.RecordMetadata("rates", 1, 0)]
