"""What Debezium has written of every type becomes the values that the fields say."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pydantic
import pytest

import headrace as hr
from headrace.base.errors import SchemaRegistryError
from headrace.cdc import RowChange, Scale
from headrace.serde.registry.mock import mock_registry
from tests.cdc.kinds import KINDS_KEY, Document, Feeling, Kind, Large
from tests.cdc.record import recorded, register_recorded

REGISTRY = {"schema.registry.url": ("mock://recorded",)}

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


@pytest.fixture(scope="module", autouse=True)
def registry() -> None:
    register_recorded(mock_registry("recorded"))


def serde_for(variant: str, type_: type[Any], **options: Any) -> Any:
    serde = hr.cdc.debezium(type_, format="avro" if variant == "avro" else "json", **options)
    serde.configure(REGISTRY)
    return serde


def changes_of(variant: str, table: str, type_: type[Any], **options: Any) -> list[RowChange[Any] | None]:
    serde = serde_for(variant, type_, **options)
    return [
        None if event.value is None else serde.deserialize(event.topic, event.value, event.headers)
        for event in recorded(variant)
        if event.topic == f"shop.public.{table}"
    ]


@dataclass
class Name:
    name: str


@pytest.mark.parametrize("variant", ["plain", "schemas", "avro"])
def test_row_of_every_type_is_as_its_fields_say(variant: str) -> None:
    event = recorded(variant)[0]
    change = serde_for(variant, Kind).deserialize(event.topic, event.value)
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


@pytest.mark.parametrize("variant", ["schemas", "avro"])
def test_schema_says_units_and_scales_where_annotations_do_not(variant: str) -> None:
    @dataclass
    class Plain:
        price: Decimal
        money: Decimal
        at3: time
        ts3: datetime

    event = recorded(variant)[0]
    change = serde_for(variant, Plain).deserialize("t", event.value)
    assert (ONE.price, ONE.money, ONE.at3, ONE.ts3) == (
        change.row().price,
        change.row().money,
        change.row().at3,
        change.row().ts3,
    )


@pytest.mark.parametrize("variant", ["plain", "avro"])
def test_operations_come_in_the_order_of_the_database(variant: str) -> None:
    found = changes_of(variant, "kinds", Name)
    assert [each and each.operation for each in found] == [
        *["read"] * 3, "insert", "update", "delete", None, "truncate", "insert",
    ]  # fmt: skip
    (updated,) = (each for each in found if each is not None and each.operation == "update")
    assert (updated.row(), updated.source["table"], updated.timestamp > 1_700_000_000_000) == (
        Name("uno"),
        "kinds",
        True,
    )


@pytest.mark.parametrize("variant", ["plain", "avro"])
def test_old_row_of_a_deletion_is_as_it_was_invented(variant: str) -> None:
    (deleted,) = (each for each in changes_of(variant, "kinds", Name) if each and each.operation == "delete")
    assert deleted.before is not None
    assert (deleted.before["name"], deleted.values) == ("", {})
    with pytest.raises(ValueError, match="no row after a change of the kind 'delete'"):
        deleted.row()


@pytest.mark.parametrize("variant", ["plain", "avro"])
def test_date_of_infinity_is_refused_with_what_to_do(variant: str) -> None:
    @dataclass
    class Day:
        day: date | None

    @dataclass
    class Stamp:
        tsz: datetime | None

    serde, stamps = serde_for(variant, Day), serde_for(variant, Stamp)
    snapshot, streamed = recorded(variant)[2].value, recorded(variant)[3].value
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


@pytest.mark.parametrize("variant", ["plain", "avro"])
def test_large_values_that_have_not_changed_are_marked_whatever_their_type(variant: str) -> None:
    inserted, updated, _, _, moved = changes_of(variant, "large", Large)
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


@pytest.mark.parametrize("variant", ["plain", "avro"])
def test_null_of_a_large_array_of_numbers_is_not_believed(variant: str) -> None:
    @dataclass
    class Floats:
        id: int
        fa: list[float] | None

    inserted, updated, _, _, moved = changes_of(variant, "large", Floats)
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


def test_key_in_avro_has_the_bytes_of_the_connector_on_any_topic() -> None:
    key = hr.cdc.key("id", int, avro_of="shop.public.kinds")
    key.configure(REGISTRY)
    written = recorded("avro")[0].key
    assert written is not None
    assert key.deserialize("shop.public.kinds", written) == 1
    assert key.deserializer("shop.public.kinds")(written) == 1
    assert key.serialize("shop-repartition", 1) == written
    assert key.deserialize("shop-repartition", written[5:], [("__key_schema_id", written[:5])]) == 1


def test_table_in_avro_has_its_class_of_keys_in_avro() -> None:
    @dataclass(frozen=True)
    class Id:
        id: int

    topic = hr.cdc.table("shop.public.kinds", Name, key=Id, format="avro")
    topic.key.configure(REGISTRY)
    topic.value.configure(REGISTRY)
    event = recorded("avro")[0]
    assert event.key is not None
    assert event.value is not None
    assert topic.key.deserialize(topic.name, event.key) == Id(1)
    assert topic.key.serialize(topic.name, Id(1)) == event.key
    change: Any = topic.value.deserialize(topic.name, event.value)
    assert change.row() == Name("one")


def test_key_that_the_schema_of_the_connector_does_not_take_is_refused() -> None:
    key = hr.cdc.key("id", str, avro_of="shop.public.kinds")
    key.configure(REGISTRY)
    with pytest.raises(hr.SerializationError, match=r"cannot serialize .*registry.key\('id', str\)"):
        key.serialize("t", "x")
    unknown = hr.cdc.key("id", int, avro_of="shop.public.none")
    unknown.configure(REGISTRY)
    with pytest.raises(SchemaRegistryError, match=r"subject 'shop\.public\.none-key', which has none"):
        unknown.serialize("t", 1)


def test_schema_without_names_of_connect_has_its_logical_types() -> None:
    @dataclass
    class Row:
        price: Decimal
        ts: datetime
        day: date
        at: time
        many: list[Decimal]

    columns = {
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        "ts": {"type": "long", "logicalType": "timestamp-millis"},
        "day": {"type": "int", "logicalType": "date"},
        "at": {"type": "int", "logicalType": "time-millis"},
        "many": {"type": "array", "items": {"type": "bytes", "logicalType": "decimal", "precision": 9}},
    }
    value = {
        "type": "record",
        "name": "Value",
        "fields": [{"name": name, "type": each} for name, each in columns.items()],
    }
    envelope = {
        "type": "record",
        "name": "Envelope",
        "fields": [{"name": "after", "type": ["null", value]}, {"name": "op", "type": "string"}],
    }
    serde = hr.registry.avro(schema=json.dumps(envelope))
    serde.configure({"schema.registry.url": ("mock://nameless",)})
    written = {
        "price": Decimal("-1.25"),
        "ts": datetime(2026, 1, 2, 3, 4, 5, 6000, UTC),
        "day": date(2026, 1, 2),
        "at": time(1, 2, 3),
        "many": [Decimal(5)],
    }
    data = serde.serialize("t", {"after": written, "op": "c"})
    reading = hr.cdc.debezium(Row, format="avro")
    reading.configure({"schema.registry.url": ("mock://nameless",)})
    assert reading.deserialize("t", data).row() == Row(
        Decimal("-1.25"), datetime(2026, 1, 2, 3, 4, 5, 6000), date(2026, 1, 2), time(1, 2, 3), [Decimal(5)]
    )


def test_text_of_a_decimal_with_a_schema_has_its_own_digits() -> None:
    @dataclass
    class Price:
        price: Annotated[Decimal, Scale(2)]

    schema = b'{"type":"struct","fields":[{"field":"after","fields":[{"type":"string","field":"price"}]}]}'
    data = b'{"schema":' + schema + b',"payload":{"op":"c","after":{"price":"12.3"}}}'
    assert str(hr.cdc.debezium(Price).deserialize("t", data).row().price) == "12.3"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "there are no bytes, where the id of a schema begins them"),
        (b'{"op":"c"}', "found 123: the value was written without a registry"),
        (b"\0\0\0\0\x02", "cannot deserialize 5 bytes of topic 't'"),
        (b"\0\0\0\0\x01\x02", "missing required field `op`"),
        (b"\0\0\0\1\0\2", "the registry has no schema 256"),
    ],
)
def test_hostile_avro_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(hr.SerializationError, match="cannot deserialize") as told:
        serde_for("avro", Name).deserialize("t", data)
    assert words in str(told.value)


def test_registry_that_nobody_has_named_is_no_fault_of_the_record() -> None:
    with pytest.raises(hr.ConfigError, match="knows no registry yet"):
        hr.cdc.debezium(Name, format="avro").deserialize("t", b"\0\0\0\0\1")


def test_key_may_have_a_column_called_schema() -> None:
    assert hr.cdc.key("schema", str).deserialize("t", b'{"schema":"public"}') == "public"


def test_format_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="format='xml': 'json' or 'avro' is wanted"):
        hr.cdc.debezium(Name, format="xml")  # type: ignore[arg-type]  # the mistake


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
        (b"7", "Expected `object`, got `int`"),
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
