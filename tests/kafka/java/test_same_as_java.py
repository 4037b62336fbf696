"""headrace beside Kafka Streams on one broker: the same topics, the same properties, the same bytes.

Where possible both commit once, when they are closed: a cached store then emits one record for each key, and whole
topics can be compared record by record, in order. Where records of several partitions meet in a repartition topic,
nothing fixes which comes first, in Kafka Streams either: those are compared sorted.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import headrace as hr
from benchmarks.workloads import WORKLOADS, Topics, order, user
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.java.both_sides import (
    Batch,
    JavaApplications,
    Row,
    batches,
    internal_topics,
    java_applications,
    rows,
    topic_properties,
)

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.timeout(300)]

RECORDS = 1_500
KEYS = 400
USERS = 300

#: An hour ago: the broker deletes records that are older than a topic's retention.
_BEGIN_MS = int(time.time() * 1000) - 3_600_000


def _orders() -> list[JavaRecord]:
    """12 minutes of orders, in no strict order of time, some of them late for their window; some have headers."""
    found = []
    for number in range(RECORDS):
        lateness_ms = 420_000 if number % 97 == 96 else number % 13 * 1000
        headers = (("n", b"%d" % number), ("none", None)) if number % 7 == 0 else ()
        key, value = order(number % KEYS)[0], order(number)[1]
        timestamp = _BEGIN_MS + number * 500 - lateness_ms
        found.append(JavaRecord(key.encode(), value.encode(), headers, timestamp))
    return found


def _users() -> list[JavaRecord]:
    """Users for three orders of four, of whom some have gone again."""
    found = []
    for number in range(USERS):
        key = order(number)[0].encode()
        value = user(number)[1].encode()
        found.append(JavaRecord(key, value, timestamp=_BEGIN_MS - 2_000_000 + number))
    gone = [JavaRecord(each.key, None, timestamp=_BEGIN_MS - 1_000_000) for each in found[::10]]
    return [*found, *gone]


@pytest.fixture(scope="module")
def java(local_kafka: LocalKafka) -> Iterator[JavaApplications]:
    with java_applications(local_kafka) as running:
        yield running


@pytest.fixture(scope="module")
def filled(local_kafka: LocalKafka) -> Callable[[int], str]:
    """Return a topic of orders with so many partitions; its users are beside it."""
    made: dict[int, str] = {}

    def fill(partitions: int) -> str:
        if partitions not in made:
            name = made[partitions] = f"same-as-java-{os.getpid()}-{partitions}"
            for topic, records in ((name, _orders()), (f"{name}-users", _users())):
                local_kafka.create_topic(topic, partitions)
                local_kafka.produce_with_java(topic, records)
        return made[partitions]

    return fill


@dataclass(frozen=True)
class Case:
    workload: str
    guarantee: str = "at_least_once"
    partitions: int = 3
    compression: str = "none"

    @property
    def is_exactly_once(self) -> bool:
        return self.guarantee == "exactly_once_v2"

    @property
    def commit_ms(self) -> int:
        """Not before it is closed, unless what goes through a repartition topic waits for a commit."""
        return 300 if self.is_exactly_once and self.workload == "wordcount" else 50_000

    def __str__(self) -> str:
        return f"{self.workload}-{self.guarantee}-{self.partitions}-{self.compression}"


class Both:
    """A workload run by both: names of applications and outputs, Java's first."""

    def __init__(self, kafka: LocalKafka, case: Case, source: str, unique: Callable[[str], str]) -> None:
        self.kafka, self.case, self.source = kafka, case, source
        self.java, self.ours = unique("java"), unique("headrace")
        for application in (self.java, self.ours):
            kafka.create_topic(self.output(application), case.partitions)

    @staticmethod
    def output(application: str) -> str:
        return f"results.{application}"

    def run(self, java: JavaApplications, state_dir: Path) -> None:
        case = self.case
        once = {"commit.interval.ms": str(case.commit_ms), "statestore.cache.max.bytes": "100000000"}
        theirs = once | {
            "application.id": self.java,
            "producer.compression.type": case.compression,
            "state.dir": str(state_dir / "java"),
        }
        if case.is_exactly_once:
            theirs["producer.transaction.timeout.ms"] = "60000"
        topics = (self.source, self.output(self.java))
        properties = [f"{name}={value}" for name, value in theirs.items()]
        where = (self.kafka.bootstrap_servers, *topics)
        number = java.begin("workload", case.workload, str(RECORDS), case.guarantee, *where, *properties)
        self._run_ours(state_dir / "headrace", once)
        java.wait(number)

    def _run_ours(self, state_dir: Path, once: dict[str, str]) -> None:
        case, workload = self.case, WORKLOADS[self.case.workload]
        topics = Topics(self.source, self.output(self.ours), case.partitions)
        wanted = len(_users()) if workload.users else 0
        wanted += sum(1 + workload.repartitioned((each.value or b"").decode()) for each in _orders())
        streams = hr.Streams(
            workload.build(lambda key, value: None, topics),
            application_id=self.ours,
            state_dir=str(state_dir),
            properties=once
            | {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "processing.guarantee": case.guarantee,
                "transaction.timeout.ms": "60000",
                "compression.type": case.compression,
            },
        )
        with streams:
            run_until(streams, wanted)


def run_until(streams: hr.Streams, records: int) -> None:
    """Wait until an application has processed so many records since its start, those of repartition topics too."""
    deadline = time.monotonic() + 60
    streams.wait_running("60s")
    while (status := streams.status()) is None or status.records < records:
        assert streams.state == "running"
        assert time.monotonic() < deadline, f"processed {status and status.records} records of {records}"
        time.sleep(0.02)


#: Each workload, each compression, each guarantee; not each with each: they meet nowhere in the code.
CASES = [
    Case("forward"),
    Case("forward", "exactly_once_v2", compression="gzip"),
    Case("json", compression="snappy"),
    Case("count", compression="lz4"),
    Case("count_uncached", "exactly_once_v2", compression="zstd"),
    Case("window", "exactly_once_v2", compression="lz4"),
    Case("repartition", partitions=1, compression="zstd"),
    Case("wordcount", "exactly_once_v2", compression="snappy"),
    Case("enrich"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_application_makes_the_same_topics_and_records(
    broker: LocalKafka,
    java: JavaApplications,
    filled: Callable[[int], str],
    unique: Callable[[str], str],
    tmp_path: Path,
    case: Case,
) -> None:
    both = Both(broker, case, filled(case.partitions), unique)
    both.run(java, tmp_path)

    topics = internal_topics(broker, both.java)
    assert set(topics) == {name.format(users=f"{both.source}-users") for name in INTERNAL[case.workload]}
    assert internal_topics(broker, both.ours) == topics
    properties = topic_properties(
        broker, [f"{each}-{name}" for each in (both.java, both.ours) for name in topics]
    )
    for name in topics:
        assert properties[f"{both.ours}-{name}"] == properties[f"{both.java}-{name}"]

    pairs = [(f"{both.java}-{name}", f"{both.ours}-{name}") for name in topics]
    written = {Batch(case.compression, True, case.is_exactly_once, is_control=False)}
    for java_name, our_name in [*pairs, (both.output(both.java), both.output(both.ours))]:
        theirs, ours = rows(broker, java_name), rows(broker, our_name)
        assert set(theirs) == set(range(case.partitions))
        assert comparable(case, java_name, ours) == comparable(case, java_name, theirs)
        for name in (java_name, our_name):
            found = batches(broker, name, case.partitions)
            assert {each for each in found if not each.is_control} == written


#: The topics that an application makes, without its id before them.
INTERNAL: dict[str, set[str]] = {
    "forward": set(),
    "json": set(),
    "count": {"counts-changelog"},
    "count_uncached": {"counts-changelog"},
    "window": {"counts-changelog"},
    "repartition": {"counts-repartition", "counts-changelog"},
    "wordcount": {"counts-repartition", "counts-changelog"},
    "enrich": {"{users}-STATE-STORE-0000000002-changelog"},
}


def comparable(case: Case, topic: str, found: Mapping[int, list[Row]]) -> object:
    if case.workload == "json":
        # Numbers are printed differently: 1E10 and 1e10.
        return {partition: [_parsed(row) for row in each] for partition, each in found.items()}
    if topic.endswith("-repartition"):
        return {partition: sorted(each, key=repr) for partition, each in found.items()}
    if case.workload == "wordcount":
        # How often it commits, and flushes the cache, is a matter of time; whose record came last has the headers.
        return {partition: {row.key: row[:3] for row in each} for partition, each in found.items()}
    return found


def _parsed(row: Row) -> Sequence[object]:
    assert row.value is not None
    return row._replace(value=None), json.loads(row.value, object_pairs_hook=list)
