"""Events of an outbox: several types in one topic, as Debezium's event router has written them."""

from dataclasses import dataclass

import pytest

import headrace as hr
from headrace.serde.registry.schema import Schema
from headrace.testing import TopologyTestDriver


@dataclass
class OrderPlaced:
    item: str
    cents: int


@dataclass
class OrderPaid:
    paid: bool


EVENTS: hr.Serde[OrderPlaced | OrderPaid] = hr.cdc.outbox(
    {"OrderPlaced": OrderPlaced, "OrderPaid": OrderPaid}
)
PLACED = (("id", b"c0ffee00-0000-4000-8000-000000000001"), ("eventType", b"OrderPlaced"))
PAID = (("id", b"c0ffee00-0000-4000-8000-000000000002"), ("eventType", b"OrderPaid"))

# Of Debezium 3.6.1 with JsonConverter: without schemas, with them, and with table.expand.json.payload=true.
TEXT = rb'"{\"item\": \"tea\", \"cents\": 300}"'
WITH_SCHEMA = (
    rb'{"schema":{"type":"string","optional":true,"name":"io.debezium.data.Json","version":1},'
    rb'"payload":"{\"item\": \"tea\", \"cents\": 300}"}'
)
EXPANDED = b'{"item":"tea","cents":300}'
EXPANDED_WITH_SCHEMA = b'{"schema":{"type":"struct","fields":[]},"payload":{"item":"tea","cents":300}}'


@pytest.mark.parametrize("data", [TEXT, WITH_SCHEMA, EXPANDED, EXPANDED_WITH_SCHEMA])
def test_event_is_read_however_often_it_is_encoded(data: bytes) -> None:
    assert EVENTS.deserialize("outbox.event.order", data, PLACED) == OrderPlaced("tea", 300)


def test_header_tells_the_type() -> None:
    assert EVENTS.deserialize("outbox.event.order", rb'"{\"paid\": true}"', PAID) == OrderPaid(True)


def test_stream_of_events_goes_on_by_type() -> None:
    topic = hr.Topic("outbox.event.order", key=hr.json(str), value=EVENTS)
    placed, paid = hr.Topic("placed", value=int), hr.Topic("paid", value=bool)
    builder = hr.StreamsBuilder()
    events = builder.stream(topic)
    events.only(OrderPlaced).map_values(lambda event: event.cents, value=int).to(placed)
    events.only(OrderPaid).map_values(lambda event: event.paid, value=bool).to(paid)
    with TopologyTestDriver(builder.build()) as driver:
        raw = driver.input(hr.Topic(topic.name, key=hr.raw, value=hr.raw))
        raw.pipe(b'"17"', TEXT, headers=PLACED)
        raw.pipe(b'"17"', rb'"{\"paid\": true}"', headers=PAID)
        assert driver.output(placed).read_values() == [300]
        assert driver.output(paid).read_values() == [True]


# Of Debezium 3.6.1 with a converter for Avro, behind the schema's id: a text, and with table.expand.json.payload=true.
AVRO = [
    (
        '["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.data.Json"}]',
        b'\x02\x4a{"item": "pen", "cents": 30000000000}',
    ),
    (
        '{"type":"record","name":"payload","fields":[{"name":"item","type":["null","string"],"default":null},'
        '{"name":"cents","type":["null","long"],"default":null}],"connect.name":"payload"}',
        b"\x02\x06pen\x02\x80\xb0\x9d\xc2\xdf\x01",
    ),
]


@pytest.mark.parametrize(("schema", "payload"), AVRO)
def test_event_in_avro_is_a_text_or_a_record(schema: str, payload: bytes) -> None:
    id = hr.registry.mock("outbox").register("outbox.event.order-value", Schema("AVRO", schema)).id
    assert id is not None
    topic = hr.Topic(
        "outbox.event.order",
        key=hr.registry.avro(str),
        value=hr.cdc.outbox({"OrderPlaced": OrderPlaced}, format="avro"),
    )
    builder = hr.StreamsBuilder()
    placed = hr.Topic("placed", value=int)
    builder.stream(topic).map_values(lambda event: event.cents, value=int).to(placed)
    with TopologyTestDriver(builder.build(), schema_registry_url="mock://outbox") as driver:
        keys, values = topic.key, hr.raw
        assert isinstance(keys, hr.Serde)
        driver.input(hr.Topic(topic.name, key=keys, value=values)).pipe(
            "17", b"\0" + id.to_bytes(4, "big") + payload, headers=PLACED
        )
        assert driver.output(placed).read_pairs() == [("17", 30_000_000_000)]


def test_no_event_in_avro_is_refused_with_the_reason() -> None:
    events = hr.cdc.outbox({"OrderPlaced": OrderPlaced}, format="avro")
    events.configure({"schema.registry.url": ("mock://outbox-of-others",)})
    id = hr.registry.mock("outbox-of-others").register("t-value", Schema("AVRO", AVRO[0][0])).id
    assert id is not None
    for data, words in (
        (TEXT, "a schema's id begins with the byte 0"),
        (b"\0" + id.to_bytes(4, "big") + b"\0", "null"),
        (b"\0" + id.to_bytes(4, "big") + b"\x02\x04{}", "missing required field `item`"),
    ):
        with pytest.raises(hr.SerializationError) as told:
            events.deserialize("t", data, PLACED)
        assert words in str(told.value)


@pytest.mark.parametrize(
    ("headers", "data", "words"),
    [
        (
            (),
            TEXT,
            "the header 'eventType' is not there, and the types are 'OrderPlaced', 'OrderPaid'; has the router",
        ),
        ((("eventType", b"OrderLost"),), TEXT, "the header 'eventType' says 'OrderLost'"),
        (PLACED, b'"x', "no JSON"),
        (PLACED, b'"{}"', "missing required field `item`"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(
    headers: tuple[tuple[str, bytes | None], ...], data: bytes, words: str
) -> None:
    with pytest.raises(hr.SerializationError) as told:
        EVENTS.deserialize("outbox.event.order", data, headers)
    assert words in str(told.value)


def test_nothing_is_written_and_types_are_wanted() -> None:
    with pytest.raises(hr.SerializationError, match="reads events of an outbox and writes none"):
        EVENTS.serialize("t", OrderPaid(True))
    with pytest.raises(TypeError, match="no type of events is given"):
        hr.cdc.outbox({})
    with pytest.raises(TypeError, match="'json' or 'avro' is wanted"):
        hr.cdc.outbox({"OrderPaid": OrderPaid}, format="xml")  # type: ignore[arg-type]  # not of these
