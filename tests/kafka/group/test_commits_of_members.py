"""Offsets that are committed as a member of a group: taken from who is one, refused from who is none any more."""

import pytest

from headrace.base.errors import TransactionAbortedError
from headrace.base.ids import TopicPartition
from headrace.log.membership import MemberIdentity
from headrace.log.port import CommittedOffset
from tests.kafka.group.conftest import PROTOCOLS, Group, NewGroup, Protocol
from tests.kafka.group.members import shared, until

pytestmark = pytest.mark.broker


def member_of(group: Group) -> MemberIdentity:
    worker = group.join("only")
    until(shared(group.application, worker))
    member = worker.membership.member
    assert member is not None
    return member


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
    for gone in (member._replace(member_id="gone"), member._replace(epoch=member.epoch + 1)):
        with pytest.raises(TransactionAbortedError):
            writer.commit({place: CommittedOffset(7)}, gone)
        writer.abort()
    writer.commit({place: CommittedOffset(4)}, member)
    assert group.log.committed(group.name, [place])[place].offset == 4
    writer.close()
