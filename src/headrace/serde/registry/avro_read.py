"""Read values of Avro: fastavro resolves the schema of who wrote against ours, and here they become objects.

fastavro leaves defaults of a reader's schema as they stand in JSON, so they are replaced by values before it sees them.
"""

import copy
import enum
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, TypeAlias, get_origin
from uuid import UUID

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

    marked = _marked_records(node)
    if marked and own is None:
        own = written
    try:
        writer = fastavro.parse_schema(copy.deepcopy(written))
        reader = None if own is None else _prepared(fastavro.parse_schema(copy.deepcopy(own)), node, marked)
    except Exception as error:
        raise ValueError(f"the Avro schema cannot be read: {error}") from error
    # A default is one object in all records that have it.
    shares = own is not None and _has_container_default(node)
    build = _Builder(fresh=shares, marked=marked).build(node, annotation, "$")
    if build is None and shares:
        build = copy.deepcopy
    read = fastavro.schemaless_reader

    def decode(data: bytes, at: int) -> Any:
        stream = BytesIO(data)
        stream.seek(at)
        raw = read(stream, writer, reader)
        if stream.tell() != len(data):
            raise ValueError(f"{len(data) - stream.tell()} bytes stand behind the value")
        return raw if build is None else build(raw)

    return decode


#: A field that records of unions get in a reader's schema, with their names as its default. fastavro tells names of a
#: union in the writer's schema only, and there may be none.
_MARK = "headrace_record"


def _marked_records(node: Node) -> frozenset[str]:
    """Return the names of records that stand in a union with another record, or with a map: all are dictionaries."""
    records: dict[str, Node] = {}
    found: set[str] = set()
    for union in _collect(node, records):
        branches = [branch for branch in union.branches if branch.kind in {"map", "record"}]
        if len(branches) > 1:
            found |= {branch.name for branch in branches if branch.name}
    return frozenset(found)


def _prepared(schema: Any, node: Node, marked: frozenset[str]) -> Any:
    """Replace the defaults in a schema that fastavro has read by the values that they stand for; mark records."""
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
                if part["name"] in marked and part["fields"][-1:] != [_mark_of(part["name"])]:
                    part["fields"].append(_mark_of(part["name"]))
            else:
                for each in part.values():
                    walk(each)

    walk(schema)
    return schema


def _mark_of(name: str) -> dict[str, str]:
    return {"name": _MARK, "type": "string", "default": name}


def _collect(node: Node, records: dict[str, Node]) -> list[Node]:
    """Gather the records of a schema by name, and return its unions."""
    if node.kind == "record":
        if node.name in records:
            return []
        records[node.name] = node
    found = [node] if node.kind == "union" else []
    for each in (
        *node.branches,
        *(field.node for field in node.fields),
        *([node.items] if node.items else []),
    ):
        found += _collect(each, records)
    return found


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
    return _Builder(fresh=False, marked=_marked_records(node)).build(node, annotation, "$")


class _Builder:
    """Makes functions; with `fresh`, whatever is read is copied, since it may be a default."""

    def __init__(self, *, fresh: bool, marked: frozenset[str]) -> None:
        self._fresh = fresh
        self._marked = marked
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
            case "fixed" if node.logical == "uuid":
                return _uuid
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
        left_out = frozenset({*binding.missing, *([_MARK] if node.name in self._marked else [])})
        finish = _finisher(None if binding.cls is None else maker_of(binding.cls), parts, left_out)
        if binding.cls is None and not parts and not left_out:
            return None
        return build

    def _union(self, node: Node, annotation: Any, at: str) -> _Build:
        branches = branch_types(node, annotation, at)
        _ensure_apart(
            node,
            [
                branch
                for branch, member in branches
                if not is_nobody(member) and not is_open(remarks_of(member)[0])
            ],
            at,
        )
        builds: dict[str, _Build] = {}
        for branch, member in branches:
            build = self.build(branch, None if is_nobody(member) else member, at)
            key = (
                branch.name if branch.kind == "record" else "string" if branch.kind == "enum" else branch.kind
            )
            if build is not None or key not in builds:
                builds[key] = build
        if not any(builds.values()):
            return None
        names = [branch.name for branch in node.branches if branch.kind == "record"]
        is_generic = is_open(remarks_of(annotation)[0]) and len(names) > 1

        def of_dictionary(raw: Any) -> Any:
            name = raw.get(_MARK)
            if name is None:
                # Not marked are maps, records where there is nothing else, and defaults, which are of the first branch.
                name = "map" if "map" in builds or not names else names[0]
            made = builds[name]
            value = raw if made is None else made(raw)
            return {"-type": name, **value} if is_generic and name != "map" else value

        def build_union(raw: Any) -> Any:
            if raw.__class__ is dict:
                return of_dictionary(raw)
            made = builds.get(_KINDS.get(raw.__class__, ""))
            return raw if made is None else made(raw)

        return build_union


def _ensure_apart(node: Node, typed: list[Node], at: str) -> None:
    """Refuse unions whose branches are of one class when they are read."""
    texts = [
        branch
        for branch in typed
        if branch.kind == "enum" or (branch.kind == "string" and not branch.logical)
    ]
    raw = [branch for branch in typed if branch.kind in {"bytes", "fixed"} and branch.logical in {"", "uuid"}]
    if len(texts) > 1 or (len(raw) > 1 and any(branch.logical for branch in raw)):
        first, second, *_ = texts if len(texts) > 1 else raw
        raise TypeError(
            f"{at}: {node.said} has {first.said} and {second.said}, which cannot be told apart when read"
        )


def _finisher(
    make: Callable[[dict[str, Any]], Any] | None,
    parts: Mapping[str, Callable[[Any], Any]],
    missing: frozenset[str],
) -> Callable[[Any], Any]:
    def finish(raw: Any) -> Any:
        fields = {name: value for name, value in raw.items() if name not in missing} if missing else {**raw}
        for name, part in parts.items():
            fields[name] = part(raw[name])
        return fields if make is None else make(fields)

    return make if make is not None and not parts and not missing else finish


def _uuid(raw: Any) -> Any:
    """Make what fastavro leaves as bytes; a default is made already."""
    return UUID(bytes=raw) if raw.__class__ is bytes else raw


#: What is made of a branch, by the class in which fastavro gives it.
_KINDS = {str: "string", bytes: "fixed", list: "array"}
