"""What every log does: the memory log, the embedded log and a Kafka cluster.

A test says what the port promises. Markers of transactions and what was aborted may take offsets, what is committed
may be seen some ms later, and a poll may have to wait for an answer.
"""

import threading
import time

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import (
    LogError,
    OffsetOutOfRangeError,
    SerializationError,
    StateError,
    UnknownTopicError,
)
from headrace.base.ids import TopicPartition
from headrace.log.port import CommittedOffset, Log, TopicSpec
from tests.log import records
from tests.log.records import (
    PATIENCE_SECONDS,
    columns_of,
    commit,
    fails_within_patience,
    fresh,
    numbered,
    polls,
    read,
    read_on,
    rows,
    transactional,
    values,
    write,
)

A0 = TopicPartition("a", 0)
A1 = TopicPartition("a", 1)
B0 = TopicPartition("b", 0)

#: A cluster's brokers get these while the transaction is open: a few small records wait in the writer for more.
LARGE = columns_of([(b"k", bytes(600_000))] * 4)


def create(log: Log, name: str, partitions: int = 1, **config: str) -> None:
    """Make a topic that keeps records as old as 1970, and large ones."""
    wanted = {"retention_ms": "-1", "max_message_bytes": "8000000"} | config
    records.create(log, name, partitions, **wanted)


@pytest.mark.older_kafka
def test_committed_records_are_read_in_order_with_all_their_parts(log: Log) -> None:
    create(log, "a")
    columns = Columns()
    columns.append(b"k", b"v", 7, (("h", b"1"), ("h", None)))
    columns.append(None, None, -1, ())
    columns.append(b"", b"", 1_700_000_000_000, ())
    assert write(log, "a", columns) == 3
    reader = log.reader()
    reader.assign({A0: 0})
    assert read_on(log, reader, A0) == [
        ("a", 0, 0, b"k", b"v", 7, (("h", b"1"), ("h", None))),
        ("a", 0, 1, None, None, -1, ()),
        ("a", 0, 2, b"", b"", 1_700_000_000_000, ()),
    ]


def test_chunk_without_headers_says_so(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(2))
    reader = log.reader()
    reader.assign({A0: 0})
    (chunk,) = reader.poll(30_000)
    assert (chunk.offsets, chunk.timestamps, chunk.headers) == (range(2), [0, 0], None)


def test_headers_given_as_lists_are_read_as_tuples(log: Log) -> None:
    create(log, "a")
    write(log, "a", columns_of([(b"k", b"v")], headers=[("h", b"1")]))
    reader = log.reader()
    reader.assign({A0: 0})
    assert read_on(log, reader, A0)[0][6] == (("h", b"1"),)


def test_appended_columns_may_be_cleared_at_once(log: Log) -> None:
    create(log, "a")
    columns = numbered(2)
    writer = transactional(log)
    writer.append("a", 0, columns)
    columns.clear()
    columns.append(b"k", b"other", 0, ())
    writer.append("a", 0, columns)
    columns.clear()
    assert commit(log, writer) == {A0: 3}
    assert read(log, "a") == [(0, b"v0"), (1, b"v1"), (2, b"other")]


def test_open_transaction_is_seen_by_nobody(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    assert reader.poll(100) == []
    assert reader.position(A0) == 0
    assert log.end_offsets([A0]) == {A0: 0}
    assert commit(log, writer) == {A0: 4}
    assert len(read_on(log, reader, A0)) == 4


@pytest.mark.older_kafka
def test_aborted_records_are_seen_by_nobody(log: Log) -> None:
    create(log, "a")
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    assert writer.pending_bytes > 0
    writer.abort()
    assert writer.pending_bytes == 0
    writer.append("a", 0, numbered(1, first=5))
    end = commit(log, writer)[A0]
    assert read(log, "a") == [(end - 1, b"v5")]


def test_records_of_a_closed_writer_are_seen_by_nobody(log: Log) -> None:
    create(log, "a")
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    writer.close()
    write(log, "a", numbered(1, first=5))
    assert values(log, "a") == [b"v5"]


@pytest.mark.older_kafka
def test_commit_covers_all_partitions_and_the_offsets(log: Log) -> None:
    create(log, "a", 2)
    create(log, "b")
    write(log, "a", numbered(3), partition=1)
    group = fresh("group")
    writer = transactional(log, group)
    writer.append("a", 1, numbered(2))
    writer.append("b", 0, numbered(1))
    ends = commit(log, writer, {A0: CommittedOffset(0, "meta"), A1: CommittedOffset(3)})
    assert ends == {A1: 5, B0: 1}
    assert log.committed(group, [A0, A1, B0]) == {A0: CommittedOffset(0, "meta"), A1: CommittedOffset(3)}
    assert log.committed(fresh("group"), [A0]) == {}


@pytest.mark.older_kafka
@pytest.mark.parametrize("is_transactional", [True, False])
def test_offsets_are_committed_alone_and_replaced(log: Log, is_transactional: bool) -> None:
    create(log, "a")
    group = fresh("group")
    writer = transactional(log, group) if is_transactional else log.writer(group)
    assert writer.commit({A0: CommittedOffset(1, "x")}) == {}
    assert log.committed(group, [A0]) == {A0: CommittedOffset(1, "x")}
    assert writer.commit({A0: CommittedOffset(2)}) == {}
    assert writer.commit({}) == {}
    assert log.committed(group, [A0]) == {A0: CommittedOffset(2)}


def test_offsets_of_an_aborted_transaction_stay_as_they_were(log: Log) -> None:
    create(log, "a")
    group = fresh("group")
    writer = transactional(log, group)
    writer.commit({A0: CommittedOffset(1)})
    writer.append("a", 0, LARGE)
    with pytest.raises(UnknownTopicError):
        writer.commit({A0: CommittedOffset(2), B0: CommittedOffset(1)})
    writer.abort()
    assert log.committed(group, [A0]) == {A0: CommittedOffset(1)}


def test_append_to_unknown_topic_or_partition_is_refused(log: Log) -> None:
    create(log, "a")
    writer = log.writer("g")
    with pytest.raises(UnknownTopicError, match="topic 'nope'"):
        writer.append("nope", 0, numbered(1))
    with pytest.raises(UnknownTopicError, match="partition 1 of topic 'a'"):
        writer.append("a", 1, numbered(1))


def test_offset_for_unknown_topic_commits_nothing(log: Log) -> None:
    create(log, "a")
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    with pytest.raises(UnknownTopicError):
        writer.commit({B0: CommittedOffset(1)})
    writer.abort()
    write(log, "a", numbered(1, first=5))
    assert values(log, "a") == [b"v5"]


def test_writer_whose_commit_failed_works_only_after_an_abort(log: Log) -> None:
    create(log, "a")
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    with pytest.raises(UnknownTopicError):
        writer.commit({B0: CommittedOffset(1)})
    with pytest.raises(LogError, match="abort"):
        writer.append("a", 0, numbered(1))
    with pytest.raises(LogError, match="abort"):
        writer.commit({})
    writer.abort()
    writer.append("a", 0, numbered(1))
    end = commit(log, writer)[A0]
    assert read(log, "a") == [(end - 1, b"v0")]


def test_topic_deleted_under_an_open_transaction_fails_its_commit(log: Log) -> None:
    create(log, "a")
    create(log, "b")
    writer = transactional(log)
    writer.append("b", 0, LARGE)
    writer.append("a", 0, numbered(1))
    log.delete_topics(["a"])
    with pytest.raises(UnknownTopicError, match="'a'"):
        writer.commit({})
    writer.abort()
    write(log, "b", numbered(1, first=5))
    assert values(log, "b") == [b"v5"]


def test_column_of_another_type_is_refused(log: Log) -> None:
    create(log, "a")
    columns = numbered(1)
    columns.values[0] = 5  # type: ignore[call-overload]  # the mistake under test
    with pytest.raises(SerializationError, match="int"):
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
    (chunk,) = reader.poll(30_000)
    assert (list(chunk.offsets), list(chunk.keys), chunk.timestamps) == ([3, 4], [b"k3", b"k4"], [0, 0])
    assert chunk.headers == [(("h", b""),), (("h", b""),)]
    assert reader.position(A0) == 5


def test_position_moves_with_what_poll_returns(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    assert reader.position(A0) == 0
    write(log, "a", numbered(4))
    assert reader.position(A0) == 0
    assert len(rows(reader.poll(30_000))) == 4
    assert reader.position(A0) == 4


@pytest.mark.older_kafka
def test_position_gets_behind_what_was_aborted(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(1))
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    writer.abort()
    reader = log.reader()
    reader.assign({A0: 0})
    assert [row[4] for row in read_on(log, reader, A0)] == [b"v0"]
    assert {A0: reader.position(A0)} == log.end_offsets([A0])


def test_reader_hears_the_committed_end_and_nothing_of_an_open_transaction(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(3))
    writer = transactional(log)
    writer.append("a", 0, LARGE)
    reader = log.reader()
    reader.assign({A0: 1})
    assert len(read_on(log, reader, A0)) == 2
    assert reader.end(A0) == 3
    commit(log, writer)
    read_on(log, reader, A0)
    assert {A0: reader.end(A0)} == log.end_offsets([A0])


def test_reader_of_an_empty_partition_hears_its_end(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while reader.end(A0) is None:
        assert time.monotonic() < deadline
        reader.poll(10)
    assert (reader.end(A0), reader.position(A0)) == (0, 0)


def test_assigning_again_moves_a_partition_and_leaves_the_others(log: Log) -> None:
    create(log, "a", 2)
    write(log, "a", numbered(2), partition=0)
    write(log, "a", numbered(2), partition=1)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    assert len(read_on(log, reader, A0, A1)) == 4
    reader.assign({A1: 1})
    assert [row[1:3] for row in read_on(log, reader, A0, A1)] == [(1, 1)]
    assert (reader.position(A0), reader.position(A1)) == (2, 2)


def test_unassigned_partition_is_not_read_and_has_no_position(log: Log) -> None:
    create(log, "a", 2)
    write(log, "a", numbered(1), partition=0)
    write(log, "a", numbered(1), partition=1)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    reader.unassign([A0, B0])
    assert [row[1] for row in read_on(log, reader, A1)] == [1]
    assert reader.poll(50) == []
    with pytest.raises(StateError, match="not assigned"):
        reader.position(A0)


def test_paused_partition_keeps_its_position_until_resumed(log: Log) -> None:
    create(log, "a", 2)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    reader.pause([A0])
    write(log, "a", numbered(1), partition=0)
    write(log, "a", numbered(1), partition=1)
    assert [row[1] for row in read_on(log, reader, A1)] == [1]
    assert reader.poll(50) == []
    assert reader.position(A0) == 0
    reader.resume([A0])
    assert [row[1] for row in read_on(log, reader, A0)] == [0]


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
    with pytest.raises(OffsetOutOfRangeError, match="the partition has 2 to 4"):
        fails_within_patience(reader)


def test_deleted_topic_fails_its_readers(log: Log) -> None:
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    log.delete_topics(["a"])
    with pytest.raises(UnknownTopicError, match="'a'"):
        fails_within_patience(reader)


def test_no_partition_starves_behind_a_large_one(log: Log) -> None:
    create(log, "a", 2)
    for _ in range(8):
        write(log, "a", columns_of([(b"k", bytes(600_000))] * 4), partition=0)
    write(log, "a", numbered(1), partition=1)
    reader = log.reader()
    reader.assign({A0: 0, A1: 0})
    seen = [chunk.partition for _ in range(2) for chunk in reader.poll(30_000)]
    assert 1 in seen


def test_partitions_take_turns_when_a_poll_cannot_serve_all(log: Log) -> None:
    create(log, "a", 8)
    for partition in range(8):
        for _ in range(4):
            write(log, "a", columns_of([(b"k", bytes(1_100_000))]), partition)
    topic_partitions = [TopicPartition("a", partition) for partition in range(8)]
    reader = log.reader()
    reader.assign(dict.fromkeys(topic_partitions, 0))
    chunks = [chunk for polled in polls(log, reader, *topic_partitions) for chunk in polled]
    assert sorted(chunk.partition for chunk in chunks[:8]) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert sum(map(len, chunks)) == 32


def test_threads_write_one_log_without_tearing_transactions(log: Log) -> None:
    create(log, "a")

    def write_three(number: int) -> None:
        writer = transactional(log)
        for _ in range(3):
            writer.append("a", 0, columns_of([(b"k", b"%d" % number)]))
        commit(log, writer)
        writer.close()

    threads = [threading.Thread(target=write_three, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = values(log, "a")
    assert sorted(found, key=lambda value: int(value or b"-1")) == [b"%d" % (n // 3) for n in range(36)]


def test_poll_returns_a_few_mebibytes_at_most(log: Log) -> None:
    create(log, "a", 8)
    for partition in range(8):
        write(log, "a", columns_of([(b"k", bytes(900_000))]), partition)
        write(log, "a", columns_of([(b"k", bytes(900_000))]), partition)
    topic_partitions = [TopicPartition("a", partition) for partition in range(8)]
    reader = log.reader()
    reader.assign(dict.fromkeys(topic_partitions, 0))
    sizes = [sum(chunk.size_bytes for chunk in chunks) for chunks in polls(log, reader, *topic_partitions)]
    assert sum(sizes) > 14_000_000
    assert max(sizes) < 7_000_000


def test_records_larger_than_a_chunk_come_back_whole(log: Log) -> None:
    create(log, "a")
    written = [b"%d" % i * 700_000 for i in range(6)]
    write(log, "a", columns_of([(b"k", value) for value in written]))
    assert values(log, "a") == written


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
    assert [list(chunk.values) for chunk in chunks] == [[b"v0"]]


@pytest.mark.older_kafka
def test_bounds_follow_appends_and_deletions(log: Log) -> None:
    create(log, "a", 2)
    assert log.beginning_offsets([A0]) == {A0: 0}
    assert log.end_offsets([A0, A1]) == {A0: 0, A1: 0}
    write(log, "a", numbered(4))
    log.delete_records({A0: 3})
    assert log.beginning_offsets([A0, A1]) == {A0: 3, A1: 0}
    assert log.end_offsets([A0]) == {A0: 4}
    assert read(log, "a") == [(3, b"v3")]


def test_deletion_may_reach_the_end_and_never_goes_back(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(4))
    log.delete_records({A0: 4})
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


@pytest.mark.older_kafka
def test_first_record_not_older_than_a_time_is_found(log: Log) -> None:
    create(log, "a", 2)
    for time_ms in (1_000, 2_000, 3_000):
        write(log, "a", columns_of([(b"k", b"v")], timestamp=time_ms))
    assert log.offsets_for_times({A0: 2_000, A1: 2_000}) == {A0: 1, A1: 0}
    assert log.offsets_for_times({A0: 2_001}) == {A0: 2}
    assert log.offsets_for_times({A0: 3_001}) == {A0: 3}
    assert log.offsets_for_times({A0: 0}) == {A0: 0}


@pytest.mark.older_kafka
def test_topics_tell_their_partitions_and_config(log: Log) -> None:
    create(log, "a", 3, retention_ms="5")
    (info,) = log.topics(["a", "nope"]).values()
    assert (info.name, info.partitions, info.config["retention.ms"]) == ("a", 3, "5")
    assert "a" in log.topics()


def test_partition_counts_are_told_of_some_topics_or_of_all(log: Log) -> None:
    create(log, "a", 3)
    create(log, "b", 1)
    assert log.partition_counts(["a", "nope"]) == {"a": 3}
    assert log.partition_counts([]) == {}
    assert log.partition_counts().items() >= {"a": 3, "b": 1}.items()


def test_creating_an_existing_topic_again_changes_nothing(log: Log) -> None:
    create(log, "a", 2)
    before = log.topics(["a"])
    write(log, "a", numbered(1))
    create(log, "a", 2)
    assert log.topics(["a"]) == before
    assert len(read(log, "a")) == 1


@pytest.mark.older_kafka
def test_creating_with_another_partition_count_is_refused(log: Log) -> None:
    create(log, "a", 2)
    with pytest.raises(LogError, match=r"with 3 partitions: it exists with 2"):
        log.create_topics([TopicSpec("b", 1), TopicSpec("a", 3)])
    assert log.topics()["a"].partitions == 2


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (TopicSpec("", 1), "the name '' is empty"),
        (TopicSpec("a", 0), "0 partitions"),
        (TopicSpec("a", 1, {"cleanup.policy": "burn"}), "cleanup.policy is 'burn'"),
        (TopicSpec("a", 1, {"retention.ms": "1h"}), "retention.ms is '1h'"),
        (TopicSpec("a", 1, {"delete.retention.ms": "-1"}), "delete.retention.ms is '-1'"),
    ],
)
def test_impossible_topic_is_refused(log: Log, spec: TopicSpec, found: str) -> None:
    with pytest.raises(LogError, match=found):
        log.create_topics([spec])


@pytest.mark.older_kafka
def test_topic_made_again_is_another_one(log: Log) -> None:
    create(log, "a")
    first = log.topics()["a"].id
    write(log, "a", numbered(3))
    log.delete_topics(["a", "nope"])
    assert log.topics(["a"]) == {}
    create(log, "a")
    assert log.topics()["a"].id != first
    assert log.end_offsets([A0]) == {A0: 0}
    assert read(log, "a") == []


def test_maintenance_leaves_a_plain_topic_alone(log: Log) -> None:
    create(log, "a")
    write(log, "a", numbered(3))
    log.maintain(1_000)
    assert len(read(log, "a")) == 3
