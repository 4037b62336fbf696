"""Read values of Avro: fastavro resolves the schema of who wrote against ours, and here they become objects.

fastavro leaves defaults of a reader's schema as they stand in JSON, so they are replaced by values before it sees them.
"""

import copy
import enum
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, TypeAlias, get_origin

from headrace.serde.registry.avro_binding import bound_fields, bound_items, bound_symbols, is_open
from headrace.serde.registry.avro_nodes import Node, default_of
from headrace.serde.registry.avro_unions import branch_types, is_nobody
from headrace.serde.registry.classes import maker_of, remarks_of
from headrace.serde.registry.symbols import symbol_of

__all__ = ["builder_of", "reader_of"]

#: What is read -> the value of the type; None where it is that already.
_Build: TypeAlias = Callable[[Any], Any] | None


def reader_of(written: Any, own: Any, node: Node, annotation: Any) -> Callable[[bytes, int], Any]:
    """Return what reads values, of bytes from a place on.

    Both schemas are JSON documents that refer to nothing outside; `own` is None where what was written is read as it
    is. `node` is that of the schema which values are of in the end.

    Raises:
        ValueError: fastavro does not take a schema.
    """
    import fastavro

    try:
        writer = fastavro.parse_schema(copy.deepcopy(written))
        reader = None if own is None else _with_defaults(fastavro.parse_schema(copy.deepcopy(own)), node)
    except Exception as error:
        raise ValueError(f"the Avro schema cannot be read: {error}") from error
    # A default is one object in all records that have it.
    shares = own is not None and _has_container_default(node)
    build = (
        copy.deepcopy
        if shares and annotation is None
        else _Builder(fresh=shares).build(node, annotation, "$")
    )
    read = fastavro.schemaless_reader

    def decode(data: bytes, at: int) -> Any:
        stream = BytesIO(data)
        stream.seek(at)
        # Positional, as keywords cost 0.2 µs: handle names of records in unions, only where there are several.
        raw = read(stream, writer, reader, True, True)
        if stream.tell() != len(data):
            raise ValueError(f"{len(data) - stream.tell()} bytes stand behind the value")
        return raw if build is None else build(raw)

    return decode


def _with_defaults(schema: Any, node: Node) -> Any:
    """Replace the defaults in a schema that fastavro has read by the values that they stand for."""
    records: dict[str, Node] = {}
    _collect(node, records)
    seen: set[int] = set()

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for each in part:
                walk(each)
        elif isinstance(part, dict) and id(part) not in seen:
            seen.add(id(part))
            record = records.get(part.get("name", "")) if part.get("type") in {"record", "error"} else None
            if record is not None:
                for field, known in zip(part["fields"], record.fields):
                    if "default" in field and id(field) not in seen:
                        seen.add(id(field))
                        field["default"] = default_of(known.node, field["default"])
                    walk(field["type"])
            else:
                for each in part.values():
                    walk(each)

    walk(schema)
    return schema


def _collect(node: Node, records: dict[str, Node]) -> None:
    if node.kind == "record":
        if node.name in records:
            return
        records[node.name] = node
    for each in (
        *node.branches,
        *(field.node for field in node.fields),
        *([node.items] if node.items else []),
    ):
        _collect(each, records)


def _has_container_default(node: Node) -> bool:
    records: dict[str, Node] = {}
    _collect(node, records)
    return any(
        isinstance(field.default, list | dict) for record in records.values() for field in record.fields
    )


def builder_of(node: Node, annotation: Any) -> _Build:
    """Return what makes values of a type of what is read by a schema.

    Raises:
        TypeError: the schema does not fit the type; says where.
    """
    return _Builder(fresh=False).build(node, annotation, "$")


class _Builder:
    """Makes functions; with `fresh`, whatever is read is copied, since it may be a default."""

    def __init__(self, *, fresh: bool) -> None:
        self._fresh = fresh
        self._records: dict[tuple[Node, Any], Callable[[Any], Any]] = {}

    def build(self, node: Node, annotation: Any, at: str) -> _Build:
        match node.kind:
            case "union":
                return self._union(node, annotation, at)
            case "record":
                return self._record(node, annotation, at)
            case "enum":
                return self._enum(node, annotation, at)
            case "array" | "map":
                return self._container(node, annotation, at)
            case _:
                return None

    def _enum(self, node: Node, annotation: Any, at: str) -> _Build:
        plain, _ = remarks_of(annotation)
        if not (isinstance(plain, type) and issubclass(plain, enum.Enum)):
            return None
        bound_symbols(node, annotation, at)
        members = symbol_of(plain)

        def build(raw: Any) -> Any:
            found = members.get(raw)
            if found is None:
                raise ValueError(f"{plain.__name__} has no member {raw!r} - at `{at}`")
            return found

        return build

    def _container(self, node: Node, annotation: Any, at: str) -> _Build:
        assert node.items is not None
        classes, inner = bound_items(node, annotation, at)
        build = self.build(node.items, inner, f"{at}[]")
        if node.kind == "map":
            if build is None:
                return dict if self._fresh else None
            return lambda raw: {name: build(each) for name, each in raw.items()}
        cls = get_origin(remarks_of(annotation)[0]) if not is_open(remarks_of(annotation)[0]) else list
        make: Any = classes[0] if cls in {tuple, set, frozenset} else list
        if build is None:
            return None if make is list and not self._fresh else make
        if make is list:
            return lambda raw: [build(each) for each in raw]
        return lambda raw: make(map(build, raw))

    def _record(self, node: Node, annotation: Any, at: str) -> _Build:
        known = self._records.get((node, annotation))
        if known is not None:
            return known
        parts: dict[str, Callable[[Any], Any]] = {}

        # Known before its fields are, since a record may hold itself.
        def build(raw: Any) -> Any:
            return finish(raw)

        self._records[node, annotation] = build
        binding = bound_fields(node, annotation, at)
        for field, inner in zip(node.fields, binding.annotations):
            if field.name not in binding.missing:
                part = self.build(field.node, inner, f"{at}.{field.name}")
                if part is not None:
                    parts[field.name] = part
        finish = _finisher(None if binding.cls is None else maker_of(binding.cls), parts, binding.missing)
        if binding.cls is None and not parts:
            return None
        return build

    def _union(self, node: Node, annotation: Any, at: str) -> _Build:
        by_class: dict[str, _Build] = {}
        names = [branch.name for branch in node.branches if branch.kind == "record"]
        for branch, member in branch_types(node, annotation, at):
            build = self.build(branch, None if is_nobody(member) else member, at)
            key = branch.name if branch.kind == "record" and len(names) > 1 else _raw_kind(branch)
            if build is not None or key not in by_class:
                by_class[key] = build
        named = len(names) > 1
        is_generic = is_open(remarks_of(annotation)[0])
        if not named and not any(by_class.values()):
            return None

        def build_union(raw: Any) -> Any:
            if named and raw.__class__ is tuple:
                name, raw = raw
                made = by_class[name]
                value = raw if made is None else made(raw)
                return {"-type": name, **value} if is_generic else value
            made = by_class.get(_KINDS.get(raw.__class__, ""))
            return raw if made is None else made(raw)

        return build_union


def _finisher(
    make: Callable[[dict[str, Any]], Any] | None,
    parts: Mapping[str, Callable[[Any], Any]],
    missing: Mapping[str, Any],
) -> Callable[[Any], Any]:
    def finish(raw: Any) -> Any:
        fields = {name: value for name, value in raw.items() if name not in missing} if missing else {**raw}
        for name, part in parts.items():
            fields[name] = part(raw[name])
        return fields if make is None else make(fields)

    return make if make is not None and not parts and not missing else finish


#: What is made of a branch, by the class in which fastavro gives it.
_KINDS = {str: "string", list: "array", dict: "map or record"}


def _raw_kind(branch: Node) -> str:
    if branch.kind in {"map", "record"}:
        return "map or record"
    if branch.kind == "enum":
        return "string"
    return branch.kind
