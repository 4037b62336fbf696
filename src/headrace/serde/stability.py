"""Decide from annotations whether values of a type are immutable, and the same before and after a trip through bytes.

A state buffer keeps such values as objects. Whether a value has been through bytes depends on when commits fall, and
results must not: so this says yes only where it is sure.
"""

import dataclasses
import enum
import types
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

__all__ = ["is_stable"]

#: Not float: a type checker lets an int stand in a float field, and `5` and `5.0` are different bytes.
#: Not datetime: its time zone comes back as an offset. Not frozenset: its order in bytes changes from run to run.
_PLAIN = frozenset({bool, bytes, int, str, types.NoneType, UUID})


def is_stable(annotation: object) -> bool:
    """Return whether values of a type can be kept as objects in place of their bytes.

    True for text, ints, bools, bytes, UUIDs, enums, None; for a float that stands alone (a serde checks its class); and
    for tuples, unions, frozen structs and frozen dataclasses made of such, floats excepted. A class that runs code when
    it is made (`__post_init__`) is not.
    """
    return annotation is float or _is_stable(annotation, frozenset())


def _is_stable(annotation: object, above: frozenset[type[Any]]) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_stable(get_args(annotation)[0], above)
    if origin is Literal:
        return True
    if origin is Union or origin is types.UnionType:
        return all(_is_stable(part, above) for part in get_args(annotation))
    if origin is tuple:
        parts = [part for part in get_args(annotation) if part is not Ellipsis]
        return bool(parts) and all(_is_stable(part, above) for part in parts)
    if isinstance(annotation, NewType):
        return _is_stable(annotation.__supertype__, above)
    if annotation is None or annotation is Ellipsis:
        return annotation is None
    if not isinstance(annotation, type) or origin is not None:
        return False
    if annotation in _PLAIN or annotation in above:
        # A class within itself adds nothing: it is stable if its other fields are.
        return True
    if issubclass(annotation, enum.Enum):
        return True
    if not _is_frozen(annotation):
        return False
    try:
        hints = get_type_hints(annotation, include_extras=True)
        fields = _fields(annotation)
    except Exception:
        # A name that is not known yet, or a class that somebody else's machinery made: not sure, so no.
        return False
    return all(_is_stable(hints.get(field), above | {annotation}) for field in fields)


def _is_frozen(type: type[Any]) -> bool:
    if hasattr(type, "__post_init__") or getattr(type, "__parameters__", None):
        return False
    if issubclass(type, msgspec.Struct):
        return type.__struct_config__.frozen
    parameters = getattr(type, "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def _fields(type: type[Any]) -> list[str]:
    if issubclass(type, msgspec.Struct):
        return list(type.__struct_fields__)
    return [field.name for field in dataclasses.fields(type)]
