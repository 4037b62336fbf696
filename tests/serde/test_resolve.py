"""Which serde is meant by a class or an annotation, and what is said where none is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NewType, Optional, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest

from headrace.base.errors import SerializationError
from headrace.base.records import Headers
from headrace.serde.primitives import boolean, float64, int64, raw, string, uuid
from headrace.serde.resolve import optional, serde_from_annotation, serde_of
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
    ],
)
def test_class_stands_for_its_serde(spec: Any, expected: Serde[Any] | None) -> None:
    assert serde_of(spec) == expected


def test_own_serde_is_taken_as_it_is() -> None:
    own = Rot13()
    assert serde_of(own) is own


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        (list[int], r"write hr\.json\(list\[int\]\)"),
        (Order | None, r"write hr\.json\(Order \| None\)"),
        (Optional[Order], r"write hr\.json\(Order \| None\)"),  # noqa: UP045
        (dict, r"write hr\.json\(dict\)"),
        (UserId, r"write hr\.json\(UserId\)"),
        (Rot13, r"give an instance, Rot13\(\.\.\.\)"),
        (json, "json is a function, not a serde: call it"),
        ("str", "'str' is no serde: write a class"),
        (5, "5 is no serde"),
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
        list[int],
        Order | Stock,
        int | str | None,
        tuple[str, int],
        Callable[[], int],
        5,
    ],
)
def test_annotation_that_does_not_say_it_gives_nothing(annotation: object) -> None:
    assert serde_from_annotation(annotation) is None


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
