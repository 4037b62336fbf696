"""Users' functions: the marker for those that want the key, and what a function says of its result."""

import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, Generic

from typing_extensions import ParamSpec, TypeVar

from headrace.base.callables import called, misfit, named
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.operators.fold import Deletions
from headrace.topology.arguments import accepted

__all__ = [
    "WithKey",
    "WithKeys",
    "deletions_of",
    "described",
    "optional_plain",
    "plain",
    "result_annotation",
    "with_key",
    "with_keys",
]

K = TypeVar("K")
KG = TypeVar("KG")
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


class WithKeys(Generic[K, KG, P, R_co]):
    """A joiner that takes the stream's key and the table's before their values. Made by `with_keys`."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[Concatenate[K, KG, P], R_co]) -> None:
        self.fn = fn


def with_keys(fn: Callable[Concatenate[K, KG, P], R]) -> WithKeys[K, KG, P, R]:
    """Mark a joiner of a global table that takes both keys first: the record's, and the one that it selects.

    >>> joiner = with_keys(lambda key, country, amount, rate: f"{key}: {amount * rate} in {country}")
    >>> joiner.fn("ann", "SE", 2, 3)
    'ann: 6 in SE'
    """
    return WithKeys(fn)


def plain(
    fn: object,
    what: str,
    where: Location,
    *arguments: str,
    yields: bool = False,
    keyed: bool = False,
    acts: bool = False,
    awaits: bool = False,
) -> tuple[Callable[..., Any], bool]:
    """Return the function itself, and whether it takes the key.

    `arguments` name what it will be called with; where it is `keyed`, `with_key` puts the key before them. `yields`
    says that its results are iterables, `acts` that it needs to give none, `awaits` that they are awaited.

    Raises:
        TopologyError: it is no function, cannot be called so, would give a coroutine or a generator for its result, or
            gives none.
    """
    if isinstance(fn, WithKeys):
        raise TopologyError(
            f"{where}: the {what} is not called with two keys, as a joiner of a global table is: leave with_keys() out"
        )
    takes_key = isinstance(fn, WithKey)
    inner: object = fn.fn if isinstance(fn, WithKey) else fn
    if takes_key and keyed:
        arguments = ("key", *arguments)
    elif takes_key and arguments[:1] != ("key",):
        raise TopologyError(f"{where}: the {what} is not called with the key: leave with_key() out")

    def hint() -> str:
        if keyed and not takes_key and misfit(inner, ("key", *arguments), yields=yields) is None:
            return "; write hr.with_key(...) around it to be given the key first"
        return ""

    return accepted(
        inner, what, where, *arguments, yields=yields, acts=acts, awaits=awaits, hint=hint
    ), takes_key


def optional_plain(
    fn: Callable[..., Any] | None,
    what: str,
    where: Location,
    *arguments: str,
    yields: bool = False,
    acts: bool = False,
) -> Callable[..., Any] | None:
    """As `plain`, of a function that may be left out."""
    return None if fn is None else plain(fn, what, where, *arguments, yields=yields, acts=acts)[0]


def described(fn: Callable[..., Any]) -> str:
    """Name a function and its place, for messages: `the lambda at shop.py:40`."""
    told = named(fn)
    return told if " at " in told else f"{told}, which says nothing of its result's type"


def result_annotation(fn: Callable[..., Any]) -> object:
    """Return what a function is declared to return, or None where it does not say."""
    try:
        # Of a callable object it is the class's method that is annotated.
        return typing.get_type_hints(called(fn)).get("return")
    except Exception:
        # Hints are any expression of the user's; one that cannot be evaluated says nothing.
        return None


def deletions_of(fn: Callable[..., Any]) -> Deletions:
    """Return what tells of an aggregator's deletions; of one whose annotation admits None, nothing is told."""
    annotation = result_annotation(fn)
    admitted = annotation is Any or types.NoneType in typing.get_args(annotation)
    return Deletions(None if admitted else named(fn))


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
