"""Which part of a Python type goes with which part of an Avro schema; what does not fit is told."""

import collections.abc
import datetime
import decimal
import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin
from uuid import UUID

from headrace.serde.registry.avro_nodes import NO_DEFAULT, Node, default_of
from headrace.serde.registry.classes import fields_of, has_fields, is_typed_dict, literal_texts, remarks_of
from headrace.serde.registry.symbols import symbol_of
from headrace.serde.structured import type_name

__all__ = ["LEAVES", "Binding", "bound_fields", "bound_items", "bound_symbols", "is_open", "leaf_class"]

#: The class that stands for a part of a schema without parts of its own: by logical type, else by kind.
LEAVES: Final[Mapping[str, type[Any]]] = {
    "null": types.NoneType,
    "boolean": bool,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "bytes": bytes,
    "fixed": bytes,
    "decimal": decimal.Decimal,
    "uuid": UUID,
    "date": datetime.date,
    "time-millis": datetime.time,
    "time-micros": datetime.time,
    "timestamp-millis": datetime.datetime,
    "timestamp-micros": datetime.datetime,
    "local-timestamp-millis": datetime.datetime,
    "local-timestamp-micros": datetime.datetime,
}

_LISTS: Final = (list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Binding:
    """The fields of a record, and where they are found.

    Attributes:
        cls: the class of the values; None where they are dictionaries.
        names: that values may have.
        annotations: of the fields, in the schema's order; None where nothing is said.
        missing: defaults of fields that the class does not have.
        defaults: of fields that a dictionary may leave out.
    """

    cls: Any
    names: tuple[str, ...]
    annotations: tuple[Any, ...]
    missing: Mapping[str, Any]
    defaults: Mapping[str, Any]
    said: str


def is_open(annotation: Any) -> bool:
    """Whether a type says nothing: values are what the schema makes of them."""
    return annotation is None or annotation is Any or annotation is object


def leaf_class(node: Node, annotation: Any, at: str) -> type[Any]:
    """Return the class of the values of a part without parts.

    Raises:
        TypeError: the type is another one.
    """
    cls = LEAVES[node.logical or node.kind]
    plain, _ = remarks_of(annotation)
    fits = plain is cls or (cls is str and literal_texts(plain) is not None)
    if not (is_open(plain) or fits or (cls is types.NoneType and plain is None)):
        raise TypeError(
            f"{at}: the schema has {node.said}, which is {type_name(cls)} and not {type_name(plain)}"
        )
    return cls


def bound_items(node: Node, annotation: Any, at: str) -> tuple[tuple[type[Any], ...], Any]:
    """Return the classes that an array or a map may be, and the type of what is in it.

    Raises:
        TypeError: the type is another one.
    """
    plain, _ = remarks_of(annotation)
    if is_open(plain):
        return ((dict,) if node.kind == "map" else (list, tuple)), None
    origin, arguments = get_origin(plain) or plain, get_args(plain)
    if isinstance(origin, type):
        if node.kind == "map" and issubclass(origin, collections.abc.Mapping):
            return (dict,), arguments[1] if arguments else None
        if node.kind == "array" and issubclass(origin, collections.abc.Collection):
            inner = arguments[0] if arguments else None
            return ((origin,) if origin in _LISTS else _LISTS), inner
    raise TypeError(f"{at}: the schema has {node.said}, which is no {type_name(plain)}")


def bound_symbols(node: Node, annotation: Any, at: str) -> Mapping[Any, int]:
    """Return the places of an enumeration's symbols, by what stands for them in Python.

    Raises:
        TypeError: the type is another one, or has members that the schema has no symbol for.
    """
    indexes = {symbol: index for index, symbol in enumerate(node.symbols)}
    plain, _ = remarks_of(annotation)
    if is_open(plain) or plain is str:
        return indexes
    if not (isinstance(plain, type) and issubclass(plain, enum.Enum)):
        raise TypeError(
            f"{at}: the schema has {node.said}, which is an enumeration and no {type_name(plain)}"
        )
    members = symbol_of(plain)
    missing = [symbol for symbol in members if symbol not in indexes]
    if missing:
        raise TypeError(
            f"{at}: {node.said} of the schema has no symbol {missing[0]!r}, which {plain.__name__} has"
        )
    return {member: indexes[symbol] for symbol, member in members.items()}


def bound_fields(node: Node, annotation: Any, at: str) -> Binding:
    """Return where the fields of a record are found.

    Raises:
        TypeError: the type is no class with fields, lacks some that have no default, or has others.
    """
    plain, _ = remarks_of(annotation)
    names = tuple(field.name for field in node.fields)
    if is_open(plain) or (get_origin(plain) or plain) is dict:
        defaults = {
            field.name: default_of(field.node, field.default)
            for field in node.fields
            if field.default is not NO_DEFAULT
        }
        return Binding(None, names, (None,) * len(names), {}, defaults, node.said)
    if not has_fields(plain):
        raise TypeError(f"{at}: the schema has {node.said}, which is no {type_name(plain)}")
    found = {field.name: field.annotation for field in fields_of(plain)}
    extra = [name for name in found if name not in names]
    if extra:
        raise TypeError(
            f"{at}: {plain.__name__} has a field {extra[0]!r}, which {node.said} of the schema has not: "
            "it would be lost"
        )
    missing: dict[str, Any] = {}
    for field in node.fields:
        if field.name in found:
            continue
        if field.default is NO_DEFAULT:
            raise TypeError(
                f"{at}: {node.said} of the schema has a field {field.name!r} without a default, which {plain.__name__} "
                "has not"
            )
        missing[field.name] = default_of(field.node, field.default)
    if is_typed_dict(plain):
        annotations = tuple(found.get(name) for name in names)
        return Binding(None, tuple(found), annotations, missing, missing, plain.__name__)
    return Binding(plain, names, tuple(found.get(name) for name in names), missing, {}, plain.__name__)
