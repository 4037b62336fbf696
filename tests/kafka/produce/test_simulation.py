"""The whole writer against a model cluster in virtual time, with all that can go wrong between them.

A committed transaction's records are in the log exactly once, an aborted one's are never seen; offsets move if and only
if it was committed; the ends that commits report are true. Each example is one seed: all chance comes from it.
"""

import random
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.base.columns import Columns
from headrace.base.errors import FencedError, LogError, TransactionAbortedError
from headrace.base.ids import TopicPartition
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.produce.opening import open_writer
from headrace.kafka.produce.writer import KafkaWriter
from headrace.log.port import CommittedOffset, TopicInfo
from tests.budget import examples
from tests.kafka.produce.cluster import Cluster
from tests.kafka.produce.network import ModelNetwork

pytestmark = pytest.mark.campaign

INPUT = TopicPartition("in", 0)
TOPICS = {"a": 3, "b": 2, "in": 1}
PLACES = [TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("a", 2), TopicPartition("b", 0)]


class Run:
    """One writer after another on one cluster, and what each of their transactions must have come to."""

    def __init__(self, seed: int, *, is_v2: bool, transactional_id: str | None) -> None:
        self.dice = random.Random(seed)
        self.cluster = Cluster(self.dice, TOPICS, is_v2=is_v2, timeout_s=10)
        self.transactional_id = transactional_id
        self.trouble = self.dice.choice([0.0, 0.05, 0.3])
        self.number = 0
        self.written: dict[int, list[tuple[TopicPartition, bytes]]] = {}
        self.committed: set[int] = set()
        self.unknown: set[int] = set()
        self.ends: dict[int, dict[TopicPartition, int]] = {}

    def writer(self) -> KafkaWriter:
        network = ModelNetwork(self.cluster, self.dice, trouble=self.trouble)
        return open_writer(
            ConnectionSettings.of({}),
            KafkaOptions.of({"delivery.timeout.ms": "20000", "max.request.size": "2048"}),
            "group",
            self.transactional_id,
            topics=lambda name: TopicInfo(name, TOPICS[name], "id", {}),
            network=cast(Network, network),
            clock=lambda: self.cluster.now,
        )

    def disturb(self) -> None:
        """Move a leader or a coordinator, stop a broker for a while, or let the writer itself sleep."""
        dice, cluster = self.dice, self.cluster
        match dice.randrange(12):
            case 0:
                cluster.partitions[dice.choice(PLACES)].leader = dice.randrange(3)
            case 1:
                cluster.coordinators[dice.randrange(2)] = dice.randrange(3)
            case 2:
                node = dice.randrange(3)
                cluster.is_up[node] = False
                cluster.later(dice.choice([0.2, 5.0, 30.0]), lambda: cluster.is_up.update({node: True}))
            case 3:
                self.sleep(15)
            case _:
                pass

    def sleep(self, seconds: float) -> None:
        until = self.cluster.now + seconds
        while self.cluster.step(until):
            pass

    def transaction(self, writer: KafkaWriter) -> None:
        """Write and commit a few records and an offset that names the transaction, or give it up."""
        self.number += 1
        number = self.number
        written = self.written[number] = []
        try:
            for _ in range(self.dice.randrange(4)):
                columns, topic_partition = Columns(), self.dice.choice(PLACES)
                for _ in range(self.dice.choice([1, 3, 40])):
                    value = b"%d.%d" % (number, len(written))
                    columns.append(b"k", value, 0, ())
                    written.append((topic_partition, value))
                writer.append(topic_partition.topic, topic_partition.partition, columns)
                if self.dice.random() < 0.5:
                    writer._produce.flush()
                self.disturb()
            if self.dice.random() < 0.1:
                writer.abort()
                return
            self.ends[number] = dict(writer.commit({INPUT: CommittedOffset(number, "m")}))
            self.committed.add(number)
        except TransactionAbortedError:
            self.give_up(writer, number)
        except FencedError:
            self.unknown.add(number)
            raise

    def give_up(self, writer: KafkaWriter, number: int) -> None:
        """Abort until it is over; then the committed offset says what became of the transaction."""
        while True:
            try:
                writer.abort()
                break
            except LogError:
                assert writer.pending_bytes >= 0
        self.sleep(0.2)
        if self.transactional_id is not None and self.cluster.offsets.get(INPUT) == number:
            self.committed.add(number)

    def heal(self) -> None:
        """Let everything calm down, and a last writer end whatever is open."""
        self.trouble = 0.0
        self.cluster.is_up.update(dict.fromkeys(range(3), True))
        self.sleep(60)
        self.writer().close()
        self.sleep(60)

    def check_exactly_once(self) -> None:
        seen: dict[bytes | None, tuple[TopicPartition, int]] = {}
        for topic_partition in PLACES:
            for offset, value in self.cluster.committed(topic_partition).items():
                assert value not in seen, f"{value!r} twice"
                seen[value] = (topic_partition, offset)
        for number, written in self.written.items():
            found = [value in seen for _, value in written]
            if number in self.unknown:
                assert all(found) or not any(found), f"{number} torn"
            else:
                assert found == [number in self.committed] * len(written), f"{number}: {self.committed}"
            for topic_partition, end in self.ends.get(number, {}).items():
                last = max(seen[value][1] for where, value in written if where == topic_partition)
                assert end == last + 1
        last_committed = max(self.committed, default=None)
        assert self.cluster.offsets.get(INPUT) in {last_committed, *self.unknown}


def _play(run: Run, *, rivals: int) -> None:
    try:
        writer = run.writer()
    except LogError:
        return  # no coordinator came up in time
    try:
        for _ in range(8):
            if rivals and run.dice.random() < 0.2:
                rivals -= 1
                _check_fenced(run, writer)
                writer = run.writer()
            run.transaction(writer)
    except FencedError:
        # Only where the older protocol cannot tell a time-out of the transaction from a rival.
        assert not run.cluster.is_v2
    except LogError:
        run.unknown.add(run.number)
    writer.close()


def _check_fenced(run: Run, writer: KafkaWriter) -> None:
    """A rival takes the transactional id: what the first writer had open, and what it tries, is never seen."""
    run.number += 1
    columns = Columns()
    columns.append(b"k", b"%d.0" % run.number, 0, ())
    run.written[run.number] = [(PLACES[0], b"%d.0" % run.number)]
    try:
        writer.append("a", 0, columns)
        writer._produce.flush()
        rival = run.writer()
    except LogError:
        run.unknown.add(run.number)
        raise
    try:
        writer.commit({INPUT: CommittedOffset(run.number)})
        raise AssertionError("a fenced writer committed")
    except FencedError:
        pass
    except TransactionAbortedError:
        # Time was over before a coordinator said so.
        writer.close()
    run.transaction(rival)
    rival.close()


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 2**32), is_v2=st.booleans(), has_id=st.booleans())
def test_without_trouble_every_transaction_is_committed(seed: int, is_v2: bool, has_id: bool) -> None:
    run = Run(seed, is_v2=is_v2, transactional_id="app-0" if has_id else None)
    run.trouble = 0.0
    writer = run.writer()
    for number in range(1, 9):
        columns = Columns()
        columns.append(b"k", b"%d" % number, 0, ())
        topic_partition = run.dice.choice(PLACES)
        if number % 3 == 0:
            writer.append(topic_partition.topic, topic_partition.partition, columns)
            writer.abort()
        writer.append(topic_partition.topic, topic_partition.partition, columns)
        assert list(writer.commit({INPUT: CommittedOffset(number)})) == [topic_partition]
        assert run.cluster.now < number


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32), is_v2=st.booleans())
@example(seed=0, is_v2=True)
def test_transactions_are_seen_whole_and_once_or_never(seed: int, is_v2: bool) -> None:
    run = Run(seed, is_v2=is_v2, transactional_id="app-0")
    _play(run, rivals=0)
    run.heal()
    run.check_exactly_once()


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 2**32), is_v2=st.booleans())
def test_writer_whose_id_was_taken_writes_nothing_more(seed: int, is_v2: bool) -> None:
    run = Run(seed, is_v2=is_v2, transactional_id="app-0")
    _play(run, rivals=2)
    run.heal()
    run.check_exactly_once()


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_without_a_transactional_id_committed_records_are_there_before_their_offsets(seed: int) -> None:
    run = Run(seed, is_v2=True, transactional_id=None)
    _play(run, rivals=0)
    run.heal()
    seen = [value for topic_partition in PLACES for value in run.cluster.committed(topic_partition).values()]
    for number in run.committed:
        for topic_partition, value in run.written[number]:
            assert seen.count(value) == 1
            assert run.ends[number][topic_partition] > list(
                run.cluster.committed(topic_partition).values()
            ).index(value)
    assert run.cluster.offsets.get(INPUT, 0) in {0, *run.committed, *run.written}
