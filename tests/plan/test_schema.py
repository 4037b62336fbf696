"""Whether values of one type can be read as another."""

import types
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from typing import Any

import msgspec
import pytest

import headrace as hr
from headrace.plan.schema import schema_of, unreadable
from headrace.serde.change import ChangeSerde
from headrace.serde.foreign_keys import ResponseSerde
from headrace.serde.structured import json
from headrace.serde.unmatched import UnmatchedKeySerde, UnmatchedValuesSerde
from headrace.serde.windowed import time_windowed


@dataclass
class Inner:
    x: int


@dataclass
class Outer:
    inner: Inner
    names: list[str] = field(default_factory=list)


@dataclass
class WithFloat:
    x: float


@dataclass
class Wider:
    x: int
    y: int = 0


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    x: int


def made(*fields: Any) -> type:
    return make_dataclass("T", fields)


INT, TEXT = ("a", int), ("b", str)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (made(INT), made(INT), None),
        (made(INT), made(INT, ("b", str, "x")), None),
        (made(INT, TEXT), made(INT), None),
        (made(INT), made(INT, TEXT), "b is new, and has no default"),
        (made(INT), made(("a", str)), "a is of another type"),
        (made(INT), made(("a", int | None)), None),
        (made(("a", int | None)), made(INT), "a is of another type"),
        (made(("o", Inner)), made(("o", Inner | None)), None),
        (
            made(INT, ("b", str, "x")),
            made(INT, TEXT),
            "b may have been left out before, and must be there now",
        ),
        (made(("title", int)), made(("title", str)), "title is of another type"),
        (Outer, Outer, None),
        (made(("o", Inner)), made(("o", WithFloat)), "o.x is of another type"),
        (made(("o", list[Inner])), made(("o", list[WithFloat])), "o[].x is of another type"),
        (made(("o", list[Inner])), made(("o", list[Wider])), None),
        (made(("o", dict[str, Inner])), made(("o", dict[str, WithFloat])), "o[].x is of another type"),
        (made(("o", tuple[int, Inner])), made(("o", tuple[int, WithFloat])), "o[].x is of another type"),
        (made(("o", tuple[int, Inner])), made(("o", tuple[str, Inner])), "o[] is of another type"),
        (made(("o", list[Inner])), made(("o", dict[str, Inner])), "o is of another type"),
        (made(("o", Inner | None)), made(("o", Wider | None)), None),
        (made(("o", Inner | None)), made(("o", WithFloat | None)), "o is of another type"),
        (Wider, Strict, "y is gone, and fields that are not known are refused"),
        (Strict, Wider, None),
        (list[Inner], list[WithFloat], "[].x is of another type"),
    ],
)
def test_a_type_reads_what_another_one_has_written_or_says_why_not(
    old: type, new: type, reason: str | None
) -> None:
    before, after = (msgspec.json.schema(each) for each in (old, new))
    assert unreadable(before, after) == reason


class Tree(msgspec.Struct):
    """Its values have three of it below, and more: each way down is one of very many."""

    one: "Tree | None" = None
    two: "Tree | None" = None
    three: "Tree | None" = None
    rest: list["Tree | None"] = []
    name: str = ""


class Larger(msgspec.Struct):
    one: "Larger | None" = None
    two: "Larger | None" = None
    three: "Larger | None" = None
    rest: list["Larger | None"] = []
    name: str = ""
    size: int = 0


class Numbered(msgspec.Struct):
    one: "Numbered | None" = None
    two: "Numbered | None" = None
    three: "Numbered | None" = None
    rest: list["Numbered | None"] = []
    name: int = 0


@pytest.mark.parametrize(
    ("after", "reason"),
    [(Tree, None), (Larger, None), (Numbered, "name is of another type")],
)
def test_a_type_that_holds_itself_several_times_is_compared(after: type, reason: str | None) -> None:
    assert unreadable(msgspec.json.schema(Tree), msgspec.json.schema(after)) == reason


def held(container: type, *parts: Any) -> Any:
    return types.GenericAlias(container, parts)


def top_of(type: Any) -> Any:
    builder = hr.StreamsBuilder()
    stream = builder.stream(hr.Topic("in", value=json(type)))
    stream.group_by_key().aggregate(hr.agg.top(3, by=lambda value: 1), store="best")
    return builder.build().stores["best"].value


@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (lambda type: json(held(list, type)), "[].x is of another type"),
        (lambda type: json(held(dict, str, type)), "[].x is of another type"),
        (lambda type: ChangeSerde(json(type)), "value.x is of another type"),
        (lambda type: ResponseSerde(json(type)), "value.x is of another type"),
        (lambda type: UnmatchedKeySerde(json(type)), "key.x is of another type"),
        (lambda type: UnmatchedValuesSerde(json(Inner), json(type)), "right.x is of another type"),
        (lambda type: UnmatchedValuesSerde(json(type), json(int)), "left.x is of another type"),
        (lambda type: time_windowed(json(type), "1s"), "key.x is of another type"),
        (top_of, "value 1.x is of another type"),
    ],
)
def test_a_type_is_seen_within_what_holds_it(of: Callable[[Any], Any], reason: str) -> None:
    before, after, wider = (schema_of(of(each)) for each in (Inner, WithFloat, Wider))
    assert before is not None and after is not None and wider is not None
    assert unreadable(before, after) == reason
    assert unreadable(before, wider) is None


def test_models_in_a_list_are_compared() -> None:
    pydantic = pytest.importorskip("pydantic")
    old = pydantic.create_model("Order", a=(int, ...), b=(int, 0))
    strict = pydantic.create_model("Order", a=(int, ...), __config__=pydantic.ConfigDict(extra="forbid"))
    text = pydantic.create_model("Order", a=(str, ...))
    before, after, other = (schema_of(json(list[each])) for each in (old, strict, text))  # type: ignore[valid-type]
    assert before is not None and after is not None and other is not None
    assert unreadable(before, after) == "[].b is gone, and fields that are not known are refused"
    assert unreadable(before, other) == "[].a is of another type"


def test_plain_serdes_have_no_schema() -> None:
    assert schema_of(json(int)) is None  # one of the built-in ones
    assert schema_of(json(Inner)) is not None
