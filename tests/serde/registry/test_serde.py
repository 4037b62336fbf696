"""What all serdes of a registry share: subjects, ids, what is registered, and how often the registry is asked."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import headrace as hr
from headrace.base.errors import ConfigError, SchemaRegistryError, SerializationError
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.schema import Schema
from headrace.serde.serde import Serde

Configured = Callable[..., Serde[Any]]

ORDER_TEXT = (
    '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},'
    '{"name":"amount","type":"double"}]}'
)


@dataclass(frozen=True)
class Order:
    id: str
    amount: float


def test_a_value_is_written_behind_the_id_of_its_schema(
    configured: Configured, registry: MockRegistry
) -> None:
    serde = configured(hr.registry.avro(Order))
    data = serde.serialize("orders", Order("x", 2.5))
    assert data == b"\x00\x00\x00\x00\x01\x02x\x00\x00\x00\x00\x00\x00\x04@"
    assert serde.serializer("orders")(Order("x", 2.5)) == data
    assert serde.deserialize("orders", data) == Order("x", 2.5)
    assert serde.deserializer("orders")(data) == Order("x", 2.5)
    assert registry.subjects == {"orders-value": [Schema("AVRO", ORDER_TEXT)]}


def test_json_is_written_behind_the_id_too(configured: Configured, registry: MockRegistry) -> None:
    serde = configured(hr.registry.json_schema(Order))
    data = serde.serialize("orders", Order("x", 2.5))
    assert data == b'\x00\x00\x00\x00\x01{"id":"x","amount":2.5}'
    assert serde.deserialize("orders", data) == Order("x", 2.5)
    assert registry.subjects["orders-value"][0].kind == "JSON"


def test_a_record_costs_no_call(configured: Configured, registry: MockRegistry) -> None:
    serde = configured(hr.registry.avro(Order))
    write, read = serde.serializer("orders"), serde.deserializer("orders")
    for _ in range(100):
        assert read(write(Order("x", 1.0))) == Order("x", 1.0)
    assert registry.calls == ["register", "by_id"]


def test_keys_have_subjects_of_their_own(configured: Configured, registry: MockRegistry) -> None:
    configured(hr.registry.avro(str)).for_keys().serialize("orders", "k")
    assert list(registry.subjects) == ["orders-key"]


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [
        ("TopicNameStrategy", "orders-value"),
        ("RecordNameStrategy", "shop.Order"),
        ("TopicRecordNameStrategy", "orders-shop.Order"),
        (lambda topic, is_key, record: f"{record}/{topic}/{is_key}", "shop.Order/orders/False"),
    ],
)
def test_subjects_are_named_as_is_said(
    configured: Configured, registry: MockRegistry, strategy: Any, subject: str
) -> None:
    serde = hr.registry.avro(Order, namespace="shop", subject=strategy)
    configured(serde).serialize("orders", Order("x", 1.0))
    assert list(registry.subjects) == [subject]


def test_a_property_names_the_strategy_as_java_does(configured: Configured, registry: MockRegistry) -> None:
    name = "io.confluent.kafka.serializers.subject.RecordNameStrategy"
    configured(hr.registry.avro(Order), value_subject_name_strategy=name).serialize("orders", Order("x", 1.0))
    assert list(registry.subjects) == ["Order"]


def test_a_schema_without_a_name_names_no_subject(configured: Configured) -> None:
    serde = configured(hr.registry.avro(list[int], subject="RecordNameStrategy"))
    with pytest.raises(ConfigError, match="the schema has no name"):
        serde.serialize("orders", [1])


def test_an_id_in_a_header_is_read_before_the_value(configured: Configured, registry: MockRegistry) -> None:
    serde = configured(hr.registry.avro(Order, id_in="header"))
    guid = registry.register("orders-value", Schema("AVRO", ORDER_TEXT)).guid
    assert guid is not None
    headers = (("trace", b"1"), ("__value_schema_id", b"old"))
    data, written = serde.serialize_with_headers("orders", Order("x", 2.5), headers)
    assert data == b"\x02x\x00\x00\x00\x00\x00\x00\x04@"
    assert written == (("trace", b"1"), ("__value_schema_id", b"\x01" + guid.bytes))
    assert serde.deserialize("orders", data, written) == Order("x", 2.5)
    assert serde.deserialize("orders", data, (("__value_schema_id", b"\x00\x00\x00\x00\x01"),)) == Order(
        "x", 2.5
    )


def test_the_header_of_what_was_read_is_not_left_on_what_is_written(configured: Configured) -> None:
    serde = configured(hr.registry.avro(Order))
    headers = (("__value_schema_id", b"\x00\x00\x00\x00\x09"), ("__key_schema_id", b"k"))
    data, written = serde.serialize_with_headers("orders", Order("x", 2.5), headers)
    assert data.startswith(b"\x00\x00\x00\x00\x01")
    assert written == (("__key_schema_id", b"k"),)


def test_without_registering_a_schema_has_to_be_there(configured: Configured, registry: MockRegistry) -> None:
    serde = configured(hr.registry.avro(Order), auto_register_schemas=False)
    with pytest.raises(SchemaRegistryError, match="not registered under subject 'orders-value'"):
        serde.serialize("orders", Order("x", 2.5))
    registry.register("orders-value", Schema("AVRO", ORDER_TEXT))
    assert serde.serialize("orders", Order("x", 2.5))[:5] == b"\x00\x00\x00\x00\x01"


def test_values_are_written_with_the_latest_schema(configured: Configured, registry: MockRegistry) -> None:
    latest = (
        '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},'
        '{"name":"channel","type":"string","default":"web"},{"name":"amount","type":"float"}]}'
    )
    registry.register("orders-value", Schema("AVRO", ORDER_TEXT))
    registry.register("orders-value", Schema("AVRO", latest))
    serde = configured(hr.registry.avro(Order, use_latest=True))
    data = serde.serialize("orders", Order("x", 2.5))
    assert data == b"\x00\x00\x00\x00\x02\x02x\x06web\x00\x00 @"
    assert serde.deserialize("orders", data) == Order("x", 2.5)


def test_a_latest_schema_that_would_lose_a_field_is_refused(
    configured: Configured, registry: MockRegistry
) -> None:
    registry.register(
        "orders-value",
        Schema("AVRO", '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}'),
    )
    serde = configured(hr.registry.avro(Order, use_latest=True))
    with pytest.raises(SchemaRegistryError, match=r"Order has a field 'amount', which .* it would be lost"):
        serde.serialize("orders", Order("x", 2.5))


def test_a_subject_without_versions_has_no_latest(configured: Configured) -> None:
    serde = configured(hr.registry.avro(Order, use_latest=True))
    with pytest.raises(SchemaRegistryError, match="latest schema of subject 'orders-value', which has none"):
        serde.serialize("orders", Order("x", 2.5))


def test_values_are_written_with_the_schema_of_an_id(configured: Configured, registry: MockRegistry) -> None:
    id = registry.register("elsewhere", Schema("AVRO", ORDER_TEXT)).id
    serde = configured(hr.registry.avro(Order, use_id=id))
    assert serde.serialize("orders", Order("x", 2.5))[:5] == b"\x00\x00\x00\x00\x01"
    assert list(registry.subjects) == ["elsewhere"]


def test_an_id_that_is_not_there_is_the_records_fault(configured: Configured) -> None:
    serde = configured(hr.registry.avro(Order))
    with pytest.raises(SerializationError, match="no schema 9, which the record names"):
        serde.deserialize("orders", b"\x00\x00\x00\x00\x09...")


def test_a_schema_of_another_kind_is_told(configured: Configured, registry: MockRegistry) -> None:
    registry.register("orders-value", Schema("JSON", "{}"))
    serde = configured(hr.registry.avro(Order))
    with pytest.raises(SerializationError, match="schema 1, of JSON, and not of AVRO"):
        serde.deserialize("orders", b"\x00\x00\x00\x00\x01...")


def test_bytes_without_a_schema_are_told() -> None:
    serde = hr.registry.avro(Order)
    serde.configure({"schema.registry.url": "mock://none"})
    with pytest.raises(SerializationError, match="written without a registry"):
        serde.deserialize("orders", b'{"id": "x"}')


def test_a_serde_that_nobody_configured_says_so() -> None:
    with pytest.raises(ConfigError, match="knows no registry yet"):
        hr.registry.avro(Order).serialize("orders", Order("x", 1.0))


def test_an_application_without_a_registry_is_told_when_it_starts() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("orders", value=hr.registry.avro(Order))).foreach(print)
    streams = hr.Streams(builder.build(), application_id="shop", embedded_path="unused.db")
    with pytest.raises(ConfigError, match=r"needs schema\.registry\.url"):
        streams.start()


def test_equal_serdes_are_of_one_type_and_one_schema() -> None:
    assert hr.registry.avro(Order) == hr.registry.avro(Order)
    assert hr.registry.avro(Order) != hr.registry.avro(Order, use_latest=True)
    assert hr.registry.avro(Order) != hr.registry.json_schema(Order)
    assert hr.registry.avro(list[int]) != hr.registry.avro(list[int], namespace="shop", id_in="header")
    assert repr(hr.registry.avro(Order)) == "registry.avro(Order)"


def test_what_is_not_installed_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "headrace.registry")
    with pytest.raises(
        ImportError, match=r"fastavro, which is not installed: pip install 'headrace\[registry\]'"
    ):
        importlib.import_module("headrace.registry")


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"subject": "Topic"}, "no strategy"),
        ({"id_in": "footer"}, "'prefix' or 'header'"),
        ({"use_id": 1, "use_latest": True}, "keep one"),
    ],
)
def test_wishes_that_cannot_be_are_refused(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        hr.registry.avro(Order, **wishes)


@pytest.mark.parametrize("name", ["avro", "AvroSerializer", "SpecificAvroSerde"])
def test_names_of_others_lead_here(name: str) -> None:
    with pytest.raises(AttributeError, match=r"hr\.registry\.avro\(Order\)"):
        getattr(hr, name)


def test_properties_of_others_lead_here() -> None:
    with pytest.raises(ConfigError, match=r"schema\.registry\.basic\.auth\.user\.info"):
        hr.Config(properties={"basic.auth.user.info": "ann:secret"})
    with pytest.raises(ConfigError, match=r"use_id=7"):
        hr.Config(properties={"use.schema.id": 7})
