"""Fixtures for the tests of logs: every log under test, and a clock that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.log.embedded import EmbeddedLog
from headrace.log.embedded_compaction import CompactionLimits
from headrace.log.memory import MemoryLog
from headrace.log.port import Log
from tests.log.records import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "embedded"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    made: Log = MemoryLog() if request.param == "memory" else EmbeddedLog.open(tmp_path / "log.db")
    yield made
    made.close()


@pytest.fixture
def open_log(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., EmbeddedLog]]:
    """Open the same file as often as asked, with the test's clock; compaction starts at 1 byte."""
    opened: list[EmbeddedLog] = []

    def open_(map_bytes_max: int = 1 << 20) -> EmbeddedLog:
        limits = CompactionLimits(dirty_bytes_min=1, map_bytes_max=map_bytes_max)
        opened.append(
            EmbeddedLog.open(tmp_path / "log.db", now_ms=clock.now_ms, limits=limits, lock_wait_ms=5_000)
        )
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
