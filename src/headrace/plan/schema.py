"""Whether values that were written by one type can be read as another: JSON schemas of both are compared. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headrace.serde.serde import CodecSerde

__all__ = ["schema_of", "unreadable"]

#: What describes a type to people, and changes nothing of what it reads.
_WORDS = frozenset({"title", "description", "examples", "default"})


def schema_of(serde: CodecSerde[Any]) -> Mapping[str, Any] | None:
    """Return the JSON schema of what a structured serde writes; None of others, and of types that have none."""
    if not isinstance(serde.identity, tuple):
        return None
    annotation = serde.identity[1]
    try:
        if hasattr(annotation, "model_json_schema"):
            found: Mapping[str, Any] = annotation.model_json_schema()
        else:
            found = msgspec.json.schema(annotation)
    except (TypeError, ValueError):
        return None
    return found if "$ref" in found or "properties" in found else None


def unreadable(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Say why values of the type before could not be read as the one after, or would lose what they hold; else None.

    A field more is fine where it has a default; one less is let go when the value is written again.
    """
    return _unreadable(before, after, before, after, "")


def _unreadable(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    olds: Mapping[str, Any],
    news: Mapping[str, Any],
    path: str,
) -> str | None:
    old, new = _resolved(old, olds), _resolved(new, news)
    if "properties" not in old or "properties" not in new:
        written, read = _alternatives(old, olds), _alternatives(new, news)
        return None if all(each in read for each in written) else f"{path or 'the value'} is of another type"
    for name in new.get("required", ()):
        if name not in old["properties"]:
            return f"{path}{name} is new, and has no default"
        if name not in old.get("required", ()) and name in new.get("required", ()):
            return f"{path}{name} may have been left out before, and must be there now"
    for name, part in new["properties"].items():
        if name in old["properties"]:
            found = _unreadable(old["properties"][name], part, olds, news, f"{path}{name}.")
            if found is not None:
                return found.replace(f"{path}{name}. is", f"{path}{name} is")
    return None


def _alternatives(part: Mapping[str, Any], whole: Mapping[str, Any]) -> list[Any]:
    """Return what a value may be: each type of a union, by itself."""
    return [_plain(each, whole) for each in part.get("anyOf", [part])]


def _resolved(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = part
    while isinstance(ref := found.get("$ref"), str):
        found = whole.get("$defs", {}).get(ref.rpartition("/")[2], {})
    return found


def _plain(part: Any, whole: Mapping[str, Any], depth: int = 0) -> Any:
    """Return a schema without words for people, with what it refers to in its place."""
    if isinstance(part, Mapping):
        part = _resolved(part, whole) if depth < 20 else part  # a type that holds itself
        fields = part.get("properties", {})
        found = {name: _plain(each, whole, depth + 1) for name, each in part.items() if name not in _WORDS}
        return found | {"properties": {name: _plain(each, whole, depth + 1) for name, each in fields.items()}}
    return [_plain(each, whole, depth) for each in part] if isinstance(part, list) else part
