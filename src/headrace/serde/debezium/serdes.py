"""Serdes of Debezium's records: the envelope of a change, and the key of its row, in either form."""

from collections.abc import Mapping
from typing import Any, Generic

import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import HeadraceError, SerializationError
from headrace.base.records import Headers
from headrace.serde.debezium.columns import Decimals, converters_of
from headrace.serde.debezium.forms import Form, FormName, form_of
from headrace.serde.debezium.row_change import Operation, RowChange
from headrace.serde.debezium.rows import RowType
from headrace.serde.debezium.unavailable import Unavailable
from headrace.serde.serde import Serde
from headrace.serde.structured import json, type_name

__all__ = ["ChangeSerde", "KeySerde"]

R = TypeVar("R")
K = TypeVar("K")

#: Source: io.debezium.data.Envelope.Operation. A message (`m`) is of no table.
_OPERATIONS: Mapping[str, Operation] = {
    "r": "read",
    "c": "insert",
    "u": "update",
    "d": "delete",
    "t": "truncate",
}


#: Of an insertion: the key that the row had before.
_OLD_KEY = "__debezium.oldkey"


class _Envelope(msgspec.Struct):
    op: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    source: dict[str, Any] = {}
    ts_ms: int | None = None


class ChangeSerde(Serde[RowChange[R]], Generic[R]):
    """Reads envelopes. It writes nothing: changes are the database's to make."""

    uses_headers = True

    def __init__(self, type: type[R], *, form: FormName, decimals: Decimals, placeholder: str) -> None:
        self.row_type = RowType(type, decimals)
        self._identity = (type, form, decimals, placeholder)
        self._unavailable = Unavailable(placeholder)
        self._form = form_of(form, repr(self), _Envelope, self.row_type.converters)

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the properties of the application."""
        self._form.configure(properties)

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> RowChange[R]:
        """Return the change.

        Raises:
            SerializationError: the bytes are no envelope, or a column cannot be read; `__cause__` has the detail.
        """
        try:
            return self._read(topic, data, headers)
        except HeadraceError:  # of the registry's serde, which says as much
            raise
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self!r} expects a change of Debezium in "
                f"{self._form.said}, found {len(data)} bytes: {error}"
            ) from error

    def serialize(self, topic: str, value: RowChange[R], headers: Headers = ()) -> bytes:
        """Refuse."""
        raise SerializationError(
            f"cannot serialize for topic {topic!r}: {self!r} reads changes and writes none; map them to rows first"
        )

    def _read(self, topic: str, data: bytes, headers: Headers) -> RowChange[R]:
        envelope, convert = self._form.read(topic, data, headers)
        operation = _OPERATIONS.get(envelope.op)
        if operation is None:
            raise ValueError(f"op {envelope.op!r} is no change of a row ({', '.join(_OPERATIONS)})")
        timestamp = envelope.source.get("ts_ms", envelope.ts_ms)
        after, unchanged = envelope.after or {}, frozenset[str]()
        if operation in ("read", "insert", "update"):
            if not after:
                raise ValueError(
                    f"op {envelope.op!r} has no row in 'after'; is the record unwrapped (ExtractNewRecordState)? "
                    "Read it as plain JSON then"
                )
            is_mark = self._unavailable.is_mark
            marked = [column for column, value in after.items() if is_mark(value)]
            if marked:
                unchanged = frozenset(filter(self.row_type.has, marked))
                after = {column: value for column, value in after.items() if column not in marked}
        return RowChange(
            operation,
            self.row_type.values(after, convert),
            unchanged,
            envelope.before,
            operation == "insert" and any(name == _OLD_KEY for name, _ in headers),
            envelope.source,
            -1 if timestamp is None else timestamp,
            self.row_type,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChangeSerde) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"debezium({type_name(self.row_type.type)})"


class KeySerde(Serde[K], Generic[K]):
    """Reads the key of a row, and writes it as the connector does: in JSON without a schema, or in Avro.

    Equal keys have equal bytes. `column` is set where the key is the value of one column; else it is an object with a
    field for each. `avro_of` is the topic of the table whose keys are in Avro.
    """

    def __init__(
        self, type: type[K], column: str | None, decimals: Decimals, *, avro_of: str | None = None
    ) -> None:
        self._identity = (type, column, decimals, avro_of)
        self._column = column
        self._rows = None if column is not None else RowType(type, decimals)
        self._type: Any = type
        self._write = json(self._type).for_keys()
        self._form: Form[dict[str, Any]] = form_of(
            "json" if avro_of is None else "avro",
            repr(self),
            dict[str, Any],
            (lambda semantics: converters_of({column: type}, semantics, decimals))
            if column is not None
            else RowType(type, decimals).converters,
            keys_of=avro_of,
        )
        self.reads_headers = self._form.reads_headers

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the properties of the application."""
        self._form.configure(properties)

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> K:
        """Return the key.

        Raises:
            SerializationError: the bytes are no such key; `__cause__` has the detail.
        """
        try:
            return self._read(topic, data, headers)
        except HeadraceError:
            raise
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self!r} expects a key of Debezium in {self._form.said}, "
                f"found {len(data)} bytes: {error}"
            ) from error

    def serialize(self, topic: str, value: K, headers: Headers = ()) -> bytes:
        """Return the bytes that the connector makes of the key, so that equal keys meet in one partition.

        Raises:
            SerializationError: it is no such key.
            SchemaRegistryError: in Avro, the registry has no schema of the topic's keys, or does not answer.
        """
        made = self._write.serialize(topic, value, headers)
        if self._column is not None:
            made = b'{"' + self._column.encode() + b'":' + made + b"}"
        return self._form.written(topic, made)

    def _read(self, topic: str, data: bytes, headers: Headers) -> K:
        columns, convert = self._form.read(topic, data, headers)
        if self._rows is not None:
            return self._rows.made(self._rows.values(columns, convert), None, frozenset())
        assert self._column is not None
        if columns.keys() != {self._column}:
            raise ValueError(
                f"the key has the columns {', '.join(map(repr, columns))}, not {self._column!r} alone"
            )
        value = columns[self._column]
        one = convert.get(self._column)
        found: K = msgspec.convert(value if one is None else one(value), self._type)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySerde) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        of = type_name(self._type)
        return f"key({of})" if self._column is None else f"key({self._column!r}, {of})"
