"""Find the serde that is meant: by a class in its place, or by the annotation of a function's result."""

import dataclasses
import types
from typing import Annotated, Any, Final, NewType, Union, cast, get_args, get_origin, overload
from uuid import UUID

import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.serde.primitives import boolean, float64, int64, raw, string, uuid
from headrace.serde.serde import Serde, SerdeLike
from headrace.serde.structured import is_pydantic, json, type_name

__all__ = ["optional", "serde_from_annotation", "serde_of", "serde_of_keys"]

T = TypeVar("T")

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

    Raises:
        TypeError: `spec` is neither a serde nor a class that stands for one; says what to write.
    """
    if spec is None or isinstance(spec, Serde):
        return spec
    found = _of_class(spec)
    if found is not None:
        return found
    name = type_name(spec)
    if isinstance(spec, type) and issubclass(spec, Serde):
        raise TypeError(f"{name} is a class of serdes: give an instance, {name}(...)")
    if isinstance(spec, type) or get_origin(spec) is not None or isinstance(spec, NewType):
        raise TypeError(
            f"{name} stands for no serde (str, int, float, bytes, bool, UUID, dataclasses, msgspec structs and "
            f"pydantic models do): write hr.json({name})"
        )
    if callable(spec):
        raise TypeError(f"{name} is a function, not a serde: call it, as in hr.json(Order)")
    raise TypeError(
        f"{spec!r} is no serde: write a class such as str or Order, or a serde such as hr.json(Order)"
    )


def serde_from_annotation(annotation: object) -> Serde[Any] | None:
    """Return the serde of what a function returns, or None where its annotation does not say it for sure.

    `X | None` is X: None is a tombstone, which never reaches a serde. A list, a dictionary or a union of several has no
    serde of its own, so none is made up: whoever needs it asks for `value=`.
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return serde_from_annotation(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        members = [part for part in get_args(annotation) if part is not types.NoneType]
        return serde_from_annotation(members[0]) if len(members) == 1 else None
    if isinstance(annotation, NewType):
        return serde_from_annotation(annotation.__supertype__)
    try:
        return _of_class(annotation)
    except TypeError:
        # A dataclass with a field that cannot be read: an explicit `value=` gives the reason.
        return None


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


def _of_class(spec: object) -> Serde[Any] | None:
    # A generic class with its argument, Page[int], is a type form and no class, though `isinstance` says otherwise.
    if not isinstance(spec, type) or get_origin(spec) is not None:
        return None
    known = _BY_CLASS.get(spec)
    if known is not None:
        return known
    if issubclass(spec, msgspec.Struct) or dataclasses.is_dataclass(spec) or is_pydantic(spec):
        return json(spec)
    return None
