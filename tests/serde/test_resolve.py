"""Which serde is meant by a class or an annotation, and what is said where none is."""

import datetime
import enum
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest
from typing_extensions import TypeAliasType

from headrace.base.errors import SerializationError
from headrace.base.records import Headers
from headrace.serde.primitives import boolean, float64, int64, raw, string, uuid
from headrace.serde.resolve import advice, optional, serde_from_annotation, serde_of
from headrace.serde.serde import Serde
from headrace.serde.structured import json


@dataclass(frozen=True)
class Order:
    id: str


class Stock(msgspec.Struct):
    sku: int


class Model(pydantic.BaseModel):
    name: str


class Page(msgspec.Struct, frozen=True):
    count: int


class Rot13(Serde[str]):
    def serialize(self, topic: str, value: str, headers: Headers = ()) -> bytes:
        return f"{topic}:{value}".encode()

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> str:
        return data.decode().removeprefix(f"{topic}:")


class Row(TypedDict):
    id: int


class Spot(NamedTuple):
    x: int


class Colour(enum.Enum):
    RED = "red"


class Mystery:
    pass


Words = NewType("Words", list[str])
Alias = TypeAliasType("Alias", dict[str, float])
UserId = NewType("UserId", str)
T = TypeVar("T")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (str, string),
        (int, int64),
        (float, float64),
        (bytes, raw),
        (bool, boolean),
        (UUID, uuid),
        (Order, json(Order)),
        (Stock, json(Stock)),
        (Model, json(Model)),
        (None, None),
        (string, string),
        (list[str], json(list[str])),
        (list[Order], json(list[Order])),
        (dict[str, int], json(dict[str, int])),
        (dict[str, Any], json(dict[str, Any])),
        (dict[str, object], json(dict[str, object])),
        (tuple[str, ...], json(tuple[str, ...])),
        (frozenset[str], json(frozenset[str])),
        (Order | None, json(Order)),
        (Optional[Order], json(Order)),  # noqa: UP045
        (str | None, string),
        (list[str] | None, json(list[str])),
        (Order | Stock, json(Order | Stock)),
        (Order | Page | None, json(Order | Page)),
        (int | str, json(int | str)),
        (Row, json(Row)),
        (Spot, json(Spot)),
        (Colour, json(Colour)),
        (Literal["a", "b"], json(Literal["a", "b"])),
        (UserId, string),
        (Words, json(list[str])),
        (Alias, json(dict[str, float])),
        (Annotated[int, "positive"], int64),
        (Annotated[list[str], "short"], json(list[str])),
        (datetime.date, json(datetime.date)),
    ],
)
def test_type_stands_for_its_serde(spec: Any, expected: Serde[Any] | None) -> None:
    assert serde_of(spec) == expected


def test_own_serde_is_taken_as_it_is() -> None:
    own = Rot13()
    assert serde_of(own) is own


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        (dict, r"dict does not say what it holds: write hr\.json\(dict\), .* as in dict\[str, int\]"),
        (list, r"write hr\.json\(list\)"),
        (typing.List, r"write hr\.json\(list\)"),  # noqa: UP006
        (object, r"write hr\.json\(object\)"),
        (Any, r"write hr\.json\(object\)"),
        (Mystery, r"Mystery is neither a plain type .* a class that derives from hr\.Serde"),
        (list[Mystery], r"json\(list\[Mystery\]\) cannot be made: Mystery is neither"),
        (Iterable[int], r"Iterable does not say what to make when it is read: write list\[...\]"),
        (Rot13, r"give an instance, Rot13\(\.\.\.\)"),
        (json, "json is a function, not a serde: call it"),
        ("str", "'str' is no serde: write a class"),
        (5, "5 is no serde: write its type, int,"),
        (Order("x"), r"Order\(id='x'\) is no serde: write its type, Order"),
        ([str], r"\[<class 'str'>\] is no serde: write a type such as list\[str\]"),
        (T, "~T is no serde: write a class such as str or Order"),
        (len, "len is a function, not a serde: write a type such as str or Order"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(spec: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=advice):
        serde_of(spec)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, string),
        (Order, json(Order)),
        (Order | None, json(Order)),
        (Optional[int], int64),  # noqa: UP045
        (UserId, string),
        (Annotated[int, "positive"], int64),
        (list[int], json(list[int])),
        (Order | Stock, json(Order | Stock)),
        (int | str | None, json(int | str)),
        (tuple[str, int], json(tuple[str, int])),
        (dict[str, Any], json(dict[str, Any])),
        (Row, json(Row)),
    ],
)
def test_annotation_says_the_serde(annotation: object, expected: Serde[Any]) -> None:
    assert serde_from_annotation(annotation) == expected


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        Any,
        object,
        T,
        "Order",
        list,
        dict,
        list[T],  # type: ignore[valid-type]  # as an annotation within a function is
        T | None,
        Iterator[int],
        list[Mystery],
        Callable[[], int],
        5,
    ],
)
def test_annotation_that_does_not_say_it_gives_nothing(annotation: object) -> None:
    assert serde_from_annotation(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (None, "write `value=` there"),
        (T, "write `value=` there"),
        (dict, "write `value=hr.json(dict)` there, or annotate what is in it, as in dict[str, int]"),
        (dict | None, "write `value=hr.json(dict)` there, or annotate what is in it, as in dict[str, int]"),
        (Any, "write `value=hr.json(object)` there, or annotate what is in it, as in dict[str, int]"),
        (
            Iterator[str],
            "write `value=` there, since its annotation says no serde: json(Iterator[str]) cannot be made: Iterator "
            "does not say what to make when it is read: write list[...]",
        ),
    ],
)
def test_advice_says_what_to_write(annotation: object, text: str) -> None:
    assert advice(annotation, "value") == text


def test_optional_is_the_same_serde() -> None:
    assert optional(Order) == json(Order)
    assert optional(string) is string
    with pytest.raises(TypeError):
        optional(list)


def test_default_callables_of_an_own_serde_call_it() -> None:
    own = Rot13()
    assert own.serializer("t")("a") == b"t:a"
    assert own.deserializer("t")(b"t:a") == "a"
    assert not own.immutable
    assert not own.uses_headers
    assert own != Rot13()


def test_serde_without_methods_says_what_to_override() -> None:
    with pytest.raises(NotImplementedError, match=r"Serde does not override serialize\(\)"):
        Serde[str]().serialize("t", "a")
    with pytest.raises(NotImplementedError, match=r"Serde does not override deserialize\(\)"):
        Serde[str]().deserialize("t", b"a")


def test_frozen_struct_may_stay_an_object_and_another_not() -> None:
    page = serde_of(Page)
    assert page.immutable
    assert page.type is Page
    assert not serde_of(Stock).immutable


def test_error_of_a_shorthand_names_the_class() -> None:
    with pytest.raises(SerializationError, match=r"json\(Order\) expects Order as JSON, found a str"):
        serde_of(Order).serialize("t", "x")  # type: ignore[arg-type]  # the mistake under test


class Forgetful(Serde[str]):
    def serialize(self, topic: str, value: str, headers: Headers = ()) -> bytes:
        return value if value else None  # type: ignore[return-value]  # the mistakes under test


def test_own_serde_that_returns_no_bytes_is_refused() -> None:
    serialize = Forgetful().serializer("t")
    with pytest.raises(
        SerializationError,
        match=r"serialize\(\) of Forgetful returned a str; it must return bytes, and raise where it",
    ):
        serialize("text")
    with pytest.raises(SerializationError, match=r"serialize\(\) of Forgetful returned None"):
        serialize("")
