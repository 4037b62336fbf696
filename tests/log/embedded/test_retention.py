"""Retention, merging and sweeping of the embedded log."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from tests.log.records import HOUR_MS, Clock, columns_of, create, drain, numbered, read, write

A0 = TopicPartition("a", 0)


@pytest.fixture
def log(open_log: Callable[..., EmbeddedLog]) -> EmbeddedLog:
    return open_log()


def maintain(log: EmbeddedLog, clock: Clock) -> None:
    clock.advance(1_000)
    log.maintain(60_000)


def chunk_count(path: Path) -> int:
    with closing(sqlite3.connect(path / "log.db")) as connection:
        count: int = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
        return count


def test_topic_without_retention_keeps_records_of_last_year(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a")
    write(log, "a", columns_of([(b"k", b"v")], timestamp=0))
    clock.advance(400 * 24 * HOUR_MS)
    maintain(log, clock)
    assert len(read(log, "a")) == 1


def test_chunks_whose_newest_record_is_too_old_are_dropped(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a", retention_ms=str(HOUR_MS))
    write(log, "a", columns_of([(b"k", b"old")], timestamp=clock.now_ms()))
    clock.advance(HOUR_MS)
    write(log, "a", columns_of([(b"k", b"new")], timestamp=clock.now_ms()))
    maintain(log, clock)
    assert read(log, "a") == [(1, b"new")]
    assert log.beginning_offsets([A0]) == {A0: 1}


def test_old_chunk_behind_a_young_one_stays(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a", retention_ms=str(HOUR_MS))
    write(log, "a", columns_of([(b"k", b"young")], timestamp=clock.now_ms()))
    write(log, "a", columns_of([(b"k", b"old")], timestamp=0))
    maintain(log, clock)
    assert len(read(log, "a")) == 2


def test_partition_whose_records_are_all_too_old_begins_at_its_end(
    log: EmbeddedLog, clock: Clock, tmp_path: Path
) -> None:
    create(log, "a", retention_ms=str(HOUR_MS))
    write(log, "a", columns_of([(b"k", b"old")] * 3, timestamp=0))
    maintain(log, clock)
    assert log.beginning_offsets([A0]) == log.end_offsets([A0]) == {A0: 3}
    assert chunk_count(tmp_path) == 0


def test_retention_of_minus_one_keeps_records_for_ever(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a", retention_ms="-1", retention_bytes="-1")
    write(log, "a", columns_of([(b"k", b"old")], timestamp=0))
    maintain(log, clock)
    assert len(read(log, "a")) == 1


def test_changelog_of_a_replay_is_judged_by_its_own_time(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a", cleanup_policy="compact,delete", retention_ms="100")
    for timestamp in (1_000, 1_050, 1_140):
        write(log, "a", columns_of([(b"%d" % timestamp, b"v%d" % timestamp)], timestamp=timestamp))
    maintain(log, clock)
    assert read(log, "a") == [(1, b"v1050"), (2, b"v1140")]


def test_oldest_chunks_go_while_the_rest_fills_the_limit(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a", retention_bytes="2500")
    for _ in range(5):
        write(log, "a", columns_of([(b"k", bytes(1_000))]))
    maintain(log, clock)
    assert [offset for offset, _ in read(log, "a")] == [2, 3, 4]


@pytest.mark.parametrize(("spare_bytes", "left"), [(0, [1, 2]), (1, [0, 1, 2])])
def test_oldest_chunk_goes_when_the_limit_is_just_filled_without_it(
    log: EmbeddedLog, clock: Clock, tmp_path: Path, spare_bytes: int, left: list[int]
) -> None:
    create(log, "measure")
    write(log, "measure", columns_of([(b"k", bytes(1_000))]))
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        chunk_bytes: int = connection.execute("SELECT bytes FROM chunks").fetchone()[0]
    create(log, "a", retention_bytes=str(2 * chunk_bytes + spare_bytes))
    for _ in range(3):
        write(log, "a", columns_of([(b"k", bytes(1_000))]))
    maintain(log, clock)
    assert [offset for offset, _ in read(log, "a")] == left


def test_reader_of_expired_records_is_told(log: EmbeddedLog, clock: Clock) -> None:
    create(log, "a", retention_ms="1")
    write(log, "a", columns_of([(b"k", b"old")], timestamp=0))
    maintain(log, clock)
    with pytest.raises(LogError, match="the partition has 1 to 1"):
        read(log, "a", position=0)


def test_deleted_records_leave_the_file(log: EmbeddedLog, clock: Clock, tmp_path: Path) -> None:
    create(log, "a")
    for _ in range(40):
        write(log, "a", numbered(10))
    log.delete_records({A0: 395})
    maintain(log, clock)
    assert chunk_count(tmp_path) == 1
    assert [offset for offset, _ in read(log, "a")] == [395, 396, 397, 398, 399]


def test_deleted_topic_leaves_the_file(log: EmbeddedLog, clock: Clock, tmp_path: Path) -> None:
    create(log, "a")
    for _ in range(40):
        write(log, "a", numbered(10))
    log.delete_topics(["a"])
    assert chunk_count(tmp_path) == 40
    maintain(log, clock)
    assert chunk_count(tmp_path) == 0


def test_small_commits_are_merged_under_a_reader(log: EmbeddedLog, clock: Clock, tmp_path: Path) -> None:
    create(log, "a")
    for i in range(100):
        write(log, "a", numbered(3, first=3 * i))
    reader = log.reader()
    reader.assign({A0: 101})
    maintain(log, clock)
    assert chunk_count(tmp_path) == 1
    assert [record[2] for record in drain(reader)] == list(range(101, 300))
    assert read(log, "a") == [(i, b"v%d" % i) for i in range(300)]


def test_few_small_chunks_are_not_merged(log: EmbeddedLog, clock: Clock, tmp_path: Path) -> None:
    create(log, "a")
    for _ in range(63):
        write(log, "a", numbered(1))
    maintain(log, clock)
    assert chunk_count(tmp_path) == 63


def test_maintenance_continues_where_its_budget_ended(log: EmbeddedLog, clock: Clock, tmp_path: Path) -> None:
    create(log, "a")
    for _ in range(100):
        write(log, "a", numbered(1))
    log.delete_records({A0: 100})
    clock.advance(1_000)
    log.maintain(0)
    assert chunk_count(tmp_path) == 100
    counts: list[int] = []
    for _ in range(12):
        log.maintain(0)
        counts.append(chunk_count(tmp_path))
    assert sorted(set(counts), reverse=True)[:3] == [68, 36, 4]
    assert counts[-1] == 0
