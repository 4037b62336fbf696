"""Whether values of one type can be read as another."""

from dataclasses import dataclass, field, make_dataclass
from typing import Any

import msgspec
import pytest

from headrace.plan.schema import schema_of, unreadable
from headrace.serde.structured import json


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
        (made(("o", list[Inner])), made(("o", list[WithFloat])), "o is of another type"),
    ],
)
def test_a_type_reads_what_another_one_has_written_or_says_why_not(
    old: type, new: type, reason: str | None
) -> None:
    before, after = (msgspec.json.schema(each) for each in (old, new))
    assert unreadable(before, after) == reason


def test_a_type_that_holds_itself_is_compared() -> None:
    before, after = msgspec.json.schema(Tree), msgspec.json.schema(Tree)
    assert unreadable(before, after) is None


class Tree(msgspec.Struct):
    children: list["Tree"] = []


def test_plain_serdes_have_no_schema() -> None:
    assert schema_of(json(int)) is None  # type: ignore[arg-type]  # it is one of the built-in ones
    assert schema_of(json(Inner)) is not None  # type: ignore[arg-type]
