"""One column of a row: from what JSON or Avro has of it to a value of the field's type.

What a number or a text stands for is said by the schema, where the message has one, else by the annotation, else it is
what a connector writes by default (`decimal.handling.mode=precise`, `time.precision.mode=adaptive`). Bytes are bytes in
Avro, and base64 in JSON; all else is the same in both.
"""

import types
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

from headrace.base.wording import shortened
from headrace.serde.debezium.semantics import Semantics
from headrace.serde.debezium.units import Scale, TimeUnit
from headrace.serde.serde import kind_of

__all__ = ["Converters", "Decimals", "converter_of", "converters_of", "element_of", "plain_type"]

#: Makes a value of what JSON or Avro has, which is not null.
Convert: TypeAlias = Callable[[Any], Any]

#: By column; columns that are not there are as they are read.
Converters: TypeAlias = Mapping[str, Convert]

#: What `decimal.handling.mode` is set to; with `double`, numbers are numbers.
Decimals = Literal["precise", "string"]

_EPOCH, _EPOCH_DATE = datetime(1970, 1, 1), date(1970, 1, 1)

#: Names of types in schemas, and what their numbers count. Source: io.debezium.time, org.apache.kafka.connect.data,
#: and Avro's own.
_UNITS = {
    "io.debezium.time.Timestamp": TimeUnit.MILLISECONDS,
    "io.debezium.time.MicroTimestamp": TimeUnit.MICROSECONDS,
    "io.debezium.time.NanoTimestamp": TimeUnit.NANOSECONDS,
    "io.debezium.time.Time": TimeUnit.MILLISECONDS,
    "io.debezium.time.MicroTime": TimeUnit.MICROSECONDS,
    "io.debezium.time.NanoTime": TimeUnit.NANOSECONDS,
    "io.debezium.time.NanoDuration": TimeUnit.NANOSECONDS,
    "org.apache.kafka.connect.data.Timestamp": TimeUnit.MILLISECONDS,
    "org.apache.kafka.connect.data.Time": TimeUnit.MILLISECONDS,
    "timestamp-millis": TimeUnit.MILLISECONDS,
    "time-millis": TimeUnit.MILLISECONDS,
}


def converter_of(annotation: Any, semantics: Semantics | None, decimals: Decimals) -> Convert | None:
    """Return what converts a column, None where what is read is the field's value, or msgspec makes it so."""
    plain, said = plain_type(annotation)
    unit = next((each for each in said if isinstance(each, TimeUnit)), None)
    scale = next((each.digits for each in said if isinstance(each, Scale)), None)
    known = semantics or Semantics()
    unit = _UNITS.get(known.name or "") or unit or TimeUnit.MICROSECONDS
    if semantics is not None:  # a text without a scale is the number's digits
        scale = known.scale
    if plain is Decimal:
        return _decimal(scale, decimals if semantics is None else "string")
    if plain is datetime:
        return lambda value: _datetime(value, unit)
    if plain is date:
        return _date
    if plain is time:
        return lambda value: _time(value, unit)
    if plain is timedelta:
        return lambda value: timedelta(microseconds=unit.microseconds(value)) if type(value) is int else value
    if plain is bytes:
        return lambda value: b64decode(value, validate=True) if type(value) is str else value
    if plain is float:
        return lambda value: float(value) if type(value) is str else value  # NaN, Infinity
    element = element_of(plain)
    if element is not None:
        one = converter_of(element, known.elements, decimals if semantics is None else "string")
        return _document(
            annotation, lambda values: values if one is None else [_each(one, each) for each in values]
        )
    return None if plain is str or _is_scalar(plain) else _document(annotation, lambda value: value)


def converters_of(
    annotations: Mapping[str, Any], semantics: Mapping[str, Semantics], decimals: Decimals
) -> Converters:
    """Return what converts columns, by name, of those that need it; `semantics` is empty where there is no schema."""
    made = {
        column: converter_of(annotation, semantics.get(column), decimals)
        for column, annotation in annotations.items()
    }
    return {column: convert for column, convert in made.items() if convert is not None}


def plain_type(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    """Return a type without `Annotated` and `| None`, and what was said in `Annotated`."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *said = get_args(annotation)
        plain, more = plain_type(inner)
        return plain, (*said, *more)
    if origin is Union or origin is types.UnionType:
        parts = [each for each in get_args(annotation) if each is not types.NoneType]
        if len(parts) == 1:
            return plain_type(parts[0])
    return annotation, ()


def element_of(plain: Any) -> Any:
    """Return the type of a list's elements, None where it is no list."""
    if get_origin(plain) not in (list, tuple, set, frozenset):
        return None
    return next(iter(get_args(plain)), None)


def _is_scalar(plain: Any) -> bool:
    # A text is what msgspec reads an enumeration or a UUID from; anything else is a document of JSON within a text.
    origin = get_origin(plain) or plain
    return not (
        origin is dict
        or (
            isinstance(origin, type)
            and (issubclass(origin, msgspec.Struct | dict) or hasattr(origin, "__dataclass_fields__"))
        )
    )


def _document(annotation: Any, then: Convert) -> Convert:
    """Read a column of JSON, which comes as a text; what is none goes through `then`."""
    decode = msgspec.json.Decoder(annotation).decode

    def convert(value: Any) -> Any:
        return decode(value) if type(value) is str else then(value)

    return convert


def _each(convert: Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _decimal(scale: int | None, decimals: Decimals) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, dict):  # io.debezium.data.VariableScaleDecimal
            return _unscaled(value["value"], int(value["scale"]))
        if type(value) is not str and type(value) is not bytes:
            return Decimal(repr(value))
        if scale is not None:
            return _unscaled(value, scale)
        if decimals == "precise" or isinstance(value, bytes):
            raise ValueError(
                f"{shortened(value)} may be the bytes of a decimal number, or its text: have the connector write text "
                "(decimal.handling.mode=string) and say decimals='string', or say its scale in the annotation, "
                "Annotated[Decimal, hr.cdc.Scale(2)]"
            )
        return Decimal(value)

    return convert


def _unscaled(value: str | bytes, scale: int) -> Decimal:
    data = value if isinstance(value, bytes) else b64decode(value, validate=True)
    number = int.from_bytes(data, "big", signed=True)
    # By its digits: arithmetic would round to the context's precision.
    digits = tuple(map(int, str(abs(number))))
    return Decimal((1 if number < 0 else 0, digits, -scale))


def _datetime(value: Any, unit: TimeUnit) -> Any:
    if type(value) is int:
        return _within(value, lambda: _EPOCH + timedelta(microseconds=unit.microseconds(value)))
    return _parsed(datetime.fromisoformat, value)


def _date(value: Any) -> Any:
    if type(value) is int:
        return _within(value, lambda: _EPOCH_DATE + timedelta(days=value))
    return _parsed(date.fromisoformat, value)


def _time(value: Any, unit: TimeUnit) -> Any:
    if type(value) is int:
        return _datetime(value, unit).time()
    return _parsed(time.fromisoformat, value)


def _within(value: int, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except OverflowError:
        raise ValueError(
            f"{value} is beyond what Python's dates can say, as PostgreSQL's infinity is, whose number differs from "
            "type to type and from snapshot to stream: declare the field as int"
        ) from None


def _parsed(parse: Callable[[str], Any], value: Any) -> Any:
    if type(value) is not str:
        raise TypeError(f"a number or a text is wanted, found {kind_of(value)}")
    if value.endswith("infinity"):
        raise ValueError(f"{value} is no date that Python can say: declare the field as str")
    found = parse(value)
    # One zone, whatever it is called, so that equal times have equal bytes.
    return (
        found.replace(tzinfo=UTC)
        if getattr(found, "tzinfo", None) is not None and not found.utcoffset()
        else found
    )
