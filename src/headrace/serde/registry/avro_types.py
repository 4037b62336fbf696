"""Make an Avro schema of a Python type: of plain types, dataclasses, structs, models, and what holds such."""

import collections.abc
import datetime
import decimal
import enum
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin
from uuid import UUID

from headrace.serde.registry.avro_defaults import default_document
from headrace.serde.registry.classes import (
    NOT_SET,
    ClassField,
    fields_of,
    has_fields,
    literal_texts,
    members_of,
    remarks_of,
    text_of,
)
from headrace.serde.registry.symbols import NAME, symbol_of
from headrace.serde.structured import type_name

__all__ = ["As", "Decimal", "schema_of_type"]


@dataclass(frozen=True, slots=True)
class Decimal:
    """Say how many digits a decimal has, and how many behind the point: `Annotated[Decimal, Decimal(10, 2)]`."""

    precision: int
    scale: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= self.precision or self.precision < 1:
            raise TypeError(
                f"{self!r} is no kind of decimal: of its digits, 1 or more, scale are behind the point"
            )


@dataclass(frozen=True, slots=True)
class As:
    """Say which type of Avro stands for a Python type that has several: `Annotated[int, As("int")]`.

    There are int, float, time-millis, timestamp-millis, local-timestamp-millis, local-timestamp-micros, and fixed for
    a UUID.
    """

    type: str


_PRIMITIVES: Final[Mapping[Any, Any]] = {
    types.NoneType: "null",
    None: "null",
    bool: "boolean",
    int: "long",
    float: "double",
    str: "string",
    bytes: "bytes",
    UUID: {"type": "string", "logicalType": "uuid"},
    datetime.date: {"type": "int", "logicalType": "date"},
    datetime.time: {"type": "long", "logicalType": "time-micros"},
    datetime.datetime: {"type": "long", "logicalType": "timestamp-micros"},
}

_OTHERWISE: Final[Mapping[tuple[Any, str], Any]] = {
    (int, "int"): "int",
    (float, "float"): "float",
    (datetime.time, "time-millis"): {"type": "int", "logicalType": "time-millis"},
    (datetime.datetime, "timestamp-millis"): {"type": "long", "logicalType": "timestamp-millis"},
    (datetime.datetime, "local-timestamp-millis"): {"type": "long", "logicalType": "local-timestamp-millis"},
    (datetime.datetime, "local-timestamp-micros"): {"type": "long", "logicalType": "local-timestamp-micros"},
    (UUID, "fixed"): {"type": "fixed", "name": "uuid", "size": 16, "logicalType": "uuid"},
}

_ARRAYS: Final = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)


def schema_of_type(annotation: Any, namespace: str = "") -> Any:
    """Return the Avro schema of a type, as a JSON document. Classes are named after themselves, in the namespace.

    Raises:
        TypeError: something in it has no type of Avro; says which, and what to write.
    """
    return _Deriver(namespace).schema(annotation, "$")


class _Deriver:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._defined: dict[str, Any] = {}
        self._schemas: dict[str, Any] = {}

    def schema(self, annotation: Any, at: str) -> Any:
        members = members_of(annotation)
        if len(members) > 1:
            return self._union([self.schema(each, at) for each in members], annotation, at)
        plain, remarks = remarks_of(members[0])
        for remark in remarks:
            if isinstance(remark, As):
                return self._as(plain, remark, at)
            if isinstance(remark, Decimal) and plain is decimal.Decimal:
                return {
                    "type": "bytes",
                    "logicalType": "decimal",
                    "precision": remark.precision,
                    "scale": remark.scale,
                }
        if plain in _PRIMITIVES:
            found = _PRIMITIVES[plain]
            return dict(found) if isinstance(found, dict) else found
        if has_fields(plain):
            return self._named(plain, at, self._record)
        if isinstance(plain, type) and issubclass(plain, enum.Enum):
            return self._named(plain, at, self._enum)
        if literal_texts(plain) is not None:
            return "string"
        return self._container(plain, at)

    def _container(self, annotation: Any, at: str) -> Any:
        origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
        if isinstance(origin, type) and arguments:
            if issubclass(origin, collections.abc.Mapping):
                if remarks_of(arguments[0])[0] is not str:
                    raise TypeError(
                        f"{at}: keys of a map of Avro are text, and not {type_name(arguments[0])}"
                    )
                return {"type": "map", "values": self.schema(arguments[1], f"{at}[...]")}
            if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
                raise TypeError(
                    f"{at}: Avro has no tuples of several types: make {type_name(annotation)} a dataclass, or "
                    "tuple[X, ...]"
                )
            if origin in _ARRAYS:
                return {"type": "array", "items": self.schema(arguments[0], f"{at}[]")}
        raise TypeError(f"{at}: {_no_type(annotation)}")

    def _as(self, plain: Any, remark: As, at: str) -> Any:
        found = _OTHERWISE.get((plain, remark.type))
        if found is None:
            known = sorted(name for cls, name in _OTHERWISE if cls is plain)
            raise TypeError(
                f"{at}: {type_name(plain)} cannot be {remark!r}; "
                + (f"there is {', '.join(known)}" if known else "it has one type of Avro only")
            )
        if isinstance(found, dict) and "name" in found:
            if found["name"] in self._defined:
                return self._full(found["name"])
            self._defined[found["name"]] = plain
            return {**found, "namespace": self._namespace} if self._namespace else dict(found)
        return dict(found) if isinstance(found, dict) else found

    def _union(self, branches: list[Any], annotation: Any, at: str) -> Any:
        kinds = [_kind(each) for each in branches]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise TypeError(
                f"{at}: {type_name(annotation)} has two members that are {twice} in Avro, which could not be told apart"
            )
        # None first, as nearly everybody has it.
        return sorted(branches, key=lambda each: each != "null")

    def _full(self, name: str) -> str:
        return f"{self._namespace}.{name}" if self._namespace else name

    def _named(self, cls: Any, at: str, make: Callable[[Any, str, dict[str, Any], str], None]) -> Any:
        name = cls.__name__
        if not NAME.fullmatch(name):
            raise TypeError(f"{at}: {name!r} is no name in Avro: letters, digits and _ are")
        if name in self._defined:
            if self._defined[name] is not cls:
                raise TypeError(f"{at}: two classes are called {name}: Avro knows types by their names")
            return self._full(name)
        self._defined[name] = cls
        found: dict[str, Any] = {"type": "", "name": name}
        if self._namespace:
            found["namespace"] = self._namespace
        if said := text_of(cls):
            found["doc"] = said
        self._schemas[self._full(name)] = found
        make(cls, name, found, at)
        return found

    def _enum(self, cls: type[enum.Enum], name: str, found: dict[str, Any], at: str) -> None:
        symbols = list(symbol_of(cls))
        for symbol in symbols:
            if not NAME.fullmatch(symbol):
                raise TypeError(f"{at}: {symbol!r} of {name} is no symbol in Avro: letters, digits and _ are")
        found["type"], found["symbols"] = "enum", symbols

    def _record(self, cls: Any, name: str, found: dict[str, Any], at: str) -> None:
        found["type"] = "record"
        found["fields"] = [self._field(each, f"{at}.{each.name}") for each in fields_of(cls)]

    def _field(self, field: ClassField, at: str) -> dict[str, Any]:
        schema = self.schema(field.annotation, at)
        made: dict[str, Any] = {"name": field.name, "type": schema}
        if field.text:
            made["doc"] = field.text
        if field.default is NOT_SET:
            return made
        if isinstance(schema, list) and field.default is None and "null" in schema:
            # Older readers take a default for one of the first branch.
            made["type"] = ["null", *(each for each in schema if each != "null")]
            made["default"] = None
            return made
        document = default_document(field.default, schema, self._schemas)
        if document is not NOT_SET:
            if isinstance(schema, list):
                made["type"] = self._first(schema, field.default)
            made["default"] = document
        return made

    def _first(self, union: list[Any], default: Any) -> list[Any]:
        """Put the branch of a default before the others: older readers look at no other."""
        return sorted(union, key=lambda each: default_document(default, each, self._schemas) is NOT_SET)


def _kind(schema: Any) -> str:
    """Return what a union may have once: a primitive type, an array, a map, or one name."""
    if isinstance(schema, str):
        return schema
    name = schema.get("name")
    return str(schema["type"] if name is None else name)


def _no_type(annotation: Any) -> str:
    if annotation is decimal.Decimal:
        return "of a Decimal the digits must be said: write Annotated[Decimal, hr.registry.Decimal(10, 2)]"
    if annotation is datetime.timedelta:
        return "Avro has no durations but those of calendars: use an int, and say in which unit it is"
    if annotation in {list, dict, tuple, set, frozenset}:
        return f"{type_name(annotation)} does not say what it holds: write {type_name(annotation)}[...]"
    return (
        f"{type_name(annotation)} has no type of Avro; use plain types, classes with fields (dataclasses, structs, "
        "models, TypedDicts, NamedTuples), and lists, dictionaries and unions of such"
    )
