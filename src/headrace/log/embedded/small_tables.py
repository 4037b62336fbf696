"""The small tables of the embedded log, looked through when it is opened: a row not found in them is made anew."""

import sqlite3

from headrace.log.embedded.checksums import Damage, check
from headrace.log.embedded.schema import SMALL_TABLES

__all__ = ["check_small_tables"]


def check_small_tables(connection: sqlite3.Connection) -> None:
    """Accept the tables of topics, partitions and committed offsets. Takes about 5 us a row.

    Each row is checked again when it is used. But a topic that is not found would be made, empty, and a group whose
    offset is not found would begin at the start: these must not be missing.

    Raises:
        Damage: a row is not what was written, or is missing, or an index leads elsewhere.
    """
    for table, key, columns in SMALL_TABLES:
        found = connection.execute(f"PRAGMA integrity_check({table})").fetchone()[0]
        if found != "ok":
            raise Damage(f"table {table}", f"its rows and its index disagree ({found})")
        for *row, checksum in connection.execute(f"SELECT {columns}, checksum FROM {table}"):
            check(f"table {table}, row {tuple(row[: len(key)])}", checksum, *row)
    incomplete = connection.execute(
        "SELECT name FROM topics LEFT JOIN partitions USING (topic) GROUP BY topic "
        "HAVING count(partition) != topics.partitions LIMIT 1"
    ).fetchone()
    if incomplete is not None:
        raise Damage(f"topic {incomplete[0]!r}", "some of its partitions are missing")
    doomed = connection.execute("SELECT name FROM topics JOIN doomed_topics USING (topic) LIMIT 1").fetchone()
    if doomed is not None:
        raise Damage(f"topic {doomed[0]!r}", "it is there, and yet marked as deleted")
