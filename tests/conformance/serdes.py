"""The types that a case names, as serdes, and values as its JSON writes them."""

import math
from typing import Any

import headrace as hr
from headrace.stores import Stamped
from tests.conformance.features import attribute
from tests.conformance.functions import text

__all__ = ["as_json", "from_json", "serde", "topic"]

_PLAIN = {"string": "string", "long": "int64", "int": "int32", "double": "float64", "bytes": "raw"}


def serde(kind: str) -> Any:
    """Return the serde of `string`, `long`, …, `windowed:<inner>:<size ms>` or `session:<inner>`."""
    head, *rest = kind.split(":")
    if head == "windowed":
        return attribute(hr, "time_windowed")(serde(rest[0]), f"{rest[1]}ms")
    if head == "session":
        return attribute(hr, "session_windowed")(serde(rest[0]))
    return attribute(hr, _PLAIN[head])


def topic(name: str, types: dict[str, str]) -> hr.Topic[Any, Any]:
    """Return a topic of the case's `inputs` or `outputs`."""
    return hr.Topic(name, key=serde(types.get("key", "string")), value=serde(types.get("value", "string")))


def from_json(value: Any, kind: str) -> Any:
    """Return what Kafka Streams was given for a JSON value."""
    if value is None:
        return None
    match kind:
        case "long" | "int":
            return int(value)
        case "double":
            return float(value)
        case "bytes":
            return text(value).encode()
    return text(value)


def as_json(value: object) -> Any:
    """Return what the oracle writes for a value."""
    if isinstance(value, hr.Windowed):
        return {"key": as_json(value.key), "start": value.window.start, "end": value.window.end}
    if isinstance(value, Stamped):
        headers = [[name, as_json(content)] for name, content in value.headers]
        return {
            "value": as_json(value.value),
            "ts": value.timestamp,
            **({"headers": headers} if headers else {}),
        }
    if isinstance(value, float) and not math.isfinite(value):
        # JSON has no such numbers.
        return text(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value
