"""What the memory log has beyond the port: tests look into it."""

import pytest

from headrace.base.errors import UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.log.memory import MemoryLog
from tests.log.records import columns_of, create, numbered, write


def test_records_of_a_topic_are_listed_by_partition_and_offset() -> None:
    log = MemoryLog()
    create(log, "a", 2)
    write(log, "a", columns_of([(b"k", b"2")], timestamp=9, headers=(("h", b"x"),)), partition=1)
    write(log, "a", numbered(3))
    log.delete_records({TopicPartition("a", 0): 2})
    assert log.records("a") == [(0, 2, b"k2", b"v2", 0, ()), (1, 0, b"k", b"2", 9, (("h", b"x"),))]


def test_records_of_an_unknown_topic_are_an_error() -> None:
    with pytest.raises(UnknownTopicError):
        MemoryLog().records("a")


def test_topic_ids_are_the_same_in_every_run() -> None:
    log = MemoryLog()
    create(log, "a")
    assert log.topics()["a"].id == "memory-1"
