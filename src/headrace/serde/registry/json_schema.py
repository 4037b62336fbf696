"""JSON Schema: values as `hr.json` writes them, behind the id of a schema that is made of their type, or is given.

Source: Confluent's `KafkaJsonSchemaSerializer`.
"""

import builtins
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Self

import msgspec
from typing_extensions import TypeVar

from headrace.serde.models import holds_pydantic
from headrace.serde.registry.connection import Session
from headrace.serde.registry.json_models import model_reader
from headrace.serde.registry.json_validation import validation
from headrace.serde.registry.schema import Reference, Schema, SchemaKind
from headrace.serde.registry.serde import Reader, Wishes, Writer
from headrace.serde.serde import CodecSerde, Serde
from headrace.serde.structured import json, type_name

__all__ = ["JsonFormat", "json_format", "json_schema_of"]

T = TypeVar("T")

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat(Generic[T]):
    """JSON of one type, or of what a schema takes; see `SchemaFormat`.

    Attributes:
        given: whether the schema is the user's own, which values are held against.
    """

    inner: Serde[T]
    annotation: Any
    schema: Schema | None
    given: bool
    record: str

    @property
    def kind(self) -> SchemaKind:
        """JSON."""
        return "JSON"

    @property
    def name(self) -> str:
        """How it was asked for."""
        return f"json_schema({'' if self.annotation is None else type_name(self.annotation)})"

    @property
    def type(self) -> "builtins.type[Any] | None":
        """The class of the values."""
        return self.inner.type if self.annotation is not None else None

    @property
    def immutable(self) -> bool:
        """Whether values may stay objects."""
        return self.inner.immutable and self.annotation is not None

    @property
    def identity(self) -> Hashable:
        """Type and schema."""
        return self.inner, self.schema

    def own_schema(self, session: Session, wishes: Wishes) -> Schema | None:
        """Return the schema."""
        return self.schema

    def writer(self, schema: Schema | None, session: Session) -> Writer[T]:
        """Return what writes values; where the schema is not made of their type, they are held against it."""
        encode = _encoder(self.inner)
        against = schema or (self.schema if self.given else None)
        if against is None:
            return Writer(encode)
        validate = validation(against, session.referred)

        def checked(value: T) -> bytes:
            data = encode(value)
            validate(data)
            return data

        return Writer(checked)

    def reader(self, written: Schema, session: Session) -> Reader[T]:
        """Return what reads values. The type decides what is taken, whatever schema they were written with."""
        decode: Callable[[bytes], T] = self.inner.deserializer("")
        if self.annotation is not None and holds_pydantic(self.annotation):
            decode = model_reader(self.annotation)
        if not self.given or self.schema is None:
            return lambda data, at: decode(data[at:])
        validate = validation(self.schema, session.referred)

        def checked(data: bytes, at: int) -> T:
            body = data[at:]
            validate(body)
            return decode(body)

        return checked

    def for_keys(self) -> Self:
        """Return the format of keys."""
        return replace(self, inner=self.inner.for_keys())

    def document(self, value: T) -> object:
        """Return a value as it is written."""
        return msgspec.Raw(self.inner.serialize("", value))

    def value_of(self, document: object) -> T:
        """Read a value."""
        return self.inner.deserialize("", msgspec.json.encode(document))


def json_format(annotation: Any, text: str | None, references: tuple[Reference, ...]) -> JsonFormat[Any]:
    """Make the format of a type, with the schema that is given or one that is made of it.

    Raises:
        TypeError: values of the type cannot be told apart or read, or the schema is no JSON.
    """
    if text is not None:
        schema: Schema | None = Schema("JSON", text, references)
        record = _title(text)
    elif annotation is None:
        schema, record = None, ""
    else:
        found = json_schema_of(annotation)
        schema, record = Schema("JSON", msgspec.json.encode(found).decode()), str(found.get("title", ""))
    inner = json(dict[str, Any] if annotation is None else annotation)
    return JsonFormat(
        inner=inner, annotation=annotation, schema=schema, given=text is not None, record=record
    )


def json_schema_of(annotation: Any) -> Mapping[str, Any]:
    """Return the JSON schema of a type, with its own definition at the top.

    >>> json_schema_of(int)
    {'$schema': 'https://json-schema.org/draft/2020-12/schema', 'type': 'integer'}
    """
    if holds_pydantic(annotation):
        # The user's models have imported it already.
        from pydantic import TypeAdapter

        found: dict[str, Any] = TypeAdapter(annotation).json_schema(mode="serialization", by_alias=True)
    else:
        found = msgspec.json.schema(annotation)
    definitions = found.get("$defs", {})
    if found.keys() == {"$ref", "$defs"}:
        name = found["$ref"].rpartition("/")[2]
        found = {**definitions[name], "$defs": definitions}
        if f'"#/$defs/{name}"' not in msgspec.json.encode(definitions).decode():
            del definitions[name]
    if not definitions:
        found.pop("$defs", None)
    return {"$schema": _DRAFT, **found}


def _encoder(serde: Serde[T]) -> Callable[[T], bytes]:
    return serde.encode if isinstance(serde, CodecSerde) else serde.serializer("")


def _title(text: str) -> str:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise TypeError(f"the schema is no JSON: {error}") from None
    return str(found.get("title", "")) if isinstance(found, dict) else ""
