"""The tables of the embedded log: made, recognised, and brought from the format before to this one.

Format 2 gives every row a checksum, which covers all of its other columns. Format 1 had none. Its files are upgraded
when they are opened: small tables get their checksums at once, chunks stay as they are and have none until compaction
or merging writes them anew.
"""

import logging
import sqlite3
from pathlib import Path

from headrace.base.errors import LogError
from headrace.log.embedded.checksums import Damage, checksum_of

__all__ = ["SCHEMA_VERSION", "SMALL_TABLES", "create_tables", "has_unchecked_chunks", "is_current", "upgrade"]

_log = logging.getLogger("headrace.log")

SCHEMA_VERSION = 2

# "hdrc": tells our files from other SQLite databases.
_APPLICATION_ID = 0x68647263

_SCHEMA = """
CREATE TABLE topics (
    topic INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a stale number finds nothing, not another topic
    name TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL,
    partitions INTEGER NOT NULL,
    config TEXT NOT NULL,                    -- a JSON object of Kafka's property names and their texts
    checksum INTEGER NOT NULL
);
-- Finds names that differ in '.' and '_' only, of which Kafka takes one.
CREATE INDEX topics_by_metric_name ON topics (replace(name, '.', '_'));
CREATE TABLE partitions (
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    start_offset INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,             -- the next offset to be given; never moves back
    bytes INTEGER NOT NULL,                  -- of all chunk bodies
    newest_timestamp INTEGER NOT NULL,
    loose_chunks INTEGER NOT NULL,           -- small ones behind merged_to
    merged_to INTEGER NOT NULL,
    dirty_bytes INTEGER NOT NULL,            -- of the chunks behind cleaned_to
    cleaned_to INTEGER NOT NULL,             -- before it, a compacted partition has every key at most once
    checksum INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE chunks (
    chunk INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    base_offset INTEGER NOT NULL,            -- where the chunk before ends; its first record may come later
    next_offset INTEGER NOT NULL,            -- where reading goes on behind this chunk
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    max_timestamp INTEGER NOT NULL,
    first_appended_ms INTEGER NOT NULL,      -- wall clock; two, because merged chunks have several
    last_appended_ms INTEGER NOT NULL,
    body_checksum INTEGER NOT NULL,
    checksum INTEGER NOT NULL,               -- of the columns from topic to body_checksum
    body BLOB NOT NULL                       -- last, so that the other columns are read without it
);
-- By next_offset, because "the chunk that holds a position, or the one behind it" is then a single seek.
CREATE UNIQUE INDEX chunks_in_order ON chunks (topic, partition, next_offset);
CREATE TABLE committed_offsets (
    group_id TEXT NOT NULL,
    topic INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (group_id, topic, partition)
) WITHOUT ROWID;
-- Deleted topics whose chunks maintenance has still to remove.
CREATE TABLE doomed_topics (topic INTEGER PRIMARY KEY);
"""

_UPGRADE = (
    "ALTER TABLE topics ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX topics_by_metric_name ON topics (replace(name, '.', '_'))",
    "ALTER TABLE partitions ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
    # A new name, so that a process of the version before, which has the file open, fails at its next commit. It would
    # write rows whose checksums are wrong.
    "ALTER TABLE partitions RENAME COLUMN max_timestamp TO newest_timestamp",
    "ALTER TABLE committed_offsets ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE chunks ADD COLUMN body_checksum INTEGER",
    "ALTER TABLE chunks ADD COLUMN checksum INTEGER",
)

#: The small tables: name, key, and the columns that the checksum covers, in their order; they begin with the key.
SMALL_TABLES = (
    ("topics", ("topic",), "topic, name, id, partitions, config"),
    (
        "partitions",
        ("topic", "partition"),
        "topic, partition, start_offset, end_offset, bytes, newest_timestamp, loose_chunks, merged_to, dirty_bytes, "
        "cleaned_to",
    ),
    (
        "committed_offsets",
        ("group_id", "topic", "partition"),
        "group_id, topic, partition, next_offset, metadata",
    ),
)


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file has the tables of this version; False for those of the version before.

    Raises:
        LogError: the file is the database of another program, or was made by a newer version.
    """
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if application_id != _APPLICATION_ID:
        raise LogError(
            f"cannot open the embedded log {path}: the file is a database of another program; "
            f"choose another path; the file was left as it is"
        )
    if version not in (1, SCHEMA_VERSION):
        raise LogError(
            f"cannot open the embedded log {path}: it has format {version} and this headrace knows {SCHEMA_VERSION}; "
            f"upgrade headrace, or choose another path"
        )
    return version == SCHEMA_VERSION


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file. Called in a write transaction."""
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a file of the format before to this one. Called in a write transaction."""
    if is_current(connection, path):
        return  # another process was quicker
    for statement in _UPGRADE:
        connection.execute(statement)
    for table, key, columns in SMALL_TABLES:
        rows = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
        connection.executemany(
            f"UPDATE {table} SET checksum = ? WHERE {' AND '.join(f'{column} = ?' for column in key)}",
            [(checksum_of(*row), *row[: len(key)]) for row in rows],
        )
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    _log.info(
        "the embedded log %s is upgraded from format 1 to %d: each row has a checksum from now on, and older versions "
        "of headrace do not open the file any more",
        path, SCHEMA_VERSION,
    )  # fmt: skip


def has_unchecked_chunks(connection: sqlite3.Connection) -> bool:
    """Whether the file began in format 1: chunks may have no checksums, and compaction has left gaps between some.

    Raises:
        Damage: the definition of the table cannot be understood.
    """
    found = connection.execute("SELECT \"notnull\" FROM pragma_table_info('chunks') WHERE name = 'checksum'")
    row = found.fetchone()
    if row is None:
        raise Damage("table chunks", "its definition is damaged")
    is_required: int = row[0]
    return not is_required
