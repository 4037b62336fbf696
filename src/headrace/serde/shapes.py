"""The shape of a type: what msgspec knows of it, as a tree that the checks of `exact`, `checking` and `keys` walk.

The tree of a class that holds itself is a ring, so whoever walks it remembers where it has been.
"""

import datetime
import decimal
import types
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, get_args, get_origin

import msgspec.inspect as mi

from headrace.serde.tagging import untagged_classes

__all__ = [
    "CLASSES",
    "Fields",
    "bare",
    "class_of",
    "ensure_names_differ",
    "every",
    "must_be_read",
    "options_of",
    "shape_name",
    "shape_of",
]

#: Shapes whose values are of one class, and of which the class says all.
CLASSES: Final[dict[type[mi.Type], type[Any]]] = {
    mi.BoolType: bool,
    mi.BytesType: bytes,
    mi.ByteArrayType: bytearray,
    mi.DateType: datetime.date,
    mi.DecimalType: decimal.Decimal,
    mi.IntType: int,
    mi.NoneType: types.NoneType,
    mi.StrType: str,
    mi.TimeDeltaType: datetime.timedelta,
    mi.UUIDType: uuid.UUID,
}

#: Shapes of classes with named fields.
Fields = mi.StructType | mi.DataclassType | mi.NamedTupleType | mi.TypedDictType

_CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz")
_KNOWN: Final[tuple[type[Any], ...]] = (
    *CLASSES,
    *get_args(Fields),
    mi.AnyType,
    mi.DateTimeType,
    mi.DictType,
    mi.EnumType,
    mi.FloatType,
    mi.FrozenSetType,
    mi.ListType,
    mi.LiteralType,
    mi.SetType,
    mi.TimeType,
    mi.TupleType,
    mi.UnionType,
    mi.VarTupleType,
)


def shape_of(annotation: Any) -> mi.Type:
    """Return the shape of a type.

    Raises:
        TypeError: something in it is no plain type, or not one that can be told apart; says which.
        NameError: an annotation names what is not defined.
    """
    classes = untagged_classes(annotation)
    if classes:
        shape: mi.Type = mi.UnionType((*map(mi.type_info, classes.values()), mi.NoneType()))
    else:
        shape = mi.type_info(annotation)
    for part in every(shape):
        if isinstance(part, mi.CustomType):
            # msgspec would take it, and fail on each record for want of a hook.
            raise TypeError(_no_plain_type(part))
    return shape


def _no_plain_type(shape: mi.CustomType) -> str:
    name = shape_name(shape)
    cls = class_of(shape)
    if cls.__module__ == "collections.abc" and issubclass(cls, Iterable):
        return f"{name} does not say what to make when it is read: write list[...]"
    if any(base.__module__ == "pydantic.main" for base in cls.__mro__):
        return f"{name} is a pydantic model within a struct: make the struct a dataclass, or a model as well"
    return (
        f"{name} is neither a plain type nor a dataclass, a struct or a pydantic model: make it one, or give a "
        f"serde of your own, an instance of a class that derives from hr.Serde"
    )


def bare(shape: mi.Type) -> mi.Type:
    """Return a shape without what is only said about it."""
    while isinstance(shape, mi.Metadata):
        shape = shape.type
    if isinstance(shape, mi.CustomType) and shape.cls is object:
        # To msgspec `object` is a class that it does not know; to a reader it is any plain value.
        return mi.AnyType()
    return shape


def every(shape: mi.Type) -> Iterator[mi.Type]:
    """Yield a shape and all within it, each once."""
    # By identity: to compare or to hash a ring would never end. The tree keeps its parts alive meanwhile.
    seen: set[int] = set()
    waiting = [bare(shape)]
    while waiting:
        part = waiting.pop()
        if id(part) not in seen:
            seen.add(id(part))
            yield part
            waiting.extend(bare(child) for child in _children(part))


def _children(shape: mi.Type) -> Sequence[mi.Type]:
    if isinstance(shape, mi.UnionType):
        return shape.types
    if isinstance(shape, mi.TupleType):
        return shape.item_types
    if isinstance(shape, mi.DictType):
        return shape.key_type, shape.value_type
    if isinstance(shape, Fields):
        return [field.type for field in shape.fields]
    if isinstance(shape, mi.ListType | mi.VarTupleType | mi.SetType | mi.FrozenSetType):
        return (shape.item_type,)
    return ()


def options_of(shape: mi.Type) -> list[mi.Type]:
    """Return what a value of a shape may be one of: the members of a union, or the shape itself."""
    shape = bare(shape)
    return [bare(member) for member in shape.types] if isinstance(shape, mi.UnionType) else [shape]


def class_of(shape: mi.Type) -> type[Any]:
    """Return the class of a shape's values: of `Box[int]` that is Box."""
    declared: Any = dict if isinstance(shape, mi.TypedDictType) else shape.cls  # type: ignore[attr-defined]  # by kind
    found: type[Any] = get_origin(declared) or declared
    return found


def must_be_read(shape: mi.Type) -> bool:
    """Return whether only reading its bytes tells if a value can be read.

    So it is where the type has limits (`msgspec.Meta(ge=0)`), runs code of the user's when it is read
    (`__post_init__`), or is nothing that the checks know.
    """
    return any(
        any(getattr(part, limit, None) is not None for limit in _CONSTRAINTS)
        or (isinstance(part, mi.StructType | mi.DataclassType) and hasattr(class_of(part), "__post_init__"))
        or not isinstance(part, _KNOWN)
        for part in every(shape)
    )


def ensure_names_differ(shape: mi.Type) -> None:
    """Refuse dictionaries in which two keys could have one name in JSON, where every name is text.

    Raises:
        TypeError: the keys are text or something else.
    """
    for part in every(shape):
        if not isinstance(part, mi.DictType):
            continue
        kinds: set[bool] = set()
        for option in options_of(part.key_type):
            if isinstance(option, mi.LiteralType):
                kinds |= {isinstance(value, str) for value in option.values}
            elif not isinstance(option, mi.AnyType):
                kinds.add(not isinstance(option, mi.IntType | mi.FloatType))
        if len(kinds) > 1:
            raise TypeError(
                f"keys that are `{shape_name(part.key_type)}` would be mixed up, since JSON writes 1 and '1' alike: "
                f"declare dict[str, ...], or use hr.msgpack()"
            )


def shape_name(shape: mi.Type) -> str:
    """Return a shape as one would write its type; of a container, without what it holds."""
    shape = bare(shape)
    if isinstance(shape, mi.UnionType):
        return " | ".join(shape_name(member) for member in shape.types)
    if isinstance(shape, mi.LiteralType):
        return f"Literal[{', '.join(map(repr, shape.values))}]"
    if isinstance(shape, mi.TypedDictType):
        return shape.cls.__name__
    if type(shape) in CLASSES:
        return "None" if isinstance(shape, mi.NoneType) else CLASSES[type(shape)].__name__
    if hasattr(shape, "cls"):
        return class_of(shape).__qualname__.rsplit(".<locals>.", 1)[-1]
    if isinstance(shape, mi.VarTupleType):
        return "tuple"
    return type(shape).__name__.removesuffix("Type").lower()
