"""Tasks that come and go while others run: nothing is lost, nothing doubled, and who stays is not disturbed."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import StateCorruptionError, TransactionAbortedError
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.clock import ManualClock
from headrace.log.memory import MemoryLog
from headrace.log.memory.writer import MemoryWriter
from headrace.log.port import CommittedOffset, TopicSpec
from tests.budget import examples
from tests.engine.bench import Bench, eight

NUMBERS = hr.Topic("numbers", key=str, value=int, partitioned_by="other")
COPIES = hr.Topic("copies", key=str, value=int)
SUMS = stores.key_value("sums", key=str, value=int)
IN_MEMORY = stores.key_value("by-parity", key=str, value=int, engine="memory")
PARTITIONS = 4
TASKS = tuple(TaskId(0, partition) for partition in range(PARTITIONS))


def summing() -> hr.Topology:
    """A copy of each record, and sums in a store."""
    builder = hr.StreamsBuilder()
    numbers = builder.stream(NUMBERS)
    numbers.to(COPIES)
    numbers.group_by_key().reduce(lambda total, value: total + value, store=SUMS)
    return builder.build()


def summing_again() -> hr.Topology:
    """The same, and sums by another key behind a repartition topic, in memory."""
    builder = hr.StreamsBuilder()
    numbers = builder.stream(NUMBERS)
    numbers.to(COPIES)
    numbers.group_by_key().reduce(lambda total, value: total + value, store=SUMS)
    by_parity = numbers.group_by(lambda key, value: str(value % 5), key=str)
    by_parity.reduce(lambda total, value: total + value, store=IN_MEMORY)
    return builder.build()


class Busy(ManualClock):
    """A clock by which a turn of the loop ends after a few records."""

    def seconds(self) -> float:
        self.advance(4)
        return super().seconds()


class Pair:
    """Two workers of one application on one log, each with a directory of its own."""

    def __init__(self, folder: Path, topology: hr.Topology, **config: Any) -> None:
        self.log = MemoryLog()
        self.log.create_topics([TopicSpec(name, PARTITIONS) for name in ("numbers", "copies")])
        self.one, self.other = (Bench(topology, folder / name, **config) for name in ("one", "other"))
        self.one.log = self.other.log = self.log
        self.one.clock = self.other.clock = Busy(1_000_000)
        self.written: list[tuple[int, int]] = []

    def write(self, partition: int, *values: int) -> None:
        rows = [(b"%d" % partition, eight(value), value) for value in values]
        self.one.write_to(TopicPartition("numbers", partition), *rows)
        self.written += [(partition, value) for value in values]

    def copies(self) -> Counter[tuple[int, int]]:
        """The copies, by the number of the partition that they come from, which is their key."""
        rows = [(key or b"", value or b"") for _, _, key, value, _, _ in self.log.records("copies")]
        return Counter((int(key), int.from_bytes(value)) for key, value in rows)

    def settle(self) -> None:
        for _ in range(3):
            for each in (self.one, self.other):
                each.turn()
                each.worker.commit()

    def stored(self, store: str) -> dict[str, int]:
        return {
            key: value
            for each in (self.one, self.other)
            for task in each.worker.tasks
            if any(spec.name == store for spec in task.subtopology.stores)
            for key, value in task.state.read_only(store).all()
        }

    def check(self) -> None:
        """Compare what is there with what was written."""
        self.settle()
        assert self.copies() == Counter(self.written)
        sums = Counter[str]()
        for partition, value in self.written:
            sums[str(partition)] += value
        assert self.stored("sums") == {key: total for key, total in sums.items() if total}

    def close(self) -> None:
        self.one.close()
        self.other.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    made: list[Pair] = []

    def make(topology: hr.Topology | None = None, **config: Any) -> Pair:
        config.setdefault("commit_interval_ms", 1_000_000)
        one = Pair(tmp_path, topology or summing(), **config)
        made.append(one)
        return one

    yield make
    for each in made:
        each.close()


def task_of(bench: Bench, task_id: TaskId) -> Any:
    (found,) = (task for task in bench.worker.tasks if task.id == task_id)
    return found


def waiting_in(task: Any) -> int:
    return sum(queue.queued_bytes for queue in task.queues.values())


# ── hand-over ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_is_handed_over_in_mid_processing_goes_on_where_it_was(pair: Callable[..., Pair]) -> None:
    both = pair(stretch_records_max=1)
    both.one.open(*TASKS)
    both.other.open_idle()
    for partition in range(PARTITIONS):
        both.write(partition, *range(1, 6))
    for _ in range(4):
        both.one.worker.step(0)
    assert 0 < sum(task.processed for task in both.one.worker.tasks) < 20
    both.one.worker.revoke([TASKS[1], TASKS[2]])
    both.other.worker.assign([TASKS[1], TASKS[2]])
    both.write(1, 100)
    both.check()
    assert [task.id for task in both.one.worker.tasks] == [TASKS[0], TASKS[3]]
    assert [task.id for task in both.other.worker.tasks] == [TASKS[1], TASKS[2]]


def test_a_task_that_comes_back_reads_only_what_was_done_elsewhere(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    both = pair()
    both.one.open(*TASKS)
    both.other.open_idle()
    both.write(0, *range(1, 100))
    both.one.turn()
    both.one.worker.revoke([TASKS[0]])
    both.other.worker.assign([TASKS[0]])
    both.write(0, 1000)
    both.other.turn()
    both.other.worker.revoke([TASKS[0]])
    caplog.clear()
    both.one.worker.assign([TASKS[0]])
    both.check()
    assert "store 'sums' restored 1 records (the gap since its last commit)" in caplog.text


def test_a_store_in_memory_that_comes_back_is_not_restored_anew(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).group_by_key().reduce(lambda total, value: total + value, store=IN_MEMORY)
    both = pair(builder.build())
    both.one.open(TASKS[0])
    both.write(0, *range(1, 100))
    both.one.turn()
    both.one.worker.revoke([TASKS[0]])
    both.one.worker.assign([TASKS[0]])
    both.write(0, 1000)
    both.settle()
    assert both.stored("by-parity") == {"0": sum(range(1, 100)) + 1000}
    assert "restored" not in caplog.text


@pytest.mark.campaign
@pytest.mark.parametrize("topology", [summing, summing_again])
@pytest.mark.parametrize("seed", range(examples(5)))
def test_tasks_that_move_at_random_moments_lose_and_double_nothing(
    pair: Callable[..., Pair], topology: Callable[[], hr.Topology], seed: int
) -> None:
    chance = random.Random(seed)
    both = pair(topology(), stretch_records_max=2, statestore_cache_max_bytes=chance.choice([0, 1_000_000]))
    tasks = [
        TaskId(sub, partition)
        for sub in range(len(both.one.topology.subtopologies))
        for partition in range(4)
    ]
    has: dict[str, set[TaskId]] = {"one": set(tasks), "other": set()}
    both.one.open(*tasks)
    both.other.open_idle()
    value = 0
    for _ in range(100):
        giver, taker = chance.sample(["one", "other"], 2)
        bench = getattr(both, giver)
        moved = set(chance.sample(sorted(has[giver]), chance.randint(0, len(has[giver]))))
        match chance.choice(["write", "step", "step", "commit", "move", "move", "lose", "crash", "follow"]):
            case "write":
                value += 1
                both.write(chance.randrange(PARTITIONS), value)
            case "step":
                bench.worker.step(0)
            case "commit":
                bench.worker.commit()
            case "move":
                bench.worker.revoke(moved)
                getattr(both, taker).worker.assign(moved)
                has[giver] -= moved
                has[taker] |= moved
            case "lose":
                bench.worker.lost(moved)
                getattr(both, taker).worker.assign(moved)
                has[giver] -= moved
                has[taker] |= moved
            case "crash":
                bench.crash()
                bench.open_idle()
                bench.worker.assign(has[giver])
            case "follow":
                getattr(both, taker).worker.follow(moved)
    both.check()
    if topology is summing_again:
        expected = Counter[str]()
        for _, number in both.written:
            expected[str(number % 5)] += number
        assert both.stored("by-parity") == expected


# ── who stays ────────────────────────────────────────────────────────────────────────────────────────────────────


class Asked(MemoryLog):
    """A log that remembers whose offsets were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, CommittedOffset]:
        partitions = list(partitions)
        self.asked += [each.partition for each in partitions]
        return dict(super().committed(group, partitions))


def test_tasks_that_stay_keep_their_records_and_are_asked_nothing(pair: Callable[..., Pair]) -> None:
    both = pair()
    log = Asked()
    log.create_topics([TopicSpec(name, PARTITIONS) for name in ("numbers", "copies")])
    both.log = both.one.log = log
    both.one.open(TASKS[0], TASKS[1])
    both.write(0, *range(1, 9))
    both.write(1, *range(1, 9))
    both.one.worker.pause()
    both.one.worker.step(0)
    stays = task_of(both.one, TASKS[1])
    waiting, log.asked = waiting_in(stays), []
    assert waiting
    both.one.worker.revoke([TASKS[0]])
    both.one.worker.assign([TASKS[2], TASKS[1]])
    assert task_of(both.one, TASKS[1]) is stays
    assert stays.is_running
    assert waiting_in(stays) == waiting
    assert log.asked == [2]


def test_a_task_runs_while_one_that_came_restores(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.one.open(TASKS[0])
    both.other.open(TASKS[1])
    both.write(1, *range(1, 50))
    both.other.turn()
    both.other.worker.revoke([TASKS[1]])
    both.one.worker.assign([TASKS[1]])
    both.write(0, 7)
    assert not task_of(both.one, TASKS[1]).is_running
    stays = task_of(both.one, TASKS[0])
    both.one.worker._picker.pick(both.one.worker._tasks)
    both.one.worker._fetcher.fetch(0, both.one.clock, is_idle=True)
    assert stays.run_stretch(10) == 1
    assert not task_of(both.one, TASKS[1]).is_running


class Opening(ManualClock):
    """A clock by which a turn of a restore is over when the first store is open."""

    def seconds(self) -> float:
        self.advance(30)
        return super().seconds()


def test_stores_of_tasks_that_come_are_opened_a_few_in_a_turn(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.one.clock = Opening(1_000_000)
    both.one.open(TASKS[0])
    both.one.worker.assign(TASKS)
    open_ones = []
    for _ in range(4):
        both.one.worker.step(0)
        open_ones.append(sum(task.is_running for task in both.one.worker.tasks))
    assert open_ones == [2, 3, 4, 4]


def test_a_revoke_during_a_restore_leaves_the_store_as_it_was_and_the_others_restoring(
    pair: Callable[..., Pair],
) -> None:
    both = pair()
    both.one.open_idle()
    both.other.open(TASKS[0], TASKS[1])
    both.write(0, *range(1, 50))
    both.write(1, *range(1, 50))
    both.other.turn()
    both.other.worker.revoke([TASKS[0], TASKS[1]])
    both.one.worker.assign([TASKS[0], TASKS[1]])
    both.one.worker.revoke([TASKS[0]])
    assert [task.id for task in both.one.worker.tasks] == [TASKS[1]]
    both.one.turn()
    assert task_of(both.one, TASKS[1]).is_running
    both.other.worker.assign([TASKS[0]])
    both.write(0, 1000)
    both.write(1, 1000)
    both.check()


class Ticking(hr.Processor[str, int, str, int]):
    """Counts what the wall clock does."""

    ticks: ClassVar[Counter[str]] = Counter()

    def init(self) -> None:
        self.context.schedule("1s", self.tick, on="wall")

    def tick(self, now: int) -> None:
        self.ticks[self.context.task_id] += 1

    def process(self, record: hr.Record[str, int]) -> None:
        self.context.forward(record)


def test_punctuations_of_a_revoked_task_end_and_those_of_the_others_go_on(pair: Callable[..., Pair]) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Ticking).to(COPIES)
    both = pair(builder.build())
    both.one.open(TASKS[0], TASKS[1])
    Ticking.ticks.clear()
    both.one.clock.advance(1_000)
    both.one.turn()
    both.one.worker.revoke([TASKS[0]])
    both.one.clock.advance(1_000)
    both.one.turn()
    assert Ticking.ticks == {"0_0": 1, "0_1": 2}


def test_figures_keep_what_a_revoked_task_has_processed(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.one.open(TASKS[0], TASKS[1])
    both.write(0, 1, 2)
    both.write(1, 3)
    both.one.turn()
    both.one.worker.revoke([TASKS[0]])
    both.one.clock.advance(5_000)
    both.one.turn()
    status = both.one.worker.status()
    assert (status.records, [task.id for task in status.tasks]) == (3, [TASKS[1]])


def test_a_query_sees_the_stores_of_the_tasks_that_are_here(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.one.open(TASKS[0], TASKS[1])
    assert sorted(both.one.worker.query("sums")) == [0, 1]
    both.one.worker.revoke([TASKS[0]])
    assert sorted(both.one.worker.query("sums")) == [1]


# ── lost ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_that_is_lost_in_an_open_transaction_takes_the_others_back_to_their_last_commit(
    pair: Callable[..., Pair],
) -> None:
    both = pair()
    both.one.open(TASKS[0], TASKS[1])
    both.other.open_idle()
    both.write(0, 1)
    both.write(1, 2)
    both.one.turn()
    both.one.worker.commit()
    both.write(0, 10)
    both.write(1, 20)
    both.one.turn()
    both.one.worker.lost([TASKS[0]])
    both.other.worker.assign([TASKS[0]])
    assert both.copies() == {(0, 1): 1, (1, 2): 1}
    both.check()
    assert both.copies() == {(0, 1): 1, (1, 2): 1, (0, 10): 1, (1, 20): 1}


def test_a_task_that_is_lost_before_it_ran_costs_the_others_nothing(pair: Callable[..., Pair]) -> None:
    both = pair()
    both.one.open(TASKS[0])
    both.other.open(TASKS[1])
    both.write(1, *range(1, 50))
    both.other.turn()
    both.other.worker.revoke([TASKS[1]])
    both.write(0, 10)
    both.one.turn()
    both.one.worker.assign([TASKS[1]])
    both.one.worker.lost([TASKS[1]])
    assert task_of(both.one, TASKS[0]).has_progress
    both.one.worker.commit()
    assert both.copies()[0, 10] == 1


# ── what is in the transaction ───────────────────────────────────────────────────────────────────────────────────


class Announcing(hr.Processor[str, int, str, int]):
    """Writes when it starts."""

    def init(self) -> None:
        self.context.forward(hr.Record("started", int(self.context.task_id[-1]), timestamp=0))

    def process(self, record: hr.Record[str, int]) -> None:
        pass


def test_what_a_task_wrote_when_it_started_goes_with_it(pair: Callable[..., Pair]) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS).process(Announcing).to(COPIES)
    both = pair(builder.build())
    both.one.open(TASKS[3])
    both.one.worker.revoke([TASKS[3]])
    assert [record[3] for record in both.log.records("copies")] == [eight(3)]


def test_a_start_at_the_end_is_committed_together_with_what_the_others_have(
    pair: Callable[..., Pair],
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset="latest").to(COPIES)
    both = pair(builder.build())
    both.one.open(TASKS[0])
    both.write(0, 1)
    both.one.turn()
    both.write(1, 2)
    both.written.pop()  # before the task starts, at the end
    both.one.worker.assign([TASKS[1]])
    assert {each.partition: at.offset for each, at in both.log.committed("app", numbers(0, 1)).items()} == {
        0: 1,
        1: 1,
    }
    assert both.copies() == {(0, 1): 1}
    both.write(1, 3)
    both.one.crash()
    both.one.open(TASKS[0], TASKS[1])
    both.one.worker.commit()
    assert both.copies() == Counter(both.written)


def numbers(*partitions: int) -> list[TopicPartition]:
    return [TopicPartition("numbers", partition) for partition in partitions]


class Unsure(MemoryLog):
    """A log whose commits fail when told to, before they are durable or after."""

    def __init__(self) -> None:
        super().__init__()
        self.create_topics([TopicSpec(name, PARTITIONS) for name in ("numbers", "copies")])
        self.fails: str | None = None

    def writer(self, group: str, transactional_id: str | None = None) -> MemoryWriter:
        log, writer = self, super().writer(group, transactional_id)
        commit = writer.commit

        def committed(offsets: Any, member: Any = None) -> Any:
            fails, log.fails = log.fails, None
            if fails == "before":
                raise TransactionAbortedError("the coordinator is away")
            ends = commit(offsets, member)
            if fails == "after":
                raise TransactionAbortedError("nobody tells what became of it")
            return ends

        writer.commit = committed  # type: ignore[method-assign] # a broker that fails
        return writer


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_revoke_whose_commit_comes_to_nothing_or_is_not_known_to_loses_and_doubles_nothing(
    pair: Callable[..., Pair], fails: str
) -> None:
    both = pair()
    log = both.log = both.one.log = both.other.log = Unsure()
    both.one.open(TASKS[0], TASKS[1])
    both.other.open_idle()
    both.write(0, 1, 2)
    both.write(1, 3, 4)
    both.one.turn()
    log.fails = fails
    both.one.worker.revoke([TASKS[0]])
    both.other.worker.assign([TASKS[0]])
    both.write(0, 5)
    both.write(1, 6)
    both.check()


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_start_whose_commit_fails_is_not_committed_over_what_came_later(
    pair: Callable[..., Pair], fails: str
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(NUMBERS, offset_reset="latest").to(COPIES)
    both = pair(builder.build())
    log = both.log = both.one.log = both.other.log = Unsure()
    both.one.open(TASKS[0])
    both.write(0, 1)
    both.one.turn()
    log.fails = fails
    both.one.worker.assign([TASKS[1]])
    both.write(1, 2)
    both.one.turn()
    both.one.worker.commit()
    both.one.crash()
    both.one.open(TASKS[0], TASKS[1])
    both.one.worker.commit()
    assert both.copies() == Counter(both.written)


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", ["flush", "drain", "transaction", "state", "next task", "end"])
def test_a_process_that_dies_at_any_step_of_a_revoke_loses_and_doubles_nothing(
    pair: Callable[..., Pair], step: str
) -> None:
    both = pair()
    both.one.open(TASKS[0], TASKS[1])
    both.other.open_idle()
    both.write(0, 1, 2)
    both.write(1, 3, 4)
    both.one.turn()

    def killed(reached: str) -> None:
        if reached == step:
            raise Killed

    both.one.reached = killed
    both.one.crash()
    both.one.open(TASKS[0], TASKS[1])
    with pytest.raises(Killed):
        both.one.worker.revoke([TASKS[0]])
    both.one.reached = lambda reached: None
    both.one.crash()
    both.other.worker.assign([TASKS[0]])
    both.one.open(TASKS[1])
    both.write(0, 5)
    both.check()


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_damage_of_one_tasks_stores_costs_the_others_no_restore(
    pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    both = pair()
    both.one.open(TASKS[0], TASKS[1])
    for partition in (0, 1):
        both.write(partition, 1, 2, 3)
    both.one.turn()
    both.one.worker.commit()
    stays = task_of(both.one, TASKS[1])
    both.write(1, 4)
    both.one.worker._assignment.start_over(
        StateCorruptionError("damaged", path=str(both.one.folder / str(TASKS[0])))
    )
    assert task_of(both.one, TASKS[1]) is stays
    both.one.turn()
    assert caplog.text.count("restored") == 2  # that they are deleted, and that they were restored
    both.one.worker.commit()
    assert both.stored("sums") == {"0": 6, "1": 10}


def test_damage_of_a_task_that_restores_leaves_the_others_in_their_transaction(
    pair: Callable[..., Pair],
) -> None:
    both = pair()
    both.one.open(TASKS[0])
    both.other.open(TASKS[1])
    both.write(1, *range(1, 50))
    both.other.turn()
    both.other.worker.revoke([TASKS[1]])
    both.write(0, 10)
    both.one.turn()
    both.one.worker.assign([TASKS[1]])
    both.one.worker._assignment.start_over(
        StateCorruptionError("damaged", path=str(both.one.folder / str(TASKS[1])))
    )
    stays = task_of(both.one, TASKS[0])
    assert stays.has_progress
    both.check()
    assert task_of(both.one, TASKS[0]) is stays


def test_damage_of_a_task_that_has_gone_deletes_its_stores_and_makes_no_task(
    pair: Callable[..., Pair],
) -> None:
    both = pair()
    both.one.open(TASKS[0], TASKS[1])
    both.write(1, 4)
    both.one.turn()
    both.one.worker.revoke([TASKS[0]])
    both.one.worker._assignment.start_over(
        StateCorruptionError("damaged", path=str(both.one.folder / str(TASKS[0])))
    )
    assert [task.id for task in both.one.worker.tasks] == [TASKS[1]]
    assert not (both.one.folder / str(TASKS[0])).exists()
