"""Groups with members as they are seen from outside, on real brokers, in both protocols."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import confluent_kafka
import pytest
from confluent_kafka import Consumer, Producer

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.groups import CommittedOffset
from headrace.testing import LocalKafka
from tests.cli.conftest import Command
from tests.kafka.broker.conftest import command  # noqa: F401 - a fixture
from tests.kafka.conftest import NewTopic
from tests.kafka.group.conftest import AT_ONCE, PROTOCOLS, SESSION_S, Group, NewGroup, Protocol
from tests.kafka.group.members import shared, until
from tests.kafka.group.test_members_broker import ON, KafkaOf
from tests.kafka.java.both_sides import kafka_log

pytestmark = pytest.mark.broker

both = pytest.mark.parametrize("protocol", PROTOCOLS)


@ON
def test_members_are_told_with_their_tasks_and_where_they_are(
    protocol: Protocol, version: str, kafka_of: KafkaOf, new_group: NewGroup
) -> None:
    group = new_group(protocol, kafka=kafka_of(version), client_id="shop", client_rack="rack-1")
    (topic,) = group.application.source_topics
    process_id = str(uuid.uuid4())
    first = group.join("first", process_id, endpoint=("one", 1))
    second = group.join("second")
    until(shared(group.application, first, second))
    found = group.log.groups.describe(group.name)
    assert found is not None
    assert (found.kind, found.state) == (protocol, "Stable")
    assert len(found.members) == 2
    (one,) = [member for member in found.members if member.process_id == process_id]
    assert (one.roles, one.endpoint, one.host) == (first.roles, ("one", 1), "/127.0.0.1")
    assert one.client_id.startswith("shop")
    assert {member.roles for member in found.members} == {first.roles, second.roles}
    if protocol == "streams":
        assert (one.rack, one.epoch, found.epoch) == (
            "rack-1",
            found.assignment_epoch,
            found.assignment_epoch,
        )
        assert one.target == first.roles
        (part,) = found.subtopologies
        assert (part.id, part.source_topics) == (0, frozenset({topic}))
    else:
        assert found.protocol == "headrace-tasks"
        assert one.partitions == tuple(
            TopicPartition(topic, task.partition) for task in sorted(first.roles.active)
        )


@both
def test_a_group_with_members_is_not_deleted_nor_given_offsets(
    protocol: Protocol, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    first = group.join("first")
    until(shared(group.application, first))
    (topic,) = group.application.source_topics
    place = TopicPartition(topic, 0)
    with pytest.raises(LogError, match=r"UNKNOWN_MEMBER_ID; somebody is in the group: stop it first"):
        group.log.groups.commit(group.name, {place: CommittedOffset(1)})
    with pytest.raises(LogError, match=r"NON_EMPTY_GROUP.*it has members: stop them first"):
        group.log.groups.delete(group.name)
    first.leave()
    group.log.groups.delete(group.name)
    assert group.log.groups.describe(group.name) is None


def test_a_streams_group_keeps_its_topology_when_all_have_left(new_group: NewGroup) -> None:
    group = new_group("streams")
    first = group.join("first")
    until(shared(group.application, first))
    first.leave()
    found = group.log.groups.describe(group.name)
    assert found is not None
    assert (found.state, found.members) == ("Empty", ())
    assert [part.source_topics for part in found.subtopologies] == [group.application.source_topics]


def test_what_was_set_on_a_group_outlives_it(new_group: NewGroup) -> None:
    group = new_group("streams")
    assert group.log.groups.config(group.name) == AT_ONCE
    group.log.groups.delete(group.name)
    assert group.log.groups.config(group.name) == AT_ONCE


def test_brokers_that_know_no_properties_of_groups_have_none(kafka_of: KafkaOf, new_group: NewGroup) -> None:
    group = new_group("classic", kafka=kafka_of("3.9.2"))
    assert group.log.groups.config(group.name) == {}


def test_groups_of_all_coordinators_are_listed_and_each_is_found(
    cluster: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str]
) -> None:
    place = TopicPartition(new_topic(kafka=cluster), 0)
    names = sorted(unique("group") for _ in range(9))  # of 50 partitions of three brokers
    with kafka_log(cluster) as log:
        for number, name in enumerate(names):
            log.groups.commit(name, {place: CommittedOffset(number)})
        found = [each for each in log.groups.list() if each.name in names]
        assert [(each.name, each.kind, each.state) for each in found] == [
            (name, "classic", "Empty") for name in names
        ]
        for number, name in enumerate(names):
            assert log.groups.committed(name) == {place: CommittedOffset(number)}
            log.groups.delete(name)
        assert not {each.name for each in log.groups.list()} & set(names)


@both
def test_a_static_member_is_taken_out_by_the_name_of_its_instance(
    protocol: Protocol,
    new_group: NewGroup,
    command: Command,  # noqa: F811
) -> None:
    group = new_group(protocol)
    first, second = group.join("first", instance_id="one"), group.join("second", instance_id="two")
    until(shared(group.application, first, second))
    second.kill()
    ran = command("groups", "remove", group.name, "three")
    assert (ran.code, "has no member 'three'; in it is" in ran.err, "instance two" in ran.err) == (
        1,
        True,
        True,
    )
    ran = command("groups", "remove", group.name, "two")
    assert ran.code == 0, ran.err
    assert until(shared(group.application, first)) < SESSION_S - 0.5


def test_there_is_no_group_before_its_first_member(new_group: NewGroup) -> None:
    for protocol in PROTOCOLS:
        group = new_group(protocol, is_configured=False)
        assert group.log.groups.describe(group.name) is None


def test_offsets_of_an_open_transaction_are_waited_for_unless_told_otherwise(new_group: NewGroup) -> None:
    group = new_group("classic", default_api_timeout_ms=1_000)
    (topic,) = group.application.source_topics
    place = TopicPartition(topic, 0)
    group.log.groups.commit(group.name, {place: CommittedOffset(1)})
    with another_ones_transaction(group, place):
        assert group.log.groups.committed(group.name, waits=False) == {place: CommittedOffset(1)}
        with pytest.raises(LogError, match="UNSTABLE_OFFSET_COMMIT"):
            group.log.groups.committed(group.name)
    assert group.log.groups.committed(group.name) == {place: CommittedOffset(1)}


@contextmanager
def another_ones_transaction(group: Group, place: TopicPartition) -> Iterator[None]:
    """Keep a transaction open that commits offset 2."""
    servers = {"bootstrap.servers": ",".join(group.settings.bootstrap_servers)}
    consumer = Consumer(servers | {"group.id": group.name})
    producer = Producer(servers | {"transactional.id": f"{group.name}-other"})
    producer.init_transactions()
    producer.begin_transaction()
    offsets = [confluent_kafka.TopicPartition(*place, 2)]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
    try:
        yield
    finally:
        producer.abort_transaction()
        consumer.close()
