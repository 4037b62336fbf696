"""One key, one row: make equal keys make equal bytes, or say why they cannot.

A key is found by its bytes, but Python compares values: a set has no order, a dictionary's says nothing, 1 equals 1.0,
and noon in Berlin equals eleven in London. So a serde of keys first brings a value into the one form that all its
equals share. Where the type lets values be equal that come back differently (`int | float`), there is no such form.
"""

import copy
import dataclasses
import datetime
import decimal
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec
import msgspec.inspect as mi

from headrace.serde.checking import fits
from headrace.serde.shapes import bare, class_of, every, options_of, shape_name

__all__ = ["Settle", "ensure_no_equals", "settling"]

#: Brings a value into its one form.
Settle: TypeAlias = Callable[[Any], Any]

_json: Final = msgspec.json.Encoder().encode


def ensure_no_equals(shape: mi.Type) -> None:
    """Refuse a type with values that are equal and come back as different ones.

    Raises:
        TypeError: says which part, and what to write.
    """
    for part in every(shape):
        if isinstance(part, mi.AnyType):
            raise TypeError(
                "it leaves a part untyped, where 1, 1.0 and True are equal and are written differently: name its type"
            )
        if isinstance(part, mi.RawType | mi.ExtType):
            raise TypeError(f"it holds {shape_name(part)}, of which equal values may have different bytes")
        numbers = [option for option in options_of(part) if _is_number(option)]
        if len(numbers) > 1:
            raise TypeError(
                f"a part may be {' or '.join(map(shape_name, numbers))}, where 1 and 1.0 are equal and are written "
                f"differently: choose one"
            )
        if isinstance(part, mi.DataclassType):
            silent = [field.name for field in dataclasses.fields(class_of(part)) if not field.compare]
            if silent:
                raise TypeError(
                    f"the field '{silent[0]}' of {shape_name(part)} does not count when keys are compared "
                    f"(compare=False), but is written: leave it out of the key"
                )


def _is_number(shape: mi.Type) -> bool:
    if isinstance(shape, mi.EnumType):
        return issubclass(shape.cls, int)
    if isinstance(shape, mi.LiteralType):
        return any(isinstance(value, int) for value in shape.values)
    return isinstance(shape, mi.BoolType | mi.IntType | mi.FloatType | mi.DecimalType)


def settling(shape: mi.Type) -> Settle | None:
    """Return what brings values of a shape into their one form; None if they have no other."""
    if not any(map(_has_forms, every(shape))):
        return None
    return _Settling().of(shape)


def _has_forms(shape: mi.Type) -> bool:
    return isinstance(
        shape,
        mi.FloatType
        | mi.DecimalType
        | mi.DateTimeType
        | mi.TimeType
        | mi.SetType
        | mi.FrozenSetType
        | mi.DictType
        | mi.TypedDictType,
    ) or (isinstance(shape, mi.StructType) and class_of(shape).__struct_config__.omit_defaults)


class _Settling:
    """Makes the functions of a type, one for each shape in it."""

    def __init__(self) -> None:
        self._made: dict[int, Settle] = {}

    def of(self, shape: mi.Type) -> Settle:
        shape = bare(shape)
        made = self._made.get(id(shape))
        if made is None:
            # Called by way of the dictionary, since a class within itself is not finished here.
            self._made[id(shape)] = lambda value: self._made[id(shape)](value)  # noqa: PLW0108 - a later one
            made = self._made[id(shape)] = self._make(shape)
        return made

    def _make(self, shape: mi.Type) -> Settle:
        if isinstance(shape, mi.UnionType):
            return self._of_union(options_of(shape))
        if isinstance(shape, mi.FloatType):
            # -0.0 becomes 0.0, and an int the float that it stands for.
            return lambda value: float(value) + 0.0
        if isinstance(shape, mi.DecimalType):
            return _plain_decimal
        if isinstance(shape, mi.DateTimeType):
            return lambda value: value if value.tzinfo is None else value.astimezone(datetime.UTC)
        if isinstance(shape, mi.TimeType):
            return _time_without_zone
        if isinstance(shape, mi.ListType | mi.VarTupleType):
            item = self.of(shape.item_type)
            return lambda value: list(map(item, value))
        if isinstance(shape, mi.SetType | mi.FrozenSetType):
            item = self.of(shape.item_type)
            # Tuples, which are written as lists are, since a set may stand in a set.
            return lambda value: tuple(sorted(map(item, value), key=_rank))
        if isinstance(shape, mi.TupleType):
            items = [self.of(part) for part in shape.item_types]
            return lambda value: tuple([settle(part) for settle, part in zip(items, value)])
        if isinstance(shape, mi.NamedTupleType):
            items = [self.of(field.type) for field in shape.fields]
            return lambda value: tuple([settle(part) for settle, part in zip(items, value)])
        if isinstance(shape, mi.DictType):
            return self._of_dictionary(self.of(shape.key_type), self.of(shape.value_type))
        if isinstance(shape, mi.TypedDictType):
            fields = [(field.name, self.of(field.type)) for field in shape.fields]
            return lambda value: {name: settle(value[name]) for name, settle in fields if name in value}
        if isinstance(shape, mi.StructType | mi.DataclassType):
            return self._of_class(shape)
        return lambda value: value

    def _of_union(self, options: list[mi.Type]) -> Settle:
        settles = [(option, self.of(option)) for option in options]

        def settle(value: Any) -> Any:
            return next(found for option, found in settles if fits(option, value))(value)

        return settle

    def _of_dictionary(self, key: Settle, item: Settle) -> Settle:
        def settle(value: dict[Any, Any]) -> dict[Any, Any]:
            settled = [(key(name), item(each)) for name, each in value.items()]
            return dict(sorted(settled, key=lambda pair: _rank(pair[0])))

        return settle

    def _of_class(self, shape: mi.StructType | mi.DataclassType) -> Settle:
        fields = [
            (field.name, self.of(field.type))
            for field in shape.fields
            if any(map(_has_forms, every(field.type)))
        ]
        is_struct = isinstance(shape, mi.StructType)
        # A default that is left out is left out by identity: an equal value would be written.
        defaults = [field for field in shape.fields if is_struct and field.default is not msgspec.NODEFAULT]
        assign = msgspec.structs.force_setattr if is_struct else object.__setattr__

        def settle(value: Any) -> Any:
            settled = copy.copy(value)
            for name, found in fields:
                assign(settled, name, found(getattr(value, name)))
            for field in defaults:
                if getattr(settled, field.name) == field.default:
                    assign(settled, field.name, field.default)
            return settled

        return settle


def _rank(value: Any) -> tuple[str, bytes]:
    """Return what settled values are ordered by."""
    return type(value).__qualname__, _json(value)


def _plain_decimal(value: decimal.Decimal) -> decimal.Decimal:
    """Return the equal number without zeros at its end: `normalize()` would also round it."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return value
    if not value:
        return decimal.Decimal(0)
    kept = list(digits)
    while kept[-1] == 0:
        kept.pop()
        exponent += 1
    return decimal.Decimal((sign, tuple(kept), exponent))


def _time_without_zone(value: datetime.time) -> datetime.time:
    if value.utcoffset() is not None:
        raise ValueError(
            "a time with a zone cannot be part of a key: equal ones have different bytes; use a datetime in UTC"
        )
    return value
