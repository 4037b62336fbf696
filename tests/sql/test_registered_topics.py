"""A sink of a topic whose schemas a registry has."""

from pathlib import Path

from sqlalchemy import Engine, create_engine, text

import headrace as hr
from headrace.base.columns import Columns
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.sql import Sink
from tests.serde.registry.http_front import HttpFront
from tests.sql.orders import Order
from tests.streams.waiting import until

ORDERS = hr.Topic(
    "orders", key=hr.registry.avro(int, id_in="header"), value=hr.registry.avro(Order, id_in="header")
)


def test_a_sink_waits_for_the_registry_and_drops_nothing(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'out.db'}"
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT, cents INTEGER)"))
    with HttpFront() as front:
        key, value, columns = ORDERS.key.for_keys(), ORDERS.value, Columns()
        value.configure({"schema.registry.url": front.url})
        key.configure({"schema.registry.url": front.url})
        for number in (1, 2):
            key_bytes, headers = key.serialize_with_headers("orders", number, ())
            value_bytes, headers = value.serialize_with_headers("orders", Order("tea", number), headers)
            columns.append(key_bytes, value_bytes, 0, headers)
        log = EmbeddedLog.open(tmp_path / "log.db")
        log.create_topics([TopicSpec("orders", 1)])
        writer = log.writer("test")
        writer.append("orders", 0, columns)
        writer.commit({})
        writer.close()
        log.close()

        # The serdes know the schemas of this session, and forget them with another one.
        front.answers = [(503, "down")] * 2
        with Sink(
            ORDERS,
            "orders",
            database=address,
            key_columns=["id"],
            application_id="out",
            embedded_path=str(tmp_path / "log.db"),
            state_dir=str(tmp_path / "state"),
            schema_registry_url=front.url,
            deserialization_exception_handler=hr.log_and_continue,
            properties={"schema.registry.max.retries": 0},
        ):
            until(lambda: _rows(engine) == [(1, "tea", 1), (2, "tea", 2)])
    assert front.answers == []
    engine.dispose()


def _rows(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [
            tuple(row) for row in connection.execute(text("SELECT id, item, cents FROM orders ORDER BY id"))
        ]
