"""From records to rows: which columns they have, and what makes none."""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import JSON, BigInteger, Column, MetaData, String, Table

from headrace.sql.rows import Change, ReadRecord, Row, RowMaking

TABLE = Table(
    "orders",
    MetaData(),
    Column("shop", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("state", String),
    Column("items", JSON),
)


class State(Enum):
    OPEN = "open"


class Item(msgspec.Struct):
    name: str
    count: int = 1


class Order(msgspec.Struct):
    state: State
    items: list[Item] | None = None


class Key(NamedTuple):
    shop: str
    id: int


def change(
    key: object,
    value: object,
    *,
    by: tuple[str, ...] = ("shop", "id"),
    row: Callable[[Any], Any] | None = None,
    key_row: Callable[[Any], Row] | None = None,
) -> Change | None:
    making: RowMaking[Any, Any] = RowMaking(TABLE, by, row, key_row)
    return making.change(ReadRecord(key, value, 5, (), "orders", 0, 7), 3, b"k")


def test_fields_of_key_and_value_are_columns_and_structures_are_json() -> None:
    assert change(Key("eu", 1), Order(State.OPEN, [Item("tea", 2)])) == Change(
        3, b"k", False, {"state": "open", "items": [{"name": "tea", "count": 2}], "shop": "eu", "id": 1}
    )


def test_null_is_sqls_own_in_a_column_of_json_too() -> None:
    made = change(Key("eu", 1), Order(State.OPEN))
    assert made is not None
    assert made.row["items"] is None


def test_tombstone_is_a_deletion_by_the_key() -> None:
    assert change({"shop": "eu", "id": 1}, None) == Change(3, b"k", True, {"shop": "eu", "id": 1})


def test_value_may_say_the_key_again() -> None:
    value = {"shop": "eu", "id": 1, "state": "open"}
    assert change(Key("eu", 1), value) == Change(3, b"k", False, value)


def test_function_may_leave_a_record_out() -> None:
    assert change(Key("eu", 1), Order(State.OPEN), row=lambda record: None) is None
    assert change(None, None, by=(), row=lambda record: None) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"key": None, "value": Order(State.OPEN)}, "a record without a key is no row of 'orders'"),
        ({"key": "eu", "value": Order(State.OPEN)}, "the key is a str, which has no fields: say with key="),
        (
            {"key": {"shop": "eu"}, "value": None},
            "the key has 'shop', but rows of 'orders' are known by 'shop', 'id'",
        ),
        ({"key": Key("eu", 1), "value": 5}, "the value is an int, which has no fields: say with row="),
        (
            {"key": Key("eu", 1), "value": {"id": 2}},
            "the column 'id' of 'orders' is 1 by the record's key, and 2 by",
        ),
        ({"key": Key("eu", 1), "value": {"colour": "red"}}, "'orders' has no column 'colour': say with row="),
        ({"key": "x", "value": None, "by": ()}, "a tombstone is no row that could be appended"),
    ],
)
def test_what_makes_no_row_is_refused_with_the_reason(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        change(arguments.pop("key"), arguments.pop("value"), **arguments)


def test_function_that_returns_no_row_is_told() -> None:
    with pytest.raises(TypeError, match="row= returned a list: a mapping of columns"):
        change(Key("eu", 1), Order(State.OPEN), row=lambda record: [1])
