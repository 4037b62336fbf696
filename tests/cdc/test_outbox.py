"""Events of an outbox: several types in one topic, as Debezium's event router has written them."""

from dataclasses import dataclass

import pytest

import headrace as hr
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
