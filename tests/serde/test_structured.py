"""JSON and MessagePack: bytes, types, unions, pydantic models, and which values may stay objects."""

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NewType, Optional
from uuid import UUID

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.serde import Serde
from headrace.serde.stability import is_stable
from headrace.serde.structured import is_pydantic, json, msgpack, type_name


@dataclass(frozen=True)
class Order:
    id: str
    amount: float


class Stock(msgspec.Struct, frozen=True):
    sku: int
    place: str | None = None


class Line(msgspec.Struct, frozen=True):
    stock: Stock
    count: int
    notes: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    value: int
    next: Optional["Node"] = None


@dataclass
class Basket:
    items: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Paid:
    amount: int


@dataclass(frozen=True)
class Refunded:
    amount: int
    reason: str = "none"


@dataclass(frozen=True)
class Nothing:
    pass


class Photo(msgspec.Struct):
    pixels: bytes


class Opened(msgspec.Struct, frozen=True, tag=True):
    at: int


class Closed(msgspec.Struct, frozen=True, tag=True):
    at: int


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    name: str
    size: int = pydantic.Field(alias="theSize")


UserId = NewType("UserId", str)
Make = Callable[[Any], Serde[Any]]


@pytest.mark.parametrize(
    ("type", "value", "data"),
    [
        (Order, Order("a", 1.5), b'{"id":"a","amount":1.5}'),
        (Stock, Stock(5), b'{"sku":5,"place":null}'),
        (Basket, Basket(["x"]), b'{"items":["x"]}'),
        (list[int], [1, 2], b"[1,2]"),
        (dict[str, float], {"a": 1.0}, b'{"a":1.0}'),
        (Order | None, Order("a", 1.5), b'{"id":"a","amount":1.5}'),
        (Order | str, "x", b'"x"'),
        (tuple[str, int], ("a", 1), b'["a",1]'),
        (dict, {"a": [None]}, b'{"a":[null]}'),
        (object, {"a": 1}, b'{"a":1}'),
        (Any, [True], b"[true]"),
        (Opened | Closed, Closed(3), b'{"type":"Closed","at":3}'),
        (Paid | Refunded, Paid(3), b'{"type":"Paid","amount":3}'),
        (Paid | Nothing, Nothing(), b'{"type":"Nothing"}'),
        (Paid | Refunded | None, Refunded(3), b'{"type":"Refunded","amount":3,"reason":"none"}'),
        (Colour, Colour.RED, b'"red"'),
        (Literal["a", 1], "a", b'"a"'),
        (UserId, UserId("ann"), b'"ann"'),
        (Model, Model(name="a", theSize=3), b'{"name":"a","theSize":3}'),
        (list[Model], [Model(name="a", theSize=3)], b'[{"name":"a","theSize":3}]'),
        (bytes, b"\xff", b'"/w=="'),
    ],
    ids=lambda value: type_name(value) if not isinstance(value, bytes) else "",
)
def test_value_goes_there_and_back(type: Any, value: object, data: bytes) -> None:
    serde: Serde[Any] = json(type)
    assert serde.serialize("t", value) == data
    assert serde.serializer("t")(value) == data
    assert serde.deserialize("t", data) == value
    packed: Serde[Any] = msgpack(type)
    assert packed.deserializer("t")(packed.serializer("t")(value)) == value


def test_union_keeps_bytes_in_messagepack() -> None:
    serde = msgpack(Photo | Stock)
    assert serde.deserialize("t", serde.serialize("t", Photo(b"\xff\x00"))) == Photo(b"\xff\x00")


def test_null_is_read_as_none_where_the_type_has_it() -> None:
    assert json(Paid | Refunded | None).deserialize("t", b"null") is None
    assert json(Order | None).deserialize("t", b"null") is None


@given(st.builds(Line, st.builds(Stock, st.integers(-(2**63), 2**63 - 1), st.none() | st.text()), st.just(1)))
def test_every_struct_comes_back(line: Line) -> None:
    for serde in (json(Line), msgpack(Line)):
        assert serde.deserialize("t", serde.serialize("t", line)) == line


@pytest.mark.parametrize("make", [json, msgpack])
@given(data=st.binary(max_size=60))
def test_hostile_bytes_give_a_value_or_the_error(make: Make, data: bytes) -> None:
    for type in (Order, Line, Paid | Refunded, dict[str, int], Model):
        try:
            make(type).deserialize("t", data)
        except SerializationError as error:
            assert error.__cause__ is not None


@pytest.mark.parametrize(
    ("type", "value"),
    [
        (Order, Stock(5)),
        (Order, {"id": "a", "amount": 1.0}),
        (Order | None, "x"),
        (int, "5"),
        (int, True),
        (int, 5.0),
        (float, "5"),
        (list[int], {"a": 1}),
        (Paid | Refunded, Order("a", 1.0)),
        (Opened | Closed, Stock(5)),
        (Model, Order("a", 1.0)),
        (Order, None),
    ],
)
def test_value_of_another_class_is_refused(type: Any, value: object) -> None:
    for make in (json, msgpack):
        with pytest.raises(SerializationError):
            make(type).serialize("t", value)


def test_subclass_is_taken_for_its_class() -> None:
    class Rush(Order):
        pass

    assert json(Order).serialize("t", Rush("a", 1.0)) == b'{"id":"a","amount":1.0}'


@pytest.mark.parametrize(
    ("type", "data", "reason"),
    [
        (Order, b'{"id":"a"}', "missing required field `amount`"),
        (Order, b'{"id":"a","amount":"x"}', "Expected `float`, got `str` - at `$.amount`"),
        (Order, b"{", "truncated"),
        (Paid | Refunded, b'{"amount":3}', "missing required field `type`"),
        (Paid | Refunded, b'{"type":"Lost"}', "the field 'type' is 'Lost', none of Paid, Refunded"),
    ],
)
def test_error_of_reading_names_type_and_reason(type: Any, data: bytes, reason: str) -> None:
    with pytest.raises(SerializationError) as refused:
        json(type).deserialize("orders", data)
    message = str(refused.value)
    assert message.startswith(f"cannot deserialize from topic 'orders': json({type_name(type)}) expects ")
    assert reason in message


def test_unknown_fields_are_ignored() -> None:
    assert json(Paid).deserialize("t", b'{"amount":3,"more":1}') == Paid(3)


class Typed(msgspec.Struct):
    type: str


class Mystery:
    pass


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        (Paid | Typed, "Typed has a field 'type'"),
        (Mystery, "neither a plain type nor"),
        (Opened | Stock, "cannot be made"),
        (list[Paid | Refunded], "cannot be made"),
    ],
)
def test_type_that_cannot_be_read_is_refused_at_once(type: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        json(type)


def test_classes_of_one_name_cannot_be_told_apart() -> None:
    @dataclass
    class Paid:
        pass

    with pytest.raises(TypeError, match="two classes are called Paid"):
        json(Paid | globals()["Paid"])


def test_serdes_of_the_same_type_are_equal() -> None:
    assert json(Order) == json(Order)
    assert hash(json(Order)) == hash(json(Order))
    assert json(Paid | Refunded) == json(Paid | Refunded)
    assert json(list[int]) == json(list[int])
    others: list[object] = [json(Stock), msgpack(Order), "json(Order)"]
    assert json(Order) not in others


def test_serde_prints_as_it_is_written() -> None:
    assert repr(json(Order)) == "json(Order)"
    assert repr(msgpack(dict[str, Paid | None])) == "msgpack(dict[str, Paid | None])"


def test_serde_knows_the_class_of_its_values() -> None:
    assert json(Order).type is Order
    assert json(Order | None).type is None
    assert json(list[int]).type is None


def test_pydantic_is_recognised_by_its_base_class() -> None:
    assert is_pydantic(Model)
    assert not is_pydantic(Order)
    assert not is_pydantic(Model(name="a", theSize=1))
    assert "pydantic" in sys.modules  # by this test's own import


@pytest.mark.parametrize(
    "type",
    [
        str,
        int,
        float,
        bytes,
        bool,
        UUID,
        None,
        Colour,
        Stock,
        Line,
        Node,
        Paid,
        UserId,
        Nothing,
        int | None,
        Paid | Refunded,
        tuple[int, ...],
        tuple[str, Stock],
        Literal["a"],
        Annotated[int, "positive"],
    ],
)
def test_immutable_type_is_stable(type: Any) -> None:
    assert is_stable(type)
    assert type is None or json(type).immutable


class Tags(msgspec.Struct, frozen=True):
    tags: list[str]


class Outer(msgspec.Struct, frozen=True):
    inner: Photo


@dataclass(frozen=True)
class Adjusted:
    amount: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", abs(self.amount))


@dataclass(frozen=True)
class Unknown:
    other: "NotDefinedAnywhere"  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    "type",
    [
        list[int],
        dict[str, int],
        set[int],
        frozenset[int],
        datetime,
        object,
        Any,
        tuple,
        Photo,
        Basket,
        Tags,
        Outer,
        Model,
        Adjusted,
        Unknown,
        Order,  # its amount may be an int, which is other bytes
        Order | int,
        int | list[int],
        tuple[float, int],
        type[int],
    ],
)
def test_type_that_may_change_is_not_stable(type: Any) -> None:
    assert not is_stable(type)
