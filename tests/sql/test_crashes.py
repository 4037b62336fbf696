"""Sinks that are killed at every step, and at any moment: each record is in the table once, in the end."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.sql.orders import Order, is_written, write_file
from tests.streams.waiting import until

pytestmark = pytest.mark.process

RECORDS = 2000
STEPS = [
    "claim:1",
    "claim:2",
    "begin:3",
    "position:1",
    "rows:1",
    "commit:3",
    "position:5",
    "rows:7",
    "commit:9",
    "begin:8",
]


def make_table(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE arrived (place varchar(30), id bigint, cents bigint)"))


def feed(folder: Path) -> list[tuple[str, int, int]]:
    """Write the input, and return the rows that it makes."""
    written = [(number, Order("tea", number * 3)) for number in range(RECORDS)]
    write_file(folder / "log.db", written)
    return sorted((f"{key % 2}@{key // 2}", key, order.cents) for key, order in written)


def rows(engine: Engine) -> list[tuple[str, int, int]]:
    with engine.connect() as connection:
        return sorted((row[0], row[1], row[2]) for row in connection.execute(text("SELECT * FROM arrived")))


def start(folder: Path, address: str, *options: str) -> subprocess.Popen[bytes]:
    places = [f"embedded.path={folder / 'log.db'}", f"state.dir={folder / 'state'}"]
    told = [part for place in places for part in ("--set", place)]
    with (folder / "errors.log").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.sql.application", address, *told, *options], stderr=errors
        )


def drain(folder: Path, address: str, engine: Engine) -> None:
    """Run to the end, and stop as a system does."""
    process = start(folder, address)
    try:
        until(lambda: process.poll() is not None or is_written(engine, RECORDS))
        process.terminate()
        assert process.wait(60) == 0, (folder / "errors.log").read_text()
    finally:
        process.kill()
        process.wait()


def test_sink_killed_at_every_step_writes_each_record_once(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    expected = feed(tmp_path)
    for step in STEPS:
        assert start(tmp_path, address, "--stop-at", step).wait(60) == -signal.SIGKILL, (
            tmp_path / "errors.log"
        ).read_text()
    drain(tmp_path, address, engine)
    assert rows(engine) == expected


@pytest.mark.campaign
def test_sink_killed_at_any_moment_writes_each_record_once(
    tmp_path: Path, address: str, engine: Engine
) -> None:
    make_table(engine)
    expected = feed(tmp_path)
    chance = random.Random(5)
    stood: Counter[bool] = Counter()
    for _ in range(8):
        process = start(tmp_path, address, "--batch", "3")
        _wait_for_more_rows(process, engine, len(rows(engine)))
        time.sleep(chance.random() / 20)  # which moment it is, nobody knows
        process.kill()
        process.wait()
        stood[is_written(engine, RECORDS)] += 1
    assert stood[False] >= 2  # else nothing was shown
    drain(tmp_path, address, engine)
    assert rows(engine) == expected


def _wait_for_more_rows(process: subprocess.Popen[bytes], engine: Engine, seen: int) -> None:
    until(lambda: process.poll() is not None or len(rows(engine)) > seen or is_written(engine, RECORDS))
