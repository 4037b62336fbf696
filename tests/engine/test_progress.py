"""What a worker tells of the state that lies with it, of tasks in any role."""

from collections.abc import Callable

import pytest

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


@pytest.mark.parametrize("is_told", [False, True])
def test_what_an_earlier_run_has_left_is_told_once_it_is_open(
    pair: Callable[..., Pair], is_told: bool
) -> None:
    both = pair(statestore_cache_max_bytes=0)
    both.one.open(TASKS[0])
    both.write(0, 1, 2, 3)
    both.one.turn()
    both.one.worker.commit()
    both.one.crash()
    (both.one.folder / "9_0").mkdir()
    (both.one.folder / "0_9").mkdir()
    both.one.open_idle()
    if is_told:
        both.one.worker.open_existing()
    assert both.one.worker.progress() == ({TASKS[0]: TaskProgress(3, 3)} if is_told else {})
    both.one.worker.assign([TASKS[0]])
    both.check()
