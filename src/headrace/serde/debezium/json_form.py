"""Envelopes and keys in JSON, as Connect's JsonConverter writes them, with schemas and without."""

from collections.abc import Callable, Mapping
from typing import Generic

import msgspec
from typing_extensions import TypeVar

from headrace.base.records import Headers
from headrace.serde.debezium.columns import Converters
from headrace.serde.debezium.semantics import Semantics, of_json

__all__ = ["JsonForm"]

T = TypeVar("T")

#: Schemas that are remembered. A table has a new one when it is altered.
_SCHEMAS_MAX = 100


class _WithSchema(msgspec.Struct, Generic[T]):
    schema: msgspec.Raw
    payload: T | msgspec.UnsetType = msgspec.UNSET


class JsonForm(Generic[T]):
    """Takes what is of a shape out of JSON; see `Form`. What it remembers only grows, and is equal whoever made it."""

    said = "JSON"
    reads_headers = False

    def __init__(self, shape: type[T], converters: Callable[[Mapping[str, Semantics]], Converters]) -> None:
        self._plain: Callable[[bytes], T] = msgspec.json.Decoder(shape).decode
        self._with_schema: Callable[[bytes], _WithSchema[T]] = msgspec.json.Decoder(
            _WithSchema[shape]  # type: ignore[valid-type]  # msgspec wants the class itself
        ).decode
        self._converters = converters
        self._without_schema = converters({})
        self._of_schemas: dict[bytes, Converters] = {}

    def configure(self, properties: Mapping[str, object]) -> None:
        """Need nothing."""

    def read(self, topic: str, data: bytes, headers: Headers) -> tuple[T, Converters]:
        """Return what bytes have, and what converts its columns."""
        if data.startswith(b'{"schema":'):  # what JsonConverter begins with
            found = self._with_schema(data)
            if found.payload is not msgspec.UNSET:  # a key may have a column of that name
                return found.payload, self._of_schema(bytes(found.schema))
        return self._plain(data), self._without_schema

    def written(self, topic: str, columns: bytes) -> bytes:
        """Return the bytes of columns that stand there in JSON: without a schema they are the same."""
        return columns

    def _of_schema(self, schema: bytes) -> Converters:
        found = self._of_schemas.get(schema)
        if found is None:
            if len(self._of_schemas) >= _SCHEMAS_MAX:
                self._of_schemas = {}
            found = self._of_schemas[schema] = self._converters(of_json(schema))
        return found
