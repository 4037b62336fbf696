"""JSON and MessagePack of pydantic models, by pydantic itself.

A model may have validators and serializers of its own, so what is written is read at once: a model that was changed, or
made without validation, may hold what it would not take. That doubles the cost of writing, to about 3 µs a model.
"""

import builtins
import collections.abc
import dataclasses
import datetime
import decimal
import types
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from headrace.serde.exact import Encoding
from headrace.serde.serde import kind_of
from headrace.serde.tagging import Codec

__all__ = ["holds_pydantic", "is_pydantic", "model_key_encoder", "pydantic_codec"]


def is_pydantic(type: object) -> bool:
    """Return whether a class is a pydantic model, without importing pydantic."""
    return isinstance(type, builtins.type) and any(
        base.__module__ == "pydantic.main" and base.__name__ == "BaseModel" for base in type.__mro__
    )


def holds_pydantic(annotation: Any, above: frozenset[Any] = frozenset()) -> bool:
    """Return whether a type is a model, or a container, union or dataclass with one."""
    if is_pydantic(annotation):
        return True
    parts = () if get_origin(annotation) is Literal else get_args(annotation)
    concrete = get_origin(annotation) or annotation
    if isinstance(concrete, type) and dataclasses.is_dataclass(concrete) and concrete not in above:
        above |= {concrete}
        try:
            parts = (*parts, *get_type_hints(concrete).values())
        except NameError:
            return False  # whoever reads the class next says which name is missing
    return any(holds_pydantic(part, above) for part in parts)


def pydantic_codec(encoding: Encoding, annotation: Any) -> Codec:
    """Make the functions of a type that holds models."""
    # The user's models have imported it already.
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    # By alias, because that is what validation reads: a model with aliases would otherwise not read its own bytes.
    dump = partial(adapter.serializer.to_python, mode="json", by_alias=True, warnings="error")
    write: Callable[[Any], bytes] = partial(adapter.serializer.to_json, by_alias=True, warnings="error")
    read: Callable[[bytes], Any] = adapter.validator.validate_json
    if encoding == "msgpack":
        pack, unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
        validate = adapter.validator.validate_python
        write, read = lambda value: pack(dump(value)), lambda data: validate(unpack(data))

    def encode(value: Any) -> bytes:
        data = write(value)
        found = read(data)
        # Unequal are also models with private attributes, or fields that are not written; they may be.
        if found != value:
            _ensure_alike(value, found, "$")
        return data

    return encode, read


def model_key_encoder(
    encoding: Encoding, annotation: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> Callable[[Any], bytes]:
    """Return the function that writes models as keys.

    Raises:
        TypeError: equal models may have different bytes; says which class in them is to blame.
    """
    _ensure_no_equals(annotation, set())
    unpack = msgspec.json.Decoder().decode if encoding == "json" else msgspec.msgpack.Decoder().decode
    pack = msgspec.json.Encoder().encode if encoding == "json" else msgspec.msgpack.Encoder().encode

    def encode_key(value: Any) -> bytes:
        # Read once, since a model may hold an int for a float until it is.
        return pack(_settled(unpack(encode(decode(encode(value))))))

    return encode_key


#: Classes whose equal values may be written differently, and which pydantic writes in its own way.
_MANY_FORMS: Final[tuple[type[Any], ...]] = (
    set,
    frozenset,
    collections.abc.Set,
    decimal.Decimal,
    datetime.datetime,
    datetime.time,
)


def _ensure_no_equals(annotation: Any, above: set[Any]) -> None:
    origin = get_origin(annotation)
    if origin is Literal or annotation in above:
        return
    if annotation is Any or annotation is object:
        raise TypeError("it leaves a part untyped, where 1, 1.0 and True are equal: name its type")
    concrete = origin or annotation
    if isinstance(concrete, type) and issubclass(concrete, _MANY_FORMS):
        raise TypeError(
            f"of a {concrete.__name__} in a model equal values may have different bytes: make the key a frozen "
            f"dataclass"
        )
    parts = get_args(annotation)
    if len({bool, int, float} & set(parts)) > 1 and origin in {Union, types.UnionType}:
        raise TypeError(
            "a part may be one of several kinds of number, where 1, 1.0 and True are equal: choose one"
        )
    if is_pydantic(annotation):
        above = above | {annotation}
        parts = tuple(field.annotation for field in annotation.model_fields.values())
    elif isinstance(concrete, type) and dataclasses.is_dataclass(concrete):
        above = above | {annotation}
        parts = (*parts, *get_type_hints(concrete).values())
    for part in parts:
        _ensure_no_equals(part, above)


def _settled(document: Any) -> Any:
    """Order the names of objects, and let -0.0 be 0.0."""
    if isinstance(document, dict):
        return {name: _settled(document[name]) for name in sorted(document, key=repr)}
    if isinstance(document, list):
        return list(map(_settled, document))
    return document + 0.0 if isinstance(document, float) else document


def _ensure_alike(value: Any, found: Any, at: str) -> None:
    """Refuse what is read as another model, or as nothing: a number that JSON has no form for is written as null."""
    if is_pydantic(type(found)):
        if not isinstance(value, type(found)):
            raise TypeError(
                f"Expected `{type(found).__qualname__}`, found {kind_of(value)} - at `{at}`: "
                f"it would be read as the former"
            )
        for name, field in type(found).model_fields.items():
            if not field.exclude:
                _ensure_alike(getattr(value, name), getattr(found, name), f"{at}.{name}")
    elif dataclasses.is_dataclass(found) and isinstance(value, type(found)):
        for part in dataclasses.fields(found):
            _ensure_alike(getattr(value, part.name), getattr(found, part.name), f"{at}.{part.name}")
    elif (found is None) != (value is None):
        raise ValueError(
            f"Found {value if isinstance(value, float) else kind_of(value)} - at `{at}`, which would be read as "
            f"{kind_of(found)}: there is no form for it"
        )
    elif isinstance(found, dict) and isinstance(value, dict):
        for key in found.keys() & value.keys():
            _ensure_alike(value[key], found[key], f"{at}[...]")
    elif isinstance(found, list | tuple) and isinstance(value, list | tuple):
        for index, (one, other) in enumerate(zip(value, found)):
            _ensure_alike(one, other, f"{at}[{index}]")
