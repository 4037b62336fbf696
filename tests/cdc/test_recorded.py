"""What Debezium has written of every type becomes the values that the fields say."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pydantic
import pytest

import headrace as hr
from headrace.cdc import RowChange
from tests.cdc.kinds import KINDS_KEY, Document, Feeling, Kind, Large
from tests.cdc.record import recorded

ONE = Kind(
    id=1,
    name="one",
    data=b"\x00\xff",
    n=Decimal("1.50"),
    price=Decimal("-12.30"),
    flag=True,
    small=7,
    f8=2.5,
    day=date(2026, 11, 30),
    at=time(10, 11, 12, 131415),
    at3=time(10, 11, 12, 131000),
    atz=time(8, 11, 12, 131415, UTC),
    ts=datetime(2026, 11, 30, 10, 11, 12, 131415),
    ts3=datetime(2026, 11, 30, 10, 11, 12, 131000),
    tsz=datetime(2026, 11, 30, 8, 11, 12, 131415, UTC),
    span=timedelta(days=1, hours=2),
    uid=UUID("c0ffee00-0000-4000-8000-000000000001"),
    doc=Document(1),
    feeling=Feeling.HAPPY,
    tags=["a", "b"],
    amounts=[Decimal("1.5"), Decimal("-2")],
    money=Decimal("12.30"),
)


def changes_of(variant: str, table: str, type_: type[Any], **options: Any) -> list[RowChange[Any] | None]:
    serde: Any = hr.cdc.debezium(type_, **options)
    return [
        None if event.value is None else serde.deserialize(event.topic, event.value, event.headers)
        for event in recorded(variant)
        if event.topic == f"shop.public.{table}"
    ]


@dataclass
class Name:
    name: str


@pytest.mark.parametrize("variant", ["plain", "schemas"])
def test_row_of_every_type_is_as_its_fields_say(variant: str) -> None:
    serde: Any = hr.cdc.debezium(Kind)
    event = recorded(variant)[0]
    change = serde.deserialize(event.topic, event.value)
    assert (change.operation, change.row()) == ("read", ONE)
    assert str(change.row().n) == "1.5"  # the scale of NUMERIC without one is that of its digits


def test_decimals_as_text_are_numbers_with_their_digits() -> None:
    @dataclass
    class Prices:
        n: Decimal
        price: Decimal
        amounts: list[Decimal]

    event = recorded("whole-rows")[0]
    assert event.value is not None
    change = hr.cdc.debezium(Prices, decimals="string").deserialize("t", event.value)
    assert str(change.row()) == str(
        Prices(Decimal("1.50"), Decimal("-12.30"), [Decimal("1.5"), Decimal("-2")])
    )


def test_schema_says_units_and_scales_where_annotations_do_not() -> None:
    @dataclass
    class Plain:
        price: Decimal
        money: Decimal
        at3: time
        ts3: datetime

    event = recorded("schemas")[0]
    assert event.value is not None
    change = hr.cdc.debezium(Plain).deserialize("t", event.value)
    assert (ONE.price, ONE.money, ONE.at3, ONE.ts3) == (
        change.row().price,
        change.row().money,
        change.row().at3,
        change.row().ts3,
    )


def test_operations_come_in_the_order_of_the_database() -> None:
    found = changes_of("plain", "kinds", Name)
    assert [each and each.operation for each in found] == [
        *["read"] * 3, "insert", "update", "delete", None, "truncate", "insert",
    ]  # fmt: skip
    (updated,) = (each for each in found if each is not None and each.operation == "update")
    assert (updated.row(), updated.source["table"], updated.timestamp > 1_700_000_000_000) == (
        Name("uno"),
        "kinds",
        True,
    )


def test_old_row_of_a_deletion_is_as_it_was_invented() -> None:
    (deleted,) = (each for each in changes_of("plain", "kinds", Name) if each and each.operation == "delete")
    assert deleted.before is not None
    assert (deleted.before["name"], deleted.values) == ("", {})
    with pytest.raises(ValueError, match="no row after a change of the kind 'delete'"):
        deleted.row()


def test_date_of_infinity_is_refused_with_what_to_do() -> None:
    @dataclass
    class Day:
        day: date | None

    @dataclass
    class Stamp:
        tsz: datetime | None

    serde, stamps = hr.cdc.debezium(Day), hr.cdc.debezium(Stamp)
    snapshot, streamed = recorded("plain")[2].value, recorded("plain")[3].value
    assert snapshot is not None
    assert streamed is not None
    with pytest.raises(
        hr.SerializationError, match=r"column 'day': -622191234 is beyond .*declare the field as int"
    ):
        serde.deserialize("t", snapshot)
    with pytest.raises(hr.SerializationError, match=r"column 'day': -2147472692 is beyond"):
        serde.deserialize("t", streamed)
    with pytest.raises(
        hr.SerializationError, match=r"'tsz': -infinity is no date .*declare the field as str"
    ):
        stamps.deserialize("t", snapshot)


def test_decimal_without_a_scale_is_not_guessed() -> None:
    @dataclass
    class Price:
        price: Decimal

    event = recorded("plain")[0]
    assert event.value is not None
    with pytest.raises(
        hr.SerializationError, match=r"column 'price': '\+zI=' may be the bytes of a decimal number"
    ):
        hr.cdc.debezium(Price).deserialize("t", event.value)


def test_large_values_that_have_not_changed_are_marked_whatever_their_type() -> None:
    inserted, updated, _, _, moved = changes_of("plain", "large", Large)
    assert inserted is not None
    assert updated is not None
    assert moved is not None
    row = inserted.row()
    assert (inserted.unchanged, len(row.t), len(row.ua), row.h["k"][:2]) == (frozenset(), 2100, 550, "xx")
    large = frozenset({"t", "b", "j", "ta", "ia", "ba", "ua", "h", "xm", "ja", "da"})
    assert (updated.unchanged, moved.unchanged) == (large, large)
    after = updated.row(row)
    assert (after.c, after.t, after.da) == (2, row.t, row.da)
    with pytest.raises(ValueError, match=r"'b', 'ba', .* not known; let the database log whole rows"):
        updated.row()
    with pytest.raises(ValueError, match=r"not known \(the key of the row has changed\); let"):
        moved.row()


def test_null_of_a_large_array_of_numbers_is_not_believed() -> None:
    @dataclass
    class Floats:
        id: int
        fa: list[float] | None

    inserted, updated, _, _, moved = changes_of("plain", "large", Floats)
    assert inserted is not None
    assert updated is not None
    assert moved is not None
    with pytest.raises(ValueError, match="null in 'fa' is what Debezium writes for a large array"):
        updated.row(inserted.row())
    with pytest.raises(ValueError, match="null in 'fa'"):
        moved.row()
    assert updated.row(Floats(1, None)) == Floats(1, None)  # it was null, and is
    whole = changes_of("whole-rows", "large", Floats)
    assert [each.row().fa[:1] for each in whole if each is not None and not each.is_deletion] == [[1.5]] * 3


def test_other_classes_are_rows_too() -> None:
    class Struct(msgspec.Struct, rename={"title": "name"}):
        id: int
        title: str

    class Model(pydantic.BaseModel):
        id: int
        title: str = pydantic.Field(alias="name")
        amounts: Annotated[list[Decimal], "as they are"]

    value = recorded("plain")[0].value
    assert value is not None
    assert hr.cdc.debezium(Struct).deserialize("t", value).row() == Struct(1, "one")
    made = hr.cdc.debezium(Model).deserialize("t", value).row()
    assert (made.id, made.title, made.amounts) == (1, "one", [Decimal("1.5"), Decimal("-2")])


def test_keys_are_read_with_and_without_schema_and_written_without() -> None:
    plain, schemas = recorded("plain")[0].key, recorded("schemas")[0].key
    assert plain is not None
    assert schemas is not None
    assert (KINDS_KEY.deserialize("t", plain), KINDS_KEY.deserialize("t", schemas)) == (1, 1)
    assert KINDS_KEY.serialize("t", 1) == plain


def test_key_of_several_columns_is_a_class() -> None:
    @dataclass(frozen=True)
    class Place:
        country: str
        number: int

    topic = hr.cdc.table("t", Kind, key=Place)
    assert topic.key.deserialize("t", b'{"country":"CH","number":5}') == Place("CH", 5)
    assert topic.key.serialize("t", Place("CH", 5)) == b'{"country":"CH","number":5}'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "Input data was truncated"),
        (b'{"id":1,"name":"x"}', "missing required field `op`"),
        (b'{"op":"m","after":null}', "op 'm' is no change of a row"),
        (b'{"op":"c","after":null}', "has no row in 'after'"),
        (b'{"op":"c","after":[1]}', "Expected `object | null`"),
        (b'{"schema":{"type":"struct"},"payload":{"op":"c","after":{"name":"x"}}}', "'fields'"),
    ],
)
def test_hostile_bytes_are_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(hr.SerializationError, match="cannot deserialize from topic 't'") as told:
        hr.cdc.debezium(Name).deserialize("t", data)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"7", "an object with the columns"),
        (b'{"no":1}', "the columns 'no', not 'id' alone"),
        (b'{"id":"x"}', "Expected `int`"),
    ],
)
def test_hostile_keys_are_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(hr.SerializationError) as told:
        KINDS_KEY.deserialize("t", data)
    assert words in str(told.value)


def test_nothing_is_written_by_the_serde_of_changes() -> None:
    with pytest.raises(hr.SerializationError, match="reads changes and writes none"):
        hr.cdc.debezium(Name).serialize("t", RowChange("delete", {}))


def test_what_is_no_class_of_rows_is_refused() -> None:
    with pytest.raises(TypeError, match="is no type of rows"):
        hr.cdc.debezium(int)
