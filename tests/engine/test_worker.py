"""What the worker promises beyond one record: when it commits, where it starts, what a failure leaves behind."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.errors import (
    LogError,
    LogUnavailableError,
    OffsetOutOfRangeError,
    StateCorruptionError,
)
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.clock import ManualClock
from headrace.engine.collector import RecordCollector
from headrace.engine.starting_offsets import StartingOffsets
from headrace.log.membership import MemberIdentity
from headrace.log.memory import MemoryLog
from headrace.log.memory.contents import Contents
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec
from headrace.topology.nodes import SourceNode
from tests.engine.bench import Bench, eight

NUMBERS = hr.Topic("numbers", key=str, value=int)
OUT = hr.Topic("out", key=str, value=int)
SUMS = stores.key_value("sums", key=str, value=int)


def summing() -> hr.Topology:
    builder = hr.StreamsBuilder()
    sums = builder.stream(NUMBERS).group_by_key().reduce(lambda total, value: total + value, store=SUMS)
    sums.to_stream().to(OUT)
    return builder.build()


def test_idle_worker_commits_at_its_interval_and_not_after_each_record(bench: Callable[..., Bench]) -> None:
    app = bench(summing(), commit_interval_ms=30_000)
    app.open()
    app.clock.advance(30_000)
    app.turn()
    for number in (1, 2, 3):
        app.write("numbers", (b"a", eight(number), number))
        app.turn()
    assert app.read("out") == []
    app.clock.advance(30_000)
    app.turn()
    assert app.read("out") == [(b"a", eight(6))]


def test_record_that_came_after_a_start_at_latest_is_not_lost_by_a_crash(bench: Callable[..., Bench]) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset="latest").to(OUT)
    app = bench(builder.build())
    app.log.create_topics([TopicSpec("numbers", 1)])
    app.write("numbers", (b"a", eight(1), 1))
    app.open()
    app.write("numbers", (b"a", eight(2), 2))
    app.turn()
    app.crash()
    app.open()
    app.worker.commit()
    assert app.read("out") == [(b"a", eight(2))]


def test_input_deleted_under_a_reader_goes_on_where_the_reset_policy_says(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).to(OUT)
    app = bench(builder.build())
    app.open()
    app.write("numbers", (b"a", eight(1), 1), (b"a", eight(2), 2))
    app.log.delete_records({TopicPartition("numbers", 0): 1})
    app.turn()
    app.worker.commit()
    assert app.read("out") == [(b"a", eight(2))]
    assert "goes on at 1, as the reset policy of KSTREAM-SOURCE-0000000000 says" in caplog.text


def test_input_that_begins_some_time_back_does_so_again_where_its_records_are_gone(
    bench: Callable[..., Bench],
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset=timedelta(seconds=10)).to(OUT)
    app = bench(builder.build())
    app.log.create_topics([TopicSpec("numbers", 1)])
    now = app.clock.wall_ms()
    app.write("numbers", *((b"a", eight(number), now - 20_000 + number * 4_000) for number in range(5)))
    app.open()
    app.worker.commit()
    assert app.read("out") == [(b"a", eight(3)), (b"a", eight(4))]
    app.crash()
    app.clock.advance(60_000)
    now = app.clock.wall_ms()
    app.open()
    app.write("numbers", *((b"a", eight(number), now - 40_000 + number * 4_000) for number in range(5, 10)))
    app.log.delete_records({TopicPartition("numbers", 0): 6})
    app.turn()
    app.worker.commit()
    assert app.read("out")[2:] == [(b"a", eight(8)), (b"a", eight(9))]


def test_input_that_has_lost_its_last_records_is_not_processed_from_its_beginning() -> None:
    log, place = MemoryLog(), TopicPartition("numbers", 0)
    log.create_topics([TopicSpec("numbers", 1)])
    starting = StartingOffsets(log, "app", lambda: 0)
    (source,) = (node for node in summing().nodes.values() if isinstance(node, SourceNode))
    for position, parts_at, expected in ((20, 15, 15), (20, 25, 20), (20, -1, 0)):
        lost = OffsetOutOfRangeError(
            "lost", topic="numbers", partition=0, position=position, parts_at=parts_at
        )
        assert starting.reset(place, source, lost) == expected


def test_input_deleted_under_a_reader_ends_an_application_that_wants_no_reset(
    bench: Callable[..., Bench],
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset="none").to(OUT)
    app = bench(builder.build())
    app.log.create_topics([TopicSpec("numbers", 1)])
    app.log.writer("app").commit({TopicPartition("numbers", 0): CommittedOffset(0)})
    app.open()
    app.write("numbers", (b"a", eight(1), 1), (b"a", eight(2), 2))
    app.log.delete_records({TopicPartition("numbers", 0): 1})
    with pytest.raises(OffsetOutOfRangeError, match="the partition has 1 to 2"):
        app.turn()


class Hurried(ManualClock):
    """Every look at it takes two seconds."""

    def seconds(self) -> float:
        self.advance(2_000)
        return super().seconds()


def test_log_is_left_alone_while_a_store_is_restored(
    bench: Callable[..., Bench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = stores.key_value("texts", key=str, value=str)
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("lines", key=str, value=str)).group_by_key().reduce(max, store=texts)
    app = bench(builder.build())
    app.open()
    for number in range(6):
        app.write("lines", (b"%d" % number, b"x" * (2 << 20), number))
        app.turn()
        app.worker.commit()
    app.close()
    shutil.rmtree(app.folder)
    app.clock = Hurried(1_000_000)
    turns: list[str] = []

    def maintain(budget_ms: int) -> None:
        turns.append("maintained")

    monkeypatch.setattr(app.log, "maintain", maintain)
    app.open_idle()
    app.worker.assign(app.application.tasks)
    while "maintained" not in turns:
        app.worker.step(0)
        turns.append(app.worker.status().state)
    assert turns.index("maintained") > 2
    assert set(turns[: turns.index("maintained")]) == {"restoring"}


def test_value_that_cannot_be_written_at_a_flush_goes_to_the_processing_handler() -> None:
    seen: list[str] = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        seen.append(failure.stage)
        return hr.Reaction.resume

    with testing.TopologyTestDriver(summing(), processing_exception_handler=resume) as driver:
        numbers, out = driver.input(NUMBERS), driver.output(OUT)
        numbers.pipe("a", 2**62, 1)
        numbers.pipe("a", 2**62, 2)
        numbers.pipe("a", 1, 3)
        assert [record.value for record in out.read_all()] == [2**62, 2**62 + 1]
        assert driver.store(SUMS).get("a") == 2**62 + 1
    assert seen == ["process"]


def test_failure_that_user_code_swallows_stops_the_application_all_the_same() -> None:
    class Swallowing(hr.Processor[str, int, str, int]):
        def process(self, record: hr.Record[str, int]) -> None:
            with contextlib.suppress(Exception):
                self.context.forward(record)

    def odd(value: int) -> int:
        raise ValueError(value)

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Swallowing).map_values(odd, value=int).to(OUT)
    with testing.TopologyTestDriver(builder.build()) as driver, pytest.raises(hr.ProcessingError):
        driver.input(NUMBERS).pipe("a", 1, 1)


def test_skipped_record_that_cannot_be_read_does_not_move_stream_time() -> None:
    times: list[int] = []

    class Ticking(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.schedule("1s", times.append, on="stream")

        def process(self, record: hr.Record[str, int]) -> None:
            pass

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Ticking)
    with testing.TopologyTestDriver(
        builder.build(), deserialization_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        driver.input(NUMBERS).pipe("a", 1, 0)
        driver.input(NUMBERS).pipe_raw(b"a", b"poison", 10_000_000)
        driver.input(NUMBERS).pipe("a", 1, 1_500)
    assert times == [0, 1_500]


def test_null_key_for_a_compacted_topic_goes_to_the_production_handler(bench: Callable[..., Bench]) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).to(OUT)
    app = bench(builder.build(), production_exception_handler=lambda failure: hr.Reaction.resume)
    app.log.create_topics([TopicSpec("numbers", 1), TopicSpec("out", 1, {"cleanup.policy": "compact"})])
    app.open()
    app.write("numbers", (None, eight(1), 1), (b"a", eight(2), 2))
    app.turn()
    app.worker.commit()
    assert app.read("out") == [(b"a", eight(2))]


def test_every_processor_is_closed_though_one_fails_to(bench: Callable[..., Bench]) -> None:
    closed: list[int] = []

    class Failing(hr.Processor[str, int, str, int]):
        def process(self, record: hr.Record[str, int]) -> None:
            pass

        def close(self) -> None:
            closed.append(int(self.context.task_id[-1]))
            raise OSError("the connection is gone")

    builder = hr.StreamsBuilder()
    numbers = builder.stream(NUMBERS)
    numbers.process(Failing)
    numbers.process(Failing)
    app = bench(builder.build())
    app.log.create_topics([TopicSpec("numbers", 2)])
    app.open()
    with pytest.raises(OSError, match="gone"):
        app.worker.close()
    assert closed == [0, 0, 1, 1]


def test_paused_worker_waits_though_a_punctuation_is_due(bench: Callable[..., Bench]) -> None:
    class Ticking(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.schedule("1s", lambda now: None, on="wall")

        def process(self, record: hr.Record[str, int]) -> None:
            pass

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Ticking)
    app = bench(builder.build())
    app.open()
    app.worker.pause()
    app.clock.advance(5_000)
    app.turn()
    assert app.worker._wait_ms(100) == 100


def test_punctuation_behind_a_cancelled_one_comes_at_its_time(bench: Callable[..., Bench]) -> None:
    ran: list[int] = []

    class Two(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            first = self.context.schedule("1s", ran.append, on="wall")
            self.context.schedule("3s", ran.append, on="wall")
            first.cancel()

        def process(self, record: hr.Record[str, int]) -> None:
            pass

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Two)
    app = bench(builder.build())
    app.open()
    for _ in range(5):
        app.clock.advance(1_000)
        app.turn()
    assert ran == [1_003_000]


def test_commit_requested_by_an_init_is_made_once(bench: Callable[..., Bench]) -> None:
    class Eager(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.request_commit()

        def process(self, record: hr.Record[str, int]) -> None:
            pass

    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Eager)
    builder.stream(hr.Topic("others", key=str, value=int)).to(OUT)
    app = bench(builder.build(), commit_interval_ms=30_000)
    app.open()
    for number in (1, 2, 3):
        app.write("others", (b"a", eight(number), number))
        app.turn()
    assert len(app.read("out")) <= 1


def test_table_with_fewer_partitions_than_its_neighbours_is_restored_where_it_has_any(
    bench: Callable[..., Bench],
) -> None:
    table, more = hr.Topic("table", key=str, value=int), hr.Topic("more", key=str, value=int)
    builder = hr.StreamsBuilder(optimize="all")
    rows = builder.table(table, store=stores.key_value("rows", key=str, value=int))
    rows.to_stream().merge(builder.stream(more)).to(OUT)
    app = bench(builder.build())
    app.log.create_topics([TopicSpec("table", 1), TopicSpec("more", 2), TopicSpec("out", 1)])
    app.open()
    app.write("table", (b"a", eight(1), 1))
    app.turn()
    app.worker.commit()
    assert app.read("out") == [(b"a", eight(1))]


def test_figures_do_not_go_back_when_damaged_stores_are_rebuilt(bench: Callable[..., Bench]) -> None:
    app = bench(summing())
    app.open()
    app.write("numbers", *((b"a", eight(number), number) for number in range(5)))
    app.turn()
    app.worker.commit()
    app.worker._assignment.start_over(StateCorruptionError("damaged", path=str(app.folder / "0_0")))
    app.clock.advance(5_000)
    app.turn()
    status = app.worker.status()
    assert (status.records, status.records_per_second) == (5, 1.0)


def test_large_records_reach_the_transaction_before_there_are_thousands() -> None:
    log = MemoryLog()
    log.create_topics([TopicSpec("out", 1)])
    collector = RecordCollector(log.topics().__getitem__, lambda: 0)
    for _ in range(4):
        collector.add("out", b"a", b"x" * (1 << 20), 0, ())
    writer = log.writer("app")
    collector.drain_long(writer, 4)
    assert writer.pending_bytes >= 4 << 20


def test_columns_are_looked_at_no_more_often_than_there_are_records() -> None:
    log = MemoryLog()
    log.create_topics([TopicSpec(f"out-{number}", 1) for number in range(100)])
    collector = RecordCollector(log.topics().__getitem__, lambda: 0)
    for number in range(100):
        collector.add(f"out-{number}", b"a", b"x" * (1 << 20), 0, ())
    writer = log.writer("app")
    for _ in range(9):
        collector.drain_long(writer, 10)
    assert writer.pending_bytes == 0
    collector.drain_long(writer, 10)
    assert writer.pending_bytes >= 100 << 20


def test_places_of_a_quiet_input_are_committed_again_before_a_cluster_forgets_them(
    bench: Callable[..., Bench],
) -> None:
    app = bench(summing())
    app.log.create_topics([TopicSpec("numbers", 1)])
    app.write("numbers", (b"a", eight(1), 1))
    app.open()
    app.worker.commit()
    place = TopicPartition("numbers", 0)
    forgotten = app.log.writer("app")
    forgotten.commit({place: CommittedOffset(0)})
    app.clock.advance(3_600_000)
    app.turn()
    assert app.log.committed("app", [place])[place].offset == 1


class Away(MemoryLog):
    """A cluster whose brokers do not answer for a while."""

    is_away = False

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        if self.is_away:
            raise LogError("no broker answers")
        return super().committed(group, partitions)


def test_repartition_topics_are_purged_without_asking_what_was_committed(bench: Callable[..., Bench]) -> None:
    builder = hr.StreamsBuilder()
    by_sign = builder.stream(NUMBERS).group_by(lambda key, value: str(value > 0), key=str)
    by_sign.count(store="signs").to_stream().to(OUT)
    app = bench(builder.build())
    app.log = Away()
    app.log.create_topics([TopicSpec("numbers", 1)])
    app.open()
    app.log.is_away = True
    app.write("numbers", (b"a", eight(1), 1), (b"b", eight(2), 2))
    app.turn()
    app.clock.advance(100)
    app.turn()
    app.clock.advance(30_000)
    app.turn()
    repartition = TopicPartition("app-signs-repartition", 0)
    assert app.log.beginning_offsets([repartition]) == {repartition: 2}


class AnsweredLate(MemoryWriter):
    """A commit is durable before its answer comes, if it does."""

    def __init__(self, contents: Contents, group: str, answer: Callable[[], None]) -> None:
        super().__init__(contents, group)
        self._answer = answer

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        ends = super().commit(offsets, member)
        self._answer()
        return ends


class Refusing(MemoryLog):
    """A cluster whose brokers are away for so many requests."""

    requests_left = 0

    def writer(self, group: str, transactional_id: str | None = None) -> MemoryWriter:
        return AnsweredLate(self._contents, group, self._answer)

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        self._answer()
        return super().topics(names)

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        self._answer()
        return super().committed(group, partitions)

    def _answer(self) -> None:
        if self.requests_left:
            self.requests_left -= 1
            raise LogUnavailableError("no broker answers")


def test_log_that_is_away_in_a_commit_is_waited_for_and_nothing_is_done_twice(
    bench: Callable[..., Bench],
) -> None:
    app = bench(summing())
    log = app.log = Refusing()
    log.create_topics([TopicSpec("numbers", 1)])
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    log.requests_left = 3
    app.clock.advance(100)
    app.turn()
    assert log.requests_left == 0
    app.write("numbers", (b"a", eight(2), 2))
    app.turn()
    app.clock.advance(100)
    app.turn()
    assert app.read("out") == [(b"a", eight(1)), (b"a", eight(3))]


def test_log_that_is_away_while_damaged_stores_are_restored_is_waited_for(
    bench: Callable[..., Bench],
) -> None:
    app = bench(summing())
    log = app.log = Refusing()
    log.create_topics([TopicSpec("numbers", 1)])
    app.open()
    app.write("numbers", (b"a", eight(1), 1))
    app.turn()
    app.clock.advance(100)
    app.turn()
    for requests in range(4):
        log.requests_left = requests
        app.worker._assignment.start_over(StateCorruptionError("damaged", path=str(app.folder / "0_0")))
        assert log.requests_left == 0
        assert [task.id for task in app.worker.tasks] == [TaskId(0, 0)]
        app.write("numbers", (b"a", eight(1), 2))
        app.turn()
        app.clock.advance(100)
        app.turn()
    assert app.read("out")[-1] == (b"a", eight(5))


def test_stores_that_are_damaged_again_at_once_end_the_worker(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bench(summing())
    app.log.create_topics([TopicSpec("numbers", 1)])
    app.open()
    damaged = StateCorruptionError("damaged", path=str(app.folder / "0_0"))

    def found(group: str, partitions: object) -> None:
        raise damaged

    monkeypatch.setattr(app.log, "committed", found)
    with pytest.raises(StateCorruptionError):
        app.worker._assignment.start_over(damaged)


def test_damage_that_names_no_directory_ends_the_worker(bench: Callable[..., Bench]) -> None:
    app = bench(summing())
    app.log.create_topics([TopicSpec("numbers", 1)])
    app.open()
    with pytest.raises(StateCorruptionError, match="of another kind"):
        app.worker._assignment.start_over(StateCorruptionError("a changelog of another kind"))
