"""What the memory log and the embedded log promise beyond the port: nobody else is there, and nothing takes time."""

from typing import Any

import pytest

from headrace.base.errors import InvalidTopicError, LogError, SerializationError
from headrace.base.ids import TopicPartition
from headrace.log.port import CommittedOffset, Log, TopicSpec
from tests.log.records import columns_of, create, drain, numbered, read, write

A0 = TopicPartition("a", 0)


def test_poll_has_at_once_what_was_committed(own_log: Log) -> None:
    create(own_log, "a")
    write(own_log, "a", numbered(2))
    reader = own_log.reader()
    reader.assign({A0: 0})
    assert reader.end(A0) == 2
    (chunk,) = reader.poll(0)
    assert chunk.values == [b"v0", b"v1"]


def test_text_is_not_taken(own_log: Log) -> None:
    create(own_log, "a")
    columns = numbered(1)
    columns.values[0] = "text"
    writer = own_log.writer("g")
    assert not writer.takes_text
    with pytest.raises(SerializationError, match="str"):
        writer.append("a", 0, columns)


def test_new_writer_and_reader_know_a_topic_that_was_made_again_with_more_partitions(own_log: Log) -> None:
    create(own_log, "a")
    own_log.topics(["a"])
    write(own_log, "a", numbered(2))
    own_log.delete_topics(["a"])
    own_log.create_topics([TopicSpec("a", 2)])
    write(own_log, "a", numbered(1), 1)
    reader = own_log.reader()
    reader.assign({A0: 0, TopicPartition("a", 1): 0})
    assert [(chunk.partition, chunk.values) for chunk in reader.poll(0)] == [(1, [b"v0"])]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"retention_ms": "1000"},
        {"retention_ms": str(2**63 - 1)},
        {"cleanup_policy": "compact", "delete_retention_ms": str(2**63 - 1)},
        {"cleanup_policy": "compact", "min_compaction_lag_ms": str(2**63 - 1)},
        {"cleanup_policy": "compact,delete", "retention_ms": "1000"},
    ],
    ids=str,
)
def test_timestamps_may_be_any_of_64_bits(own_log: Log, config: dict[str, str]) -> None:
    own_log.create_topics(
        [TopicSpec("a", 1, {name.replace("_", "."): text for name, text in config.items()})]
    )
    times = [2**63 - 1, 0, -1, -(2**63), 2**63 - 2]
    for number, time in enumerate(times):
        write(own_log, "a", columns_of([(b"k%d" % number, b"v")], timestamp=time))
    own_log.maintain(60_000)
    reader = own_log.reader()
    reader.assign({A0: 0})
    assert [row[5] for row in drain(reader)] == times
    assert [own_log.offsets_for_times({A0: time})[A0] for time in (-(2**63), 0, 2**63 - 1)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("timestamp", "headers", "said"),
    [
        (2**63, (), "a timestamp is of more than 64 bits"),
        (-(2**63) - 1, (), "a timestamp is of more than 64 bits"),
        (1.5, (), "a timestamp is of type float"),
        (0, (("h", "text"),), "a header is "),
        (0, ((1, b"v"),), "a header is "),
        (0, (("h", b"v", b"w"),), "a header is "),
    ],
)
def test_what_nobody_could_read_again_is_not_appended(
    own_log: Log, timestamp: Any, headers: Any, said: str
) -> None:
    create(own_log, "a")
    writer = own_log.writer("g")
    with pytest.raises(SerializationError, match=f"cannot append to topic 'a': {said}"):
        writer.append("a", 0, columns_of([(b"k", b"v")], timestamp=timestamp, headers=headers))
    with pytest.raises(SerializationError, match=f"cannot append to topic 'a': {said}"):
        writer.append("a", 0, columns_of([(b"k", b"v")] * 2_000, timestamp=timestamp, headers=headers))
    writer.append("a", 0, numbered(1))
    assert writer.commit({}) == {A0: 1}


def test_offset_and_name_of_a_class_of_their_own_are_stored_as_plain_ones(own_log: Log) -> None:
    class Name(str):
        __slots__ = ()

    create(own_log, Name("a"))
    own_log.writer(Name("g")).commit({A0: CommittedOffset(True)})
    assert own_log.committed("g", [A0]) == {A0: CommittedOffset(1)}
    assert list(own_log.topics(["a"])) == ["a"]


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


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        (".", "cannot be a dot or two"),
        ("..", "cannot be a dot or two"),
        ("a b", "may only have letters, digits"),
        ("a/b", "may only have letters, digits"),
        ("ä", "may only have letters, digits"),
        ("a" * 250, "has 250 characters, and at most 249 are possible"),
    ],
)
def test_name_that_kafka_refuses_is_refused(own_log: Log, name: str, said: str) -> None:
    with pytest.raises(InvalidTopicError, match=f"cannot create a topic: the name '{name}' {said}"):
        create(own_log, name)
    assert own_log.topics() == {}


def test_names_that_differ_in_dots_and_underscores_only_are_refused_as_by_kafka(own_log: Log) -> None:
    create(own_log, "a.b_c")
    create(own_log, "a.b_c")
    with pytest.raises(
        InvalidTopicError, match=r"cannot create topic 'a_b\.c': there is 'a\.b_c', which differs in"
    ):
        create(own_log, "a_b.c")
    with pytest.raises(InvalidTopicError, match=r"cannot create topic 'x_y': there is 'x\.y'"):
        own_log.create_topics([TopicSpec("x.y", 1), TopicSpec("x_y", 1)])
    assert list(own_log.topics()) == ["a.b_c"]
    own_log.delete_topics(["a.b_c"])
    create(own_log, "a_b.c")
    assert list(own_log.topics()) == ["a_b.c"]


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
