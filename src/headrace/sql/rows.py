"""From records to rows: by the fields of key and value, or by functions of the user's."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Generic, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import JSON, Table
from sqlalchemy import Enum as EnumType
from typing_extensions import TypeVar

from headrace.base.records import Record
from headrace.base.wording import shortened
from headrace.serde.serde import kind_of

__all__ = ["Change", "ReadRecord", "Row", "RowMaking"]

K = TypeVar("K")
V = TypeVar("V")

#: Column names and their values.
Row: TypeAlias = Mapping[str, object]


class ReadRecord(Record[K, V], Generic[K, V], frozen=True):
    """A record as a sink reads it, with its place in the log: what `row=` is called with."""

    topic: str = ""
    partition: int = -1
    offset: int = -1


class Change(NamedTuple):
    """What a record does to the table: a row that is put there, or the key of one that is deleted.

    `place` is the record's within its chunk, `identity` the bytes of its key.
    """

    place: int
    identity: bytes | None
    is_deletion: bool
    row: Row


class RowMaking(Generic[K, V]):
    """Makes the changes of one table.

    Where rows replace each other, the columns of `key_columns` come from the record's key and from nothing else:
    records of one key are in one partition and in order, which is so of nothing else about them. Without such columns
    rows are appended.
    """

    def __init__(
        self,
        table: Table,
        key_columns: Sequence[str],
        row: Callable[[ReadRecord[K, V]], Row | None] | None,
        key: Callable[[K], Row] | None,
    ) -> None:
        self._name = table.fullname
        self._columns = frozenset(table.columns.keys())
        self._key_columns = tuple(key_columns)
        self._row = row
        self._key = key
        # What a type of SQLAlchemy takes as it is, and what has to be made plain first.
        self._plain: dict[str, Callable[[object], object]] = {
            column.key: _builtins if isinstance(column.type, JSON) else _without_enum
            for column in table.columns
            if not isinstance(column.type, EnumType)
        }

    def change(self, record: ReadRecord[K, V], place: int, identity: bytes | None) -> Change | None:
        """Return what a record does, None where it does nothing.

        Raises:
            ValueError: it makes no row; says why. A function of the user's raises what it likes.
        """
        if not self._key_columns:
            appended = self._made(record)
            return None if appended is None else Change(place, identity, False, self._checked(appended))
        if record.key is None:
            raise ValueError(
                f"a record without a key is no row of {self._name!r}, whose rows are known by their keys "
                f"({', '.join(self._key_columns)}): give records keys, or append with mode='append'"
            )
        key = self._key_of(record.key)
        if record.value is None:
            return Change(place, identity, True, self._checked(key))
        made = self._made(record)
        if made is None:
            return None
        for column, value in key.items():
            if column in made and made[column] != value:
                raise ValueError(
                    f"the column {column!r} of {self._name!r} is {shortened(value)} by the record's key, and "
                    f"{shortened(made[column])} by its value; rows are put and deleted by the record's key: leave the "
                    f"column out, or write the records under that key"
                )
        return Change(place, identity, False, self._checked({**made, **key}))

    def _made(self, record: ReadRecord[K, V]) -> Row | None:
        if self._row is not None:
            made = self._row(record)
            if made is not None and not isinstance(made, Mapping):
                raise TypeError(
                    f"row= returned {kind_of(made)}: a mapping of columns to values is wanted, or None"
                )
            return made
        if record.value is None:
            raise ValueError(
                f"a tombstone is no row that could be appended to {self._name!r}: pass it over with row=, or keep rows "
                "by their keys with mode='upsert'"
            )
        return _fields(record.value, "value")

    def _key_of(self, key: K) -> Row:
        if self._key is not None:
            made = self._key(key)
        elif len(self._key_columns) == 1 and not _has_fields(key):
            made = {self._key_columns[0]: key}
        else:
            made = _fields(key, "key")
        if set(made) != set(self._key_columns):
            raise ValueError(
                f"the key has {', '.join(map(repr, sorted(made)))}, but rows of {self._name!r} are known by "
                f"{', '.join(map(repr, self._key_columns))}: say with key= what the columns are"
            )
        return made

    def _checked(self, row: Row) -> Row:
        if not row.keys() <= self._columns:
            unknown = sorted(row.keys() - self._columns)
            raise ValueError(
                f"{self._name!r} has no column {', '.join(map(repr, unknown))}: say with row= what goes where"
            )
        plain = self._plain
        return {name: plain[name](value) if name in plain else value for name, value in row.items()}


def _has_fields(value: object) -> bool:
    # A named tuple has fields, and so have all structs; a date or a UUID is a value by itself.
    return (
        isinstance(value, Mapping | msgspec.Struct)
        or dataclasses.is_dataclass(value)
        or hasattr(value, "_asdict")
        or hasattr(value, "model_dump")
    )


def _fields(value: object, what: str) -> Row:
    """Return the fields of an object by name; what they hold stays as it is."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(named := getattr(value, "_asdict", None)):
        found: Row = named()
        return found
    if hasattr(type(value), "model_fields") and isinstance(value, Iterable):
        return dict(value)  # a model of pydantic iterates over its fields and values
    raise ValueError(
        f"the {what} is {kind_of(value)}, which has no fields: say with {_ARGUMENT[what]} what the row is"
    )


_ARGUMENT = {"value": "row=", "key": "key="}


def _without_enum(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _builtins(value: object) -> object:
    # A column of JSON takes what JSON has; None is SQL's NULL, as in every other column.
    return None if value is None else msgspec.to_builtins(value)
