"""Defaults of Python fields as an Avro schema has them: JSON, with bytes as text of their numbers."""

import datetime
import decimal
import enum
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from headrace.serde.registry.avro_numbers import days_of, micros_of, micros_of_time, unscaled
from headrace.serde.registry.classes import NOT_SET, has_fields
from headrace.serde.registry.symbols import symbol_of

__all__ = ["default_document"]

_EXACT: Final = {"boolean": bool, "int": int, "long": int, "double": float, "float": float, "string": str}


def default_document(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    """Return a default as JSON; `NOT_SET` where a schema cannot say it, so that the field has to be there.

    Of a union, the first branch that takes it. `named` has the definitions by full name.
    """
    try:
        return _document(value, schema, named)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return NOT_SET


def _document(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    schema = named.get(schema, schema) if isinstance(schema, str) else schema
    if isinstance(schema, list):
        found = (default_document(value, each, named) for each in schema)
        return next(each for each in found if each is not NOT_SET)
    kind = schema if isinstance(schema, str) else schema["type"]
    logical = "" if isinstance(schema, str) else schema.get("logicalType", "")
    if logical:
        return _of_logical(value, schema, logical)
    if kind == "null" and value is None:
        return None
    if kind in _EXACT and type(value) is _EXACT[kind]:
        return value
    if kind == "bytes" and type(value) is bytes:
        return value.decode("latin-1")
    if kind == "enum" and isinstance(value, enum.Enum):
        return next(symbol for symbol, member in symbol_of(type(value)).items() if member is value)
    if kind == "array" and isinstance(value, list | tuple | set | frozenset):
        return [_document(each, schema["items"], named) for each in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _document(each, schema["values"], named) for name, each in value.items()}
    if kind == "record" and has_fields(type(value)) and type(value).__name__ == schema["name"]:
        return {
            each["name"]: _document(getattr(value, each["name"]), each["type"], named)
            for each in schema["fields"]
        }
    raise TypeError


def _of_logical(value: Any, schema: Mapping[str, Any], logical: str) -> Any:
    if logical == "uuid" and isinstance(value, UUID):
        return str(value) if schema["type"] == "string" else value.bytes.decode("latin-1")
    if logical == "decimal" and isinstance(value, decimal.Decimal):
        number = unscaled(value, schema["precision"], schema["scale"])
        return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True).decode("latin-1")
    if logical == "date" and type(value) is datetime.date:
        return days_of(value)
    per_unit = 1000 if logical.endswith("-millis") else 1
    if logical.startswith("time-") and type(value) is datetime.time:
        return _exactly(micros_of_time(value), per_unit)
    if "timestamp" in logical and isinstance(value, datetime.datetime):
        return _exactly(micros_of(value, is_local=logical.startswith("local")), per_unit)
    raise TypeError


def _exactly(micros: int, per_unit: int) -> int:
    if micros % per_unit:
        raise ValueError
    return micros // per_unit
