"""What a schema says of columns: the names of their types, and the scales of decimals. Pure.

Connect's own schemas stand in each message of JSON; its converters for Avro leave their names as `connect.name`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Semantics", "of_avro", "of_json"]

_DECIMAL = "org.apache.kafka.connect.data.Decimal"

#: Fields of an envelope that have a row.
_ROWS = ("before", "after")


@dataclass(frozen=True, slots=True)
class Semantics:
    """What a schema says of a column: the name of its type, and the scale of a decimal; `elements` of an array."""

    name: str | None = None
    scale: int | None = None
    elements: "Semantics | None" = None


def of_json(schema: bytes) -> dict[str, Semantics]:
    """Read what the schema of an envelope says of columns, or that of a key, as JsonConverter writes it."""
    tree = msgspec.json.decode(schema)
    rows = [each for each in tree["fields"] if each.get("field") in _ROWS and "fields" in each]
    fields = rows[-1]["fields"] if rows else tree["fields"]
    return {each["field"]: _of_connect(each) for each in fields}


def of_avro(schema: Any) -> dict[str, Semantics]:
    """Read what an Avro schema says, a JSON document, of an envelope or a key.

    Raises:
        ValueError: it is no schema of a record.
    """
    if not isinstance(schema, dict) or "fields" not in schema:
        raise ValueError("the schema is of no record, as envelopes and keys of Debezium are")
    # One row has the definition, and the other one its name.
    rows = [
        branch
        for field in schema["fields"]
        if field["name"] in _ROWS
        for branch in _branches(field["type"])
        if "fields" in branch
    ]
    return {field["name"]: _of_avro(field["type"]) for field in (rows or [schema])[0]["fields"]}


def _of_connect(schema: Mapping[str, Any]) -> Semantics:
    name, items = schema.get("name"), schema.get("items")
    return Semantics(
        name, _scale(name, schema.get("parameters")), None if items is None else _of_connect(items)
    )


def _of_avro(part: Any) -> Semantics:
    found = next(_branches(part), None)
    if found is None:
        return Semantics()
    name, logical, items = found.get("connect.name"), found.get("logicalType"), found.get("items")
    scale = _scale(name, found.get("connect.parameters"))
    if scale is None and logical == "decimal":
        scale = int(found.get("scale", 0))
    # With connect.meta.data=false there are Avro's own names alone.
    return Semantics(name or logical, scale, None if items is None else _of_avro(items))


def _branches(part: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what a union has definitions of; primitive types and names say nothing."""
    for each in part if isinstance(part, list) else [part]:
        if isinstance(each, dict):
            yield each


def _scale(name: str | None, parameters: Mapping[str, str] | None) -> int | None:
    return int(parameters["scale"]) if name == _DECIMAL and parameters and "scale" in parameters else None
