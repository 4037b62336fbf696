"""Envelopes and keys in Avro, as Connect's converters write them with the schemas of a registry.

Logical types are left out of the schemas before values are read: what is read is what JSON has, but for bytes, and the
columns' converters make both into values. PostgreSQL has dates that Python has not, which would be no row else.
"""

import builtins
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self

import msgspec
from typing_extensions import TypeVar

from headrace.base.records import Headers
from headrace.serde.debezium.columns import Converters
from headrace.serde.debezium.semantics import Semantics, of_avro
from headrace.serde.registry.avro import whole_document
from headrace.serde.registry.avro_nodes import nodes_of
from headrace.serde.registry.avro_read import reader_of
from headrace.serde.registry.avro_write import encoder_of
from headrace.serde.registry.connection import Session
from headrace.serde.registry.schema import Schema, SchemaKind
from headrace.serde.registry.serde import Reader, RegistrySerde, Wishes, Writer

__all__ = ["AvroForm"]

T = TypeVar("T")


class AvroForm(Generic[T]):
    """Takes what is of a shape out of Avro; see `Form`.

    Keys are written with the latest schema of those of a table's topic, wherever they go: equal keys have equal bytes.
    """

    said = "Avro"
    reads_headers = True

    def __init__(
        self,
        name: str,
        shape: type[T],
        converters: Callable[[Mapping[str, Semantics]], Converters],
        *,
        keys_of: str | None = None,
    ) -> None:
        record = "" if keys_of is None else f"{keys_of}.Key"
        self._keys_of = keys_of
        format: _ConnectAvro[T] = _ConnectAvro(name, record, shape, converters)
        self._serde: RegistrySerde[Any] = RegistrySerde(
            format,
            Wishes(use_latest=True),
            is_key=keys_of is not None,
        )

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the registry that an application names."""
        self._serde.configure(properties)

    def read(self, topic: str, data: bytes, headers: Headers) -> tuple[T, Converters]:
        """Return what bytes have, and what converts its columns."""
        found: tuple[T, Converters] = self._serde.deserialize(topic, data, headers)
        return found

    def written(self, topic: str, columns: bytes) -> bytes:
        """Return the bytes of a key whose columns stand there in JSON."""
        assert self._keys_of is not None, "keys alone are written"
        return self._serde.serialize(self._keys_of, msgspec.json.decode(columns))


@dataclass(frozen=True, slots=True)
class _ConnectAvro(Generic[T]):
    """What `RegistrySerde` has to know; see `SchemaFormat`. It reads (shape, converters) and writes dictionaries."""

    name: str
    record: str
    shape: builtins.type[T]
    converters: Callable[[Mapping[str, Semantics]], Converters]

    @property
    def kind(self) -> SchemaKind:
        """Avro."""
        return "AVRO"

    @property
    def type(self) -> None:
        """What is read is of no class of the user's."""
        return None

    @property
    def immutable(self) -> bool:
        """Not to be kept."""
        return False

    @property
    def identity(self) -> Hashable:
        """Its own."""
        return self.name, self.record

    def own_schema(self, session: Session, wishes: Wishes) -> Schema | None:
        """Have none: schemas are the connector's."""
        return None

    def writer(self, schema: Schema | None, session: Session) -> Writer[Any]:
        """Return what writes dictionaries by a schema."""
        assert schema is not None, "the latest one is asked for"
        return Writer(encoder_of(nodes_of(_bare(whole_document(schema, session))), None, canonical=True))

    def reader(self, written: Schema, session: Session) -> Reader[Any]:
        """Return what reads by a schema."""
        document = whole_document(written, session)
        converters = self.converters(of_avro(document))
        bare, shape = _bare(document), self.shape
        read = reader_of(bare, None, nodes_of(bare), None)
        return lambda data, at: (msgspec.convert(read(data, at), shape), converters)

    def for_keys(self) -> Self:
        """Return this one, which writes one way only."""
        return self

    def document(self, value: Any) -> object:
        """Return it as it is."""
        return value

    def value_of(self, document: object) -> Any:
        """Return it as it is."""
        return document


def _bare(schema: Any) -> Any:
    """Return a schema without logical types."""
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if isinstance(schema, dict):
        return {name: _bare(part) for name, part in schema.items() if name != "logicalType"}
    return schema
