"""What the memory log and the embedded log promise beyond the port: nobody else is there, and nothing takes time."""

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.port import CommittedOffset, Log, TopicSpec
from tests.log.records import columns_of, create, numbered, read, write

A0 = TopicPartition("a", 0)


def test_poll_has_at_once_what_was_committed(own_log: Log) -> None:
    create(own_log, "a")
    write(own_log, "a", numbered(2))
    reader = own_log.reader()
    reader.assign({A0: 0})
    assert reader.end(A0) == 2
    (chunk,) = reader.poll(0)
    assert chunk.values == [b"v0", b"v1"]


def test_timestamps_may_be_any(own_log: Log) -> None:
    create(own_log, "a")
    columns = Columns()
    for timestamp in (-1, 2**62):
        columns.append(b"k", b"v", timestamp, ())
    write(own_log, "a", columns)
    reader = own_log.reader()
    reader.assign({A0: 0})
    (chunk,) = reader.poll(0)
    assert chunk.timestamps == [-1, 2**62]


def test_open_and_aborted_records_take_no_offsets(own_log: Log) -> None:
    create(own_log, "a")
    writer = own_log.writer("g")
    writer.append("a", 0, numbered(2))
    assert own_log.end_offsets([A0], committed=False) == {A0: 0}
    writer.abort()
    writer.append("a", 0, numbered(1, first=5))
    assert writer.commit({}) == {A0: 1}
    assert read(own_log, "a") == [(0, b"v5")]
    assert own_log.end_offsets([A0]) == {A0: 1}


def test_partitions_take_turns_poll_by_poll(own_log: Log) -> None:
    create(own_log, "a", 8)
    for partition in range(8):
        for _ in range(2):
            write(own_log, "a", columns_of([(b"k", bytes(1_100_000))]), partition)
    reader = own_log.reader()
    reader.assign({TopicPartition("a", partition): 0 for partition in range(8)})
    first = {chunk.partition for chunk in reader.poll(0)}
    second = {chunk.partition for chunk in reader.poll(0)}
    assert (first, second) == ({0, 1, 2, 3}, {4, 5, 6, 7})


def test_deletion_reaches_the_end_at_most(own_log: Log) -> None:
    create(own_log, "a")
    write(own_log, "a", numbered(4))
    own_log.delete_records({A0: 99})
    assert own_log.beginning_offsets([A0]) == {A0: 4}
    assert write(own_log, "a", numbered(1)) == 5


def test_config_is_what_was_given(own_log: Log) -> None:
    create(own_log, "a", 3, retention_ms="5")
    assert own_log.topics()["a"].config == {"retention.ms": "5"}


def test_creating_with_another_partition_count_creates_nothing(own_log: Log) -> None:
    create(own_log, "a", 2)
    with pytest.raises(LogError, match=r"with 3 partitions: it exists with 2"):
        own_log.create_topics([TopicSpec("b", 1), TopicSpec("a", 3)])
    assert list(own_log.topics()) == ["a"]


def test_committed_offsets_go_with_their_topic(own_log: Log) -> None:
    create(own_log, "a")
    own_log.writer("g").commit({A0: CommittedOffset(3)})
    own_log.delete_topics(["a"])
    assert own_log.topics() == {}
    create(own_log, "a")
    assert own_log.committed("g", [A0]) == {}
