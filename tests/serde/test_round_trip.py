"""What is written comes back: whatever the type and the value, right or wrong, a serde returns it or refuses it."""

import collections
import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.serde import Serde
from headrace.serde.structured import json, msgpack
from tests.budget import examples


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Shade(enum.StrEnum):
    DARK = "dark"


class Point(NamedTuple):
    x: int
    label: str


class Row(TypedDict):
    id: int
    note: NotRequired[str]


class Tree(msgspec.Struct, frozen=True):
    value: float
    next: Optional["Tree"] = None


@dataclass
class Reading:
    name: str
    mean: float
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    at: datetime.datetime | None = None


UTC = datetime.UTC
zones = st.sampled_from([UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))]) | st.timedeltas(
    datetime.timedelta(hours=-23), datetime.timedelta(hours=23)
).map(datetime.timezone)

#: What stands where it should not, often enough.
odd = st.sampled_from(
    [
        None, True, 0, 1, 1.0, -0.0, 2**53 + 1, 2**64, -(2**70), float("nan"), float("inf"), 1e308, "x", "\ud800", b"x",
        bytearray(b"x"), (1,), [1], {1}, frozenset({"a"}), {1: 2}, {"a": None}, Colour.RED, Level.LOW, Shade.DARK,
        datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.time(1), datetime.timedelta(1),
        decimal.Decimal("1.10"), uuid.UUID(int=5), Point(1, "p"), {"id": 1}, {"id": 1, "more": 2}, Tree(1.0), Tree(1),
        Reading("a", 1.0), 1j, object, msgspec.UNSET, ...,
    ]
)  # fmt: skip

Typed = tuple[Any, st.SearchStrategy[Any]]

# As values, since a checker takes `list[annotation]` for a type.
A_LIST: Any = list
A_DICT: Any = dict
A_TUPLE: Any = tuple
A_UNION: Any = Optional

leaves: list[Typed] = [
    (str, st.text(max_size=5)),
    (int, st.integers()),
    (float, st.floats() | st.integers()),
    (bool, st.booleans()),
    (bytes, st.binary(max_size=5)),
    (None, st.none()),
    (uuid.UUID, st.uuids()),
    (decimal.Decimal, st.decimals(allow_nan=False)),
    (datetime.datetime, st.datetimes(timezones=st.none() | zones)),
    (datetime.date, st.dates()),
    (datetime.time, st.times(timezones=st.none() | zones)),
    (datetime.timedelta, st.timedeltas()),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (Point, st.builds(Point, st.integers(), st.text(max_size=3))),
    (Row, st.fixed_dictionaries({"id": st.integers()}, optional={"note": st.text(max_size=3)})),
    (Tree, st.builds(Tree, st.floats(), st.none() | st.builds(Tree, st.floats()))),
    (Reading, st.builds(Reading, st.text(max_size=3), st.floats())),
    (Any, st.none() | st.floats() | st.lists(st.integers() | st.floats(), max_size=2)),
    (object, st.dictionaries(st.text(max_size=2), st.booleans() | st.floats(), max_size=2)),
    (dict, st.dictionaries(st.text(max_size=2) | st.integers(), st.integers(), max_size=2)),
    (int | float, st.integers() | st.floats()),
]
hashable = [
    each for each in leaves if each[0] in {str, int, float, bytes, uuid.UUID, Colour, datetime.date, Point}
]


def often(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, good, good, good, odd)


@st.composite
def typed(draw: Callable[..., Any], depth: int = 2) -> Typed:
    kind = draw(
        st.sampled_from(["leaf", "list", "dict", "tuple", "pair", "set", "optional", "dataclass", "struct"])
    )
    if kind == "leaf" or depth == 0:
        annotation, values = draw(st.sampled_from(leaves))
        return annotation, often(values)
    if kind == "set":
        annotation, values = draw(st.sampled_from(hashable))
        make = draw(st.sampled_from([set, frozenset]))
        return make[annotation], often(st.lists(values, max_size=3).map(make))
    annotation, values = draw(typed(depth - 1))
    if kind == "list":
        return A_LIST[annotation], often(st.lists(values, max_size=3))
    if kind == "dict":
        keys, names = draw(st.sampled_from(hashable))
        return A_DICT[keys, annotation], often(st.dictionaries(names, values, max_size=3))
    if kind == "tuple":
        return A_TUPLE[annotation, ...], often(st.lists(values, max_size=3).map(tuple))
    if kind == "optional":
        return A_UNION[annotation], often(st.none() | values)
    other, others = draw(typed(depth - 1))
    if kind == "pair":
        return A_TUPLE[annotation, other], often(st.tuples(values, others))
    fields = [("a", annotation), ("b", other)]
    made = (
        make_dataclass("Made", fields, frozen=draw(st.booleans()))
        if kind == "dataclass"
        else msgspec.defstruct("Made", fields, omit_defaults=draw(st.booleans()))
    )
    return made, often(st.builds(made, values, others))


def same(one: Any, other: Any) -> bool:
    # Not-a-number equals nothing, and MessagePack has it.
    return one == other or ("nan" in repr(one) and repr(one) == repr(other))


@pytest.mark.campaign
@pytest.mark.parametrize("make", [json, msgpack])
@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
def test_value_comes_back_or_is_refused(make: Callable[[Any], Serde[Any]], data: st.DataObject) -> None:
    annotation, values = data.draw(typed())
    try:
        serde = make(annotation)
    except TypeError:
        return
    value = data.draw(values)
    try:
        written = serde.serialize("t", value)
    except SerializationError:
        with pytest.raises(Exception):  # noqa: B017 - the quick form refuses the same, with an error of any class
            serde.serializer("t")(value)
        return
    assert serde.serializer("t")(value) == written
    assert same(serde.deserialize("t", written), value)


def test_names_of_two_kinds_are_refused_in_json_and_kept_in_messagepack() -> None:
    with pytest.raises(
        TypeError, match=r"keys that are `int \| str` would be mixed up, since JSON writes 1 and '1' alike"
    ):
        json(dict[int | str, int])
    packed = msgpack(dict[int | str, int])
    assert packed.deserialize("t", packed.serialize("t", {1: 2, "1": 3})) == {1: 2, "1": 3}


class Counter(msgspec.Struct, frozen=True):
    count: int


class LimitedOrder(msgspec.Struct):
    amount: Annotated[int, msgspec.Meta(ge=0)]


@dataclass
class Positive:
    amount: int

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError("an amount is positive")


class Animal(msgspec.Struct, tag=True):
    name: str


class Dog(Animal, tag=True):
    pass


@dataclass
class Express(Reading):
    fee: int = 0


class Model(pydantic.BaseModel):
    size: int = pydantic.Field(gt=0)
    mean: float | None = None


class Other(pydantic.BaseModel):
    size: int


def changed(amount: int) -> Positive:
    value = Positive(1)
    value.amount = amount
    return value


NAN = float("nan")


@pytest.mark.parametrize(
    ("type", "value", "reason"),
    [
        (Reading, Reading("a", NAN), "Expected a finite number, found nan - at `$.mean`: JSON has no form for it"),
        (Reading, Reading("a", float("-inf")), "found -inf - at `$.mean`"),
        (Reading, Reading("a", None), "Expected `float`, found None - at `$.mean`: declare it as one that may be None"),  # type: ignore[arg-type]
        (Reading, Reading(5, 1.0), "Expected `str`, found the int 5 - at `$.name`: convert it, or declare its type"),  # type: ignore[arg-type]
        (Reading, Reading("a", 1.0, {"x": "secret"}), "Expected `int`, found a str - at `$.counts[...]`"),  # type: ignore[dict-item]
        (Reading, Reading("a", True), "Expected `float`, found True - at `$.mean`"),
        (Reading, Express("a", 1.0), "its field 'fee' would be lost"),
        (Reading, Reading("a", 2**53 + 1), "found an int that has more digits"),
        (list[Tree], [Tree(1.0), Tree(1.0, Tree(NAN))], "found nan - at `$[1].next.value`"),
        (list[float], [1.0, NAN], "at `$[1]`"),
        (dict[int, float], {3: NAN}, "at `$[3]`"),
        (dict[float, int], {NAN: 3}, "at `$[a key]`"),
        (float | None, NAN, "found nan - at `$`"),
        (tuple[str, int], ("a", "b"), "Expected `int`, found a str - at `$[1]`"),
        (tuple[str, int], ("a", 1, 2), "Expected 2 items, found 3"),
        (frozenset[str], frozenset({1}), "Expected `str`, found the int 1 - at `$[]`"),
        (Row, {"note": "x"}, "Expected the key 'id' of Row, found none"),
        (Row, {"id": 1, "size": 2}, "Found the key 'size', which Row does not have"),
        (Point, Point("a", "b"), "at `$.x`"),  # type: ignore[arg-type]
        (Literal[1], True, "Expected `Literal[1]`, found True"),
        (Literal["a", 1], "b", "found a str"),
        (Colour, "red", "Expected `Colour`, found a str"),
        (str, Colour.RED, "Expected `str`, found a Colour"),
        (datetime.date, datetime.datetime(2020, 1, 1), "Expected `date`, found a datetime"),
        (
            datetime.datetime,
            datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=90))),
            "Expected a zone of whole minutes, found 0:01:30 from UTC",
        ),
        (bytes, bytearray(b"x"), "Expected `bytes`, found a bytearray"),
        (LimitedOrder, LimitedOrder(-1), "Expected `int` >= 0"),
        (Positive, changed(-1), "an amount is positive"),
        (Animal, Dog("rex"), "Invalid value 'Dog'"),
        (Tree | Counter, Tree(NAN), "at `$.value`"),
        (dict, {1: 2}, "Found the int 1 as a key"),
        (dict, {"a": (1, 2)}, "Found a tuple - at `$[...]`, where the type says nothing"),
        (object, [NAN], "at `$[0]`"),
        (Any, {"a": datetime.date(2020, 1, 1)}, "Found a date"),
        (str, "\ud800", "surrogates not allowed"),
        (Model, Model.model_construct(size=-1), "greater than 0"),
        (Model, Model.model_construct(size="x"), "Expected `int`"),
        (Model, Model(size=1, mean=NAN), "Found nan - at `$.mean`, which would be read as None"),
        (list[Model | Other], [Other(size=1)], "Expected `Model`, found an Other - at `$[0]`"),
    ],
)  # fmt: skip
def test_value_that_would_not_come_back_is_refused_with_its_place(type: Any, value: Any, reason: str) -> None:
    serde = json(type)
    with pytest.raises(SerializationError) as refused:
        serde.serialize("orders", value)
    assert str(refused.value).startswith("cannot serialize for topic 'orders': json(")
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)
    with pytest.raises(Exception):  # noqa: B017 - the quick form refuses the same, with an error of any class
        serde.serializer("orders")(value)


@pytest.mark.parametrize(
    ("type", "value", "data"),
    [
        (Reading, Reading("a", 1), b'{"name":"a","mean":1,"counts":{},"at":null}'),
        (float, 2**70, b"1180591620717411303424"),
        (list[float], [1e308, 1e308], b"[1e308,1e308]"),
        (dict[str, int], collections.Counter("ab"), b'{"a":1,"b":1}'),
        (int, Level.HIGH, b"2"),
        (str, Shade.DARK, b'"dark"'),
        (Positive, Positive(1), b'{"amount":1}'),
        (LimitedOrder, LimitedOrder(0), b'{"amount":0}'),
        (dict, {"a": [1, {"b": None}, 1.5, True]}, b'{"a":[1,{"b":null},1.5,true]}'),
    ],
)
def test_value_that_is_nearly_of_the_type_and_comes_back_is_written(
    type: Any, value: Any, data: bytes
) -> None:
    serde = json(type)
    assert serde.serialize("t", value) == data
    assert serde.deserialize("t", data) == value


def test_messagepack_has_what_json_has_no_form_for() -> None:
    serde = msgpack(Reading)
    assert repr(serde.deserialize("t", serde.serialize("t", Reading("a", NAN)))) == repr(Reading("a", NAN))
    untyped = msgpack(dict)
    assert untyped.deserialize("t", untyped.serialize("t", {1: b"x"})) == {1: b"x"}


def test_list_within_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(SerializationError):
        json(list[Any]).serialize("t", ring)


def test_field_that_was_deleted_is_refused() -> None:
    value = Reading("a", 1.0)
    del value.name
    with pytest.raises(SerializationError, match="has no attribute 'name'"):
        json(Reading).serialize("t", value)


@dataclass
class Holder:
    other: "Mystery"


class Mystery:
    pass


def test_class_that_nobody_knows_is_refused_wherever_it_stands() -> None:
    for annotation in (Mystery, list[Mystery], Holder):
        with pytest.raises(TypeError, match="Mystery is neither a plain type nor a dataclass"):
            json(annotation)


@dataclass
class Shelf:
    model: Model
    height: float | None = None


class Crate(msgspec.Struct):
    model: Model


def test_model_in_a_dataclass_is_read_and_written_by_pydantic() -> None:
    for make in (json, msgpack):
        serde = make(Shelf)
        shelf = Shelf(Model(size=1, mean=2.0), 1.5)
        assert serde.deserialize("t", serde.serialize("t", shelf)) == shelf
    with pytest.raises(SerializationError, match=r"Found nan - at `\$.height`, which would be read as None"):
        json(Shelf).serialize("t", Shelf(Model(size=1), NAN))


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        (Crate, "Model is a pydantic model within a struct: make the struct a dataclass, or a model as well"),
        (
            list[Reading | Positive],
            "make the classes msgspec structs with tag=True, whose objects say which they are",
        ),
        (list[Model | Mystery], r"json\(list\[Model \| Mystery\]\) cannot be made: "),
    ],
)
def test_type_that_cannot_be_read_says_what_to_make_of_it(type: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        json(type)
