"""Serdes of Debezium's records: the envelope of a change, and the key of its row."""

from collections.abc import Callable, Mapping
from typing import Any, Generic

import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import SerializationError
from headrace.base.records import Headers
from headrace.serde.debezium.columns import Decimals, converter_of
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


class _WithSchema(msgspec.Struct):
    schema: msgspec.Raw
    payload: _Envelope


class _Payload(msgspec.Struct):
    payload: msgspec.Raw = msgspec.Raw()
    schema: msgspec.Raw = msgspec.Raw()


class ChangeSerde(Serde[RowChange[R]], Generic[R]):
    """Reads envelopes in JSON, with and without schemas. It writes nothing: changes are the database's to make."""

    uses_headers = True

    def __init__(self, type: type[R], *, decimals: Decimals, placeholder: str) -> None:
        self.row_type = RowType(type, decimals)
        self._identity = (type, decimals, placeholder)
        self._unavailable = Unavailable(placeholder)
        self._plain = msgspec.json.Decoder(_Envelope).decode
        self._with_schema = msgspec.json.Decoder(_WithSchema).decode

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> RowChange[R]:
        """Return the change.

        Raises:
            SerializationError: the bytes are no envelope, or a column cannot be read; `__cause__` has the detail.
        """
        try:
            return self._read(data, headers)
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self!r} expects a change of Debezium in JSON, found "
                f"{len(data)} bytes: {error}"
            ) from error

    def serialize(self, topic: str, value: RowChange[R], headers: Headers = ()) -> bytes:
        """Refuse."""
        raise SerializationError(
            f"cannot serialize for topic {topic!r}: {self!r} reads changes and writes none; map them to rows first"
        )

    def _read(self, data: bytes, headers: Headers) -> RowChange[R]:
        schema: bytes | None = None
        if data.startswith(b'{"schema":'):  # what JsonConverter begins with
            message = self._with_schema(data)
            envelope, schema = message.payload, bytes(message.schema)
        else:
            envelope = self._plain(data)
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
            self.row_type.values(after, schema),
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
    """Reads the key of a row, in JSON with and without a schema, and writes it without one, as JsonConverter does.

    Equal keys have equal bytes. `column` is set where the key is the value of one column; else it is an object with a
    field for each.
    """

    def __init__(self, type: type[K], column: str | None, decimals: Decimals) -> None:
        self._identity = (type, column, decimals)
        self._column = column
        self._rows = None if column is not None else RowType(type, decimals)
        self._convert = converter_of(type, None, decimals) if column is not None else None
        self._form: Any = type
        self._write = json(self._form).for_keys()

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> K:
        """Return the key.

        Raises:
            SerializationError: the bytes are no such key; `__cause__` has the detail.
        """
        try:
            return self._read(data)
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self!r} expects a key of Debezium in JSON, found "
                f"{len(data)} bytes: {error}"
            ) from error

    def deserializer(self, topic: str) -> Callable[[bytes], K]:
        """Return the reading function itself."""
        return self._read

    def serialize(self, topic: str, value: K, headers: Headers = ()) -> bytes:
        """Return the bytes that JsonConverter makes of the key, so that equal keys meet in one partition.

        Raises:
            SerializationError: it is no such key.
        """
        made = self._write.serialize(topic, value, headers)
        if self._column is None:
            return made
        return b'{"' + self._column.encode() + b'":' + made + b"}"

    def _read(self, data: bytes) -> K:
        columns = msgspec.json.decode(data)
        schema: bytes | None = None
        if isinstance(columns, dict) and columns.keys() == {"schema", "payload"}:
            schema = bytes(msgspec.json.decode(data, type=_Payload).schema)
            columns = columns["payload"]
        if not isinstance(columns, dict):
            raise ValueError("an object with the columns of the key is wanted")
        if self._rows is not None:
            return self._rows.made(self._rows.values(columns, schema), None, frozenset())
        if columns.keys() != {self._column}:
            raise ValueError(
                f"the key has the columns {', '.join(map(repr, columns))}, not {self._column!r} alone"
            )
        value = columns[self._column or ""]
        converted = value if self._convert is None else self._convert(value)
        found: K = msgspec.convert(converted, self._form)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySerde) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        of = type_name(self._form)
        return f"key({of})" if self._column is None else f"key({self._column!r}, {of})"
