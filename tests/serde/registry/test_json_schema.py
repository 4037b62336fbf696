"""JSON Schema: schemas of types, what a given one refuses, references, and models of others."""

import datetime as dt
import decimal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest

import headrace as hr
from headrace.base.errors import SchemaRegistryError, SerializationError
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.schema import Reference, Schema
from headrace.serde.serde import Serde

Configured = Callable[..., Serde[Any]]


@dataclass
class Item:
    sku: str
    count: int = 1


@dataclass
class Tree:
    value: int
    left: "Tree | None" = None


class Payment(pydantic.BaseModel):
    amount: decimal.Decimal
    at: dt.datetime
    days: list[dt.date] = []
    by_name: dict[str, dt.time | None] = {}
    either: int | dt.date | None = None


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    at: dt.datetime


AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def registered(configured: Configured, registry: MockRegistry, annotation: Any) -> tuple[Serde[Any], bytes]:
    """Return a serde, and what stands before a value that others wrote with its schema."""
    serde = configured(hr.registry.json_schema(annotation))
    text = serde.format.schema.text  # type: ignore[attr-defined]  # of a RegistrySerde
    registry.register("t-value", Schema("JSON", text))
    return serde, b"\x00\x00\x00\x00\x01"


def test_a_schema_has_its_definition_at_the_top(configured: Configured, registry: MockRegistry) -> None:
    serde, _ = registered(configured, registry, list[Item])
    text = serde.format.schema.text  # type: ignore[attr-defined]
    assert msgspec.json.decode(text)["items"] == {"$ref": "#/$defs/Item"}
    serde, _ = registered(configured, registry, Tree)
    found = msgspec.json.decode(serde.format.schema.text)  # type: ignore[attr-defined]
    assert found["title"] == "Tree"
    assert found["properties"]["left"]["anyOf"][-1] == {"$ref": "#/$defs/Tree"} or "Tree" in found["$defs"]
    assert serde.deserialize("t", serde.serialize("t", Tree(1, Tree(2)))) == Tree(1, Tree(2))


def test_decimals_of_others_keep_their_digits(configured: Configured, registry: MockRegistry) -> None:
    serde, head = registered(configured, registry, Payment)
    read = serde.deserialize("t", head + b'{"amount": 12345678901234567.89, "at": "2026-01-02T00:00:00Z"}')
    assert read == Payment(amount=decimal.Decimal("12345678901234567.89"), at=AT)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ('"at": 1767312000', "at"),
        ('"at": "2026-01-02T00:00:00Z", "days": ["2026-01-02", 20000]', r"days\[1\]"),
        ('"at": "2026-01-02T00:00:00Z", "by_name": {"x": 3600}', "by_name.x"),
    ],
)
def test_a_number_for_a_time_is_refused_and_not_guessed(
    configured: Configured, registry: MockRegistry, fields: str, place: str
) -> None:
    serde, head = registered(configured, registry, Payment)
    with pytest.raises(SerializationError, match=rf"seconds or milliseconds - at `\$\.{place}`"):
        serde.deserialize("t", head + b'{"amount": 1, ' + fields.encode() + b"}")


def test_a_number_that_may_be_meant_is_taken(configured: Configured, registry: MockRegistry) -> None:
    serde, head = registered(configured, registry, Payment)
    data = head + b'{"amount": 1, "at": "2026-01-02T00:00:00Z", "either": 5}'
    assert serde.deserialize("t", data).either == 5


def test_strict_models_come_back(configured: Configured, registry: MockRegistry) -> None:
    serde, head = registered(configured, registry, Strict)
    assert serde.deserialize("t", serde.serialize("t", Strict(at=AT))) == Strict(at=AT)
    with pytest.raises(SerializationError):
        serde.deserialize("t", head + b'{"at": true}')


def test_a_given_schema_is_held_against_what_is_written_and_read(
    configured: Configured, registry: MockRegistry
) -> None:
    schema = '{"title":"Item","type":"object","properties":{"sku":{"type":"string","maxLength":3}},"required":["sku"]}'
    typed, untyped = (
        configured(hr.registry.json_schema(Item, schema=schema)),
        configured(hr.registry.json_schema(schema=schema)),
    )
    assert typed.deserialize("t", typed.serialize("t", Item("abc"))) == Item("abc")
    with pytest.raises(SerializationError, match=r"the value is longer than 3 characters - at `\$\.sku`"):
        typed.serialize("t", Item("abcd"))
    with pytest.raises(SerializationError, match='"sku" is a required property'):
        untyped.serialize("t", {})
    with pytest.raises(SerializationError, match="longer than 3"):
        untyped.deserialize("t", b'\x00\x00\x00\x00\x01{"sku":"abcd"}')
    assert list(registry.subjects) == ["t-value"]


def test_the_latest_schema_is_held_against_what_is_written(
    configured: Configured, registry: MockRegistry
) -> None:
    registry.register(
        "t-value", Schema("JSON", '{"type":"object","properties":{"count":{"type":"integer","minimum":2}}}')
    )
    serde = configured(hr.registry.json_schema(Item, use_latest=True))
    assert serde.serialize("t", Item("a", 2)) == b'\x00\x00\x00\x00\x01{"sku":"a","count":2}'
    with pytest.raises(SerializationError, match="less than the minimum"):
        serde.serialize("t", Item("a", 1))


def test_schemas_may_refer_to_others_and_never_to_the_net(
    configured: Configured, registry: MockRegistry
) -> None:
    registry.register("item", Schema("JSON", '{"type":"object","required":["sku"]}'))
    schema = '{"type":"object","properties":{"item":{"$ref":"item.json"}}}'
    serde = configured(hr.registry.json_schema(schema=schema, references=[Reference("item.json", "item", 1)]))
    assert serde.serialize("t", {"item": {"sku": "a"}})[5:] == b'{"item":{"sku":"a"}}'
    with pytest.raises(SerializationError, match="required property"):
        serde.serialize("t", {"item": {}})
    outside = '{"$ref":"https://example.com/item.json"}'
    with pytest.raises(SchemaRegistryError, match="which is none of its references"):
        configured(hr.registry.json_schema(schema=outside)).serialize("t", {})


def test_equal_keys_have_equal_bytes(configured: Configured) -> None:
    serde = configured(hr.registry.json_schema(dict[str, int])).for_keys()
    assert serde.serialize("t", {"b": 1, "a": 2}) == serde.serialize("t", {"a": 2, "b": 1})
    with pytest.raises(TypeError, match="cannot be the serde of a key"):
        hr.registry.json_schema(int | float).for_keys()


def test_a_schema_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError, match="the schema is no JSON"):
        hr.registry.json_schema(schema="{")
