"""Offsets that are committed as a member of a group: taken from who is one, refused from who is none any more."""

import threading
from functools import partial

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import StaleMemberEpochError, TransactionAbortedError
from headrace.base.ids import TopicPartition
from headrace.log.membership import MemberIdentity
from headrace.log.port import CommittedOffset, Writer
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from tests.kafka.group.conftest import PROTOCOLS, SESSION_S, Group, NewGroup, Protocol
from tests.kafka.group.members import Worker, shared, until
from tests.kafka.group.test_members_broker import ON, KafkaOf

pytestmark = pytest.mark.broker


def member_of(group: Group) -> MemberIdentity:
    worker = group.join("only")
    until(shared(group.application, worker))
    member = worker.membership.member
    assert member is not None
    return member


def append(writer: Writer, topic: str, value: bytes) -> None:
    columns = Columns()
    columns.append(b"k", value, 1, ())
    writer.append(topic, 0, columns)


def values(group: Group, place: TopicPartition) -> list[bytes | None]:
    reader = group.log.reader()
    reader.assign({place: 0})
    end = group.log.end_offsets([place])[place]
    found: list[bytes | None] = []
    while reader.position(place) < end:
        for chunk in reader.poll(100):
            found += chunk.values
    reader.close()
    return found


def state_of(group: Group) -> str:
    found = group.log.groups.describe(group.name)
    return "" if found is None else found.state


def has_another_epoch(worker: Worker, member: MemberIdentity) -> bool:
    return worker.membership.member != member


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("is_transactional", [False, True])
def test_who_is_told_to_be_a_member_commits_as_it_and_nobody_else_does(
    protocol: Protocol, is_transactional: bool, new_group: NewGroup
) -> None:
    group = new_group(protocol)
    (topic,) = group.application.partitions
    place = TopicPartition(topic, 0)
    writer = group.log.writer(group.name, f"{group.name}-1" if is_transactional else None)
    member = member_of(group)
    writer.commit({place: CommittedOffset(3)}, member)
    assert group.log.committed(group.name, [place])[place].offset == 3
    with pytest.raises(TransactionAbortedError):
        writer.commit({place: CommittedOffset(7)}, member._replace(member_id="gone"))
    writer.abort()
    writer.commit({place: CommittedOffset(4)}, member)
    assert group.log.committed(group.name, [place])[place].offset == 4
    writer.close()


@ON
@pytest.mark.parametrize("is_transactional", [False, True])
def test_what_was_refused_for_its_epoch_is_committed_as_the_member_of_the_right_one(
    protocol: Protocol, version: str, is_transactional: bool, kafka_of: KafkaOf, new_group: NewGroup
) -> None:
    group = new_group(protocol, kafka=kafka_of(version))
    (topic,) = group.application.partitions
    place = TopicPartition(topic, 0)
    writer = group.log.writer(group.name, f"{group.name}-1" if is_transactional else None)
    member = member_of(group)
    append(writer, topic, b"before")
    with pytest.raises(StaleMemberEpochError):
        writer.commit({place: CommittedOffset(3)}, member._replace(epoch=member.epoch + 1))
    append(writer, topic, b"after")
    assert writer.commit({place: CommittedOffset(4)}, member)[place] == 2
    assert group.log.committed(group.name, [place])[place].offset == 4
    assert values(group, place) == [b"before", b"after"]
    with pytest.raises(StaleMemberEpochError):
        writer.commit({place: CommittedOffset(5)}, member._replace(epoch=member.epoch + 1))
    writer.abort()
    assert group.log.committed(group.name, [place])[place].offset == 4
    writer.close()


@pytest.mark.parametrize("version", [KAFKA_VERSION, "3.9.2"])
@pytest.mark.parametrize("is_transactional", [False, True])
def test_who_waits_for_the_others_to_join_commits_meanwhile(
    version: str, is_transactional: bool, kafka_of: KafkaOf, new_group: NewGroup
) -> None:
    """The others hear of it with their next heartbeat: most of what a rebalance takes. One of them is late here."""
    group = new_group("classic", kafka=kafka_of(version))
    (topic,) = group.application.partitions
    place = TopicPartition(topic, 0)
    first, second = group.join("first"), group.join("second")
    until(shared(group.application, first, second))
    member = first.membership.member
    assert member is not None
    writer = group.log.writer(group.name, f"{group.name}-1" if is_transactional else None)
    is_late, may_join = threading.Event(), threading.Event()

    def be_late(now: float) -> None:
        is_late.set()
        may_join.wait(SESSION_S / 2)

    second.membership._loop.post(be_late)
    is_late.wait()
    first.membership.rejoin()
    until(lambda: state_of(group) == "PreparingRebalance")
    append(writer, topic, b"before")
    writer.commit({place: CommittedOffset(1)}, member)
    assert state_of(group) == "PreparingRebalance"
    may_join.set()
    until(partial(has_another_epoch, first, member))
    append(writer, topic, b"after")
    with pytest.raises(StaleMemberEpochError):
        writer.commit({place: CommittedOffset(2)}, member)
    until(shared(group.application, first, second))
    writer.commit({place: CommittedOffset(2)}, first.membership.member)
    assert values(group, place) == [b"before", b"after"]
    writer.close()
