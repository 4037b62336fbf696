"""What is known of an expression's type where the types of key and value are: how fields are found, and the result's.

`Any` is what is not known. Nothing is guessed: a type is told only where Python's own rules leave no other.
"""

import dataclasses
import typing
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, NamedTuple, get_args, get_origin

from typing_extensions import TypeVar, is_typeddict

from headrace.expressions.tree import (
    Binary,
    Call,
    Constant,
    Document,
    Element,
    IsIn,
    IsNull,
    Member,
    Node,
    Part,
    Unary,
)
from headrace.serde.resolve import plain_type
from headrace.serde.structured import type_name

__all__ = ["Access", "NoSuchFieldError", "Types", "access_of", "type_of"]


class Types(NamedTuple):
    """The types of a record's parts, as they are annotated; Any where they are not known."""

    key: object = Any
    value: object = Any


class Access(Enum):
    """How a field is found."""

    ITEM = auto()
    ATTRIBUTE = auto()
    UNKNOWN = auto()
    """By either, as the record's own value says."""


class NoSuchFieldError(Exception):
    """A type is known, and has no such field.

    Attributes:
        owner: the type.
        field: the name.
        names: of the fields that there are.
    """

    def __init__(self, owner: str, field: str, names: tuple[str, ...]) -> None:
        super().__init__(f"{owner} has no field {field!r}")
        self.owner = owner
        self.field = field
        self.names = names


_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_NUMBERS: Final = (bool, int, float)

#: What has a name for none of its parts.
_PLAIN: Final = (str, bool, int, float, bytes, list, tuple, set, frozenset)

_METHODS: Final[Mapping[str, type]] = {
    "contains": bool,
    "endswith": bool,
    "length": int,
    "lower": str,
    "startswith": str,
    "strip": str,
    "upper": str,
}


def type_of(node: Node, types: Types) -> object:
    """Return the annotation of what an expression gives, or Any.

    Raises:
        NoSuchFieldError: it takes a field that its type does not have.
    """
    match node:
        case Part(name):
            return types.key if name == "key" else types.value
        case Constant(value):
            return type(value)
        case Member(of, name):
            return _type_of_field(type_of(of, types), name)
        case Element(of, _):
            plain = plain_type(type_of(of, types))
            return _known(get_args(plain)[0]) if get_origin(plain) is list else Any
        case Unary(operator, of):
            inner = plain_type(type_of(of, types))
            if operator == "not":
                return bool
            return {bool: int, int: int, float: float}.get(inner, Any) if isinstance(inner, type) else Any
        case Binary(operator, left, right):
            return _type_of_both(operator, type_of(left, types), type_of(right, types))
        case Call(method, of, arguments):
            for each in (of, *arguments):
                type_of(each, types)
            return _METHODS[method]
        case IsIn(of) | IsNull(of):
            type_of(of, types)
            return bool
        case Document(fields):
            for _, each in fields:
                type_of(each, types)
            return dict[str, Any]


def access_of(annotation: object) -> Access:
    """Return how the fields of values of a type are found."""
    plain = plain_type(annotation)
    owner = get_origin(plain) or plain
    if is_typeddict(owner):
        return Access.ITEM
    if not isinstance(owner, type) or owner in (Any, object):
        return Access.UNKNOWN
    if issubclass(owner, Mapping):
        return Access.ITEM
    has_fields = _fields_of(owner) is not None
    return Access.ATTRIBUTE if has_fields or not hasattr(owner, "__getitem__") else Access.UNKNOWN


def _type_of_field(annotation: object, name: str) -> object:
    plain = plain_type(annotation)
    owner = get_origin(plain) or plain
    fields = _fields_of(owner)
    if fields is not None:
        # A property is no field, but is found like one.
        if name not in fields and not hasattr(owner, name):
            raise NoSuchFieldError(type_name(plain), name, fields)
        return _known(_hints_of(owner).get(name, Any))
    if isinstance(owner, type) and issubclass(owner, Mapping):
        arguments = get_args(plain)
        return _known(arguments[1]) if len(arguments) == 2 else Any
    if owner in _PLAIN:
        raise NoSuchFieldError(type_name(plain), name, ())
    return Any


def _known(annotation: object) -> object:
    """Return an annotation, unless it only stands for one."""
    return Any if isinstance(annotation, typing.TypeVar | TypeVar | str) else annotation


def _fields_of(owner: object) -> tuple[str, ...] | None:
    """Return the names of a class's fields, None where it has none that are declared."""
    if not isinstance(owner, type):
        return None
    if is_typeddict(owner):
        return tuple(_hints_of(owner))
    if dataclasses.is_dataclass(owner):
        return tuple(each.name for each in dataclasses.fields(owner))
    # Of msgspec's structs, of pydantic's models, of named tuples.
    for attribute in ("__struct_fields__", "model_fields", "_fields"):
        found = getattr(owner, attribute, None)
        if isinstance(found, tuple | dict):
            return tuple(found)
    return None


def _hints_of(owner: Any) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(owner)
    except Exception:
        # Hints are any expression of the user's; those that cannot be evaluated say nothing but their names.
        return dict.fromkeys(getattr(owner, "__annotations__", {}), Any)


def _type_of_both(operator: str, left: object, right: object) -> object:
    if operator in _COMPARISONS:
        return bool
    if operator in ("and", "or"):
        return left if left == right else Any
    one, other = plain_type(left), plain_type(right)
    if operator == "+" and one is str and other is str:
        return str
    if one not in _NUMBERS or other not in _NUMBERS:
        return Any
    return float if operator == "/" or float in (one, other) else int
