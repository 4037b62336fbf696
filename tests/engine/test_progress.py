"""What a worker tells of the state that lies with it, of tasks in any role."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.engine.progress_memory import ProgressMemory
from headrace.group.user_data import TaskProgress
from tests.engine.test_assignment import TASKS, Pair, pair

__all__ = ["pair"]


def test_tasks_that_run_are_at_the_end_and_those_that_have_gone_are_where_they_were(
    pair: Callable[..., Pair],
) -> None:
    both = pair(statestore_cache_max_bytes=0)
    both.one.open(TASKS[0], TASKS[1])
    both.write(0, 1, 2, 3)
    both.write(1, 4)
    both.one.turn()
    assert both.one.worker.progress() == {}
    both.one.worker.revoke([TASKS[0]])
    assert both.one.worker.progress() == {TASKS[0]: TaskProgress(3, 3), TASKS[1]: TaskProgress(1, 1)}


def test_a_standby_tells_how_far_it_is_behind(pair: Callable[..., Pair]) -> None:
    both = pair(statestore_cache_max_bytes=0)
    both.one.open(TASKS[0])
    both.other.open_idle()
    both.other.worker.follow([TASKS[0]])
    both.write(0, 1, 2, 3)
    both.one.turn()
    both.one.worker.commit()
    both.other.turn()
    both.other.clock.advance(1_000)
    both.other.turn()
    both.write(0, 4, 5)
    both.one.turn()
    both.one.worker.commit()
    assert both.other.worker.progress() == {TASKS[0]: TaskProgress(3, 5)}


def test_what_an_earlier_run_has_left_is_told_before_it_is_opened(pair: Callable[..., Pair]) -> None:
    both = pair(statestore_cache_max_bytes=0)
    both.one.open(TASKS[0])
    both.write(0, 1, 2, 3)
    both.one.turn()
    both.one.worker.commit()
    both.one.worker.progress()
    both.one.crash()
    both.one.open_idle()
    assert both.one.worker.progress() == {TASKS[0]: TaskProgress(3, 3)}
    both.one.worker.assign([TASKS[0]])
    both.check()


def test_progress_is_remembered_of_state_that_is_there(tmp_path: Path) -> None:
    now = [0.0]
    memory = ProgressMemory(tmp_path, lambda: now[0])
    assert memory.known() == {}
    for name in ("0_0", "0_1"):
        (tmp_path / name).mkdir()
    memory.learn({TASKS[0]: TaskProgress(3, 5), TASKS[1]: TaskProgress(1, 1)})
    assert memory.learn({TASKS[0]: TaskProgress(4, 5)})[TASKS[1]] == TaskProgress(1, 1)
    assert ProgressMemory(tmp_path, lambda: now[0]).known()[TASKS[0]] == TaskProgress(3, 5)
    now[0] += 5.0
    (tmp_path / "0_1").rmdir()
    memory.learn({TASKS[0]: TaskProgress(5, 5)})
    assert ProgressMemory(tmp_path, lambda: now[0]).known() == {TASKS[0]: TaskProgress(5, 5)}


def test_progress_is_remembered_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "0_0").mkdir()
    memory = ProgressMemory(tmp_path, lambda: 0.0)
    memory.learn({})
    memory.learn({TASKS[0]: TaskProgress(3, 5)})
    memory.close()
    assert ProgressMemory(tmp_path, lambda: 0.0).known() == {TASKS[0]: TaskProgress(3, 5)}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": [1, 2]}', '{"0_0": 1}', '{"0_0": [1]}', '{"0": [1, 2]}']
)
def test_progress_that_cannot_be_read_is_none_with_a_warning(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "0_0").mkdir()
    (tmp_path / "progress").write_text(text)
    assert ProgressMemory(tmp_path, lambda: 0.0).known() == {}
    assert "cannot read how far" in caplog.text


def test_progress_that_cannot_be_written_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "0_0").mkdir()
    memory = ProgressMemory(tmp_path, lambda: 0.0)
    (tmp_path / "progress.new").mkdir()
    memory.learn({TASKS[0]: TaskProgress(3, 5)})
    assert "cannot remember" in caplog.text
