"""Users' functions: the marker for those that want the key, and what a function says of its result."""

import functools
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Generic

from typing_extensions import ParamSpec, TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.topology.locations import location_of

__all__ = ["WithKey", "described", "plain", "result_annotation", "with_key"]

K = TypeVar("K")
P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class WithKey(Generic[K, P, R_co]):
    """A function that takes the key before its values. Made by `with_key`."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[Concatenate[K, P], R_co]) -> None:
        self.fn = fn


def with_key(fn: Callable[Concatenate[K, P], R]) -> WithKey[K, P, R]:
    """Mark a function that takes the key first, where a function of values alone is expected.

    >>> mapper = with_key(lambda key, value: f"{key}={value}")
    >>> mapper.fn("a", 1)
    'a=1'
    """
    return WithKey(fn)


def plain(fn: object, what: str, where: Location) -> tuple[Callable[..., Any], bool]:
    """Return the function itself, and whether it takes the key.

    Raises:
        TopologyError: it is no function.
    """
    inner: object = fn.fn if isinstance(fn, WithKey) else fn
    if not callable(inner):
        raise TopologyError(f"{where}: the {what} must be a function, found {inner!r}")
    return inner, isinstance(fn, WithKey)


def described(fn: Callable[..., Any]) -> str:
    """Name a function and where it was written, for messages: `the lambda at shop.py:40`."""
    name = getattr(fn, "__name__", type(fn).__name__)
    location = location_of(fn)
    if location is None:
        return f"{name}, which says nothing of its result's type"
    return f"the lambda at {location}" if name == "<lambda>" else f"{name}() at {location}"


def result_annotation(fn: Callable[..., Any]) -> object:
    """Return what a function is declared to return, or None where it does not say."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if not isinstance(fn, types.FunctionType | types.MethodType):
        # Of a callable object it is the class's method that is annotated.
        fn = vars(type(fn)).get("__call__", fn)
    try:
        return typing.get_type_hints(fn).get("return")
    except Exception:
        # Hints are any expression of the user's; one that cannot be evaluated says nothing.
        return None


def element_of(annotation: object) -> object:
    """Return what an annotated iterable holds, or None."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if not (isinstance(origin, type) and issubclass(origin, Iterable) and arguments):
        return None
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return None
    # Generator[yielded, sent, returned] has what it yields in front, as Iterator and list do; a mapping gives its keys.
    element: object = arguments[0]
    return element


def pair_of(annotation: object) -> tuple[object, object]:
    """Return the two parts of an annotated pair, or (None, None)."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and len(arguments) == 2 and Ellipsis not in arguments:
        return arguments[0], arguments[1]
    return None, None
