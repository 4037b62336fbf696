"""Find the serde that is meant: by a type in its place, or by the annotation of a function's result."""

import functools
import operator
import types
import typing
from typing import Annotated, Any, Final, NewType, Union, cast, get_args, get_origin, overload
from uuid import UUID

from typing_extensions import TypeAliasType, TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.serde.primitives import boolean, float64, int64, raw, string, uuid
from headrace.serde.serde import Serde, SerdeLike
from headrace.serde.structured import json, msgpack, type_name

__all__ = ["advice", "optional", "plain_type", "serde_from_annotation", "serde_of", "serde_of_keys"]

T = TypeVar("T")

#: Types that leave open what they hold, and how it is said. From them nothing is guessed.
_OPEN: Final[dict[object, str]] = {
    list: "list[str]",
    dict: "dict[str, int]",
    tuple: "tuple[str, int]",
    set: "set[str]",
    frozenset: "frozenset[str]",
    object: "dict[str, int]",
    Any: "dict[str, int]",
}

_BY_CLASS: Final[dict[object, Serde[Any]]] = {
    bool: boolean,
    bytes: raw,
    float: float64,
    int: int64,
    str: string,
    UUID: uuid,
}


@overload
def serde_of(spec: SerdeLike[T]) -> Serde[T]: ...
@overload
def serde_of(spec: SerdeLike[T] | None) -> Serde[T] | None: ...
def serde_of(spec: object) -> Serde[Any] | None:
    """Return the serde that `key=` or `value=` means; None where nothing was given.

    Plain classes have Kafka's own bytes, every other type is JSON: `list[str]`, dataclasses, unions, enumerations.
    `X | None` is X: None is a null, which never reaches a serde.

    Raises:
        TypeError: `spec` is neither a serde nor a type that stands for one; says what to write.
    """
    if spec is None or isinstance(spec, Serde):
        return spec
    spec = plain_type(spec)
    known = _BY_CLASS.get(spec) if isinstance(spec, type) else None
    if known is not None:
        return known
    if isinstance(spec, type) and get_origin(spec) is None and issubclass(spec, Serde):
        raise TypeError(f"{type_name(spec)} is a class of serdes: give an instance, {type_name(spec)}(...)")
    if not _is_type(spec):
        raise TypeError(_no_type(spec))
    example = _example_of_open(spec)
    if example is not None:
        name = _name_of_open(spec)
        raise TypeError(
            f"{name} does not say what it holds: write hr.json({name}), which takes all that JSON has, or name the "
            f"types in it, as in {example}"
        )
    form: Any = spec
    return json(form)


def serde_from_annotation(annotation: object) -> Serde[Any] | None:
    """Return the serde of what a function returns, or None where its annotation does not say it for sure."""
    if not _is_type(annotation) or _holds_variables(annotation):
        return None
    try:
        found: Serde[Any] | None = serde_of(annotation)  # type: ignore[call-overload]  # any object: this is the check
    except TypeError:
        return None
    return found


def advice(annotation: object, part: str) -> str:
    """Return what to write at a function whose annotation (None if it has none) says no serde."""
    plain = plain_type(annotation)
    if not _is_type(plain) or _holds_variables(plain):
        return f"write `{part}=` there"
    example = _example_of_open(plain)
    if example is not None:
        name = _name_of_open(plain)
        return f"write `{part}=hr.json({name})` there, or annotate what is in it, as in {example}"
    try:
        serde_of(plain)  # type: ignore[call-overload]  # any object: this is the check
    except TypeError as error:
        return f"write `{part}=` there, since its annotation says no serde: {error}"
    return f"write `{part}=` there"


def serde_of_keys(serde: Serde[Any], node: str, where: Location) -> Serde[Any]:
    """Return the serde with which a node, or a store, writes its keys.

    Raises:
        TopologyError: equal keys would make different bytes; names node and place, and says what to write.
    """
    try:
        return serde.for_keys()
    except TypeError as error:
        raise TopologyError(f"{node} ({where}): {error}") from error


def optional(serde: SerdeLike[T]) -> Serde[T | None]:
    """Say that values may be null: for a type checker, which then asks what happens to a tombstone.

    It is the same serde, since None never reaches one.

    Raises:
        TypeError: a class that stands for no serde.
    """
    # The cast is what this function is for: bytes and equality do not change.
    return cast("Serde[T | None]", serde_of(serde))


def plain_type(spec: object) -> object:
    """Return the type that a name, a remark or a `| None` is about."""
    while True:
        origin = get_origin(spec)
        if origin is Annotated:
            spec = get_args(spec)[0]
        elif isinstance(spec, NewType):
            spec = spec.__supertype__
        elif isinstance(spec, TypeAliasType):
            spec = spec.__value__
        elif (origin is Union or origin is types.UnionType) and types.NoneType in get_args(spec):
            # One by one, since a union that is made again keeps its members' order.
            members = [part for part in get_args(spec) if part is not types.NoneType]
            spec = functools.reduce(operator.or_, members)
        else:
            return spec


def _example_of_open(spec: object) -> str | None:
    """Return how to name what a type holds, if it leaves that open: `typing.List` is list to us."""
    return None if get_args(spec) else _OPEN.get(get_origin(spec) or spec)


def _name_of_open(spec: object) -> str:
    return "object" if spec is Any else type_name(spec)


def _is_type(spec: object) -> bool:
    return spec is Any or isinstance(spec, type | NewType | TypeAliasType) or get_origin(spec) is not None


def _holds_variables(annotation: object) -> bool:
    return isinstance(annotation, typing.TypeVar | TypeVar) or any(
        map(_holds_variables, get_args(annotation))
    )


def _no_type(spec: object) -> str:
    """Say what to write in place of something that is no type."""
    if any(spec is each for each in (json, msgpack, optional)):
        return f"{type_name(spec)} is a function, not a serde: call it, as in hr.{type_name(spec)}(Order)"
    if callable(spec):
        return (
            f"{type_name(spec)} is a function, not a serde: write a type such as str or Order, or an instance of a "
            f"class of yours that derives from hr.Serde"
        )
    if _example_of_open(type(spec)) is not None:
        return f"{spec!r} is no serde: write a type such as list[str], or a serde such as hr.json(Order)"
    try:
        if not isinstance(spec, str):
            json(type(spec))
            return f"{spec!r} is no serde: write its type, {type_name(type(spec))}, or a serde such as hr.json(Order)"
    except TypeError:
        pass  # no type that could be written, such as a type variable's
    return f"{spec!r} is no serde: write a class such as str or Order, or a serde such as hr.json(Order)"
