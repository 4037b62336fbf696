"""Values mapped for many records at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace.base.columns import Stretch
from headrace.operators.together import MapValuesAsync, MapValuesBatch
from tests.operators.nodes import Node, Sent


def stretch(*values: Any) -> Stretch:
    """Records with keys 0, 1, …, timestamps 10, 11, … and offsets 100, 101, …"""
    numbers = range(len(values))
    return Stretch(
        list(numbers),
        list(values),
        [10 + each for each in numbers],
        [()] * len(values),
        [100 + each for each in numbers],
    )


def calling(fn: Callable[..., Awaitable[Any]], **given: Any) -> Node:
    return Node(MapValuesAsync(fn, **{"with_key": False, "concurrency": 8, "timeout_seconds": None, **given}))


def test_batch_is_mapped_by_calls_of_at_most_so_many_values() -> None:
    calls: list[list[int]] = []

    def double(values: list[int]) -> list[int]:
        calls.append(values)
        return [2 * value for value in values]

    node = Node(MapValuesBatch(double, 2))
    node.run_together(stretch(1, 2, 3))
    assert calls == [[1, 2], [3]]
    assert node.sent == [Sent(0, 2, 10), Sent(1, 4, 11), Sent(2, 6, 12)]


def test_record_that_comes_alone_is_a_batch_of_one() -> None:
    node = Node(MapValuesBatch(lambda values: [2 * value for value in values], 2))
    node.send("a", 4, 7)
    assert node.sent == [Sent("a", 8, 7)]


def test_batch_that_fails_is_mapped_again_one_by_one() -> None:
    node = Node(MapValuesBatch(lambda values: [1 / value for value in values], 10))
    offsets: list[int] = []
    node.failed = lambda error, *record: offsets.append(node.context.offset)
    node.run = MapValuesBatch(lambda values: [1 / value for value in values], 10).compile(node)
    node.run_together(stretch(1, 0, 4))
    assert [sent.value for sent in node.sent] == [1.0, 0.25]
    assert offsets == [101]


def test_end_of_the_process_is_not_tried_again() -> None:
    calls = 0

    def leave(values: list[int]) -> list[int]:
        nonlocal calls
        calls += 1
        raise SystemExit(3)

    node = Node(MapValuesBatch(leave, 10))
    node.run_together(stretch(1, 2))
    assert calls == 1
    assert [type(error) for error in node.failures] == [SystemExit, SystemExit]


def test_batch_that_returns_another_number_of_values_fails() -> None:
    node = Node(MapValuesBatch(lambda values: values[1:], 10))
    node.run_together(stretch(1, 2))
    assert node.sent == []
    assert "was given 1 values and returned 0: one for each is wanted" in str(node.failures[0])


def test_async_calls_run_side_by_side_and_results_keep_the_order_of_the_input() -> None:
    async def wait_for_the_last(value: int) -> int:
        # The first ends last: one after the other they would wait for ever.
        if value < 3:
            await asyncio.sleep(0)
            while value + 1 not in done:
                await asyncio.sleep(0)
        done.add(value)
        return value * 10

    done: set[int] = set()
    node = calling(wait_for_the_last)
    node.run_together(stretch(1, 2, 3))
    assert node.sent == [Sent(0, 10, 10), Sent(1, 20, 11), Sent(2, 30, 12)]


def test_no_more_calls_than_the_concurrency_run_at_a_time() -> None:
    running: list[int] = []
    most = 0

    async def call(value: int) -> int:
        nonlocal most
        running.append(value)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.remove(value)
        return value

    calling(call, concurrency=2).run_together(stretch(*range(9)))
    assert most == 2


def test_call_that_fails_goes_to_the_handler_alone() -> None:
    async def invert(value: int) -> float:
        return 1 / value

    node = calling(invert)
    node.run_together(stretch(1, 0, 4))
    assert [sent.value for sent in node.sent] == [1.0, 0.25]
    assert [type(error) for error in node.failures] == [ZeroDivisionError]


def test_call_that_takes_too_long_is_cancelled_and_fails() -> None:
    cancelled: list[int] = []

    async def never(value: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(value)
            raise
        return value

    node = calling(never, timeout_seconds=0.01)
    node.run_together(stretch(5))
    assert cancelled == [5]
    assert [type(error) for error in node.failures] == [TimeoutError]


def test_async_call_that_leaves_the_process_is_told() -> None:
    async def leave(value: int) -> int:
        raise SystemExit(value)

    node = calling(leave)
    node.run_together(stretch(3))
    assert [type(error) for error in node.failures] == [SystemExit]


def test_async_function_can_take_the_key() -> None:
    async def pair(key: int, value: str) -> str:
        return f"{key}={value}"

    node = calling(pair, with_key=True)
    node.run_together(stretch("x", "y"))
    assert [sent.value for sent in node.sent] == ["0=x", "1=y"]


def test_result_that_nobody_can_await_is_told() -> None:
    plain: Any = lambda value: value  # noqa: E731
    node = calling(plain)
    node.run_together(stretch(1))
    with pytest.raises(
        TypeError, match=r"returned 1, which nobody can await: make it `async def`, or write map_values"
    ):
        raise node.failures[0]
