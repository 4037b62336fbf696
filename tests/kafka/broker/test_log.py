"""The control plane of a real cluster through the log port: topics, offsets, groups, rights, and restarts."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from headrace.base.columns import Columns
from headrace.base.errors import LogError, StateError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.kafka.log import KafkaLog
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.log.port import CommittedOffset, TopicSpec
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from tests.kafka.broker.acls import allow
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]
OpenLog = Callable[..., KafkaLog]


@pytest.fixture
def open_log() -> Iterator[OpenLog]:
    opened: list[KafkaLog] = []

    def make(kafka: LocalKafka, user: str | None = None, **properties: object) -> KafkaLog:
        given = kafka.client_properties if user is None else kafka.client_properties_of(user)
        named = {
            "bootstrap.servers": kafka.bootstrap_servers,
            **given,
            **{name.replace("_", "."): value for name, value in properties.items()},
        }
        opened.append(KafkaLog(ConnectionSettings.of(named), KafkaOptions.of(named)))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


@pytest.fixture
def log(broker: LocalKafka, open_log: OpenLog) -> KafkaLog:
    return open_log(broker)


def test_a_created_topic_is_there_with_its_properties(log: KafkaLog, unique: Unique) -> None:
    name = unique("topic")
    log.create_topics([TopicSpec(name, 3, {"cleanup.policy": "compact", "segment.ms": "60000"})])
    (found,) = log.topics([name, unique("missing")]).values()
    assert (found.name, found.partitions, len(found.id)) == (name, 3, 36)
    assert found.config == {
        "cleanup.policy": "compact",
        "segment.ms": "60000",
        "delete.retention.ms": "86400000",
        "max.message.bytes": "1048588",
        "message.timestamp.after.max.ms": "3600000",
        "message.timestamp.before.max.ms": "9223372036854775807",
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1",
    }


def test_all_topics_are_told_without_kafkas_own(log: KafkaLog, new_topic: NewTopic, unique: Unique) -> None:
    topic = new_topic()
    log.committed(unique("group"), [TopicPartition(topic, 0)])
    names = log.topics().keys()
    assert topic in names
    assert "__consumer_offsets" not in names


def test_no_names_are_no_topics(log: KafkaLog) -> None:
    assert log.topics([]) == {}


def test_a_topic_may_be_created_again_with_the_same_count_only(log: KafkaLog, unique: Unique) -> None:
    name = unique("topic")
    log.create_topics([TopicSpec(name, 2)])
    log.create_topics([TopicSpec(name, 2)])
    with pytest.raises(
        LogError, match="with 3 partitions: it exists with 2; ask for 2, or delete the topic first"
    ):
        log.create_topics([TopicSpec(name, 3)])


def test_a_topic_that_is_made_again_has_another_id(log: KafkaLog, unique: Unique) -> None:
    name = unique("topic")
    log.create_topics([TopicSpec(name, 1)])
    first = log.topics([name])[name].id
    log.delete_topics([name, unique("missing")])
    assert log.topics([name]) == {}
    log.create_topics([TopicSpec(name, 1)])
    assert log.topics([name])[name].id != first


@pytest.mark.parametrize(
    ("name", "config", "properties", "said"),
    [
        (
            "t",
            {"no.such.property": "1"},
            {},
            "INVALID_CONFIG: Unknown topic config name: no.such.property; correct the topic's properties",
        ),
        ("t?", {}, {}, "may only have letters, digits, '.', '_' and '-'; choose another one"),
        (
            "t",
            {},
            {"replication_factor": 2},
            "set replication.factor to at most the number of brokers, or to -1",
        ),
        (
            "t",
            {"cleanup.policy": "burn"},
            {},
            "cleanup.policy is 'burn'; use delete, compact or compact,delete",
        ),
    ],
)
def test_a_refused_topic_says_what_to_change(
    broker: LocalKafka,
    open_log: OpenLog,
    unique: Unique,
    name: str,
    config: dict[str, str],
    properties: dict[str, object],
    said: str,
) -> None:
    with pytest.raises(LogError) as failed:
        open_log(broker, **properties).create_topics([TopicSpec(unique("x") + name, 1, config)])
    assert said in str(failed.value)


def test_offsets_of_a_topic_are_found_by_place_and_by_time(
    broker: LocalKafka, log: KafkaLog, new_topic: NewTopic
) -> None:
    topic = new_topic(partitions=2)
    records = [JavaRecord(value=b"v", timestamp=time, partition=0) for time in (1000, 2000, 3000)]
    broker.produce_with_java(topic, records)
    full, empty = TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert log.beginning_offsets([full, empty]) == {full: 0, empty: 0}
    assert log.end_offsets([full, empty]) == {full: 3, empty: 0}
    assert log.offsets_for_times({full: 1500, empty: 0}) == {full: 1, empty: 0}
    assert log.offsets_for_times({full: 3001}) == {full: 3}
    assert log.offsets_for_times({full: -5}) == {full: 0}


def test_an_open_transaction_is_beyond_the_committed_end(
    broker: LocalKafka, log: KafkaLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic, transaction = new_topic(), unique("tx")
    topic_partition = TopicPartition(topic, 0)
    broker.produce_with_java(topic, [JavaRecord(value=b"v")], transactional_id=transaction, end="open")
    assert log.end_offsets([topic_partition]) == {topic_partition: 0}
    assert log.end_offsets([topic_partition], committed=False) == {topic_partition: 1}
    broker.produce_with_java(topic, [JavaRecord(value=b"w")], transactional_id=transaction)


def test_unknown_topics_and_partitions_have_no_offsets(
    log: KafkaLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic = new_topic()
    with pytest.raises(UnknownTopicError, match=f"cannot find the end of partition 5 of topic '{topic}'"):
        log.end_offsets([TopicPartition(topic, 5)])
    with pytest.raises(UnknownTopicError, match="cannot find the start of topic"):
        log.beginning_offsets([TopicPartition(unique("missing"), 0)])


def test_committed_offsets_come_back_with_their_metadata(
    log: KafkaLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic, group = new_topic(partitions=2), unique("group")
    topic_partitions = [
        TopicPartition(topic, 0),
        TopicPartition(topic, 1),
        TopicPartition(unique("missing"), 0),
    ]
    assert log.committed(group, topic_partitions) == {}
    writer = log.writer(group, unique("tx"))
    try:
        writer.commit({topic_partitions[1]: CommittedOffset(7, "AgAAAA")})
    finally:
        writer.close()
    assert log.committed(group, topic_partitions) == {topic_partitions[1]: CommittedOffset(7, "AgAAAA")}


def test_partition_that_is_added_under_a_writer_can_be_written_to(
    broker: LocalKafka, log: KafkaLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic = new_topic()
    columns = Columns()
    columns.append(b"k", b"v", 0, ())
    writer = log.writer(unique("group"), unique("tx"))
    try:
        writer.append(topic, 0, columns)
        writer.commit({})
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result()
        while log.topics([topic])[topic].partitions < 3:
            pass
        writer.append(topic, 2, columns)
        assert writer.commit({}) == {TopicPartition(topic, 2): 1}
    finally:
        writer.close()


def test_records_are_dropped_below_an_offset(
    broker: LocalKafka, log: KafkaLog, new_topic: NewTopic, caplog: pytest.LogCaptureFixture
) -> None:
    topic, compacted = new_topic(), new_topic(config={"cleanup.policy": "compact"})
    for name in (topic, compacted):
        broker.produce_with_java(name, [JavaRecord(b"k", b"v")] * 3)
    topic_partitions = [TopicPartition(topic, 0), TopicPartition(compacted, 0)]
    log.delete_records({topic_partitions[0]: 2, topic_partitions[1]: 2})
    assert log.beginning_offsets(topic_partitions) == {topic_partitions[0]: 2, topic_partitions[1]: 0}
    assert caplog.records == []


def test_dropping_records_of_a_missing_topic_is_warned_of_once(
    log: KafkaLog, unique: Unique, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        log.delete_records({TopicPartition(unique("missing"), 0): 5})
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "processed records stay until retention takes them: cannot delete records of" in caplog.text


def test_threads_share_a_log(log: KafkaLog, new_topic: NewTopic) -> None:
    topic = new_topic(partitions=4)
    found: list[int] = []

    def ask(number: int) -> None:
        for _ in range(10):
            found.extend(log.end_offsets([TopicPartition(topic, number)]).values())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 40


def test_a_closed_log_says_so(broker: LocalKafka, open_log: OpenLog) -> None:
    log = open_log(broker)
    log.close()
    log.close()
    with pytest.raises(StateError, match="cannot look up topics: the log is closed; open it again"):
        log.topics()


def test_a_killed_leader_is_replaced(cluster: LocalKafka, open_log: OpenLog, unique: Unique) -> None:
    log, name = open_log(cluster), unique("topic")
    log.create_topics([TopicSpec(name, 3)])
    topic_partitions = [TopicPartition(name, number) for number in range(3)]
    group = unique("group")
    assert log.end_offsets(topic_partitions) == dict.fromkeys(topic_partitions, 0)
    assert log.committed(group, topic_partitions) == {}
    cluster.kill_broker(cluster.leader(name, 0))
    assert log.end_offsets(topic_partitions) == dict.fromkeys(topic_partitions, 0)
    assert log.committed(group, topic_partitions) == {}


def test_missing_rights_are_said_with_operation_and_resource(
    secured: LocalKafka, open_log: OpenLog, new_topic: NewTopic, unique: Unique
) -> None:
    topic, log = new_topic(kafka=secured), open_log(secured, "alice")
    topic_partition = TopicPartition(topic, 0)
    told = (
        "TOPIC_AUTHORIZATION_FAILED); allow this principal to DESCRIBE the topic (READ for an input and WRITE for an "
        "output include that)"
    )
    with pytest.raises(LogError) as failed:
        log.topics([topic])
    assert f"cannot look up topic '{topic}': topic '{topic}': not authorised ({told}" == str(failed.value)
    with pytest.raises(LogError) as failed:
        log.end_offsets([topic_partition])
    assert str(failed.value).endswith(told)
    with pytest.raises(LogError) as failed:
        log.create_topics([TopicSpec(unique("new"), 1)])
    assert "allow this principal to CREATE the topic" in str(failed.value)
    group = unique("group")
    with pytest.raises(LogError) as failed:
        log.committed(group, [topic_partition])
    assert f"cannot read the committed offsets of group '{group}'" in str(failed.value)
    assert "allow this principal to DESCRIBE the group" in str(failed.value)
    with pytest.raises(LogError) as failed:
        log.groups.describe(group)
    assert "allow this principal to DESCRIBE the group" in str(failed.value)


def test_without_the_right_to_read_properties_there_are_none_and_one_warning(
    secured: LocalKafka, open_log: OpenLog, new_topic: NewTopic, caplog: pytest.LogCaptureFixture
) -> None:
    topic = new_topic(kafka=secured)
    allow(secured, "alice", "topic", topic, "READ", "DESCRIBE")
    log = open_log(secured, "alice")
    with caplog.at_level(logging.INFO, "headrace"):
        for _ in range(2):
            (found,) = log.topics([topic]).values()
    assert (found.partitions, found.config) == (1, {})
    assert [record.levelname for record in caplog.records if record.name.startswith("headrace")] == [
        "WARNING"
    ]
    assert "allow this principal to DESCRIBE_CONFIGS the topic" in caplog.text
    assert log.end_offsets([TopicPartition(topic, 0)]) == {TopicPartition(topic, 0): 0}


def test_the_right_to_create_is_enough_to_create(
    secured: LocalKafka, open_log: OpenLog, unique: Unique
) -> None:
    name = unique("topic")
    allow(secured, "alice", "topic", name, "CREATE", "DESCRIBE")
    log = open_log(secured, "alice")
    log.create_topics([TopicSpec(name, 2)])
    assert log.topics([name])[name].partitions == 2
