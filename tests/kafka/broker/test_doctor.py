"""`headrace doctor` on real brokers: a transaction whose end is lost is found, and what it says ends it."""

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka.protocol.metadata import FindCoordinatorRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.cli.main import main
from headrace.kafka.log import KafkaLog
from headrace.kafka.metadata import metadata_request, read_brokers
from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings
from headrace.kafka.produce.encoding import BatchLimits, Stamp, encode_columns
from headrace.kafka.transaction.messages import ProducerIdentity
from headrace.log.port import TopicSpec
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.archive import java_command
from headrace.testing.local_kafka.jars import KAFKA_VERSION, fetch_jars
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.acls import allow
from tests.kafka.java.both_sides import kafka_log
from tests.streams.waiting import until

pytestmark = pytest.mark.broker

APPLICATION = """
import headrace as hr

builder = hr.StreamsBuilder()
builder.stream("{topic}").group_by_key().count(store="counts").to_stream().to("{topic}-out", value=int)
topology = builder.build()
"""


def doctor(
    directory: Path, capsys: pytest.CaptureFixture[str], topic: str, properties: Mapping[str, str]
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the command on an application that reads a topic; what it found, by what it is about."""
    directory.joinpath(f"{topic}.py").write_text(APPLICATION.format(topic=topic))
    config = directory / "kafka.toml"
    config.write_text(
        "".join(f"{json.dumps(name)} = {json.dumps(text)}\n" for name, text in properties.items())
    )
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(directory / f"{topic}.py"), "--json", "--config", str(config)])
    found: dict[str, dict[str, Any]] = {}
    for row in map(json.loads, capsys.readouterr().out.splitlines()):
        found.setdefault(row["subject"], row | {"text": ""})["text"] += row["text"]
    return int(ended.value.code or 0), found


@pytest.fixture(scope="module")
def believing() -> Iterator[LocalKafka]:
    """A broker that takes records into transactions which their coordinators know nothing of."""
    with LocalKafka(config={"transaction.partition.verification.enable": "false"}) as kafka:
        yield kafka


@pytest.fixture
def log(believing: LocalKafka) -> Iterator[KafkaLog]:
    with kafka_log(believing) as made:
        yield made


class Producer:
    """Writes a record into a transaction, and never tells the coordinator: what is left where the end was lost."""

    def __init__(self, kafka: LocalKafka, transactional_id: str) -> None:
        self._network = Network(ConnectionSettings.of(kafka.client_properties), purpose="test")
        self._network.connect()
        self._network.learn(read_brokers(self._network.call(metadata_request([]))))
        self._id = transactional_id
        self.identity = ProducerIdentity(-1, -1)

    def begin(self) -> bool:
        """Get an id, if the coordinator is ready to give one."""
        found: Any = self._network.call(FindCoordinatorRequest(version=3, key=self._id, key_type=1))
        if found.error_code:
            return False
        given: Any = self._network.call(
            InitProducerIdRequest(
                version=4,
                transactional_id=self._id,
                transaction_timeout_ms=60_000,
                producer_id=-1,
                producer_epoch=-1,
            ),
            node_id=found.node_id,
        )
        self.identity = ProducerIdentity(given.producer_id, given.producer_epoch)
        return bool(given.error_code == 0)

    def write(self, place: TopicPartition) -> bool:
        """Write, if the partition has a leader already."""
        columns = Columns()
        columns.append(b"k", b"v", 1000, ())
        limits, stamp = BatchLimits(10**6, 10**6, 10**6), Stamp(self.identity, 0, is_transactional=True)
        ((batch, _),) = encode_columns(place, columns, limits, stamp, "none")
        topic = ProduceRequest.TopicProduceData
        part = topic.PartitionProduceData(index=place.partition, records=batch)
        request = ProduceRequest(
            version=9,
            transactional_id=self._id,
            acks=-1,
            timeout_ms=10_000,
            topic_data=[topic(name=place.topic, partition_data=[part])],
        )
        answer: Any = self._network.call(request)
        return bool(answer.responses[0].partition_responses[0].error_code == 0)

    def close(self) -> None:
        self._network.close()


@pytest.mark.process
def test_a_transaction_whose_end_is_lost_is_named_with_what_ends_it(
    believing: LocalKafka, log: KafkaLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.create_topics([TopicSpec("lost", 2), TopicSpec("lost-out", 1)])
    place, properties = TopicPartition("lost", 1), believing.client_properties
    with closing(Producer(believing, "lost-1")) as producer:
        until(producer.begin)
        until(lambda: producer.write(place))
    assert (log.end_offsets([place])[place], log.end_offsets([place], committed=False)[place]) == (0, 1)
    code, found = doctor(tmp_path, capsys, "lost", properties)
    told = found["partition 1 of topic 'lost'"]
    assert (code, told["severity"]) == (3, "wrong")
    assert (
        f"of producer {producer.identity.producer_id} of transactional id 'lost-1', which its coordinator has in state "
        f"Empty, from offset 0 on"
    ) in told["text"]
    command, _, _ = told["advice"].partition(";")
    tool, *arguments = shlex.split(command)
    assert tool == "kafka-transactions.sh"
    java = [*java_command(fetch_jars(KAFKA_VERSION)), "org.apache.kafka.tools.TransactionsCommand"]
    subprocess.run([*java, *arguments], check=True, capture_output=True, timeout=60)
    until(lambda: log.end_offsets([place])[place] == 2)
    code, found = doctor(tmp_path, capsys, "lost", properties)
    assert (code, found["transactions"]["severity"]) == (0, "fine")


def test_a_transaction_that_hides_what_was_replayed_is_named(
    believing: LocalKafka, log: KafkaLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = ("again", "again-out", "again-dead", "again-dead-handled")
    log.create_topics([TopicSpec(name, 1) for name in topics])
    place = TopicPartition("again-dead-handled", 0)
    with closing(Producer(believing, "again-1")) as producer:
        until(producer.begin)
        until(lambda: producer.write(place))
    properties = {**believing.client_properties, "errors.dead.letter.queue.topic.name": "again-dead"}
    code, found = doctor(tmp_path, capsys, "again", properties)
    assert (code, found[place.in_words()]["severity"]) == (3, "wrong")


def test_a_transaction_that_is_under_way_is_fine(
    believing: LocalKafka, log: KafkaLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.create_topics([TopicSpec("open", 1), TopicSpec("open-out", 1)])
    believing.produce_with_java(
        "open", [JavaRecord(b"k", b"v", partition=0)], transactional_id="open-1", end="open"
    )
    code, found = doctor(tmp_path, capsys, "open", believing.client_properties)
    believing.produce_with_java("open", [], transactional_id="open-1")
    assert (code, found["transactions"]["text"]) == (0, "1 are open, and none has lost its end")


def test_what_is_not_as_it_should_be_is_told(
    believing: LocalKafka, log: KafkaLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.create_topics(
        [
            TopicSpec("ill", 2, {"min.insync.replicas": "2"}),
            TopicSpec("ill-counts-changelog", 3, {"cleanup.policy": "compact"}),
        ]
    )
    properties = {**believing.client_properties, "transaction.timeout.ms": "100000000"}
    code, found = doctor(tmp_path, capsys, "ill", properties)
    assert code == 3
    assert {subject for subject, row in found.items() if row["severity"] == "wrong"} == {
        "internal topics",
        "outputs",
        "topic 'ill'",
        "broker 0",
    }


def test_brokers_that_are_away_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    properties = {"bootstrap.servers": "127.0.0.1:1", "default.api.timeout.ms": "500"}
    code, found = doctor(tmp_path, capsys, "away", properties)
    assert (code, found["log"]["severity"]) == (3, "wrong")


def test_rights_that_are_missing_are_told(
    secured: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], unique: Any
) -> None:
    topic = unique("rights")
    with kafka_log(secured) as log:
        log.create_topics([TopicSpec(topic, 1), TopicSpec(f"{topic}-out", 1)])
    allow(secured, "alice", "topic", topic, "READ", "DESCRIBE_CONFIGS")
    allow(secured, "alice", "topic", f"{topic}-out", "DESCRIBE", "DESCRIBE_CONFIGS")
    allow(secured, "alice", "group", topic, "DESCRIBE")
    code, found = doctor(tmp_path, capsys, topic, secured.client_properties_of("alice"))
    assert code == 3
    assert found[f"topic '{topic}-out'"]["text"] == "this principal may not WRITE"
    assert found[f"group '{topic}'"]["text"] == "this principal may not READ"
    assert f"topic '{topic}'" not in found


def test_an_input_that_may_not_be_described_is_told(
    secured: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], unique: Any
) -> None:
    topic = unique("hidden")
    with kafka_log(secured) as log:
        log.create_topics([TopicSpec(topic, 1)])
    code, found = doctor(tmp_path, capsys, topic, secured.client_properties_of("alice"))
    assert (code, found["topology"]["severity"]) == (3, "wrong")
    assert f"topic '{topic}': not authorised (TOPIC_AUTHORIZATION_FAILED)" in found["not seen"]["text"]


def test_a_transaction_of_an_id_that_may_not_be_described_is_not_called_lost(
    secured: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str], unique: Any
) -> None:
    topic = unique("others")
    with kafka_log(secured) as log:
        log.create_topics([TopicSpec(topic, 1), TopicSpec(f"{topic}-out", 1)])
    allow(secured, "alice", "topic", topic, "READ", "DESCRIBE_CONFIGS")
    allow(secured, "alice", "topic", f"{topic}-out", "WRITE", "DESCRIBE_CONFIGS")
    allow(secured, "alice", "group", topic, "READ")
    record = JavaRecord(b"k", b"v", partition=0)
    secured.produce_with_java(topic, [record], transactional_id=topic, end="open")
    try:
        code, found = doctor(tmp_path, capsys, topic, secured.client_properties_of("alice"))
    finally:
        secured.produce_with_java(topic, [], transactional_id=topic)
    told = found[f"partition 0 of topic '{topic}'"]
    assert (code, told["severity"]) == (0, "note")
    assert "no coordinator tells of it" in told["text"]
