"""Groups as every log shows them to tools: which there are, what they have committed, and that they can be deleted."""

import itertools

import pytest

from headrace.base.errors import UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.log.groups import CommittedOffset, DescribedGroup
from headrace.log.port import Log, TopicSpec

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)
_NUMBERS = itertools.count()


@pytest.fixture
def group(log: Log) -> str:
    """A group that has committed, and whose name no other test has had."""
    log.create_topics([TopicSpec("a", 2), TopicSpec("b", 1)])
    name = f"groups-{next(_NUMBERS)}"
    log.groups.commit(name, {B0: CommittedOffset(3), A1: CommittedOffset(7, "text"), A0: CommittedOffset(0)})
    return name


@pytest.mark.older_kafka
def test_what_a_group_has_committed_is_told_of_all_partitions(log: Log, group: str) -> None:
    everything = {A0: CommittedOffset(0), A1: CommittedOffset(7, "text"), B0: CommittedOffset(3)}
    assert list(log.groups.committed(group).items()) == list(everything.items())
    assert log.groups.committed(group, waits=False) == everything
    assert log.groups.committed(f"not-{group}") == {}


@pytest.mark.older_kafka
def test_a_group_is_there_once_it_has_committed_and_gone_when_it_is_deleted(log: Log, group: str) -> None:
    (listed,) = [each for each in log.groups.list() if each.name == group]
    described = log.groups.describe(group)
    assert described == DescribedGroup(name=group, kind=listed.kind, state="Empty")
    log.groups.delete(group)
    assert log.groups.describe(group) is None
    assert group not in [each.name for each in log.groups.list()]
    assert log.groups.committed(group) == {}
    log.groups.delete(group)  # which is no error


def test_the_offsets_of_other_groups_stay_when_one_is_deleted(log: Log, group: str) -> None:
    other = f"{group}-other"
    log.groups.commit(other, {A0: CommittedOffset(1)})
    log.groups.delete(group)
    assert log.groups.committed(other) == {A0: CommittedOffset(1)}


def test_a_group_that_was_deleted_begins_anew(log: Log, group: str) -> None:
    log.groups.delete(group)
    log.groups.commit(group, {A0: CommittedOffset(5)})
    assert log.groups.committed(group) == {A0: CommittedOffset(5)}


def test_offsets_are_replaced_one_by_one_and_with_none_nothing_happens(log: Log, group: str) -> None:
    log.groups.commit(group, {A0: CommittedOffset(5)})
    log.groups.commit(group, {})
    assert log.groups.committed(group)[A0] == CommittedOffset(5)
    assert log.groups.committed(group)[A1] == CommittedOffset(7, "text")


def test_an_offset_of_a_topic_that_is_not_there_is_refused(log: Log, group: str) -> None:
    with pytest.raises(UnknownTopicError, match="commit an offset of"):
        log.groups.commit(group, {TopicPartition("missing", 0): CommittedOffset(1)})


def test_a_group_has_no_properties_unless_they_were_set(log: Log, group: str) -> None:
    assert log.groups.config(group) == {}
