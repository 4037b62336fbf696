"""`headrace dlq` on a real broker: a replay that is killed anywhere, or started twice, writes each record once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import FencedError, LogError
from headrace.base.ids import TopicPartition
from headrace.kafka.log import KafkaLog
from headrace.outside.dead_letters import LetterFilter
from headrace.outside.ledger import Ledger, ledger_topic
from headrace.outside.replay import handle_letters
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.cli.conftest import Command
from tests.kafka.conftest import NewTopic
from tests.kafka.java.both_sides import kafka_log

pytestmark = pytest.mark.broker

COUNT = 400


@pytest.fixture
def log(broker: LocalKafka) -> Iterator[KafkaLog]:
    with kafka_log(broker) as made:
        yield made


@pytest.fixture
def dead(log: KafkaLog, new_topic: NewTopic) -> tuple[str, str]:
    """A topic of dead letters, as Kafka Streams writes them, and the topic that they came from."""
    origin, topic = new_topic(partitions=2), new_topic(partitions=2)
    writer = log.writer("dead")
    for partition in range(2):
        columns = Columns()
        for number in range(partition, COUNT, 2):
            columns.append(
                b"k%d" % number,
                None if number % 7 == 0 else b"v%d" % number,
                1_700_000_000_000 + number,
                (
                    ("own", b"1"),
                    ("__streams.errors.exception", b"java.lang.IllegalStateException"),
                    ("__streams.errors.message", b"no"),
                    ("__streams.errors.stacktrace", b"at org.example"),
                    ("__streams.errors.topic", origin.encode()),
                    ("__streams.errors.partition", b"%d" % (number % 2)),
                    ("__streams.errors.offset", b"%d" % number),
                ),
            )
        writer.append(topic, partition, columns)
    writer.commit({})
    writer.close()
    return topic, origin


def held(log: KafkaLog, topic: str) -> list[tuple[int, bytes | None, bytes | None, int, object]]:
    places = [TopicPartition(topic, number) for number in range(2)]
    ends, reader, found = log.end_offsets(places), log.reader(), []
    reader.assign(log.beginning_offsets(places))
    while any(reader.position(place) < ends[place] for place in places):
        for chunk in reader.poll(100):
            headers = chunk.headers or [()] * len(chunk)
            rows = zip(chunk.keys, chunk.values, chunk.timestamps, map(tuple, headers))
            found += [(chunk.partition, *row) for row in rows]
    reader.close()
    return sorted(found, key=lambda row: row[3])


def expected() -> list[tuple[int, bytes, bytes | None, int, object]]:
    return [
        (
            number % 2,
            b"k%d" % number,
            None if number % 7 == 0 else b"v%d" % number,
            1_700_000_000_000 + number,
            (("own", b"1"),),
        )
        for number in range(COUNT)
    ]


def test_a_replay_that_is_killed_anywhere_writes_each_record_once(
    broker: LocalKafka, log: KafkaLog, dead: tuple[str, str], tmp_path: Path
) -> None:
    topic, origin = dead
    arguments = ["dlq", "replay", topic, "--batch", "10", "--bootstrap-servers", broker.bootstrap_servers]
    kills, code = 0, -1
    while code != 0:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace.cli", *arguments], cwd=tmp_path, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        # Somewhere in the next transactions, each time at another place of one.
        time.sleep(0.001 * kills)
        if kills < 5:
            process.kill()
            kills += 1
        process.communicate(timeout=60)
        code = process.returncode
        assert code in (0, -9)
    assert kills == 5
    assert held(log, origin) == expected()


def test_a_replay_that_another_one_overtakes_is_fenced(log: KafkaLog, dead: tuple[str, str]) -> None:
    topic, origin = dead
    info = log.topics([topic])[topic]

    def replay(tell: object) -> None:
        handle_letters(log, info, LetterFilter(), "replayed", batch_records=50, tell=tell)  # type: ignore[arg-type]

    def overtake(count: int) -> None:
        if count == 100:
            replay(lambda count: None)

    with pytest.raises(FencedError):
        replay(overtake)
    assert held(log, origin) == expected()


def test_nothing_is_replayed_while_nobody_knows_what_was(
    broker: LocalKafka, log: KafkaLog, dead: tuple[str, str]
) -> None:
    topic, origin = dead
    info, ledger = log.topics([topic])[topic], ledger_topic(topic)
    Ledger(info).make(log)
    broker.produce_with_java(
        ledger, [JavaRecord(b"k", b"v", partition=0)], transactional_id=topic, end="open"
    )
    with pytest.raises(LogError, match="has a transaction that has lost its end, from offset 0 on"):
        handle_letters(log, info, LetterFilter(), "replayed", batch_records=50, tell=lambda count: None)
    assert held(log, origin) == []


def test_dead_letters_of_kafka_streams_are_counted(command: Command, dead: tuple[str, str]) -> None:
    topic, origin = dead
    ran = command("dlq", "list", topic)
    assert (ran.code, ran.lines[1].split()[:5]) == (
        0,
        [str(COUNT), "0", "0", "java.lang.IllegalStateException", "-"],
    )
    assert ran.lines[1].split()[5] == origin


def test_dropped_dead_letters_are_deleted(command: Command, log: KafkaLog, dead: tuple[str, str]) -> None:
    topic, _ = dead
    assert command("dlq", "drop", topic, "--yes", "--to-offset", "99").code == 0
    places = [TopicPartition(topic, number) for number in range(2)]
    assert log.beginning_offsets(places) == dict.fromkeys(places, 100)
