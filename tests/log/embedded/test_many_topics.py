"""Thousands of topics in one embedded log: what is asked of one of them costs what it costs among ten."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.port import CommittedOffset, TopicSpec
from tests.log.records import Clock, numbered


def steps_of(connection: sqlite3.Connection, call: Callable[[], object]) -> int:
    """Count what SQLite's machine does in a call."""
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(count, 1)
    call()
    connection.set_progress_handler(None, 1)
    return steps


def costs(path: Path, topics: int) -> dict[str, int]:
    log = EmbeddedLog.open(path)
    log.create_topics([TopicSpec(f"t-{number}", 1) for number in range(topics)])
    place = TopicPartition("t-5", 0)
    writer = log.writer("g")
    writer.append("t-5", 0, numbered(3))

    def commit() -> None:
        writer.commit({place: CommittedOffset(1)})

    found = {
        "commit": steps_of(writer._connection, commit),
        "topics": steps_of(log._connection, lambda: log.topics(["t-5"])),
        "no such topic": steps_of(log._connection, lambda: log.topics(["x"])),
        "end": steps_of(log._connection, lambda: log.end_offsets([place])),
        "committed": steps_of(log._connection, lambda: log.committed("g", [place])),
        "create": steps_of(log._connection, lambda: log.create_topics([TopicSpec("t.6", 1)])),
    }
    log.close()
    return found


def test_what_is_asked_of_one_topic_costs_the_same_among_thousands(tmp_path: Path) -> None:
    among_ten = costs(tmp_path / "ten.db", 10)
    among_thousands = costs(tmp_path / "thousands.db", 3_000)
    for name, steps in among_thousands.items():
        assert steps <= 2 * among_ten[name], name


def test_commit_loads_hundreds_of_partitions_at_a_time(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path / "log.db")
    log.create_topics([TopicSpec(f"t-{number}", 1) for number in range(600)])
    writer = log.writer("g")
    for number in range(600):
        writer.append(f"t-{number}", 0, numbered(3))
    statements: list[str] = []
    writer._connection.set_trace_callback(statements.append)
    ends = writer.commit({})
    writer._connection.set_trace_callback(None)
    assert sum(statement.startswith("SELECT") for statement in statements) == 3
    assert list(ends) == [TopicPartition(f"t-{number}", 0) for number in range(600)]
    assert set(ends.values()) == {3}
    log.close()


def test_maintenance_looks_at_so_many_partitions_at_a_time(
    open_log: Callable[..., EmbeddedLog], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.log.embedded.maintenance._LOOK_PARTITIONS", 10)
    log = open_log()
    log.create_topics([TopicSpec(f"t-{number}", 1) for number in range(25)])
    writer = log.writer("g")
    for _ in range(64):
        for topic in ("t-0", "t-12", "t-24"):
            writer.append(topic, 0, numbered(1))
        writer.commit({})
    merged = []
    for _ in range(4):
        clock.advance(1_000)
        log.maintain(60_000)
        rows = log._connection.execute("SELECT topic - 1 FROM chunks GROUP BY topic HAVING count(*) = 1")
        merged.append([row[0] for row in rows])
    assert merged == [[0], [0, 12], [0, 12, 24], [0, 12, 24]]
