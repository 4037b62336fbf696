"""What every log does: the memory log and the embedded log give the same."""

import threading

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import LogError, SerializationError, StateError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.log.port import CommittedOffset, Log, TopicSpec
from tests.log.records import columns_of, create, drain, numbered, read, write

A0 = TopicPartition("a", 0)
A1 = TopicPartition("a", 1)
B0 = TopicPartition("b", 0)


def test_committed_records_are_read_in_order_with_all_their_parts(log: Log) -> None:
    create(log, "a")
    columns = Columns()
    columns.append(b"k", b"v", 7, (("h", b"1"), ("h", None)))
    columns.append(None, None, -1, ())
    columns.append(b"", b"", 2**62, ())
    assert write(log, "a", columns) == 3
    reader = log.reader()
    reader.assign({A0: 0})
    assert drain(reader) == [
        ("a", 0, 0, b"k", b"v", 7, (("h", b"1"), ("h", None))),
        ("a", 0, 1, None, None, -1, ()),
        ("a", 0, 2, b"", b"", 2**62, ()),
    ]


def test_chunk_without_headers_says_so(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(2))
    reader = log.reader()
    reader.assign({A0: 0})
    (chunk,) = reader.poll(0)
    assert (chunk.offsets, chunk.timestamps, chunk.headers) == (range(2), [0, 0], None)


def test_headers_given_as_lists_are_read_as_tuples(log: Log) -> None:
    create(log, "a")
    write(log, "a", columns_of([(b"k", b"v")], headers=[("h", b"1")]))
    reader = log.reader()
    reader.assign({A0: 0})
    assert drain(reader)[0][6] == (("h", b"1"),)


def test_appended_columns_may_be_cleared_at_once(log: Log) -> None:
    create(log, "a")
    columns = numbered(2)
    writer = log.writer("g")
    writer.append("a", 0, columns)
    columns.clear()
    columns.append(b"k", b"other", 0, ())
    writer.append("a", 0, columns)
    columns.clear()
    assert writer.commit({}) == {A0: 3}
    assert read(log, "a") == [(0, b"v0"), (1, b"v1"), (2, b"other")]


def test_open_transaction_is_seen_by_nobody(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    writer.append("a", 0, numbered(2))
    assert read(log, "a") == []
    assert log.end_offsets([A0], committed=False) == {A0: 0}


def test_aborted_records_leave_nothing_behind(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    writer.append("a", 0, numbered(2))
    assert writer.pending_bytes > 0
    writer.abort()
    assert writer.pending_bytes == 0
    writer.append("a", 0, numbered(1, first=5))
    writer.commit({})
    assert read(log, "a") == [(0, b"v5")]


def test_commit_covers_all_partitions_and_the_offsets(log: Log) -> None:
    create(log, "a", 2)
    create(log, "b")
    write(log, "a", numbered(3), partition=1)
    writer = log.writer("g")
    writer.append("a", 1, numbered(2))
    writer.append("b", 0, numbered(1))
    ends = writer.commit({A0: CommittedOffset(0, "meta"), A1: CommittedOffset(3)})
    assert ends == {A1: 5, B0: 1}
    assert log.committed("g", [A0, A1, B0]) == {A0: CommittedOffset(0, "meta"), A1: CommittedOffset(3)}
    assert log.committed("other", [A0]) == {}


def test_offsets_are_committed_alone_and_replaced(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    assert writer.commit({A0: CommittedOffset(1, "x")}) == {}
    assert writer.commit({A0: CommittedOffset(2)}) == {}
    assert writer.commit({}) == {}
    assert log.committed("g", [A0]) == {A0: CommittedOffset(2)}


def test_append_to_unknown_topic_or_partition_is_refused(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    with pytest.raises(UnknownTopicError, match="topic 'nope'"):
        writer.append("nope", 0, numbered(1))
    with pytest.raises(UnknownTopicError, match="partition 1 of topic 'a'"):
        writer.append("a", 1, numbered(1))


def test_offset_for_unknown_topic_commits_nothing(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    writer.append("a", 0, numbered(1))
    with pytest.raises(UnknownTopicError):
        writer.commit({B0: CommittedOffset(1)})
    assert read(log, "a") == []


def test_writer_whose_commit_failed_works_only_after_an_abort(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    writer.append("a", 0, numbered(1))
    with pytest.raises(UnknownTopicError):
        writer.commit({B0: CommittedOffset(1)})
    with pytest.raises(LogError, match="abort"):
        writer.append("a", 0, numbered(1))
    with pytest.raises(LogError, match="abort"):
        writer.commit({})
    writer.abort()
    writer.append("a", 0, numbered(1))
    assert writer.commit({}) == {A0: 1}


def test_topic_deleted_under_an_open_transaction_fails_its_commit(log: Log) -> None:
    create(log, "a")
    create(log, "b")
    writer = log.writer("g")
    writer.append("b", 0, numbered(1))
    writer.append("a", 0, numbered(1))
    log.delete_topics(["a"])
    with pytest.raises(UnknownTopicError, match="'a'"):
        writer.commit({})
    assert read(log, "b") == []


def test_column_of_another_type_is_refused(log: Log) -> None:
    create(log, "a")
    columns = numbered(1)
    columns.values[0] = "text"  # type: ignore[call-overload]  # the mistake under test
    with pytest.raises(SerializationError, match="str"):
        log.writer("g").append("a", 0, columns)


def test_columns_of_unequal_lengths_are_refused(log: Log) -> None:
    create(log, "a")
    columns = numbered(1)
    columns.timestamps.append(1)
    with pytest.raises(SerializationError, match="2 timestamps"):
        log.writer("g").append("a", 0, columns)


def test_compacted_topic_refuses_a_null_key(log: Log) -> None:
    create(log, "a", cleanup_policy="compact")
    with pytest.raises(LogError, match="no key"):
        log.writer("g").append("a", 0, columns_of([(None, b"v")]))


def test_closed_reader_and_writer_say_so_and_close_twice(log: Log) -> None:
    create(log, "a")
    reader, writer = log.reader(), log.writer("g")
    for each in (reader, writer):
        each.close()
        each.close()
    with pytest.raises(StateError):
        reader.poll(0)
    with pytest.raises(StateError):
        writer.append("a", 0, numbered(1))


def test_reader_starts_in_the_middle_of_a_chunk(log: Log) -> None:
    create(log, "a")
    write(log, "a", columns_of([(b"k%d" % i, b"v%d" % i) for i in range(5)], headers=(("h", b""),)))
    reader = log.reader()
    reader.assign({A0: 3})
    (chunk,) = reader.poll(0)
    assert (list(chunk.offsets), chunk.keys, chunk.timestamps) == ([3, 4], [b"k3", b"k4"], [0, 0])
    assert chunk.headers == [(("h", b""),), (("h", b""),)]
    assert reader.position(A0) == 5


def test_position_moves_with_what_poll_returns(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    assert reader.position(A0) == 0
    write(log, "a", numbered(4))
    assert reader.position(A0) == 0
    reader.poll(0)
    assert reader.position(A0) == 4


def test_assigning_again_moves_a_partition_and_leaves_the_others(log: Log) -> None:
    create(log, "a", 2)
    write(log, "a", numbered(2), partition=0)
    write(log, "a", numbered(2), partition=1)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    assert len(drain(reader)) == 4
    reader.assign({A1: 1})
    assert [record[1:3] for record in drain(reader)] == [(1, 1)]
    assert (reader.position(A0), reader.position(A1)) == (2, 2)


def test_unassigned_partition_is_not_read_and_has_no_position(log: Log) -> None:
    create(log, "a", 2)
    write(log, "a", numbered(1), partition=0)
    write(log, "a", numbered(1), partition=1)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    reader.unassign([A0, B0])
    assert [record[1] for record in drain(reader)] == [1]
    with pytest.raises(StateError, match="not assigned"):
        reader.position(A0)


def test_paused_partition_keeps_its_position_until_resumed(log: Log) -> None:
    create(log, "a", 2)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    reader.pause([A0])
    write(log, "a", numbered(1), partition=0)
    write(log, "a", numbered(1), partition=1)
    assert [record[1] for record in drain(reader)] == [1]
    assert reader.position(A0) == 0
    reader.resume([A0])
    assert [record[1] for record in drain(reader)] == [0]


def test_assigning_an_unknown_topic_is_refused(log: Log) -> None:
    with pytest.raises(UnknownTopicError, match="create the topic"):
        log.reader().assign({A0: 0})


@pytest.mark.parametrize("position", [0, 1, 5])
def test_position_outside_of_the_partition_is_an_error(log: Log, position: int) -> None:
    create(log, "a")
    write(log, "a", numbered(4))
    log.delete_records({A0: 2})
    reader = log.reader()
    reader.assign({A0: position})
    with pytest.raises(LogError, match="the partition has 2 to 4"):
        reader.poll(0)


def test_deleted_topic_fails_its_readers(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    log.delete_topics(["a"])
    with pytest.raises(UnknownTopicError):
        reader.poll(0)


def test_no_partition_starves_behind_a_large_one(log: Log) -> None:
    create(log, "a", 2)
    for _ in range(8):
        write(log, "a", columns_of([(b"k", bytes(600_000))] * 4), partition=0)
    write(log, "a", numbered(1), partition=1)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    seen = [chunk.partition for _ in range(2) for chunk in reader.poll(0)]
    assert 1 in seen


def test_partitions_take_turns_when_a_poll_cannot_serve_all(log: Log) -> None:
    create(log, "a", 8)
    for partition in range(8):
        for _ in range(4):
            write(log, "a", columns_of([(b"k", bytes(1_100_000))]), partition)
    reader = log.reader()
    reader.assign({TopicPartition("a", partition): 0 for partition in range(8)})
    first = {chunk.partition for chunk in reader.poll(0)}
    second = {chunk.partition for chunk in reader.poll(0)}
    assert (first, second) == ({0, 1, 2, 3}, {4, 5, 6, 7})


def test_threads_write_one_log_without_tearing_transactions(log: Log) -> None:
    create(log, "a")
    threads = [
        threading.Thread(target=write, args=(log, "a", columns_of([(b"k", b"%d" % n)] * 3)))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = [value for _, value in read(log, "a")]
    assert values[0::3] == values[1::3] == values[2::3]
    assert sorted(values[0::3], key=lambda value: int(value or b"-1")) == [b"%d" % n for n in range(12)]


def test_poll_returns_a_few_mebibytes_at_most(log: Log) -> None:
    create(log, "a", 8)
    for partition in range(8):
        write(log, "a", columns_of([(b"k", bytes(900_000))]), partition)
        write(log, "a", columns_of([(b"k", bytes(900_000))]), partition)
    reader = log.reader()
    reader.assign({TopicPartition("a", partition): 0 for partition in range(8)})
    sizes: list[int] = []
    while chunks := reader.poll(0):
        sizes.append(sum(chunk.size_bytes for chunk in chunks))
    assert sum(sizes) > 14_000_000
    assert max(sizes) < 7_000_000


def test_records_larger_than_a_chunk_come_back_whole(log: Log) -> None:
    create(log, "a")
    values = [b"%d" % i * 700_000 for i in range(6)]
    write(log, "a", columns_of([(b"k", value) for value in values]))
    assert [value for _, value in read(log, "a")] == values


def test_many_records_in_one_append_come_back_in_order(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(20_001))
    found = read(log, "a")
    assert found == [(i, b"v%d" % i) for i in range(20_001)]


def test_waiting_poll_is_woken_by_a_commit(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    thread = threading.Thread(target=write, args=(log, "a", numbered(1)))
    thread.start()
    chunks = reader.poll(30_000)
    thread.join()
    assert [chunk.values for chunk in chunks] == [[b"v0"]]


def test_bounds_follow_appends_and_deletions(log: Log) -> None:
    create(log, "a", 2)
    assert log.beginning_offsets([A0]) == {A0: 0}
    assert log.end_offsets([A0, A1]) == {A0: 0, A1: 0}
    write(log, "a", numbered(4))
    log.delete_records({A0: 3})
    assert log.beginning_offsets([A0, A1]) == {A0: 3, A1: 0}
    assert log.end_offsets([A0]) == {A0: 4}
    assert read(log, "a") == [(3, b"v3")]


def test_deletion_reaches_the_end_at_most_and_never_goes_back(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(4))
    log.delete_records({A0: 99})
    log.delete_records({A0: 1})
    assert log.beginning_offsets([A0]) == {A0: 4}
    assert write(log, "a", numbered(1)) == 5


def test_compacted_topic_keeps_records_that_were_to_be_deleted(log: Log) -> None:
    create(log, "a", cleanup_policy="compact")
    write(log, "a", numbered(2))
    log.delete_records({A0: 2})
    assert len(read(log, "a")) == 2


def test_bounds_of_an_unknown_partition_are_an_error(log: Log) -> None:
    create(log, "a")
    with pytest.raises(UnknownTopicError):
        log.end_offsets([A1])
    with pytest.raises(UnknownTopicError):
        log.beginning_offsets([B0])


def test_topics_tell_their_partitions_and_config(log: Log) -> None:
    create(log, "a", 3, retention_ms="5")
    info = log.topics()["a"]
    assert (info.name, info.partitions, info.config) == ("a", 3, {"retention.ms": "5"})


def test_creating_an_existing_topic_again_changes_nothing(log: Log) -> None:
    create(log, "a", 2)
    before = log.topics()
    write(log, "a", numbered(1))
    create(log, "a", 2)
    assert log.topics() == before
    assert len(read(log, "a")) == 1


def test_creating_with_another_partition_count_creates_nothing(log: Log) -> None:
    create(log, "a", 2)
    with pytest.raises(LogError, match=r"with 3 partitions: it exists with 2"):
        log.create_topics([TopicSpec("b", 1), TopicSpec("a", 3)])
    assert list(log.topics()) == ["a"]


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (TopicSpec("", 1), "empty name"),
        (TopicSpec("a", 0), "0 partitions"),
        (TopicSpec("a", 1, {"cleanup.policy": "burn"}), "cleanup.policy is 'burn'"),
        (TopicSpec("a", 1, {"retention.ms": "1h"}), "retention.ms is '1h'"),
        (TopicSpec("a", 1, {"delete.retention.ms": "-1"}), "delete.retention.ms is '-1'"),
    ],
)
def test_impossible_topic_is_refused(log: Log, spec: TopicSpec, found: str) -> None:
    with pytest.raises(LogError, match=found):
        log.create_topics([spec])


def test_topic_made_again_is_another_one(log: Log) -> None:
    create(log, "a")
    first = log.topics()["a"].id
    write(log, "a", numbered(3))
    writer = log.writer("g")
    writer.commit({A0: CommittedOffset(3)})
    log.delete_topics(["a", "nope"])
    assert log.topics() == {}
    create(log, "a")
    assert log.topics()["a"].id != first
    assert log.end_offsets([A0]) == {A0: 0}
    assert log.committed("g", [A0]) == {}
    assert read(log, "a") == []


def test_maintenance_leaves_a_plain_topic_alone(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(3))
    log.maintain(1_000)
    assert len(read(log, "a")) == 3
