"""Which functions are refused before they are called, and which results when they come."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from headrace.base.callables import misfit, named, refuse_unstarted, truth, watched


def plain(key: str, value: str) -> bool:
    return value == "yes"


async def coroutine(key: str, value: str) -> bool:
    return value == "yes"


def generator(key: str, value: str) -> Iterator[str]:
    yield value


async def asynchronous_generator(key: str, value: str) -> AsyncIterator[str]:
    yield value


class Judge:
    async def __call__(self, key: str, value: str) -> bool:
        return True

    async def method(self, key: str, value: str) -> bool:
        return True

    @staticmethod
    async def alone(key: str, value: str) -> bool:
        return True

    @classmethod
    async def of_class(cls, key: str, value: str) -> bool:
        return True


async def with_limit(limit: int, key: str, value: str) -> bool:
    return True


def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*arguments: Any) -> Any:
        return fn(*arguments)

    return call


def awaited(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*arguments: Any) -> Any:
        return asyncio.run(fn(*arguments))

    return call


def with_client(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(key: str, value: str) -> Any:
        return fn("client", key, value)

    return call


@pytest.mark.parametrize(
    "fn",
    [
        coroutine,
        Judge(),
        Judge().method,
        Judge().alone,
        Judge.alone,
        Judge.of_class,
        functools.partial(with_limit, 5),
        functools.partial(functools.partial(Judge().method)),
        functools.lru_cache(coroutine),
    ],
)
def test_async_functions_are_refused_wherever_they_hide(fn: Any) -> None:
    problem = misfit(fn, ("key", "value"))
    assert problem is not None
    assert "is an async function, whose result is a coroutine that nobody awaits" in problem
    assert "test_callables.py:" in problem


def test_generator_functions_are_refused_where_one_value_is_wanted() -> None:
    assert misfit(generator, ("key", "value")) == (
        "generator() at test_callables.py:22 is a generator function: calling it runs none of it, and its result is a "
        "generator; hand over a function that returns"
    )
    assert misfit(generator, ("key", "value"), yields=True) is None


def test_async_generator_functions_are_refused_even_where_many_values_are_wanted() -> None:
    problem = misfit(asynchronous_generator, ("key", "value"), yields=True)
    assert problem is not None and "async generator function" in problem


@pytest.mark.parametrize(
    ("fn", "arguments"),
    [
        (plain, ("key", "value")),
        (str.lower, ("value",)),
        ("".join, ("value",)),
        (len, ("value",)),
        (int, ("value",)),
        (max, ("key", "value")),
        (print, ("key", "value")),
        (json.loads, ("value",)),
        (dict, ()),
        (list, ()),
        ({}.get, ("value",)),
        (functools.partial(max, 3), ("value",)),
        (functools.lru_cache(plain), ("key", "value")),
        (logged(plain), ("key", "value")),
        (with_client(lambda client, key, value: True), ("key", "value")),
        (awaited(coroutine), ("key", "value")),
    ],
)
def test_what_can_be_called_is_let_through(fn: Any, arguments: tuple[str, ...]) -> None:
    assert misfit(fn, arguments) is None


def test_arguments_that_cannot_fit_are_told_both_ways() -> None:
    assert misfit(plain, ("value",)) == (
        "plain() at test_callables.py:14 takes (key: str, value: str), and is called with (value)"
    )
    assert misfit(3, ()) == "must be a function, found 3"


def test_function_is_named_with_its_place() -> None:
    assert named(lambda: 0).startswith("the lambda at test_callables.py:")
    assert named(Judge()) == "Judge.__call__() at test_callables.py:31"
    assert named(functools.partial(plain, "k")) == "plain() at test_callables.py:14"
    assert named(str.lower) == "str.lower()"


def test_truth_is_that_of_python() -> None:
    values: list[object] = [True, False, None, 0, "x", []]
    assert [truth(each) for each in values] == [True, False, False, False, True, False]


def test_coroutine_is_no_truth() -> None:
    with pytest.raises(TypeError, match=r"it is a coroutine of coroutine\(\) at test_callables.py:18"):
        truth(coroutine("k", "no"))


def test_generator_is_no_truth_and_no_action() -> None:
    with pytest.raises(TypeError, match=r"it is a generator of generator\(\) at test_callables.py:22"):
        truth(generator("k", "no"))
    with pytest.raises(TypeError, match="none of it has run"):
        refuse_unstarted(generator("k", "no"))


def test_decorator_that_passes_a_coroutine_on_is_found_by_its_result() -> None:
    with pytest.raises(TypeError, match=r"it is a coroutine of coroutine\(\)"):
        watched(logged(coroutine))("k", "yes")


def test_decorator_that_awaits_is_as_good_as_a_plain_function() -> None:
    assert watched(awaited(coroutine))("k", "yes") is True


def test_plain_functions_are_not_watched() -> None:
    assert watched(plain) is plain
    assert watched(logged(generator), yields=True)("k", "v").__next__() == "v"
