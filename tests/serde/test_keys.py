"""Keys: what is equal has the same bytes, whatever the order, the zone or the run; what cannot is refused."""

import dataclasses
import datetime
import decimal
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Optional, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.records import Window, Windowed
from headrace.serde.primitives import float32, float64, int64, string
from headrace.serde.serde import Serde
from headrace.serde.structured import json, msgpack
from headrace.serde.windowed import session_windowed, time_windowed
from tests.serde.test_round_trip import typed

UTC = datetime.UTC
BERLIN = datetime.timezone(datetime.timedelta(hours=1))


class Spot(NamedTuple):
    x: float
    tags: frozenset[str]


class Options(TypedDict, total=False):
    a: int
    b: float


@dataclass(frozen=True)
class Place:
    name: str
    tags: frozenset[str]
    height: float = 0.0
    next: Optional["Place"] = None


class Short(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str = "nobody"
    size: int = 0


class Model(pydantic.BaseModel):
    name: str
    parts: dict[str, float]


@pytest.mark.parametrize(
    ("type", "one", "other", "data"),
    [
        (frozenset[str], frozenset("abc"), frozenset("cba"), b'["a","b","c"]'),
        (frozenset[frozenset[int]], frozenset({frozenset({2, 1}), frozenset({3})}), None, b"[[1,2],[3]]"),
        (frozenset[str | None], frozenset({"a", None}), None, b'[null,"a"]'),
        (dict[str, int], {"b": 1, "a": 2}, {"a": 2, "b": 1}, b'{"a":2,"b":1}'),
        (dict[int, frozenset[int]], {2: frozenset({2, 1}), 1: frozenset()}, None, b'{"1":[],"2":[1,2]}'),
        (float, -0.0, 0, b"0.0"),
        (list[float], [1, -0.0], [1.0, 0.0], b"[1.0,0.0]"),
        (tuple[float, int], (1, 1), (1.0, 1), b"[1.0,1]"),
        (decimal.Decimal, decimal.Decimal("1.00"), decimal.Decimal(1), b'"1"'),
        (decimal.Decimal, decimal.Decimal("-0.0"), decimal.Decimal(0), b'"0"'),
        (decimal.Decimal, decimal.Decimal("1E+2"), decimal.Decimal(100), b'"1E+2"'),
        (
            datetime.datetime,
            datetime.datetime(2020, 1, 1, 12, tzinfo=BERLIN),
            datetime.datetime(2020, 1, 1, 11, tzinfo=UTC),
            b'"2020-01-01T11:00:00Z"',
        ),
        (Spot, Spot(1, frozenset("ba")), Spot(1.0, frozenset("ab")), b'[1.0,["a","b"]]'),
        (Options, {"b": 1, "a": 1}, {"a": 1, "b": 1.0}, b'{"a":1,"b":1.0}'),
        (
            Place,
            Place("x", frozenset("ba"), 1, Place("y", frozenset())),
            Place("x", frozenset("ab"), 1.0, Place("y", frozenset(), -0.0)),
            b'{"name":"x","tags":["a","b"],"height":1.0,"next":{"name":"y","tags":[],"height":0.0,"next":null}}',
        ),
        (Short, Short("".join(["no", "body"])), Short(), b"{}"),
        (float | None, 1, 1.0, b"1.0"),
        (Place | Short, Short(size=1), None, b'{"type":"Short","size":1}'),
        (
            Model,
            Model(name="a", parts={"y": -0.0, "x": 1}),
            Model(name="a", parts={"x": 1.0, "y": 0.0}),
            b'{"name":"a","parts":{"x":1.0,"y":0.0}}',
        ),
    ],
)  # fmt: skip
def test_equal_keys_have_the_same_bytes(type: Any, one: Any, other: Any, data: bytes) -> None:
    serde = json(type).for_keys()
    assert serde.serialize("t", one) == data
    assert serde.serializer("t")(one if other is None else other) == data
    assert serde.deserialize("t", data) == one
    packed: Serde[Any] = msgpack(type).for_keys()
    written = packed.serialize("t", one)
    assert packed.serialize("t", one if other is None else other) == written
    assert packed.deserialize("t", written) == one


def test_key_is_left_as_it_was() -> None:
    place = Place("x", frozenset("ab"), 1)
    json(Place).for_keys().serialize("t", place)
    assert repr(place.height) == "1"
    assert isinstance(place.tags, frozenset)


def test_values_keep_the_order_of_a_dictionary() -> None:
    assert json(dict[str, int]).serialize("t", {"b": 1, "a": 2}) == b'{"b":1,"a":2}'


def test_serde_of_keys_equals_the_serde() -> None:
    assert json(Place).for_keys() == json(Place)
    assert json(Place).for_keys().for_keys() == json(Place)
    assert string.for_keys() is string
    assert int64.for_keys() is int64


@pytest.mark.parametrize("serde", [float32, float64])
def test_both_zeros_are_one_key(serde: Serde[float]) -> None:
    keys = serde.for_keys()
    assert keys.serialize("t", -0.0) == keys.serialize("t", 0.0) == keys.serialize("t", 0)
    assert serde.serialize("t", -0.0) != serde.serialize("t", 0.0)


def test_windowed_key_has_its_keys_form() -> None:
    window = Window(0, 60_000)
    for serde in (time_windowed(json(dict[str, int]), "1m"), session_windowed(json(dict[str, int]))):
        keys = serde.for_keys()
        assert keys == serde
        one, other = Windowed({"b": 1, "a": 2}, window), Windowed({"a": 2, "b": 1}, window)
        assert keys.serialize("t", one) == keys.serialize("t", other)


@dataclass(frozen=True)
class Noted:
    id: int
    note: str = dataclasses.field(default="", compare=False)


class Loose(pydantic.BaseModel):
    tags: set[str]


class Mixed(pydantic.BaseModel):
    size: int | float


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        (object, "leaves a part untyped, where 1, 1.0 and True are equal"),
        (dict[str, Any], "leaves a part untyped"),
        (
            int | float,
            "may be int or float, where 1 and 1.0 are equal and are written differently: choose one",
        ),
        (list[bool | int], "may be bool or int"),
        (Literal[1] | bool, "may be"),
        (Noted, "the field 'note' of Noted does not count when keys are compared"),
        (msgspec.Raw, "it holds raw"),
        (Loose, "of a set in a model equal values may have different bytes: make the key a frozen dataclass"),
        (Mixed, "several kinds of number"),
    ],
)
def test_type_whose_equal_values_differ_in_bytes_is_no_key(type: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=rf"json\(.*\) cannot be the serde of a key: .*{reason}"):
        json(type).for_keys()


def test_time_with_a_zone_is_refused_in_a_key() -> None:
    with pytest.raises(Exception, match="a time with a zone cannot be part of a key"):
        json(datetime.time).for_keys().serialize("t", datetime.time(1, tzinfo=UTC))


def disguised(value: Any) -> Any:
    """Return an equal value that looks different."""
    if isinstance(value, dict):
        return {key: disguised(item) for key, item in reversed(list(value.items()))}
    if isinstance(value, list):
        return list(map(disguised, value))
    if type(value) is tuple:
        return tuple(map(disguised, value))
    if type(value) is float and value.is_integer():
        return -value if value == 0 else int(value) if abs(value) < 2**53 else value
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(BERLIN) if 1 < value.year < 9999 else value
    if isinstance(value, decimal.Decimal) and value.is_finite():
        sign, digits, exponent = value.as_tuple()
        return decimal.Decimal((sign, (*digits, 0), int(exponent) - 1))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{name: disguised(item) for name, item in vars(value).items()})
    if isinstance(value, msgspec.Struct):
        return type(value)(*[disguised(getattr(value, name)) for name in value.__struct_fields__])
    return value


@pytest.mark.parametrize("make", [json, msgpack])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_equal_values_of_any_type_are_one_key(make: Callable[[Any], Serde[Any]], data: st.DataObject) -> None:
    annotation, values = data.draw(typed())
    try:
        serde = make(annotation).for_keys()
    except TypeError:
        return
    one = data.draw(values)
    other = disguised(one) if data.draw(st.integers(0, 3)) else data.draw(values)
    encoded = []
    for value in (one, other):
        try:
            encoded.append(serde.serialize("t", value))
        except Exception:
            return
        found = serde.deserialize("t", encoded[-1])
        assert found == value or "nan" in repr(value)
    if one == other:
        assert encoded[0] == encoded[1]


_PRINTS = """
from dataclasses import dataclass
from headrace.serde.structured import json, msgpack
@dataclass(frozen=True)
class Key:
    tags: frozenset[str]
    more: dict[str, frozenset[str]]
words = [f"word{number}" for number in range(50)]
key = Key(frozenset(words), {word: frozenset(words) for word in set(words)})
print(json(Key).for_keys().serialize("t", key).hex(), msgpack(Key).for_keys().serialize("t", key).hex())
"""


@pytest.mark.process
def test_bytes_of_a_key_do_not_depend_on_the_hash_seed() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", _PRINTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1
