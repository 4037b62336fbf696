"""The event loop of a worker's async functions."""

import asyncio
import threading

import pytest

from headrace.engine.event_loop import EventLoop


async def loop_and_thread() -> tuple[asyncio.AbstractEventLoop, str]:
    return asyncio.get_running_loop(), threading.current_thread().name


def test_all_calls_run_on_one_loop_that_lives_until_it_is_closed() -> None:
    loop = EventLoop()
    (first, _), (second, _) = loop.outcomes([loop_and_thread, loop_and_thread], 2, None)
    ((third, _),) = loop.outcomes([loop_and_thread], 2, None)
    assert first == second == third
    assert first[1] == f"{threading.current_thread().name}-async"
    loop.close()
    loop.close()
    assert first[0].is_closed()
    assert first[1] not in {thread.name for thread in threading.enumerate()}


def test_loop_that_nobody_needs_has_no_thread() -> None:
    before = threading.active_count()
    loop = EventLoop()
    assert threading.active_count() == before
    loop.close()


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_what_a_call_raises_is_its_outcome_and_ends_no_other(error: BaseException) -> None:
    async def fail() -> None:
        raise error

    async def succeed() -> int:
        return 1

    loop = EventLoop()
    try:
        assert loop.outcomes([fail, succeed], 2, None) == [(None, error), (1, None)]
        assert loop.outcomes([succeed], 2, None) == [(1, None)]
    finally:
        loop.close()
