"""Whether values that were written by one type can be read as another: JSON schemas of both are compared. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headrace.serde.change import ChangeSerde
from headrace.serde.foreign_keys import ResponseSerde
from headrace.serde.models import holds_pydantic
from headrace.serde.rows import RowSerde
from headrace.serde.serde import CodecSerde, Serde
from headrace.serde.unmatched import UnmatchedKeySerde, UnmatchedValuesSerde
from headrace.serde.windowed import WindowedSerde

__all__ = ["schema_of", "unreadable"]

#: What describes a type to people, and changes nothing of what it reads; and where its parts are found.
_ASIDE = frozenset({"title", "description", "examples", "default", "$defs", "discriminator"})


def schema_of(serde: Serde[Any]) -> Mapping[str, Any] | None:
    """Return the JSON schema of what a serde writes; None of types that have none, or that their names tell.

    Of a serde that is made of others it is that of an object with a property for each.
    """
    if not isinstance(serde, CodecSerde):
        parts = {name: schema_of(each) for name, each in _parts(serde).items()}
        return (
            {"properties": {name: each or {} for name, each in parts.items()}}
            if any(parts.values())
            else None
        )
    if not isinstance(serde.identity, tuple):
        return None
    try:
        found = _json_schema(serde.identity[1])
    except (TypeError, ValueError):
        return None
    return found if {"$ref", "$defs", "properties"} & found.keys() else None


def _parts(serde: Serde[Any]) -> Mapping[str, Serde[Any]]:
    match serde:
        case WindowedSerde() | UnmatchedKeySerde():
            return {"key": serde.inner}
        case ChangeSerde() | ResponseSerde():
            return {"value": serde.inner}
        case UnmatchedValuesSerde():
            return {"left": serde.left, "right": serde.right}
        case RowSerde():
            return {f"value {number}": each for number, each in enumerate(serde.serdes, 1)}
        case _:
            return {}


def _json_schema(annotation: Any) -> Mapping[str, Any]:
    if not holds_pydantic(annotation):
        return msgspec.json.schema(annotation)
    # The user's models have imported it already.
    from pydantic import TypeAdapter

    found: Mapping[str, Any] = TypeAdapter(annotation).json_schema()
    return found


def unreadable(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Say why values of the type before could not be read as the one after, or would lose what they hold; else None.

    A field more is fine where it has a default; one less is let go when the value is written again, unless fields that
    are not known are refused.
    """
    return _Comparison(before, after).reason(before, after, "")


class _Comparison:
    """Compares parts of two schemas, each with definitions of its own; pairs of definitions once.

    `known` holds what is wrong with a pair. One that is being compared counts as fine: a type may hold itself.
    """

    def __init__(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        self._before: Mapping[str, Any] = before.get("$defs", {})
        self._after: Mapping[str, Any] = after.get("$defs", {})
        self._known: dict[tuple[str, str], str | None] = {}

    def reason(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> str | None:
        """Say why what was written as the old part cannot be read as the new one; `path` leads there."""
        pair = old.get("$ref", ""), new.get("$ref", "")
        if not all(pair):
            return self._of_parts(old, new, path)
        if pair not in self._known:
            count = len(self._known)
            self._known[pair] = None
            found = self._of_parts(old, new, path)
            if found is not None:
                # What was fine because this pair was is not known any more.
                for each in list(self._known)[count:]:
                    del self._known[each]
                self._known[pair] = found
        return self._known[pair]

    def _of_parts(self, before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> str | None:
        old, new = _resolved(before, self._before), _resolved(after, self._after)
        written, read = _alternatives(old), _alternatives(new)
        if written or read:
            # Not resolved where it is no union: it may be one that is being compared.
            is_read = all(self._is_read(each, read or [after]) for each in written or [before])
            return None if is_read else _other(path)
        if "properties" in old and "properties" in new:
            return self._of_fields(old, new, path)
        one, other = (
            {name: each for name, each in part.items() if name not in _ASIDE} for part in (old, new)
        )
        if one.keys() != other.keys():
            return _other(path)
        for name in one:
            if (found := self._of_values(one[name], other[name], path)) is not None:
                return found
        return None

    def _of_fields(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> str | None:
        had, has = old["properties"], new["properties"]
        for name in new.get("required", ()):
            if name not in had:
                return f"{_below(path, name)} is new, and has no default"
            if name not in old.get("required", ()):
                return f"{_below(path, name)} may have been left out before, and must be there now"
        gone = sorted(had.keys() - has.keys())
        if gone and new.get("additionalProperties") is False:
            return f"{_below(path, gone[0])} is gone, and fields that are not known are refused"
        for name, part in has.items():
            if name in had:
                one, other = had[name], part
                nested = self if "$defs" not in {*one, *other} else _Comparison(one, other)
                if (found := nested.reason(one, other, _below(path, name))) is not None:
                    return found
        return None

    def _of_values(self, one: object, other: object, path: str) -> str | None:
        """Compare what stands under one word, such as the items of a list."""
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            return self.reason(one, other, f"{path}[]")
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            found = (self._of_values(each, beside, path) for each, beside in zip(one, other))
            return next((each for each in found if each is not None), None)
        return None if one == other else _other(path)

    def _is_read(self, written: Mapping[str, Any], read: Sequence[Mapping[str, Any]]) -> bool:
        return any(self.reason(written, each, "") is None for each in read)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _other(path: str) -> str:
    return f"{path or 'the value'} is of another type"


def _alternatives(part: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the types of a union, each by itself; none of what is no union."""
    found: Sequence[Mapping[str, Any]] = part.get("anyOf") or part.get("oneOf") or ()
    return found


def _resolved(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    found = part
    while isinstance(ref := found.get("$ref"), str):
        found = definitions.get(ref.rpartition("/")[2], {})
    return found
