"""Serdes and functions that the user gives, judged with the place of the call. Both the DSL and `Topology` ask here."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from headrace.base.callables import gives_nothing, misfit, named, watched
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.serde.resolve import serde_of
from headrace.serde.serde import Serde
from headrace.serde.structured import type_name

__all__ = ["Part", "accepted", "extracting", "given"]

Part: TypeAlias = Literal["key", "value"]


def given(spec: object, part: Part, where: Location) -> Serde[Any] | None:
    """Return the serde that `key=` or `value=` means, None where none is given.

    Raises:
        TopologyError: it is neither a serde nor a class that stands for one.
    """
    try:
        found: Serde[Any] | None = serde_of(spec)  # type: ignore[call-overload]  # any object: this is the check
    except TypeError as error:
        raise TopologyError(f"{where}: {part}={type_name(spec)}: {error}") from error
    return found


def accepted(
    fn: object,
    what: str,
    where: Location,
    *arguments: str,
    yields: bool = False,
    acts: bool = False,
    awaits: bool = False,
    hint: Callable[[], str] = str,
) -> Callable[..., Any]:
    """Return a function that can be called so; `arguments` name what it will be called with.

    `yields` says that its results are iterables, `acts` that it needs to give none, `awaits` that they are awaited.
    `hint` ends the message about one
    that does not fit.

    Raises:
        TopologyError: it is no function, cannot be called so, would give a coroutine or a generator for its result, or
            gives none.
    """
    problem = misfit(fn, arguments, yields=yields, awaits=awaits)
    if problem is not None:
        raise TopologyError(f"{where}: the {what} {problem}{hint()}")
    if not acts and gives_nothing(fn):
        raise TopologyError(
            f"{where}: the {what} {named(fn)} never returns a value: a `return` is missing; annotate it with "
            "`-> None` if that is meant"
        )
    assert callable(fn), "misfit() has refused what is not"
    return fn if awaits else watched(fn, yields=yields)


def extracting(fn: object, where: Location) -> Callable[..., Any] | None:
    """Return a timestamp extractor, which may be left out.

    Raises:
        TopologyError: it is none.
    """
    return None if fn is None else accepted(fn, "timestamp extractor", where, "record", "partition_time")
