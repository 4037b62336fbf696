"""Foreign-key joins on several partitions: who asked is answered, wherever it is; and at random, with stops between."""

import random
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace import stores, testing
from headrace.base.columns import Columns
from headrace.base.murmur2 import partition_for
from headrace.engine.clock import ManualClock
from headrace.engine.options import EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

LEFT = hr.Topic("left", value=str, partitions=3, partitioned_by="other")
RIGHT = hr.Topic("right", value=str, partitions=2)
OUT = hr.Topic("out", value=str, partitions=1)
JOINED = stores.key_value("joined", key=str, value=str)


def both(one: str | None, two: str | None) -> str:
    return f"{one}+{two}"


def named(value: str) -> str | None:
    return value.partition("/")[0] or None


def topology(**partitioners: Any) -> hr.Topology:
    builder = hr.StreamsBuilder()
    joined = builder.table(LEFT).left_join(
        builder.table(RIGHT), both, on=named, store=JOINED, name="J", **partitioners
    )
    joined.to_stream().to(OUT)
    return builder.build()


def placed(key: str) -> int:
    """Where the producer of the test puts a key of the left table: not where murmur2 does."""
    return ord(key) % 3


def append(log: MemoryLog, topic: str, partition: int, key: str, value: str | None) -> None:
    columns, writer = Columns(), log.writer("feed")
    columns.append(key.encode(), None if value is None else value.encode(), 0, ())
    writer.append(topic, partition, columns)
    writer.commit({})
    writer.close()


class Application:
    """An application that stops without a word and goes on, on a log that stays."""

    def __init__(self, folder: Path, cache_bytes: int, topology: hr.Topology) -> None:
        self.folder = folder
        self.options = EngineOptions.of(
            {"statestore.cache.max.bytes": cache_bytes, "commit.interval.ms": 1_000_000}
        )
        self.topology = topology
        self.log = MemoryLog()
        self.log.create_topics([TopicSpec("left", 3), TopicSpec("right", 2), TopicSpec("out", 1)])
        self.worker = self.started()

    def started(self) -> Worker:
        worker = build_worker(
            self.topology,
            self.log,
            self.options,
            application_id="app",
            state_dir=self.folder,
            clock=ManualClock(),
        )
        worker.open()
        return worker

    def settle(self) -> None:
        """Process until nothing is left, through all internal topics."""
        for _ in range(6):
            while self.worker.step(0):
                pass
            self.worker.commit()

    def stop_without_a_commit(self) -> None:
        self.worker.close()
        self.worker = self.started()

    def results(self) -> dict[str, str]:
        """The rows that came out last."""
        found: dict[str, str] = {}
        for _, _, key, value, _, _ in self.log.records("out"):
            assert key is not None
            found.pop(key.decode(), None) if value is None else found.update({key.decode(): value.decode()})
        return found


@pytest.mark.campaign
@pytest.mark.parametrize("cache_bytes", [0, 2_000, 10_000_000], ids=["uncached", "evicting", "cached"])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_changes_and_stops_the_results_are_those_of_a_plain_evaluation(
    tmp_path: Path, seed: int, cache_bytes: int
) -> None:
    rng = random.Random(seed)
    left: dict[str, str] = {}
    right: dict[str, str] = {}
    application = Application(tmp_path, cache_bytes, topology())
    for number in range(150):
        rows, keys = rng.choice([(left, "klmnopq"), (right, "abcd")])
        key = rng.choice(keys)
        value = rng.choice([None, *(f"{each}/{number}" for each in ("a", "b", "c", "d", ""))])
        rows.pop(key, None) if value is None else rows.update({key: value})
        if rows is left:
            append(application.log, "left", placed(key), key, value)
        else:
            append(application.log, "right", partition_for(key.encode(), 2), key, value)
        match rng.randrange(12):
            case 0:
                application.worker.commit()
            case 1:
                application.stop_without_a_commit()
            case 2 | 3 | 4:
                application.worker.step(0)
    application.settle()
    assert application.results() == {
        key: both(value, right.get(named(value) or "")) for key, value in left.items()
    }
    application.worker.close()


def test_answers_go_to_the_partition_that_asked() -> None:
    with testing.TopologyTestDriver(topology()) as driver:
        for key in "kl":
            append(driver.log, "left", 2, key, "a/1")
        driver.input(RIGHT).pipe("a", "A")
        assert dict(driver.store(JOINED, partition=2).all()) == {"k": "a/1+A", "l": "a/1+A"}


def test_users_partitioners_decide_instead_and_are_given_no_value() -> None:
    asked: list[tuple[Any, ...]] = []

    def second(*arguments: Any) -> int:
        asked.append(arguments)
        return 1

    made = topology(partitioner=second, other_partitioner=lambda topic, key, value, count: [0])
    with testing.TopologyTestDriver(made) as driver:
        append(driver.log, "left", 1, "k", "a/1")
        append(driver.log, "right", 0, "a", "A")
        driver.advance("1ms")
        assert dict(driver.store(JOINED, partition=1).all()) == {"k": "a/1+A"}
        assert set(asked) == {("test-J-subscription-response-topic", "k", None, 3)}


@pytest.mark.parametrize("chosen", [[], [0, 1]])
def test_partitioner_that_chooses_other_than_one_partition_fails_at_the_record(chosen: list[int]) -> None:
    made = topology(other_partitioner=lambda topic, key, value, count: chosen)
    with (
        testing.TopologyTestDriver(made) as driver,
        pytest.raises(hr.ProcessingError, match=r"a foreign-key join chooses one partition, found \["),
    ):
        driver.input(hr.Topic("left", value=str)).pipe("k", "a/1")


def test_partitioner_that_says_none_leaves_it_to_the_key() -> None:
    made = topology(partitioner=lambda topic, key, value, count: None)
    with testing.TopologyTestDriver(made) as driver:
        driver.input(hr.Topic("left", value=str)).pipe("k", "a/1")
        assert driver.output(OUT).read_pairs() == [("k", "a/1+None")]
