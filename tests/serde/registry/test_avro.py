"""Avro: what is refused, how schemas evolve, and fastavro's word on what is written."""

import datetime as dt
import decimal
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID

import fastavro
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.base.errors import SerializationError
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.schema import Reference, Schema
from headrace.serde.serde import Serde

Configured = Callable[..., Serde[Any]]
FIVE = UUID(int=5)
Money = Annotated[decimal.Decimal, hr.registry.Decimal(6, 2)]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Paid:
    amount: Money


@dataclass(frozen=True)
class Refunded:
    amount: Money


@dataclass
class Node:
    """A list of nodes."""

    value: int
    next: "Node | None" = None


class Struct(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(description="What it is called.")]
    tags: tuple[str, ...] = ()


class Model(pydantic.BaseModel):
    name: str = pydantic.Field(description="What it is called.")
    at: dt.datetime
    size: int = pydantic.Field(3, alias="theSize")


def schema_of(serde: Serde[Any]) -> Any:
    found = serde.format.schema  # type: ignore[attr-defined]  # of a RegistrySerde
    return msgspec.json.decode(found.text)


def bytes_of(configured: Configured, annotation: Any, value: Any, **options: Any) -> bytes:
    data: bytes = configured(hr.registry.avro(annotation, **options)).serialize("t", value)
    return data[5:]


# ── schemas of types ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_schema_has_names_docs_and_defaults() -> None:
    assert schema_of(hr.registry.avro(Node, namespace="shop")) == {
        "type": "record",
        "name": "Node",
        "namespace": "shop",
        "doc": "A list of nodes.",
        "fields": [
            {"name": "value", "type": "long"},
            {"name": "next", "type": ["null", "shop.Node"], "default": None},
        ],
    }
    assert schema_of(hr.registry.avro(Struct)) == {
        "type": "record",
        "name": "Struct",
        "fields": [
            {"name": "name", "type": "string", "doc": "What it is called."},
            {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        ],
    }


def test_defaults_of_all_types_are_those_of_the_fields(
    configured: Configured, registry: MockRegistry
) -> None:
    @dataclass
    class Old:
        id: int

    @dataclass
    class New:
        id: int
        price: Money = decimal.Decimal("-1.5")
        day: dt.date = dt.date(1970, 1, 3)
        at: dt.datetime = dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
        time: dt.time = dt.time(0, 0, 2)
        key: UUID = FIVE
        raw: bytes = b"\x00\xff"
        colour: Colour = Colour.BLUE
        either: int | str = "text"
        items: list[int] = field(default_factory=lambda: [1, 2])
        paid: Paid = Paid(decimal.Decimal("2.00"))

    Old.__name__ = "New"
    data = configured(hr.registry.avro(Old)).serialize("t", Old(1))
    new = configured(hr.registry.avro(New))
    assert new.deserialize("t", data) == New(1)
    first, second = new.deserialize("t", data), new.deserialize("t", data)
    first.items.append(9)
    assert second.items == [1, 2]
    assert new.deserialize("t", new.serialize("t", New(7))) == New(7)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (decimal.Decimal, "digits must be said"),
        (dt.timedelta, "no durations"),
        (list, "does not say what it holds"),
        (tuple[int, str], "no tuples of several types"),
        (dict[int, str], "keys of a map of Avro are text"),
        (object, "no type of Avro"),
        (list[int] | tuple[str, ...], "could not be told apart"),
        (Colour | str, "enum Colour and string, which cannot be told apart when read"),
        (Annotated[UUID, hr.registry.As("fixed")] | bytes, "cannot be told apart when read"),
        (Annotated[str, hr.registry.As("int")], "it has one type of Avro only"),
    ],
)
def test_types_without_a_schema_are_refused_when_they_are_named(annotation: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        hr.registry.avro(annotation)


def test_a_given_schema_that_does_not_fit_its_type_is_refused_when_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "node.avsc"
    path.write_text('{"type":"record","name":"Node","fields":[{"name":"value","type":"string"}]}')
    with pytest.raises(TypeError, match="Node has a field 'next', which record Node of the schema has not"):
        hr.registry.avro(Node, schema=path)
    with pytest.raises(
        TypeError, match=r"\$: the schema has long \(timestamp-millis\), which is datetime and not int"
    ):
        hr.registry.avro(int, schema='{"type":"long","logicalType":"timestamp-millis"}')
    with pytest.raises(TypeError, match="names 'Missing', which it does not define"):
        hr.registry.avro(schema='{"type":"array","items":"Missing"}')


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, 1.0, "expected an int, found a float"),
        (int, True, "expected an int, found a bool"),
        (int, 2**63, "64 bits do not hold"),
        (Annotated[int, hr.registry.As("int")], 2**31, "32 bits do not hold"),
        (int, "1", "expected an int, found a str"),
        (float, "1", "expected a float"),
        (float, 2**53 + 1, "expected a float, found an int"),
        (Annotated[float, hr.registry.As("float")], 1e300, "32 bits do not hold"),
        (str, 1, "expected a str"),
        (str, b"x", "expected a str"),
        (bytes, "x", "expected bytes"),
        (bool, 1, "expected a bool"),
        (dt.date, dt.datetime(2026, 1, 1), "expected a date .*, found a datetime"),
        (dt.datetime, dt.date(2026, 1, 1), "expected a datetime"),
        (dt.datetime, dt.datetime(2026, 1, 1), "without a zone"),
        (dt.time, dt.time(1, tzinfo=dt.UTC), "a time with a zone"),
        (
            Annotated[dt.datetime, hr.registry.As("timestamp-millis")],
            dt.datetime(2026, 1, 1, 0, 0, 0, 1, dt.UTC),
            "no whole number of milliseconds",
        ),
        (
            Annotated[dt.datetime, hr.registry.As("local-timestamp-micros")],
            dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            "where a local one is wanted",
        ),
        (Money, decimal.Decimal("1.005"), "more than 2 digits behind the point"),
        (Money, decimal.Decimal(10000), "more than 6 digits"),
        (Money, decimal.Decimal("NaN"), "no number"),
        (Money, 1.5, "expected a Decimal, found a float"),
        (UUID, str(UUID(int=1)), "expected a UUID"),
        (Colour, "red", "none of red, blue"),
        (list[int], {1}, "expected a list"),
        (list[int], [1, None], r"expected an int, found None - at `\$\[\]`"),
        (dict[str, int], {1: 1}, "expected a str"),
        (Paid, Refunded(decimal.Decimal(1)), "expected Paid, found a Refunded"),
        (Node, Node(None), r"expected an int, found None - at `\$\.value`"),  # type: ignore[arg-type]
        (int | None, 1.5, "none of a union"),
        (int | str, b"x", "none of a union"),
    ],
)
def test_what_would_come_back_otherwise_is_refused(
    configured: Configured, annotation: Any, value: Any, message: str
) -> None:
    with pytest.raises(SerializationError, match=message):
        configured(hr.registry.avro(annotation)).serialize("t", value)


@pytest.mark.parametrize(
    ("annotation", "value", "data"),
    [
        (int | float, 3, "0006"),
        (int | float, 3.0, "020000000000000840"),
        (float | None, 3, "020000000000000840"),
        (dt.date | dt.datetime, dt.date(1970, 1, 2), "0002"),
        (dt.date | dt.datetime, dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC), "0280897a"),
        (bool | int, True, "0001"),
        (bool | int, 1, "0202"),
        (int | UUID | None, None, "00"),
        (Paid | Refunded, Refunded(decimal.Decimal("1.5")), "02040096"),
        (Colour | None, Colour.BLUE, "0202"),
        (dict[str, int] | Paid, {"a": 1}, "000202610200"),
        (dict[str, int] | Paid, Paid(decimal.Decimal("1.5")), "02040096"),
        (Colour | int | dict[str, int], {"a": 1}, "040202610200"),
    ],
)
def test_the_branch_of_a_union_is_that_of_the_values_class(
    configured: Configured, annotation: Any, value: Any, data: str
) -> None:
    serde = configured(hr.registry.avro(annotation))
    written = serde.serialize("t", value)
    assert written[5:].hex() == data
    assert serde.deserialize("t", written) == value
    assert type(serde.deserialize("t", written)) is (
        float if value == 3 and annotation == float | None else type(value)
    )


def test_records_of_a_union_without_classes_are_told_by_their_fields(configured: Configured) -> None:
    schema = (
        '[{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]},'
        '{"type":"record","name":"B","fields":[{"name":"y","type":"int","default":0}]},'
        '{"type":"record","name":"C","fields":[{"name":"x","type":"int"}]}]'
    )
    serde = configured(hr.registry.avro(schema=schema))
    assert serde.serialize("t", {"y": 1})[5:] == b"\x02\x02"
    with pytest.raises(SerializationError, match=r'fits several .* say which with "-type"'):
        serde.serialize("t", {"x": 1})
    data = serde.serialize("t", {"-type": "C", "x": 1})
    assert data[5:] == b"\x04\x02"
    assert serde.deserialize("t", data) == {"-type": "C", "x": 1}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "'id' is missing"),
        ({"id": 1, "other": 2}, "no field 'other'"),
        ({"id": 1.0}, "expected an int"),
        ([], "as a dictionary, found a list"),
    ],
)
def test_dictionaries_have_the_fields_of_their_schema(
    configured: Configured, value: Any, message: str
) -> None:
    schema = (
        '{"type":"record","name":"R","fields":[{"name":"id","type":"long"},'
        '{"name":"note","type":["null","string"],"default":null}]}'
    )
    serde = configured(hr.registry.avro(schema=schema))
    assert serde.deserialize("t", serde.serialize("t", {"id": 1})) == {"id": 1, "note": None}
    with pytest.raises(SerializationError, match=message):
        serde.serialize("t", value)


def test_models_are_made_by_their_aliases(configured: Configured) -> None:
    serde = configured(hr.registry.avro(Model))
    model = Model(name="n", at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), theSize=4)
    assert serde.deserialize("t", serde.serialize("t", model)) == model
    assert [each["name"] for each in schema_of(serde)["fields"]] == ["name", "at", "size"]


def test_literals_are_text(configured: Configured) -> None:
    assert bytes_of(configured, Literal["a", "b"], "a") == b"\x02a"


def test_a_record_may_hold_itself(configured: Configured) -> None:
    serde = configured(hr.registry.avro(Node))
    assert serde.deserialize("t", serde.serialize("t", Node(1, Node(2)))) == Node(1, Node(2))


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_older_and_newer_writers_wrote_is_read(configured: Configured, registry: MockRegistry) -> None:
    @dataclass
    class Order:
        id: int
        price: float
        note: str | None = None

    older = '{"type":"record","name":"Order","fields":[{"name":"price","type":"float"},{"name":"id","type":"int"}]}'
    newer = (
        '{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"tax","type":"double"},'
        '{"name":"price","type":"double"},{"name":"note","type":"string"}]}'
    )
    registry.register("t-value", Schema("AVRO", older))
    registry.register("t-value", Schema("AVRO", newer))
    serde = configured(hr.registry.avro(Order))
    assert serde.deserialize("t", b"\x00\x00\x00\x00\x01\x00\x00\x20\x41\x02") == Order(1, 10.0)
    data = b"\x00\x00\x00\x00\x02\x04" + bytes(8) + bytes(8) + b"\x02n"
    assert serde.deserialize("t", data) == Order(2, 0.0, "n")


@pytest.mark.parametrize(
    ("written", "read", "value"),
    [
        (Refunded, Paid | Refunded, Refunded(decimal.Decimal(1))),
        (Paid | None, Paid | Refunded, Paid(decimal.Decimal(1))),
        (Paid | Refunded, Paid, Paid(decimal.Decimal(1))),
        (Paid | Refunded, Refunded | None, Refunded(decimal.Decimal(1))),
        (list[Refunded], list[Paid | Refunded], [Refunded(decimal.Decimal(1))]),
        (dict[str, Money], dict[str, Money] | Paid, {"amount": decimal.Decimal(1)}),
        (Node, Struct | Node, Node(1, Node(2))),
        (int, int | str, 1),
        (int | str, int, 1),
    ],
)
def test_a_type_may_become_a_union_and_a_union_a_type(
    configured: Configured, written: Any, read: Any, value: Any
) -> None:
    data = configured(hr.registry.avro(written)).serialize("t", value)
    found = configured(hr.registry.avro(read)).deserialize("t", data)
    assert (found, type(found)) == (value, type(value))


def test_a_default_in_a_union_of_records_is_of_the_first(configured: Configured) -> None:
    @dataclass
    class Old:
        id: int

    @dataclass
    class New:
        id: int
        how: Paid | Refunded = Refunded(decimal.Decimal("2.50"))

    Old.__name__ = "New"
    data = configured(hr.registry.avro(Old)).serialize("t", Old(1))
    assert configured(hr.registry.avro(New)).deserialize("t", data) == New(1)


def test_several_types_of_one_topic_are_read_as_a_union(
    configured: Configured, registry: MockRegistry
) -> None:
    paid = configured(hr.registry.avro(Paid, subject="TopicRecordNameStrategy"))
    refunded = configured(hr.registry.avro(Refunded, subject="TopicRecordNameStrategy"))
    both = configured(hr.registry.avro(Paid | Refunded))
    values = [Paid(decimal.Decimal(1)), Refunded(decimal.Decimal(2))]
    assert [
        both.deserialize("t", serde.serialize("t", value)) for serde, value in zip([paid, refunded], values)
    ] == values
    assert list(registry.subjects) == ["t-Paid", "t-Refunded"]


def test_a_schema_that_cannot_be_read_as_ours_is_told(configured: Configured, registry: MockRegistry) -> None:
    registry.register("t-value", Schema("AVRO", '"string"'))
    with pytest.raises(SerializationError, match="cannot deserialize 7 bytes"):
        configured(hr.registry.avro(int)).deserialize("t", b"\x00\x00\x00\x00\x01\x02x")


def test_schemas_may_refer_to_others(configured: Configured, registry: MockRegistry) -> None:
    money = '{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}'
    registry.register("money", Schema("AVRO", money))
    order = (
        '{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"price","type":"Money"},'
        '{"name":"tax","type":"shop.Money"}]}'
    )
    serde = configured(hr.registry.avro(schema=order, references=[Reference("shop.Money", "money", 1)]))
    data = serde.serialize("t", {"price": {"cents": 5}, "tax": {"cents": 1}})
    assert data[5:] == b"\x0a\x02"
    assert serde.deserialize("t", data) == {"price": {"cents": 5}, "tax": {"cents": 1}}
    assert registry.subjects["t-value"][0].references == (Reference("shop.Money", "money", 1),)


def test_without_a_type_values_are_what_was_written(configured: Configured, registry: MockRegistry) -> None:
    registry.register("t-value", Schema("AVRO", '{"type":"array","items":"long"}'))
    serde: Any = configured(hr.registry.avro(use_latest=True))
    data = serde.serialize("t", [1, 2])
    assert serde.deserialize("t", data) == [1, 2]


def test_bytes_that_are_cut_or_too_long_are_refused(configured: Configured) -> None:
    @dataclass
    class Part:
        text: str
        raw: bytes
        number: float
        price: Money
        items: list[int]

    serde = configured(hr.registry.avro(Part))
    data = serde.serialize("t", Part("text", b"raw", 1.5, decimal.Decimal("1.5"), [300, 2]))
    for end in range(len(data)):
        with pytest.raises(SerializationError):
            serde.deserialize("t", data[:end])
    with pytest.raises(SerializationError, match="1 bytes stand behind the value"):
        serde.deserialize("t", data + b"\x00")


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_keys_have_equal_bytes(configured: Configured) -> None:
    @dataclass(frozen=True)
    class Key:
        parts: frozenset[str]
        number: float
        price: Money

    serde = configured(hr.registry.avro(Key)).for_keys()
    one = Key(frozenset(["b", "a", "c"]), 0.0, decimal.Decimal("1.5"))
    other = Key(frozenset(["c", "a", "b"]), -0.0, decimal.Decimal("1.50"))
    assert serde.serialize("t", one) == serde.serialize("t", other)
    names = configured(hr.registry.avro(dict[str, int])).for_keys()
    assert names.serialize("t", {"b": 1, "a": 2}) == names.serialize("t", {"a": 2, "b": 1})


def test_keys_of_several_kinds_of_number_are_refused() -> None:
    with pytest.raises(TypeError, match="several kinds of number"):
        hr.registry.avro(int | float).for_keys()


# ── beside fastavro ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Wide:
    whole: int
    small: Annotated[int, hr.registry.As("int")]
    number: float
    text: str
    raw: bytes
    flag: bool
    day: dt.date
    time: dt.time
    at: dt.datetime
    millis: Annotated[dt.datetime, hr.registry.As("timestamp-millis")]
    local: Annotated[dt.datetime, hr.registry.As("local-timestamp-micros")]
    key: UUID
    price: Money
    colour: Colour
    list_: list[int]
    map_: dict[str, float]
    either: int | str | None


def _millis(value: dt.datetime) -> dt.datetime:
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


TIMES = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))
WIDES = st.builds(
    Wide,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(max_size=200),
    st.booleans(),
    st.dates(),
    st.times(),
    TIMES.map(lambda value: value.replace(tzinfo=dt.UTC)),
    TIMES.map(lambda value: _millis(value.replace(tzinfo=dt.UTC))),
    TIMES,
    st.uuids(),
    st.decimals(decimal.Decimal("-9999.99"), decimal.Decimal("9999.99"), places=2),
    st.sampled_from(Colour),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False), max_size=3),
    st.one_of(st.none(), st.integers(-100, 100), st.text(max_size=3)),
)


@given(WIDES)
def test_fastavro_reads_what_is_written_and_would_write_it_alike(value: Wide) -> None:
    serde = hr.registry.avro(Wide)
    serde.configure({"schema.registry.url": "mock://beside-fastavro"})
    data = serde.serialize("t", value)
    assert serde.deserialize("t", data) == value
    schema = fastavro.parse_schema(schema_of(serde))
    read: Any = fastavro.schemaless_reader(BytesIO(data[5:]), schema, None)
    assert Wide(**{**read, "colour": Colour(read["colour"])}) == value
    stream = BytesIO()
    fastavro.schemaless_writer(stream, schema, read)
    assert stream.getvalue() == data[5:]


# ── dictionaries and tuples with types ──────────────────────────────────────────────────────────────────────────────


class Line(TypedDict):
    sku: str
    price: float


class Spot(NamedTuple):
    x: int
    y: int = 2
    label: str | None = None


class Sale(TypedDict):
    id: int
    lines: list[Line]
    at: dt.datetime
    spot: Spot
    first: Line | None


class Loose(TypedDict):
    id: NotRequired[int]


SALE = Sale(
    id=1,
    lines=[Line(sku="a", price=1.5)],
    at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    spot=Spot(3),
    first=Line(sku="b", price=2.5),
)


def test_typed_dictionaries_and_named_tuples_come_back_as_they_were(configured: Configured) -> None:
    serde = configured(hr.registry.avro(Sale))
    found = serde.deserialize("t", serde.serialize("t", SALE))
    assert found == SALE
    assert (type(found), type(found["spot"]), serde.type) == (dict, Spot, dict)


def test_named_tuple_is_a_record_with_its_defaults(configured: Configured, registry: MockRegistry) -> None:
    serde = configured(hr.registry.avro(Spot))
    assert serde.deserialize("t", serde.serialize("t", Spot(3, 4, "home"))) == Spot(3, 4, "home")
    (schema,) = registry.subjects["t-value"]
    assert msgspec.json.decode(schema.text)["fields"] == [
        {"name": "x", "type": "long"},
        {"name": "y", "type": "long", "default": 2},
        {"name": "label", "type": ["null", "string"], "default": None},
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({**SALE, "no": 1}, "Sale has no field 'no'"),
        ({name: value for name, value in SALE.items() if name != "id"}, "the field 'id' is missing"),
        ({**SALE, "id": "x"}, r"expected an int, found a str - at `\$\.id`"),
        ({**SALE, "spot": (1, 2, None)}, r"expected Spot, found a tuple - at `\$\.spot`"),
        (5, "expected Sale as a dictionary, found an int"),
    ],
)
def test_dictionary_that_is_not_as_its_type_says_is_refused(
    configured: Configured, value: object, words: str
) -> None:
    with pytest.raises(SerializationError, match=words):
        configured(hr.registry.avro(Sale)).serialize("t", value)


def test_field_of_a_given_schema_that_a_typed_dictionary_has_not_is_its_default(
    configured: Configured,
) -> None:
    fields = [
        {"name": "sku", "type": "string"},
        {"name": "price", "type": "double"},
        {"name": "note", "type": "string", "default": "none"},
    ]
    schema = msgspec.json.encode({"type": "record", "name": "Line", "fields": fields}).decode()
    serde = configured(hr.registry.avro(Line, schema=schema))
    data = serde.serialize("t", Line(sku="a", price=1.5))
    assert serde.deserialize("t", data) == {"sku": "a", "price": 1.5}
    assert configured(hr.registry.avro()).deserialize("t", data) == {"sku": "a", "price": 1.5, "note": "none"}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Loose, "the field 'id' of Loose may be left out, for which a schema has no place"),
        (Line | Sale, "several members of the type are dictionaries"),
        (Line | dict[str, int], "several members of the type are dictionaries"),
    ],
)
def test_dictionaries_that_cannot_be_told_apart_or_lack_fields_are_refused(
    annotation: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        hr.registry.avro(annotation)
