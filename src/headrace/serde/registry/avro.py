"""Avro: values of a type, or dictionaries, behind the id of a schema that is made of the type, or is given."""

import builtins
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Generic, Self

import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import SchemaRegistryError
from headrace.serde.registry.avro_documents import document_of, value_of_document
from headrace.serde.registry.avro_nodes import Node, inlined, nodes_of
from headrace.serde.registry.avro_read import builder_of, reader_of
from headrace.serde.registry.avro_types import schema_of_type
from headrace.serde.registry.avro_write import encoder_of
from headrace.serde.registry.classes import is_typed_dict
from headrace.serde.registry.connection import Session
from headrace.serde.registry.schema import Reference, Schema, SchemaKind
from headrace.serde.registry.serde import Reader, Wishes, Writer
from headrace.serde.stability import is_stable
from headrace.serde.structured import type_name

__all__ = ["AvroFormat", "avro_format", "whole_document"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AvroFormat(Generic[T]):
    """Avro of one type, or of what a schema takes; see `SchemaFormat`.

    Attributes:
        given: whether the schema is the user's own.
        canonical: whether equal values have equal bytes.
    """

    annotation: Any
    schema: Schema | None
    record: str
    given: bool
    canonical: bool = False

    @property
    def kind(self) -> SchemaKind:
        """Avro."""
        return "AVRO"

    @property
    def name(self) -> str:
        """How it was asked for."""
        said = self.record if self.annotation is None else type_name(self.annotation)
        return f"avro({said})"

    @property
    def type(self) -> "builtins.type[Any] | None":
        """The class of the values."""
        if is_typed_dict(self.annotation):
            return dict
        is_class = isinstance(self.annotation, builtins.type) and not hasattr(self.annotation, "__origin__")
        return self.annotation if is_class else None

    @property
    def immutable(self) -> bool:
        """Whether values may stay objects: a given schema may round them."""
        return not self.given and self.annotation is not None and is_stable(self.annotation)

    @property
    def identity(self) -> Hashable:
        """Type and schema."""
        return repr(self.annotation), self.schema

    def own_schema(self, session: Session, wishes: Wishes) -> Schema | None:
        """Return the schema."""
        return self.schema

    def writer(self, schema: Schema | None, session: Session) -> Writer[T]:
        """Return what writes values by a schema, its own one if None."""
        chosen = schema or self.schema
        assert chosen is not None
        try:
            node = nodes_of(whole_document(chosen, session))
            return Writer(encoder_of(node, self.annotation, canonical=self.canonical))
        except (TypeError, ValueError) as error:
            raise SchemaRegistryError(f"{self.name} cannot write with the schema: {error}") from error

    def reader(self, written: Schema, session: Session) -> Reader[T]:
        """Return what reads values: as its own schema says, if it has one."""
        document = whole_document(written, session)
        if self.schema is None:
            return reader_of(document, None, nodes_of(document), self.annotation)
        own = whole_document(self.schema, session)
        # Equal schemas need no resolution, which costs half of the reading.
        return reader_of(document, None if own == document else own, nodes_of(own), self.annotation)

    def for_keys(self) -> Self:
        """Return the format of keys.

        Raises:
            TypeError: equal values would have different bytes.
        """
        if self.schema is not None and not self.schema.references:
            _ensure_no_equals(nodes_of(msgspec.json.decode(self.schema.text)), set())
        return replace(self, canonical=True)

    def document(self, value: T) -> object:
        """Return a value as JSON has it."""
        return document_of(value)

    def value_of(self, document: object) -> T:
        """Return the value that is meant by JSON."""
        node = (
            None
            if self.schema is None or self.schema.references
            else nodes_of(msgspec.json.decode(self.schema.text))
        )
        found: T = value_of_document(document, node, self.annotation)
        return found


def avro_format(
    annotation: Any, text: str | None, references: tuple[Reference, ...], namespace: str
) -> AvroFormat[Any]:
    """Make the format of a type, with the schema that is given or one that is made of it.

    Raises:
        TypeError: the type has no schema, or the given one is none, or does not fit it.
    """
    if text is not None:
        schema: Schema | None = Schema("AVRO", text, references)
        try:
            document = msgspec.json.decode(text)
        except msgspec.DecodeError:
            document = text.strip()  # a name alone, as `string`
        record = _record_name(document)
        if not references:
            _check(document, annotation)
    elif annotation is None:
        schema, record = None, ""
    else:
        document = schema_of_type(annotation, namespace)
        _check(document, annotation)
        schema, record = Schema("AVRO", msgspec.json.encode(document).decode()), _record_name(document)
    return AvroFormat(annotation=annotation, schema=schema, record=record, given=text is not None)


def _check(document: Any, annotation: Any) -> None:
    """Tell now what would not fit with the first record."""
    try:
        node = nodes_of(document)
        encoder_of(node, annotation)
        builder_of(node, annotation)
    except ValueError as error:
        raise TypeError(f"the Avro schema cannot be read: {error}") from error


def _record_name(document: Any) -> str:
    if isinstance(document, dict) and "name" in document:
        name, namespace = str(document["name"]), document.get("namespace")
        return f"{namespace}.{name}" if namespace and "." not in name else name
    return document if isinstance(document, str) else ""


def whole_document(schema: Schema, session: Session) -> Any:
    """Return a schema as a JSON document, with what it refers to in it."""
    document = _document(schema)
    referred: dict[str, Any] = {}
    waiting = list(schema.references)
    while waiting:
        reference = waiting.pop()
        other = session.referred(reference)
        found = _document(other)
        name = _record_name(found)
        if name not in referred:
            referred[name] = referred[reference.name] = found
            waiting += other.references
    return inlined(document, referred) if referred else document


def _document(schema: Schema) -> Any:
    try:
        return msgspec.json.decode(schema.text)
    except msgspec.DecodeError:
        return schema.text.strip()


def _ensure_no_equals(node: Node, seen: set[int]) -> None:
    if id(node) in seen:
        return
    seen.add(id(node))
    numbers = {_number_kind(branch) for branch in node.branches} - {""}
    if len(numbers) > 1:
        raise TypeError(
            f"{node.said} may be one of several kinds of number, where 1, 1.0 and True are equal: choose one"
        )
    for each in (
        *node.branches,
        *(field.node for field in node.fields),
        *([node.items] if node.items else []),
    ):
        _ensure_no_equals(each, seen)


def _number_kind(node: Node) -> str:
    if node.logical:
        return "decimal" if node.logical == "decimal" else ""
    return {"int": "int", "long": "long", "float": "float", "double": "float", "boolean": "boolean"}.get(
        node.kind, ""
    )
