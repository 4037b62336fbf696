"""Serdes on a real registry, beside the public clients of Java and Python: each reads what the other has written."""

import datetime as dt
import decimal
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any

import pytest
from confluent_kafka.schema_registry import Schema as ConfluentSchema
from confluent_kafka.schema_registry import (
    SchemaReference,
    SchemaRegistryClient,
    header_schema_id_serializer,
    topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2

import headrace as hr
from headrace import stores
from headrace.base.errors import SchemaRegistryError
from headrace.serde.serde import Serde
from headrace.testing import TopologyTestDriver
from tests.serde.registry import protos
from tests.serde.registry.apicurio import Apicurio
from tests.serde.registry.http_front import HttpFront
from tests.serde.registry.java_serdes import JavaError, JavaSerdes

NAMED = {"subject.name.strategy": topic_subject_name_strategy}


@dataclass
class Item:
    sku: str
    price: Annotated[decimal.Decimal, hr.registry.Decimal(10, 2)]


@dataclass
class Order:
    id: str
    count: int
    weight: float
    at: dt.datetime
    day: dt.date
    items: list[Item]
    tags: dict[str, int]
    note: str | None = None
    either: int | Item | None = None


ORDER = Order(
    "1", 2**40, 2.5, dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC), dt.date(2026, 1, 2),
    [Item("a", decimal.Decimal("-12.50")), Item("b", decimal.Decimal("0.07"))], {"x": -1}, "n",
    Item("c", decimal.Decimal(1)),
)  # fmt: skip

#: The same as Avro's JSON has it.
ORDER_JSON = {
    "id": "1",
    "count": 2**40,
    "weight": 2.5,
    "at": 1767323045000006,
    "day": 20455,
    "items": [{"sku": "a", "price": "\u00fb\u001e"}, {"sku": "b", "price": "\u0007"}],
    "tags": {"x": -1},
    "note": {"string": "n"},
    "either": {"Item": {"sku": "c", "price": "d"}},
}


@dataclass
class Simple:
    id: str
    count: int
    note: str | None = None


@pytest.fixture
def serde_on(apicurio: Apicurio) -> Callable[[Serde[Any]], Serde[Any]]:
    def on(serde: Serde[Any], **properties: object) -> Serde[Any]:
        serde.configure({"schema.registry.url": apicurio.url, **properties})
        return serde

    return on


@pytest.fixture
def client(apicurio: Apicurio) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": apicurio.url}) as client:
        yield client


def value_of(topic: str, headers: Any = None) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE, headers)


def text_of(serde: Serde[Any]) -> str:
    text: str = serde.format.schema.text  # type: ignore[attr-defined]  # of a RegistrySerde
    return text


ON = Callable[[Serde[Any]], Serde[Any]]

# ── Avro ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.broker
def test_java_reads_our_avro_and_we_read_javas(serde_on: ON, java: JavaSerdes) -> None:
    serde = serde_on(hr.registry.avro(Order))
    data = serde.serialize("java-avro", ORDER)
    assert json.loads(java.ask("avro-read", "java-avro", data)) == ORDER_JSON
    written = java.ask("avro-write", "java-avro", text_of(serde), json.dumps(ORDER_JSON))
    assert serde.deserialize("java-avro", written) == ORDER
    assert written == data


@pytest.mark.broker
def test_confluent_reads_our_avro_and_we_read_confluents(serde_on: ON, client: SchemaRegistryClient) -> None:
    serde = serde_on(hr.registry.avro(Order))
    data = serde.serialize("confluent-avro", ORDER)
    read = AvroDeserializer(client, conf=NAMED)(data, value_of("confluent-avro"))
    assert (
        Order(**{**read, "items": [Item(**each) for each in read["items"]], "either": Item(**read["either"])})
        == ORDER
    )
    serializer = AvroSerializer(client, text_of(serde), conf=NAMED)
    assert serializer(read, value_of("confluent-avro")) == data


@pytest.mark.broker
def test_evolution_goes_both_ways(serde_on: ON, client: SchemaRegistryClient) -> None:
    @dataclass
    class Old:
        id: str

    @dataclass
    class New:
        id: str
        count: Annotated[int, hr.registry.As("int")] = 3
        day: dt.date = dt.date(2026, 1, 1)

    Old.__name__ = New.__name__ = "Evolving"
    old, new = serde_on(hr.registry.avro(Old)), serde_on(hr.registry.avro(New))
    assert new.deserialize("evolving", old.serialize("evolving", Old("1"))) == New("1")
    assert old.deserialize("evolving", new.serialize("evolving", New("2", 4))) == Old("2")
    written = AvroSerializer(client, text_of(old), conf=NAMED)({"id": "3"}, value_of("evolving"))
    assert new.deserialize("evolving", written) == New("3")


@pytest.mark.broker
def test_a_real_registrys_refusal_is_told(serde_on: ON, apicurio: Apicurio) -> None:
    @dataclass
    class Old:
        id: str

    @dataclass
    class New:
        id: str
        count: int

    Old.__name__ = New.__name__ = "Strict"
    serde_on(hr.registry.avro(Old)).serialize("strict", Old("1"))
    apicurio.set_compatibility("strict-value", "BACKWARD")
    with pytest.raises(
        SchemaRegistryError, match=r"avro\(New\) is not compatible with those of subject 'strict-value'"
    ):
        serde_on(hr.registry.avro(New)).serialize("strict", New("1", 2))


@pytest.mark.broker
def test_references_of_avro_are_found_by_both(serde_on: ON, client: SchemaRegistryClient) -> None:
    money = '{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"}]}'
    client.register_schema("shop.Money", ConfluentSchema(money, "AVRO"))
    price = (
        '{"type":"record","name":"Price","namespace":"shop","fields":[{"name":"net","type":"shop.Money"}]}'
    )
    ours = serde_on(
        hr.registry.avro(schema=price, references=[hr.registry.Reference("shop.Money", "shop.Money", 1)])
    )
    data = ours.serialize("prices", {"net": {"cents": 5}})
    assert AvroDeserializer(client, conf=NAMED)(data, value_of("prices")) == {"net": {"cents": 5}}
    named = ConfluentSchema(price, "AVRO", [SchemaReference("shop.Money", "shop.Money", 1)])
    written = AvroSerializer(client, named, conf=NAMED)({"net": {"cents": 6}}, value_of("prices"))
    assert ours.deserialize("prices", written) == {"net": {"cents": 6}}


# ── JSON Schema ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.broker
def test_java_reads_our_json_and_we_read_javas(serde_on: ON, java: JavaSerdes) -> None:
    serde = serde_on(hr.registry.json_schema(Simple))
    data = serde.serialize("java-json", Simple("1", 2, "n"))
    assert json.loads(java.ask("json-read", "java-json", data)) == {"id": "1", "count": 2, "note": "n"}
    written = java.ask("json-write", "java-json", '{"id":"2","count":3}')
    assert serde.deserialize("java-json", written) == Simple("2", 3)
    with pytest.raises(JavaError, match="count"):
        java.ask("json-write", "java-json", '{"id":"2","count":"three"}')


@pytest.mark.broker
def test_confluent_reads_our_json_and_we_read_confluents(serde_on: ON, client: SchemaRegistryClient) -> None:
    serde = serde_on(hr.registry.json_schema(Simple))
    data = serde.serialize("confluent-json", Simple("1", 2))
    found = {"id": "1", "count": 2, "note": None}
    deserializer = JSONDeserializer(None, schema_registry_client=client, conf=NAMED)
    assert deserializer(data, value_of("confluent-json")) == found
    serializer = JSONSerializer(text_of(serde), client, conf=NAMED)
    written = serializer(found, value_of("confluent-json"))
    assert written is not None
    assert written[:5] == data[:5]
    assert serde.deserialize("confluent-json", written) == Simple("1", 2)


# ── Protobuf ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return protos.load(tmp_path_factory.mktemp("protos"))[0]


def messages_of(shop: Any) -> list[Any]:
    order = shop.Order(
        id="1", items=[shop.Order.Item(sku="a", extra={"k": b"v"})], state=1, coupon="c", packed=[1, 300]
    )
    order.prices["x"].cents = -5
    order.at.seconds = 7
    return [shop.Customer(name="ann"), order, shop.Order.Item(sku="a"), shop.Order.Item.Note(text="t")]


@pytest.mark.broker
@pytest.mark.parametrize("number", range(4))
def test_confluent_reads_our_protobuf_and_we_read_confluents(
    serde_on: ON, client: SchemaRegistryClient, shop: ModuleType, number: int
) -> None:
    message = messages_of(shop)[number]
    cls, topic = type(message), f"confluent-protobuf-{number}"
    serde = serde_on(hr.registry.protobuf(cls))
    data = serde.serialize(topic, message)
    # Without a client: with one it asks for descriptors in base64, which Confluent's registry alone has.
    assert ProtobufDeserializer(cls, NAMED)(data, value_of(topic)) == message
    written = ProtobufSerializer(cls, client, NAMED)(message, value_of(topic))
    assert written is not None
    assert serde.deserialize(topic, written) == message
    latest = serde_on(hr.registry.protobuf(cls, use_latest=True))
    assert latest.deserialize(topic, latest.serialize(topic, message)) == message


def files_of(cls: Any) -> bytes:
    """Return the file of a message and those that it imports, each behind what it imports itself, as a set."""
    found: dict[str, Any] = {}

    def add(file: Any) -> None:
        for each in file.dependencies:
            add(each)
        found.setdefault(file.name, file)

    add(cls.DESCRIPTOR.file)
    files = descriptor_pb2.FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
    return files.SerializeToString()


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return protos.load_stock(tmp_path_factory.mktemp("stock"))


@pytest.mark.broker
@pytest.mark.parametrize("name", ["Place", "Shelf", "Shelf.Box", "Shelf.Box.Label"])
def test_java_reads_our_protobuf_and_we_read_javas(
    serde_on: ON, java_protobuf: JavaSerdes, stock: Any, name: str
) -> None:
    box = stock.Shelf.Box(part={"sku": "a"}, counts={"x": -(2**40)}, label={"text": "t"})
    message = {
        "Place": stock.Place(name="attic"),
        "Shelf": stock.Shelf(boxes=[box, stock.Shelf.Box()], place={"name": "attic"}, weight=0.0),
        "Shelf.Box": box,
        "Shelf.Box.Label": box.label,
    }[name]
    cls, topic = type(message), f"java-protobuf-{name}"
    serde = serde_on(hr.registry.protobuf(cls))
    data = serde.serialize(topic, message)
    found, _, read = java_protobuf.ask("protobuf-read", topic, files_of(cls), data).partition(b"\0")
    assert found.decode() == f"stock.{name}"
    assert cls.FromString(read) == message
    written = java_protobuf.ask("protobuf-write", topic, files_of(cls), name, message.SerializeToString())
    assert serde.deserialize(topic, written) == message
    # The first message of a file has a short form too, which this client reads and does not write.
    assert written == (data[:5] + b"\x02\x00" + data[6:] if name == "Place" else data)


# ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ids_in_headers_are_read_by_both(front: HttpFront, shop: ModuleType) -> None:
    order = messages_of(shop)[1]
    conf = {**NAMED, "schema.id.serializer": header_schema_id_serializer}
    avro, protobuf = (
        hr.registry.avro(Simple, id_in="header"),
        hr.registry.protobuf(shop.Order, id_in="header"),
    )
    for serde in (avro, protobuf):
        serde.configure({"schema.registry.url": front.url})
    with SchemaRegistryClient({"url": front.url}) as client:
        data, headers = avro.serialize_with_headers("a", Simple("number 1", 2), ())
        assert AvroDeserializer(client, conf=NAMED)(data, value_of("a", list(headers))) == {
            "id": "number 1",
            "count": 2,
            "note": None,
        }
        written: list[tuple[str, bytes]] = []
        simple = {"id": "2", "count": 3, "note": "n"}
        other = AvroSerializer(client, text_of(avro), conf=conf)(simple, value_of("a", written))
        assert other is not None
        assert avro.deserialize("a", other, written) == Simple("2", 3, "n")

        data, headers = protobuf.serialize_with_headers("p", order, ())
        assert ProtobufDeserializer(shop.Order, NAMED)(data, value_of("p", list(headers))) == order
        written = []
        other = ProtobufSerializer(shop.Order, client, conf)(order, value_of("p", written))
        assert other is not None
        assert protobuf.deserialize("p", other, written) == order


@pytest.mark.broker
def test_an_application_registers_its_internal_topics_too(
    apicurio: Apicurio, client: SchemaRegistryClient
) -> None:
    text = hr.registry.avro(str)
    words = hr.Topic("real-words", key=text, value=text)
    store = stores.key_value("real-store", key=text, value=hr.registry.avro(int))
    builder = hr.StreamsBuilder()
    builder.stream(words).group_by(lambda key, word: word, key=text).aggregate(
        lambda: 0, lambda key, word, count: count + 1, value=hr.registry.avro(int), store=store
    )
    with TopologyTestDriver(
        builder.build(), application_id="real", schema_registry_url=apicurio.url
    ) as driver:
        driver.input(words).pipe_values(["a", "b", "a"])
        assert driver.store(store).get("a") == 2
        driver.restart(lose_state=True)
        assert driver.store(store).get("a") == 2
    found = [subject for subject in client.get_subjects() if subject.startswith("real-")]
    assert sorted(found) == [
        "real-real-store-changelog-key",
        "real-real-store-changelog-value",
        "real-real-store-repartition-key",
        "real-real-store-repartition-value",
        "real-words-value",
    ]
