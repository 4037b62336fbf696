"""A crash at any step of the commit in which something closes that nothing has come for: each result is there once."""

from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.engine.clock import ManualClock
from headrace.engine.options import WINDOW_EMIT_INTERVAL, EngineOptions
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec
from tests.dsl import test_idle_cogrouped, test_idle_joins, test_idle_resequence
from tests.dsl.test_idle_windows import closing, suppressed

STEPS = ["flush", "drain", "transaction", "state", "next task", "end"]


class Killed(BaseException):
    """Ends the worker where it is."""


class Application:
    """Workers of one application, one after the other, on one log and one disk."""

    def __init__(self, topology: hr.Topology, folder: Path) -> None:
        self.topology, self.folder = topology, folder
        self.log, self.clock = MemoryLog(), ManualClock()
        self.log.create_topics([TopicSpec("in", 1), TopicSpec("more", 1)])
        self.kill_at: str | None = None
        self.worker = self.begin()

    def begin(self) -> Worker:
        worker = build_worker(
            self.topology,
            self.log,
            EngineOptions.of({WINDOW_EMIT_INTERVAL: 0}),
            application_id="app",
            state_dir=self.folder,
            clock=self.clock,
            commit_each_stretch=True,
            reached=self._reached,
        )
        worker.open()
        return worker

    def _reached(self, step: str) -> None:
        if step == self.kill_at:
            self.kill_at = None
            raise Killed(step)

    def pipe(self, *records: tuple[bytes, int], topic: str = "in") -> None:
        columns = Columns()
        for key, timestamp in records:
            columns.append(key, b"x", timestamp, ())
        writer = self.log.writer("feed")
        writer.append(topic, 0, columns)
        writer.commit({})
        self.run()

    def run(self) -> None:
        while self.worker.step(0):
            pass

    def left(self, topic: str) -> list[tuple[bytes | None, int]]:
        return [(record[2], record[4]) for record in self.log.records(topic)]


def silent_and_killed(build: Callable[..., hr.Topology], step: str, folder: Path) -> Application:
    """Begin the silence, be killed where it ends, and start again; the silence is over a second time."""
    application = Application(build(), folder)
    application.pipe((b"a", 5), (b"b", 60_001))
    application.clock.advance(30_000)
    application.kill_at = step
    with pytest.raises(Killed):
        application.run()
    application.worker.close()
    application.worker = application.begin()
    application.run()
    application.clock.advance(30_000)
    application.run()
    return application


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("build", [closing, suppressed, test_idle_cogrouped.topology])
def test_each_result_leaves_once_wherever_the_process_is_killed(
    build: Callable[..., hr.Topology], step: str, tmp_path: Path
) -> None:
    application = silent_and_killed(build, step, tmp_path)
    assert application.left("out") == [(b"a@0", 5), (b"b@60000", 60_001)]
    application.pipe((b"a", 119_999), (b"a", 120_000))
    assert application.left("late") == [(b"a", 119_999)]
    application.worker.close()


@pytest.mark.parametrize("step", STEPS)
def test_each_record_that_waits_leaves_once_wherever_the_process_is_killed(step: str, tmp_path: Path) -> None:
    application = silent_and_killed(test_idle_resequence.by_time, step, tmp_path)
    assert application.left("out") == [(b"a", 5), (b"b", 60_001)]
    application.pipe((b"a", 60_001), (b"a", 60_002))
    assert application.left("late") == [(b"a", 60_001)]
    application.worker.close()


@pytest.mark.parametrize("step", STEPS)
def test_each_record_without_a_match_leaves_once_wherever_the_process_is_killed(
    step: str, tmp_path: Path
) -> None:
    application = silent_and_killed(test_idle_joins.topology, step, tmp_path)
    assert application.left("out") == [(b"a", 5), (b"b", 60_001)]
    # It comes too late for what has closed, and is there for what comes next.
    application.pipe((b"b", 6), topic="more")
    application.pipe((b"b", 60_010))
    assert application.left("out")[2:] == [(b"b", 60_010)]
    application.worker.close()
