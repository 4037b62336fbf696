"""What tests need to lay two applications on one broker side by side: Java's, topics, properties, records, batches."""

import itertools
import shutil
import struct
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka.protocol.admin import DescribeConfigsRequest
from kafka.protocol.consumer import FetchRequest

from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.kafka.log import KafkaLog
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.testing import LocalKafka

__all__ = [
    "Batch",
    "JavaApplications",
    "Row",
    "await_markers",
    "batches",
    "internal_topics",
    "java_applications",
    "kafka_log",
    "raw_batches",
    "rows",
    "topic_properties",
]

_APPLICATIONS = Path(__file__).parent / "applications"

_TOPIC = 2  # ConfigResource.Type.TOPIC
_COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")

#: Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and last timestamp, producer id.
_BATCH_HEAD = struct.Struct(">qiibIhiqqq")
_LENGTH_BEGINS = 12


class Row(NamedTuple):
    """A record without its offset, which transaction markers move."""

    key: bytes | None
    value: bytes | None
    timestamp: int | None
    headers: Headers


class Batch(NamedTuple):
    """What the head of a record batch says."""

    compression: str
    is_idempotent: bool
    is_transactional: bool
    is_control: bool


class JavaApplications:
    """Kafka Streams' applications, in one Java process. See `java/Applications.java`."""

    def __init__(self, kafka: LocalKafka) -> None:
        self._numbers = itertools.count()
        self._done: set[int] = set()
        # What it has to say of its own accord is on the standard error, which pytest shows where a test fails.
        self._process = subprocess.Popen(
            [_APPLICATIONS, kafka.bootstrap_servers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, *asked: str) -> int:
        """Ask for an application to be run, beside whatever runs; returns its number."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        self._process.stdin.write("\t".join([str(number), *asked]) + "\n")
        self._process.stdin.flush()
        return number

    def wait(self, number: int) -> None:
        """Wait for the end of an application that was asked for."""
        assert self._process.stdout is not None
        while number not in self._done:
            answer = self._process.stdout.readline()
            assert answer, "the Java process of the applications has ended"
            word, *fields = answer.rstrip("\n").split("\t")
            assert word != "failed", answer
            if word == "done":
                self._done.add(int(fields[0]))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def java_applications(kafka: LocalKafka) -> Iterator[JavaApplications]:
    """Start the process; skips the test where there is no JDK and Maven."""
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    made = JavaApplications(kafka)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def kafka_log(kafka: LocalKafka, **properties: str) -> Iterator[KafkaLog]:
    """Open the log; properties have Kafka's names with `_` for `.`."""
    named = kafka.client_properties | {name.replace("_", "."): value for name, value in properties.items()}
    log = KafkaLog(ConnectionSettings.of(named), KafkaOptions.of(named))
    try:
        yield log
    finally:
        log.close()


@contextmanager
def _network(kafka: LocalKafka) -> Iterator[Network]:
    network = Network(ConnectionSettings.of(kafka.client_properties), purpose="test")
    network.connect()
    try:
        yield network
    finally:
        network.close()


def internal_topics(kafka: LocalKafka, application_id: str) -> dict[str, int]:
    """Return partition counts of the topics that an application has made, by name without the application's id."""
    prefix = f"{application_id}-"
    with kafka_log(kafka) as log:
        found = log.topics()
    return {
        name.removeprefix(prefix): topic.partitions
        for name, topic in sorted(found.items())
        if name.startswith(prefix)
    }


def topic_properties(kafka: LocalKafka, names: Iterable[str]) -> dict[str, dict[str, tuple[str, int]]]:
    """Return every property of topics as the broker has it: the value, and where it comes from."""
    resource = DescribeConfigsRequest.DescribeConfigsResource
    asked = [resource(resource_type=_TOPIC, resource_name=name, configuration_keys=None) for name in names]
    with _network(kafka) as network:
        answer: Any = network.call(DescribeConfigsRequest(resources=asked))
    return {
        topic.resource_name: {each.name: (each.value, each.config_source) for each in topic.configs}
        for topic in answer.results
    }


def await_markers(kafka: LocalKafka, topic: str) -> None:
    """Wait until no transaction is open: a commit is answered when it is decided, before the partitions have heard."""
    deadline = time.monotonic() + 20
    with kafka_log(kafka) as log:
        topic_partitions = [
            TopicPartition(topic, number) for number in range(log.topics([topic])[topic].partitions)
        ]
        while log.end_offsets(topic_partitions) != log.end_offsets(topic_partitions, committed=False):
            assert time.monotonic() < deadline, f"a transaction is open in {topic}"


def rows(kafka: LocalKafka, topic: str) -> Mapping[int, list[Row]]:
    """Read a topic by Java's consumer, which checks every CRC; records by partition, in order."""
    await_markers(kafka, topic)
    found: dict[int, list[Row]] = defaultdict(list)
    for record in kafka.consume_with_java(topic):
        assert record.partition is not None
        found[record.partition].append(Row(record.key, record.value, record.timestamp, record.headers))
    return dict(found)


def batches(kafka: LocalKafka, topic: str, partitions: int = 1) -> list[Batch]:
    """Read the heads of a topic's batches as the broker keeps them, aborted ones and markers too."""
    return [_head(data) for partition in range(partitions) for data in raw_batches(kafka, topic, partition)]


def raw_batches(kafka: LocalKafka, topic: str, partition: int) -> list[bytes]:
    """Read a partition's batches as the broker keeps them."""
    found: list[bytes] = []
    offset, end = 0, 1
    with _network(kafka) as network:
        # One answer has one segment's batches at most.
        while offset < end:
            request = _fetch(topic, partition, offset)
            answer: Any = network.call(request, node_id=kafka.leader(topic, partition))
            fetched = answer.responses[0].partitions[0]
            end, data = fetched.high_watermark, bytes(fetched.records or b"")
            while data:
                first, length, _, _, _, _, last_delta, _, _, _ = _BATCH_HEAD.unpack_from(data)
                found.append(data[: _LENGTH_BEGINS + length])
                data = data[_LENGTH_BEGINS + length :]
                offset = first + last_delta + 1
    return found


def _fetch(topic: str, partition: int, offset: int) -> FetchRequest:
    wanted = FetchRequest.FetchTopic
    return FetchRequest(
        version=11,
        replica_id=-1,
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=50_000_000,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,
        topics=[
            wanted(
                topic=topic,
                partitions=[
                    wanted.FetchPartition(
                        partition=partition,
                        current_leader_epoch=-1,
                        fetch_offset=offset,
                        log_start_offset=-1,
                        partition_max_bytes=50_000_000,
                    )
                ],
            )
        ],
        forgotten_topics_data=[],
        rack_id="",
    )


def _head(data: bytes) -> Batch:
    _, _, _, magic, _, attributes, _, _, _, producer = _BATCH_HEAD.unpack_from(data)
    assert magic == 2
    return Batch(
        _COMPRESSIONS[attributes & 7],
        is_idempotent=producer >= 0,
        is_transactional=bool(attributes & 16),
        is_control=bool(attributes & 32),
    )
