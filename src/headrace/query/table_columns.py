"""The rows of a store as columns: what keys and values are made of, side by side, for tables and data frames."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec.inspect as mi

from headrace.base.records import Windowed
from headrace.serde.rows import RowSerde
from headrace.serde.serde import CodecSerde, Serde
from headrace.serde.shapes import Fields, class_of, options_of
from headrace.serde.windowed import WindowedSerde
from headrace.state.spec import StoreSpec

__all__ = ["END", "HEADERS", "START", "TIMESTAMP", "Column", "columns_of"]

#: Names of the columns of times, in epoch ms.
START, END, TIMESTAMP = "window_start", "window_end", "timestamp"

#: And of that of headers, of a store that keeps them.
HEADERS = "headers"

#: 10000-01-01: what ends later, as a window without end does, ends never, and no calendar has its date.
_NEVER_MS = 253_402_300_800_000


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        shape: what its values are, as msgspec sees their type; None where that is not known.
        part: what it was taken from, key or value; empty for times.
        is_time: whether its values are epoch ms.
    """

    name: str
    values: Sequence[Any]
    shape: mi.Type | None = None
    part: str = ""
    is_time: bool = False


class _Header(NamedTuple):
    name: str
    content: bytes | None


def columns_of(spec: StoreSpec, rows: Sequence[tuple[Any, ...]]) -> Sequence[Column]:
    """Return the columns of a store's rows, as its view yields them.

    They are the key, or its fields, then the times of windows and sessions, then the value, or its fields, then since
    when a version is valid, or time and headers of a value in a store that keeps these. Fields are those of
    dataclasses, structs, named tuples, typed dictionaries and pydantic models. Where a name would stand twice, fields
    are called by their part as well: `key.id`, `value.id`.
    """
    keys = [row[0] for row in rows]
    serde = spec.key
    columns: list[Column] = []
    if spec.kind in {"window", "session"} or isinstance(serde, WindowedSerde):
        columns += _spread("key", serde, [windowed.key for windowed in keys])
        columns += _times_of(keys)
    else:
        columns += _spread("key", serde, keys)
    values = [row[1] for row in rows]
    if spec.stamped:
        columns += _spread("value", spec.value, [stamped.value for stamped in values])
        columns.append(Column(TIMESTAMP, [stamped.timestamp for stamped in values], is_time=True))
        columns.append(Column(HEADERS, [stamped.headers for stamped in values], mi.type_info(list[_Header])))
    else:
        columns += _spread("value", spec.value, values)
    if spec.kind == "versioned":
        columns.append(Column(TIMESTAMP, [row[2] for row in rows], is_time=True))
    often = {name for name, count in Counter(each.name for each in columns).items() if count > 1}
    return [
        replace(each, name=f"{each.part}.{each.name}") if each.part and each.name in often else each
        for each in columns
    ]


def _times_of(keys: Sequence[Windowed[Any]]) -> Sequence[Column]:
    ends = [windowed.window.end for windowed in keys]
    return (
        Column(START, [windowed.window.start for windowed in keys], is_time=True),
        Column(END, [end if end < _NEVER_MS else None for end in ends], is_time=True),
    )


def _spread(part: str, serde: Serde[Any], values: Sequence[Any]) -> Sequence[Column]:
    shape = _shape_of(_declared(serde), values)
    fields = _fields_of(shape)
    if not fields:
        return [Column(part, values, shape, part)]
    return [
        Column(name, [None if value is None else get(value) for value in values], of_field, part)
        for name, of_field, get in fields
    ]


def _declared(serde: Serde[Any]) -> Any:
    """Return the type that a serde was declared with; None where it says none."""
    if isinstance(serde, WindowedSerde):
        return _declared(serde.inner)
    if isinstance(serde, RowSerde):
        return None if serde.shown is None else _declared(serde.shown)
    if isinstance(serde, CodecSerde) and isinstance(serde.identity, tuple):
        return serde.identity[1]
    return serde.type


def _shape_of(annotation: Any, values: Sequence[Any]) -> mi.Type | None:
    """Return the shape of a type; of one that nobody has declared, that of the values if they are of one class."""
    if annotation is None:
        classes = {type(value) for value in values if value is not None}
        if len(classes) != 1:
            return None
        (annotation,) = classes
    try:
        shape = mi.type_info(annotation)
    except Exception:  # of a class that msgspec cannot look into, or of a name that is not defined
        return None
    options = [each for each in options_of(shape) if not isinstance(each, mi.NoneType)]
    return options[0] if len(options) == 1 else shape


def _fields_of(shape: mi.Type | None) -> Sequence[tuple[str, mi.Type | None, Callable[[Any], Any]]]:
    if isinstance(shape, mi.TypedDictType):
        return [(field.name, field.type, _item(field.name)) for field in shape.fields]
    if isinstance(shape, Fields):
        return [(field.name, field.type, attrgetter(field.name)) for field in shape.fields]
    models = getattr(class_of(shape), "model_fields", None) if isinstance(shape, mi.CustomType) else None
    if not isinstance(models, dict):
        return []
    return [
        (name, _shape_of(getattr(field, "annotation", None), ()), attrgetter(name))
        for name, field in models.items()
    ]


def _item(name: str) -> Callable[[Any], Any]:
    get = itemgetter(name)
    return lambda value: get(value) if name in value else None
