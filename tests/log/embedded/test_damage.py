"""Bits that have flipped in the file of the embedded log: whoever reads them says so, and nothing else."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.port import CommittedOffset
from tests.log.records import HOUR_MS, Clock, columns_of, create, numbered, read, write

A0 = TopicPartition("a", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount > 0


def everything(log: EmbeddedLog) -> list[Any]:
    """All that can be asked of a log."""
    found: list[Any] = [log.topics(), log.committed("g", [A0])]
    for name, info in log.topics().items():
        for partition in range(info.partitions):
            at = TopicPartition(name, partition)
            found.append((read(log, name, partition), log.beginning_offsets([at]), log.end_offsets([at])))
    return found


@pytest.mark.parametrize("is_maintained", [False, True], ids=["read", "maintained"])
def test_flipped_bit_is_told_or_changes_nothing(
    open_log: Callable[..., EmbeddedLog], clock: Clock, path: Path, is_maintained: bool
) -> None:
    log = open_log()
    create(log, "a", 2)
    create(log, "c", cleanup_policy="compact")
    create(log, "r", retention_ms=str(HOUR_MS))
    for n in range(5):
        write(log, "a", numbered(20, 20 * n))
        write(log, "c", numbered(8, n))
        write(log, "r", columns_of([(b"k", b"%d" % n)], timestamp=clock.now_ms()))
    log.writer("g").commit({A0: CommittedOffset(40, "time")})
    clock.advance(1_000)
    log.maintain(60_000)
    write(log, "c", numbered(3, 2))
    expected = everything(log)
    log.close()
    whole = path.read_bytes()
    used = [at for at in range(len(whole)) if any(whole[max(0, at - 3) : at + 4])]
    seeded = random.Random(7)
    told = 0
    for _ in range(150):
        at, bit = seeded.choice(used), seeded.randrange(8)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
        opened: EmbeddedLog | None = None
        try:
            opened = open_log()
            if is_maintained:
                opened.maintain(60_000)
            assert everything(opened) == expected, f"bit {bit} of byte {at}"
        except LogError:
            told += 1
        finally:
            if opened is not None:
                opened.close()
            for beside in ("-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
    assert told > 50


def test_damaged_body_is_told_with_topic_partition_and_offset(
    open_log: Callable[..., EmbeddedLog], path: Path
) -> None:
    log = open_log()
    create(log, "a")
    write(log, "a", numbered(5))
    write(log, "a", columns_of([(b"key", b"value")]))
    change(
        path,
        "UPDATE chunks SET body = CAST(replace(body, x'76616c7565', x'76616c7564') AS BLOB) WHERE base_offset = 5",
    )
    reader = log.reader()
    reader.assign({A0: 5})
    message = (
        rf"cannot read a-0 at offset 5 of the embedded log {path}: the chunk is damaged \(its checksum does not "
        r"match\); restore the file from a backup; without one, delete the records before offset 6, which are lost"
    )
    with pytest.raises(LogError, match=message):
        reader.poll(0)
    assert read(log, "a", position=6) == []


@pytest.mark.parametrize(
    "column",
    ["topic", "base_offset", "next_offset", "max_timestamp", "first_appended_ms", "last_appended_ms"],
)
def test_damaged_column_of_a_chunk_is_told(
    open_log: Callable[..., EmbeddedLog], path: Path, column: str
) -> None:
    log = open_log()
    create(log, "a")
    write(log, "a", numbered(5))
    change(path, f"UPDATE chunks SET {column} = {column} + 1")
    with pytest.raises(LogError, match="cannot read a-0 at offset"):
        read(log, "a")


@pytest.mark.parametrize("policy", ["delete", "compact"])
def test_missing_chunk_is_told(open_log: Callable[..., EmbeddedLog], path: Path, policy: str) -> None:
    log = open_log()
    create(log, "a", cleanup_policy=policy)
    for n in range(3):
        write(log, "a", numbered(2, first=2 * n))
    change(path, "DELETE FROM chunks WHERE base_offset = 2")
    with pytest.raises(LogError, match=r"a-0 at offset 2 .*: the chunk at offset 4 comes next"):
        read(log, "a")
    change(path, "DELETE FROM chunks WHERE base_offset = 4")
    with pytest.raises(LogError, match=r"a-0 at offset 2 .*: the chunks up to offset 6 are missing"):
        read(log, "a", position=2)


def test_chunk_emptied_by_compaction_is_not_missing(
    open_log: Callable[..., EmbeddedLog], clock: Clock
) -> None:
    log = open_log()
    create(log, "a", cleanup_policy="compact", delete_retention_ms="0")
    write(log, "a", columns_of([(b"k", bytes(40_000))]))
    clock.advance(1_000)
    write(log, "a", columns_of([(b"k", bytes(50_000)), (b"other", None)]))
    clock.advance(1_000)
    log.maintain(60_000)
    assert [offset for offset, _ in read(log, "a")] == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE topics SET id = 'x'",
        "UPDATE topics SET name = 'b'",
        "UPDATE partitions SET end_offset = 6",
        "UPDATE partitions SET start_offset = 1",
        "UPDATE partitions SET partition = 1 WHERE partition = 0",
        "DELETE FROM partitions WHERE partition = 0",
        "UPDATE committed_offsets SET next_offset = 2",
        "UPDATE committed_offsets SET metadata = ''",
        "UPDATE committed_offsets SET group_id = 'h'",
        "INSERT INTO doomed_topics VALUES (1)",
    ],
)
def test_damage_in_the_small_tables_is_told_when_the_log_is_opened(
    open_log: Callable[..., EmbeddedLog], path: Path, statement: str
) -> None:
    log = open_log()
    create(log, "a")
    write(log, "a", numbered(5))
    log.writer("g").commit({A0: CommittedOffset(3, "time")})
    change(path, statement)
    with pytest.raises(LogError, match=r"cannot read .* restore the file from a backup"):
        open_log()


def test_damaged_partition_is_told_to_whoever_writes(
    open_log: Callable[..., EmbeddedLog], path: Path
) -> None:
    log = open_log()
    create(log, "a")
    write(log, "a", numbered(5))
    change(path, "UPDATE partitions SET end_offset = 3")
    with pytest.raises(LogError, match=r"cannot read partition a-0 .*its checksum does not match"):
        write(log, "a", numbered(1))


def test_retention_drops_nothing_by_a_damaged_time(
    open_log: Callable[..., EmbeddedLog], clock: Clock, path: Path
) -> None:
    log = open_log()
    create(log, "a", retention_ms=str(HOUR_MS))
    write(log, "a", columns_of([(b"k", b"v")], timestamp=clock.now_ms()))
    change(path, "UPDATE chunks SET max_timestamp = 0")
    clock.advance(1_000)
    with pytest.raises(LogError, match=r"a-0 at offset 0 .*the chunk is damaged"):
        log.maintain(60_000)
    assert log.beginning_offsets([A0]) == {A0: 0}


def test_merging_keeps_what_is_damaged_as_it_is(
    open_log: Callable[..., EmbeddedLog], clock: Clock, path: Path
) -> None:
    log = open_log()
    create(log, "a")
    for _ in range(64):
        write(log, "a", columns_of([(b"key", b"value")]))
    change(
        path,
        "UPDATE chunks SET body = CAST(replace(body, x'76616c7565', x'76616c7564') AS BLOB) WHERE base_offset = 5",
    )
    clock.advance(1_000)
    with pytest.raises(LogError, match=r"a-0 at offset 5 .*the chunk is damaged"):
        log.maintain(60_000)
    assert len(read(log, "a", position=6)) == 58


def test_damaged_definition_of_a_table_is_told(open_log: Callable[..., EmbeddedLog], path: Path) -> None:
    log = open_log()
    log.close()
    whole = path.read_bytes()
    for at in range(5):
        content = bytearray(whole)
        content[whole.index(b"newest_timestamp") + at] ^= 0x80
        path.write_bytes(content)
        with pytest.raises(LogError, match="restore it from a backup"):
            open_log()
