"""Say what is wrong with a value that is to be written, and where in it: the slow half of writing, with words.

It goes by `isinstance`, where `exact` goes by the class itself: it takes subclasses. Whoever asks reads the bytes of
such a value once, before they go anywhere.
"""

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import msgspec.inspect as mi

from headrace.serde.exact import INT_IN_FLOAT_MAX, PLAIN_KEYS, Encoding
from headrace.serde.serde import kind_of
from headrace.serde.shapes import CLASSES, Fields, bare, class_of, options_of, shape_name

__all__ = ["check", "fits"]

_CONTAINERS: Final[dict[type[mi.Type], type[Any]]] = {
    mi.ListType: list,
    mi.VarTupleType: tuple,
    mi.SetType: set,
    mi.FrozenSetType: frozenset,
}

_MINUTE = datetime.timedelta(minutes=1)


def check(shape: mi.Type, value: Any, encoding: Encoding, at: str = "$") -> None:
    """Refuse a value that would not come back.

    Raises:
        TypeError, ValueError: says where in the value (`$.items[3].price`), what is there, and what its type wants.
    """
    options = options_of(shape)
    fitting = [option for option in options if fits(option, value)]
    if not fitting:
        advice = (
            "declare it as one that may be None, or give it a value"
            if value is None
            else "convert it, or declare its type"
        )
        raise TypeError(f"Expected `{shape_name(shape)}`, found {_found(value)} - at `{at}`: {advice}")
    if len(fitting) == 1:
        _check_one(fitting[0], value, encoding, at)
        return
    # 5 is an int and may stand for a float; a subclass may be of two members.
    refused: Exception | None = None
    for option in fitting:
        try:
            _check_one(option, value, encoding, at)
        except (TypeError, ValueError) as error:
            refused = refused or error
        else:
            return
    if refused is not None:
        raise refused


def fits(shape: mi.Type, value: Any) -> bool:
    """Return whether a value is of a shape's class; what it holds is not looked at."""
    if isinstance(shape, mi.IntType):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(shape, mi.FloatType):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(shape, mi.DateType):
        return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if type(shape) in CLASSES:
        return isinstance(value, CLASSES[type(shape)])
    if type(shape) in _CONTAINERS:
        return isinstance(value, _CONTAINERS[type(shape)])
    if isinstance(shape, mi.LiteralType):
        return any(value == each and type(value) is type(each) for each in shape.values)
    if isinstance(shape, mi.TupleType):
        return isinstance(value, tuple)
    if isinstance(shape, mi.DictType):
        return isinstance(value, dict)
    if isinstance(shape, mi.DateTimeType):
        return isinstance(value, datetime.datetime)
    if isinstance(shape, mi.TimeType):
        return isinstance(value, datetime.time)
    if isinstance(shape, mi.EnumType | Fields):
        return isinstance(value, class_of(shape))
    # Anything, and what only reading tells.
    return True


def _check_one(shape: mi.Type, value: Any, encoding: Encoding, at: str) -> None:
    if isinstance(shape, mi.AnyType):
        _check_untyped(value, encoding, at)
    elif isinstance(shape, mi.FloatType):
        _check_float(value, encoding, at)
    elif isinstance(shape, mi.DateTimeType | mi.TimeType):
        offset = value.utcoffset()
        if offset is not None and offset % _MINUTE:
            raise ValueError(
                f"Expected a zone of whole minutes, found {offset} from UTC - at `{at}`: convert it to UTC first"
            )
    elif isinstance(shape, mi.TupleType):
        if len(value) != len(shape.item_types):
            raise ValueError(f"Expected {len(shape.item_types)} items, found {len(value)} - at `{at}`")
        for position, (part, item) in enumerate(zip(shape.item_types, value)):
            check(part, item, encoding, f"{at}[{position}]")
    elif isinstance(shape, mi.DictType):
        for key, item in value.items():
            if isinstance(bare(shape.key_type), mi.AnyType):
                _check_untyped_key(key, encoding, at)
            else:
                check(shape.key_type, key, encoding, f"{at}[a key]")
            check(shape.value_type, item, encoding, f"{at}[{_name(key)}]")
    elif isinstance(shape, mi.TypedDictType):
        _check_names(shape, value, at)
        for field in shape.fields:
            if field.name in value:
                check(field.type, value[field.name], encoding, f"{at}.{field.name}")
    elif isinstance(shape, Fields):
        _check_class(shape, value, at)
        for field in shape.fields:
            item = getattr(value, field.name)
            if item is not msgspec.UNSET or field.required:
                check(field.type, item, encoding, f"{at}.{field.name}")
    elif type(shape) in _CONTAINERS:
        # A set's items have no place: it is told once.
        items: Iterable[tuple[str, Any]] = (
            (("", item) for item in value)
            if isinstance(value, set | frozenset)
            else ((str(index), item) for index, item in enumerate(value))
        )
        item_shape = bare(shape.item_type)  # type: ignore[attr-defined]  # by kind
        for index, item in items:
            check(item_shape, item, encoding, f"{at}[{index}]")


def _check_float(value: Any, encoding: Encoding, at: str) -> None:
    if isinstance(value, float):
        if encoding == "json" and not math.isfinite(value):
            raise ValueError(
                f"Expected a finite number, found {value} - at `{at}`: JSON has no form for it; use "
                f"hr.msgpack(), which has, or None where the type allows it"
            )
    elif not -INT_IN_FLOAT_MAX <= value <= INT_IN_FLOAT_MAX and int(float(value)) != value:
        raise ValueError(f"Expected `float`, found an int that has more digits - at `{at}`: declare an int")


def _check_untyped(value: Any, encoding: Encoding, at: str) -> None:
    """Refuse what is read as something else where the type says nothing."""
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        _check_float(value, encoding, at)
    elif isinstance(value, bytes) and encoding == "msgpack":
        return
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_untyped(item, encoding, f"{at}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_untyped_key(key, encoding, at)
            _check_untyped(item, encoding, f"{at}[{_name(key)}]")
    else:
        raise TypeError(
            f"Found {_found(value)} - at `{at}`, where the type says nothing: it would be read as something else; "
            f"declare its type"
        )


def _check_untyped_key(key: Any, encoding: Encoding, at: str) -> None:
    if not isinstance(key, PLAIN_KEYS[encoding]):
        raise TypeError(
            f"Found {_found(key)} as a key - at `{at}`, where the type says nothing: it would be read as something "
            f"else; declare the type of the keys"
        )


def _check_names(shape: mi.TypedDictType, value: Mapping[str, Any], at: str) -> None:
    known = {field.name for field in shape.fields}
    missing = sorted(field.name for field in shape.fields if field.required and field.name not in value)
    if missing:
        raise ValueError(
            f"Expected the key {missing[0]!r} of {shape_name(shape)}, found none - at `{at}`: give it"
        )
    more = sorted(str(name) for name in value if name not in known)
    if more:
        raise ValueError(
            f"Found the key {more[0]!r}, which {shape_name(shape)} does not have - at `{at}`: declare it"
        )


def _check_class(shape: mi.Type, value: Any, at: str) -> None:
    """Refuse a subclass that has more fields: they would be lost."""
    cls = class_of(shape)
    if type(value) is cls:
        return
    more = [name for name in _field_names(type(value)) if name not in _field_names(cls)]
    if more:
        raise TypeError(
            f"Expected `{cls.__qualname__}`, found {_found(value)} - at `{at}`: its field {more[0]!r} would be lost; "
            f"declare the type as a union of the classes"
        )


def _field_names(cls: type[Any]) -> tuple[str, ...]:
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if issubclass(cls, tuple):
        return getattr(cls, "_fields", ())
    return tuple(getattr(cls, "__dataclass_fields__", ()))


def _found(value: object) -> str:
    """Name a value: numbers as they are, all else by type, since its content may be confidential."""
    if value is None or isinstance(value, bool | float) or value is msgspec.UNSET:
        return repr(value)
    return f"the int {value}" if type(value) is int else kind_of(value)


def _name(key: object) -> str:
    return "..." if not isinstance(key, int | float) else repr(key)
