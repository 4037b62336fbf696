"""Files of format 1, which had no checksums: read as they are, and upgraded in place."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.log.embedded.chunks import encode
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.port import CommittedOffset
from tests.log.records import Clock, columns_of, numbered, read, write

A0, C0 = TopicPartition("a", 0), TopicPartition("c", 0)

_FORMAT_1 = """
CREATE TABLE topics (topic INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, id TEXT NOT NULL,
    partitions INTEGER NOT NULL, config TEXT NOT NULL);
CREATE TABLE partitions (topic INTEGER NOT NULL, partition INTEGER NOT NULL, start_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, max_timestamp INTEGER NOT NULL DEFAULT -1,
    loose_chunks INTEGER NOT NULL DEFAULT 0, merged_to INTEGER NOT NULL DEFAULT 0,
    dirty_bytes INTEGER NOT NULL DEFAULT 0, cleaned_to INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE chunks (chunk INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
    base_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL, first_appended_ms INTEGER NOT NULL, last_appended_ms INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE UNIQUE INDEX chunks_in_order ON chunks (topic, partition, next_offset);
CREATE TABLE committed_offsets (group_id TEXT NOT NULL, topic INTEGER NOT NULL, partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL, metadata TEXT NOT NULL, PRIMARY KEY (group_id, topic, partition)) WITHOUT ROWID;
CREATE TABLE doomed_topics (topic INTEGER PRIMARY KEY);
INSERT INTO topics VALUES (1, 'a', 'id-a', 1, '{}'), (2, 'c', 'id-c', 1, '{"cleanup.policy":"compact"}');
INSERT INTO committed_offsets VALUES ('g', 1, 0, 2, 'time');
PRAGMA application_id = 0x68647263;
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with 64 records in a topic, and a compacted topic that has lost offsets 0 to 2 and 4."""
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_FORMAT_1)
        insert = "INSERT INTO chunks VALUES (NULL, ?, 0, ?, ?, ?, ?, ?, 0, 0, ?)"
        for n in range(64):
            _, newest, body = encode([b"k%d" % n], [b"v%d" % n], [n], None)
            connection.execute(insert, (1, n, n + 1, 1, len(body), newest, body))
        for base, following in ((3, 4), (5, 6)):
            _, newest, body = encode([b"c%d" % base], [b"v"], [base], None)
            connection.execute(insert, (2, base, following, 1, len(body), newest, body))
        rows = [(1, 64, 64 * len(body), 63, 64), (2, 6, 2 * len(body), 5, 2)]
        connection.executemany(
            "INSERT INTO partitions VALUES (?, 0, 0, ?, ?, ?, ?, 0, 0, 0)",
            rows,
        )
    return path


def unchecked_chunks(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT count(*) FROM chunks WHERE checksum IS NULL").fetchone()[0]
        return count


def test_all_that_is_in_it_is_read(path: Path, open_log: Callable[..., EmbeddedLog]) -> None:
    log = open_log()
    assert read(log, "a") == [(n, b"v%d" % n) for n in range(64)]
    assert read(log, "c") == [(3, b"v"), (5, b"v")]
    assert log.committed("g", [A0]) == {A0: CommittedOffset(2, "time")}
    assert [info.id for info in log.topics().values()] == ["id-a", "id-c"]
    assert unchecked_chunks(path) == 66


def test_it_is_written_and_maintained_as_any_other(
    path: Path, open_log: Callable[..., EmbeddedLog], clock: Clock
) -> None:
    log = open_log()
    write(log, "a", numbered(1, first=64))
    write(log, "c", columns_of([(b"c5", b"new")]))
    clock.advance(1_000)
    log.maintain(60_000)
    assert read(log, "a") == [(n, b"v%d" % n) for n in range(65)]
    assert read(log, "c")[-1] == (6, b"new")
    log.close()
    again = open_log()
    assert len(read(again, "a")) == 65
    assert unchecked_chunks(path) == 2, "what was merged has checksums"


def test_damage_in_what_is_written_from_now_on_is_told(
    path: Path, open_log: Callable[..., EmbeddedLog]
) -> None:
    log = open_log()
    write(log, "a", columns_of([(b"key", b"value")]))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE chunks SET body = CAST(replace(body, x'76616c7565', x'76616c7564') AS BLOB)"
        )
        connection.execute("UPDATE partitions SET start_offset = 1 WHERE topic = 2")
    with pytest.raises(LogError, match=r"a-0 at offset 64 .*the chunk is damaged"):
        read(log, "a")
    with pytest.raises(LogError, match=r"table partitions, row \(2, 0\)"):
        open_log()


def test_process_of_the_version_before_cannot_go_on_writing(
    path: Path, open_log: Callable[..., EmbeddedLog]
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        statement = (
            "UPDATE partitions SET end_offset = ?, max_timestamp = max(max_timestamp, ?) WHERE topic = 1"
        )
        old.execute(statement, (64, 0))
        open_log()
        with pytest.raises(sqlite3.OperationalError, match="no such column: max_timestamp"):
            old.execute(statement, (65, 0))
