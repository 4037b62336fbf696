"""Columns of a store as a table of Arrow, which pandas and polars take over. None of the three is a dependency."""

import datetime
import decimal
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
import msgspec.inspect as mi

from headrace.base.errors import SerializationError
from headrace.query.formats import plain
from headrace.query.table_columns import Column
from headrace.serde.shapes import Fields, bare, options_of

if TYPE_CHECKING:
    import pyarrow

__all__ = ["arrow_table", "package"]

#: What Arrow has types for, beside numbers and text.
_AS_THEY_ARE = (
    bytes,
    bytearray,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
)

_encode = msgspec.json.Encoder(enc_hook=plain).encode


def package(name: str, wanted_by: str) -> Any:
    """Return a package that is nobody's dependency here.

    Raises:
        ImportError: it is not installed; says what to install.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(
            f"{wanted_by} needs {name}, which is not installed: pip install {name}", name=name
        ) from error


def arrow_table(columns: Sequence[Column], store: str, wanted_by: str) -> "pyarrow.Table":
    """Return a table of the columns.

    Types are those that keys and values were declared with, and those of the values where that says nothing. What has
    no type in common there is JSON, as text.

    Raises:
        ImportError: pyarrow is not installed.
        SerializationError: a value has no place in the type of its column, such as a number of 70 bits.
    """
    arrow = package("pyarrow", wanted_by)
    return arrow.table({each.name: _array(arrow, each, store) for each in columns})


def _array(arrow: Any, column: Column, store: str) -> Any:
    if column.is_time:
        return arrow.array(column.values, arrow.timestamp("ms", tz="UTC"))
    kind = None if column.shape is None else _type_of(arrow, column.shape)
    values = [
        msgspec.to_builtins(value, builtin_types=_AS_THEY_ARE, enc_hook=plain) for value in column.values
    ]
    try:
        return arrow.array(values, kind)
    except (arrow.ArrowException, OverflowError, TypeError, ValueError) as error:
        if kind is None and not isinstance(error, OverflowError):
            return arrow.array([None if value is None else _encode(value).decode() for value in values])
        raise SerializationError(
            f"column {column.name!r} of store {store!r} cannot be made {kind or 'numbers of 64 bits'}: {error}"
        ) from error


def _type_of(arrow: Any, shape: mi.Type, within: tuple[int, ...] = ()) -> Any:
    """Return Arrow's type for a shape; None where the values have to tell it."""
    options = [each for each in options_of(shape) if not isinstance(each, mi.NoneType)]
    if len(options) != 1:
        return None
    (shape,) = options
    if id(shape) in within:  # it holds itself, which no type of Arrow does
        return None
    within = (*within, id(shape))
    match shape:
        case mi.BoolType():
            return arrow.bool_()
        case mi.IntType():
            return arrow.int64()
        case mi.FloatType():
            return arrow.float64()
        case mi.StrType() | mi.UUIDType():
            return arrow.string()
        case mi.BytesType() | mi.ByteArrayType():
            return arrow.binary()
        case mi.DateType():
            return arrow.date32()
        case mi.TimeType():
            return arrow.time64("us")
        case mi.TimeDeltaType():
            return arrow.duration("us")
        case mi.DateTimeType(tz=True):
            return arrow.timestamp("us", tz="UTC")
        case mi.DateTimeType(tz=False):
            return arrow.timestamp("us")
        case mi.EnumType():
            return _type_of_values(arrow, [member.value for member in shape.cls])
        case mi.LiteralType():
            return _type_of_values(arrow, shape.values)
        case mi.DictType():
            kinds = [_type_of(arrow, bare(each), within) for each in (shape.key_type, shape.value_type)]
            return None if None in kinds else arrow.map_(*kinds)
        case mi.ListType() | mi.SetType() | mi.FrozenSetType() | mi.VarTupleType():
            item = _type_of(arrow, bare(shape.item_type), within)
            return None if item is None else arrow.list_(item)
        case _ if isinstance(shape, Fields):
            fields = [(each.encode_name, _type_of(arrow, bare(each.type), within)) for each in shape.fields]
            return None if any(kind is None for _, kind in fields) else arrow.struct(fields)
        case _:
            return None


def _type_of_values(arrow: Any, values: Sequence[Any]) -> Any:
    classes = {type(value) for value in values}
    if classes == {str}:
        return arrow.string()
    return arrow.int64() if classes == {int} else None
