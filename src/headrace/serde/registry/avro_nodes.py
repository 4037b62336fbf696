"""Avro schemas as nodes: names resolved, logical types told, defaults as values. Pure.

Source: the specification of Avro 1.12. A logical type that does not fit what it stands on is left out, as it asks.
"""

import decimal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

__all__ = ["NO_DEFAULT", "Node", "NodeField", "default_of", "inlined", "nodes_of"]

_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

#: Logical types by what they may stand on.
_LOGICAL: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"date", "time-millis"}),
    "long": frozenset(
        {
            "time-micros",
            "timestamp-millis",
            "timestamp-micros",
            "local-timestamp-millis",
            "local-timestamp-micros",
        }
    ),
    "bytes": frozenset({"decimal"}),
    "fixed": frozenset({"decimal", "uuid"}),
    "string": frozenset({"uuid"}),
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH: Final = datetime(1970, 1, 1)


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = _NoDefault()


@dataclass(slots=True, eq=False)
class Node:
    """One part of a schema. Filled in while it is read, since a record may hold itself; not changed after that.

    Attributes:
        kind: of the specification: a primitive type, fixed, enum, array, map, union or record.
        logical: logical type that counts; empty where there is none.
        name: full name of a record, enum or fixed.
        items: of an array or a map.
    """

    kind: str
    logical: str = ""
    name: str = ""
    symbols: tuple[str, ...] = ()
    size: int = 0
    precision: int = 0
    scale: int = 0
    items: "Node | None" = None
    branches: "tuple[Node, ...]" = ()
    fields: "tuple[NodeField, ...]" = ()

    @property
    def said(self) -> str:
        """What it is, for people."""
        if self.kind == "union":
            return "a union of " + ", ".join(each.said for each in self.branches)
        named = f"{self.kind} {self.name}" if self.name else self.kind
        return f"{named} ({self.logical})" if self.logical else named


@dataclass(slots=True)
class NodeField:
    """A field of a record; its default is as a JSON document, or `NO_DEFAULT`."""

    name: str
    node: Node
    default: object = field(default=NO_DEFAULT)


def nodes_of(schema: Any) -> Node:
    """Return the nodes of a schema, given as a JSON document.

    Raises:
        ValueError: it is no Avro schema; says what is wrong.
    """
    return _Reader().node(schema, "")


class _Reader:
    def __init__(self) -> None:
        self._named: dict[str, Node] = {}

    def node(self, schema: Any, namespace: str) -> Node:
        if isinstance(schema, list):
            return Node("union", branches=tuple(self.node(each, namespace) for each in schema))
        if isinstance(schema, str):
            return self._by_name(schema, namespace)
        if not isinstance(schema, dict) or "type" not in schema:
            raise ValueError(
                f"a part of an Avro schema is a name, a list or an object with 'type', found {schema!r}"
            )
        kind = schema["type"]
        if kind in {"record", "error", "enum", "fixed"}:
            return self._defined(schema, kind, namespace)
        if kind == "array":
            return Node("array", items=self.node(schema.get("items"), namespace))
        if kind == "map":
            return Node("map", items=self.node(schema.get("values"), namespace))
        if isinstance(kind, str) and kind in _PRIMITIVES:
            return _logical(Node(kind), schema)
        return self.node(kind, namespace)

    def _by_name(self, name: str, namespace: str) -> Node:
        if name in _PRIMITIVES:
            return Node(name)
        found = self._named.get(_full_name(name, namespace)) or self._named.get(name)
        if found is None:
            raise ValueError(
                f"the schema names {name!r}, which it does not define and which is none of its references"
            )
        return found

    def _defined(self, schema: Mapping[str, Any], kind: str, namespace: str) -> Node:
        name = _full_name(str(schema.get("name", "")), str(schema.get("namespace", namespace)))
        if not name:
            raise ValueError(f"a {kind} has no name")
        if name in self._named:
            raise ValueError(f"two types are called {name!r}")
        node = self._named[name] = Node("record" if kind == "error" else kind, name=name)
        within = name.rpartition(".")[0]
        if kind == "enum":
            node.symbols = tuple(map(str, schema.get("symbols", ())))
        elif kind == "fixed":
            node.size = int(schema.get("size", 0))
            _logical(node, schema)
        else:
            node.fields = tuple(
                NodeField(str(each["name"]), self.node(each["type"], within), each.get("default", NO_DEFAULT))
                for each in schema.get("fields", ())
            )
        return node


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _logical(node: Node, schema: Mapping[str, Any]) -> Node:
    logical = schema.get("logicalType")
    if logical not in _LOGICAL.get(node.kind, ()):
        return node
    if logical == "uuid" and node.kind == "fixed" and node.size != 16:
        return node
    if logical == "decimal":
        precision, scale = schema.get("precision"), schema.get("scale", 0)
        if not isinstance(precision, int) or not isinstance(scale, int) or not 0 <= scale <= precision > 0:
            return node
        node.precision, node.scale = precision, scale
    node.logical = str(logical)
    return node


def inlined(schema: Any, referred: Mapping[str, Any]) -> Any:
    """Return a schema in which what it refers to stands where it is first named. `referred` is by full name."""
    return _Inliner(referred).part(schema, "")


class _Inliner:
    def __init__(self, referred: Mapping[str, Any]) -> None:
        self._referred = referred
        self._defined: set[str] = set()

    def part(self, schema: Any, namespace: str) -> Any:
        if isinstance(schema, list):
            return [self.part(each, namespace) for each in schema]
        if isinstance(schema, str):
            for name in (_full_name(schema, namespace), schema):
                if name in self._referred and name not in self._defined and name not in _PRIMITIVES:
                    return self.part(self._referred[name], "")
            return schema
        if not isinstance(schema, dict):
            return schema
        found = dict(schema)
        kind = found.get("type")
        if kind in {"record", "error", "enum", "fixed"}:
            name = _full_name(str(found.get("name", "")), str(found.get("namespace", namespace)))
            self._defined.add(name)
            within = name.rpartition(".")[0]
            if "fields" in found:
                found["fields"] = [
                    {**each, "type": self.part(each["type"], within)} for each in found["fields"]
                ]
            return found
        for place in ("items", "values", "type"):
            if place in found and not (place == "type" and kind in {"array", "map"}):
                found[place] = self.part(found[place], namespace)
        return found


def default_of(node: Node, document: Any) -> Any:
    """Return the value that a default in a schema stands for, as it is read of bytes: records are dictionaries.

    Raises:
        ValueError: it is none of the type.
    """
    try:
        return _default(node, document)
    except (ArithmeticError, AttributeError, KeyError, TypeError, UnicodeError, ValueError) as error:
        raise ValueError(f"the default {document!r} is no {node.said}") from error


def _default(node: Node, document: Any) -> Any:
    match node.kind:
        case "union":
            for branch in node.branches:
                try:
                    return _default(branch, document)
                except (ArithmeticError, AttributeError, KeyError, TypeError, UnicodeError, ValueError):
                    continue
            raise ValueError
        case "null":
            if document is not None:
                raise TypeError
            return None
        case "boolean":
            return _of(document, bool)
        case "int" | "long":
            return _from_number(node.logical, _of(document, int))
        case "float" | "double":
            if isinstance(document, bool) or not isinstance(document, int | float):
                raise TypeError
            return float(document)
        case "string":
            return UUID(_of(document, str)) if node.logical == "uuid" else _of(document, str)
        case "bytes" | "fixed":
            return _from_bytes(node, _of(document, str).encode("latin-1"))
        case "enum":
            if document not in node.symbols:
                raise ValueError
            return document
        case "array":
            assert node.items is not None
            return [_default(node.items, each) for each in _of(document, list)]
        case "map":
            assert node.items is not None
            return {name: _default(node.items, each) for name, each in _of(document, dict).items()}
        case _:
            given = _of(document, dict)
            return {
                each.name: _default(each.node, given[each.name] if each.name in given else _needed(each))
                for each in node.fields
            }


def _needed(field: NodeField) -> object:
    if field.default is NO_DEFAULT:
        raise ValueError
    return field.default


def _of(document: Any, cls: type[Any]) -> Any:
    if type(document) is not cls:
        raise TypeError
    return document


def _from_number(logical: str, number: int) -> Any:
    match logical:
        case "date":
            return date(1970, 1, 1) + timedelta(number)
        case "time-millis":
            return (_LOCAL_EPOCH + timedelta(milliseconds=number)).time()
        case "time-micros":
            return (_LOCAL_EPOCH + timedelta(microseconds=number)).time()
        case "timestamp-millis":
            return _EPOCH + timedelta(milliseconds=number)
        case "timestamp-micros":
            return _EPOCH + timedelta(microseconds=number)
        case "local-timestamp-millis":
            return _LOCAL_EPOCH + timedelta(milliseconds=number)
        case "local-timestamp-micros":
            return _LOCAL_EPOCH + timedelta(microseconds=number)
        case _:
            return number


def _from_bytes(node: Node, data: bytes) -> Any:
    if node.kind == "fixed" and len(data) != node.size:
        raise ValueError
    if node.logical == "uuid":
        return UUID(bytes=data)
    if node.logical == "decimal":
        return decimal.Decimal(int.from_bytes(data, "big", signed=True)).scaleb(-node.scale)
    return data
