"""An application moves from Kafka Streams to headrace and back, on its topics and under its id.

The same application that never moves, but stops at the same records, says what is to come of it; so does the input.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.ids import TopicPartition
from headrace.engine.commit_metadata import decode_metadata
from headrace.log.port import CommittedOffset
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.java.both_sides import (
    JavaApplications,
    Row,
    await_markers,
    internal_topics,
    java_applications,
    kafka_log,
    rows,
    topic_properties,
)

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.timeout(300)]

OUTPUTS = ("copies", "counts", "looked-up", "pairs", "windows", "kinds")
JOINED = ("pairs-other-join-store-changelog", "pairs-this-join-store-changelog")
INTERNAL = ("counts-changelog", "kinds-changelog", "kinds-repartition", *JOINED, "windows-changelog")
PARTITIONS = 2
#: By the partition that Kafka's partitioner chooses, so that what comes of a partition stays in it.
KEYS = ((b"k3", b"k4", b"k5"), (b"k0", b"k1", b"k2"))

PARTS = 5
#: How many records there are in a part.
PART = 60
#: An hour ago: internal topics lose what is older than their retention.
_BEGIN_MS = int(time.time() * 1000) // 10_000 * 10_000 - 3_600_000
#: The time of a record that asks for the time of its partition.
ASKS = 5
KEPT = {"retention.ms": "-1"}

#: How long a record takes where an application is to be stopped in the middle. It waits there to be stopped.
PAUSE_MS = 4


def records(part: int) -> list[JavaRecord]:
    """A part of the input, every other record for partition 1.

    Some records ask for the time of the partition so far, the first of a part among them. Every 11th record is older
    than its window waits.
    """
    found = []
    for number in range(part * PART, (part + 1) * PART):
        asks = number % 7 == 3 or (part > 0 and number % PART < PARTITIONS)
        value = f"{'?' if asks else ''}value-{number}-{'abd'[number % 3]}"
        timestamp = ASKS if asks else _BEGIN_MS + number * 500 - (30_000 if number % 11 == 10 else 0)
        headers = (("n", b"%d" % number),) if number % 5 == 0 else ()
        key = KEYS[number % PARTITIONS][number // PARTITIONS % 3]
        found.append(JavaRecord(key, value.encode(), headers, timestamp, number % PARTITIONS))
    return found


def topology(source: str, output: str, processed: Callable[[], None], pause_ms: int) -> hr.Topology:
    """Line for line what `Applications.java` has."""
    builder = hr.StreamsBuilder()

    def texts(name: str) -> hr.Topic[str, str]:
        return hr.Topic(f"{output}-{name}", value=str)

    def numbers(name: str) -> hr.Topic[str, int]:
        return hr.Topic(f"{output}-{name}", value=int)

    def pause(key: str, value: str) -> None:
        time.sleep(pause_ms / 1000)

    def see(key: str, count: int) -> None:
        processed()
        time.sleep(pause_ms / 1000)

    def time_of(record: hr.Record[str, str], partition_time: int) -> int:
        return partition_time if record.value.startswith("?") else record.timestamp

    stream = builder.stream(hr.Topic(source, value=str), timestamp=time_of).peek(pause)
    stream.to(texts("copies"))
    counts = stores.key_value("counts", key=str, value=int, caching=False)
    counted = stream.group_by_key().count(store=counts)
    counted.to_stream().to(numbers("counts"))
    stream.join(counted, lambda value, count: f"{value}#{count}", value=str).to(texts("looked-up"))
    low = stream.filter(lambda key, value: value[-3] < "5")
    high = stream.filter_not(lambda key, value: value[-3] < "5")
    within = hr.JoinWindows("10s", grace="1m")
    pairs = low.join(high, lambda one, other: f"{one}+{other}", within=within, store="pairs", value=str)
    pairs.to(texts("pairs"))
    windows = stream.group_by_key().windowed_by(hr.TimeWindows("10s", grace="5s")).count(store="windows")
    named = windows.to_stream(lambda window, count: f"{window.key}@{window.window.start}", key=str)
    named.to(numbers("windows"))
    kinds = stores.key_value("kinds", key=str, value=int, caching=False)
    by_kind = stream.group_by(lambda key, value: value[-1:], key=str).count(store=kinds).to_stream()
    by_kind.peek(see).to(numbers("kinds"))
    return builder.build()


class Sides:
    """Runs an application on either side until a part of the input is through, then closes it."""

    def __init__(self, kafka: LocalKafka, java: JavaApplications, guarantee: str, state_dir: Path) -> None:
        self._kafka, self._java, self._guarantee, self._state_dir = kafka, java, guarantee, state_dir

    def begin_java(
        self, application: str, source: str, state_dir: str = "java", *, count: int = PART, pause_ms: int = 0
    ) -> int:
        directory = self._state_dir / state_dir
        # Two that are started at once both try to make it, and one fails.
        directory.mkdir(exist_ok=True)
        where = (str(directory), source, application)
        return self._java.begin("moving", application, self._guarantee, *where, str(count), str(pause_ms))

    def headrace(self, application: str, source: str, *, count: int = PART, pause_ms: int = 0) -> None:
        left, stopping = threading.Semaphore(0), threading.Event()
        seen = itertools.count(1)

        def processed() -> None:
            left.release()
            if next(seen) >= count and pause_ms:
                stopping.wait()

        properties = {
            "processing.guarantee": self._guarantee,
            "commit.interval.ms": 100,
            "max.partition.fetch.bytes": 500,
        }
        streams = hr.Streams(
            topology(source, application, processed, pause_ms),
            application_id=application,
            state_dir=str(self._state_dir / "headrace"),
            properties=self._kafka.client_properties | properties,
        )
        with streams:
            for number in range(count):
                if not left.acquire(timeout=120):
                    stopping.set()
                    pytest.fail(f"processed {number} records of {count}: {streams.state}")
            stopping.set()


@pytest.fixture(scope="module")
def java(local_kafka: LocalKafka) -> Iterator[JavaApplications]:
    with java_applications(local_kafka) as running:
        yield running


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_an_application_moves_from_java_to_headrace_and_back(
    broker: LocalKafka, java: JavaApplications, unique: Callable[[str], str], tmp_path: Path, guarantee: str
) -> None:
    sides = Sides(broker, java, guarantee, tmp_path)
    source, moving, staying = unique("input"), unique("moving"), unique("staying")
    for name in (source, *(f"{application}-{name}" for application in (moving, staying) for name in OUTPUTS)):
        broker.create_topic(name, PARTITIONS, KEPT)

    for part in range(PARTS):
        broker.produce_with_java(source, records(part))
        running = [sides.begin_java(staying, source)]
        if part % 2 == 0:
            # The last time without its local state, before with one that is behind the changelogs, as headrace has it.
            running.append(sides.begin_java(moving, source, "java" if part < PARTS - 1 else "another"))
        else:
            sides.headrace(moving, source)
        for number in running:
            java.wait(number)
        offsets = committed(broker, moving, source)
        assert offsets == committed(broker, staying, source)
        assert [topic_partition.offset for topic_partition in offsets] == [
            (part + 1) * PART // PARTITIONS
        ] * PARTITIONS
        times = repartition_times(broker, moving)
        assert times == repartition_times(broker, staying)
        assert min(times) > _BEGIN_MS

    assert set(internal_topics(broker, moving)) == {*INTERNAL, *OUTPUTS}
    assert internal_topics(broker, moving) == internal_topics(broker, staying)
    properties = topic_properties(
        broker, [f"{each}-{name}" for each in (moving, staying) for name in INTERNAL]
    )
    for name in INTERNAL:
        assert properties[f"{moving}-{name}"] == properties[f"{staying}-{name}"]
    moved, stayed = (
        {name: rows(broker, f"{application}-{name}") for name in (*OUTPUTS, *INTERNAL)}
        for application in (moving, staying)
    )
    for name in stayed:
        assert comparable(name, moved[name]) == comparable(name, stayed[name])
    nothing_is_lost_or_doubled(moved)


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_an_application_moves_in_the_middle_of_its_input(
    broker: LocalKafka, java: JavaApplications, unique: Callable[[str], str], tmp_path: Path, guarantee: str
) -> None:
    sides = Sides(broker, java, guarantee, tmp_path)
    source, moving = unique("input"), unique("moving")
    for name in (source, *(f"{moving}-{name}" for name in OUTPUTS)):
        broker.create_topic(name, PARTITIONS, KEPT)
    every = [record for part in range(PARTS) for record in records(part)]
    broker.produce_with_java(source, every, config={"batch.size": "500"})

    through, stopped_in_the_middle = 0, 0
    for move in range(4):
        if move % 2 == 0:
            java.wait(sides.begin_java(moving, source, count=20, pause_ms=PAUSE_MS))
        else:
            sides.headrace(moving, source, count=20, pause_ms=PAUSE_MS)
        before, through = through, sum(map(len, rows(broker, f"{moving}-kinds").values()))
        read = sum(topic_partition.offset for topic_partition in committed(broker, moving, source))
        assert before + 20 <= through <= read <= PARTS * PART
        # Some are in the repartition topic, and some not read yet. Where a fetch comes late, the second half may have
        # caught up with the first.
        stopped_in_the_middle += through < read < PARTS * PART
    assert stopped_in_the_middle > 0
    java.wait(sides.begin_java(moving, source, count=PARTS * PART - through))
    nothing_is_lost_or_doubled({name: rows(broker, f"{moving}-{name}") for name in OUTPUTS})


def committed(kafka: LocalKafka, application: str, source: str) -> list[CommittedOffset]:
    """The group's offsets of the input, with the text beside them, by partition."""
    topic_partitions = [TopicPartition(source, number) for number in range(PARTITIONS)]
    with kafka_log(kafka) as log:
        found = log.committed(application, topic_partitions)
    return [found.get(topic_partition, CommittedOffset(0)) for topic_partition in topic_partitions]


def repartition_times(kafka: LocalKafka, application: str) -> list[int]:
    """The committed partition times of the repartition topic, all of which was processed.

    Its offsets differ by the markers of transactions: how many there are is a matter of time.
    """
    topic = f"{application}-kinds-repartition"
    await_markers(kafka, topic)
    last: dict[int | None, int] = {each.partition: each.offset for each in kafka.consume_with_java(topic)}
    topic_partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    with kafka_log(kafka) as log:
        found, ends = log.committed(application, topic_partitions), log.end_offsets(topic_partitions)
    assert set(last) == set(range(PARTITIONS))
    for topic_partition in topic_partitions:
        assert last[topic_partition.partition] < found[topic_partition].offset <= ends[topic_partition]
    return [
        decode_metadata(found[topic_partition].metadata).partition_time
        for topic_partition in topic_partitions
    ]


def comparable(name: str, found: Mapping[int, list[Row]]) -> object:
    """What does not depend on which record came first, or on when caches were flushed."""
    if name.startswith("windows"):
        # The store has a cache, which is flushed at commits.
        return {partition: {row.key: row for row in each} for partition, each in found.items()}
    if name in JOINED:
        # What tells equal keys apart counts anew after a start.
        return {
            partition: [row._replace(key=(row.key or b"")[:-4]) for row in each]
            for partition, each in found.items()
        }
    if name == "kinds-repartition":
        return {partition: sorted(each, key=repr) for partition, each in found.items()}
    if name.startswith("kinds"):
        # Two partitions meet here: whose record came last decides about time and headers.
        return {partition: sorted((row.key, row.value) for row in each) for partition, each in found.items()}
    return found


def looked_up(copies: list[Row]) -> list[bytes]:
    """Each record with how many of its key there have been."""
    seen: Counter[bytes | None] = Counter()
    found = []
    for row in copies:
        seen[row.key] += 1
        found.append(b"%b#%d" % (row.value or b"", seen[row.key]))
    return found


def pairs_of(copies: list[Row]) -> list[bytes]:
    """What a join of the records whose numbers end with 0 to 4 with the others finds, within 10 s."""
    rows_read = [(row.key, row.value or b"", row.timestamp or 0) for row in copies]
    return [
        one + b"+" + other
        for key, one, time_of_one in rows_read
        for other_key, other, time_of_other in rows_read
        if one[-3:-2] < b"5" <= other[-3:-2]
        and key == other_key
        and abs(time_of_one - time_of_other) <= 10_000
    ]


def nothing_is_lost_or_doubled(found: Mapping[str, Mapping[int, list[Row]]]) -> None:
    """Compare with the input itself, in case that both have the same mistake."""
    every = [record for part in range(PARTS) for record in records(part)]
    for partition in range(PARTITIONS):
        read = [record for record in every if record.partition == partition]
        copies = found["copies"][partition]
        assert [(row.key, row.value, row.headers) for row in copies] == [
            (record.key, record.value, record.headers) for record in read
        ]
        # A record that has asked for the time of its partition has it.
        highest = 0
        for row, record in zip(copies, read, strict=True):
            assert record.timestamp is not None
            assert row.timestamp == (highest if record.timestamp == ASKS else record.timestamp)
            highest = max(highest, record.timestamp)
        assert Counter(row.value for row in found["pairs"][partition]) == Counter(pairs_of(copies))
        assert [row.value for row in found["looked-up"][partition]] == looked_up(copies)
    for name, keys in (("counts", 6), ("kinds", 3)):
        counted = [(row.key, row.value) for each in found[name].values() for row in each]
        of_a_key = range(1, PARTS * PART // keys + 1)
        assert len({key for key, _ in counted}) == keys
        for key in {key for key, _ in counted}:
            assert [value for each, value in counted if each == key] == [
                number.to_bytes(8, "big") for number in of_a_key
            ]
