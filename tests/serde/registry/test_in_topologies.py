"""Serdes of a registry in a topology: topics, stores and internal topics, as Kafka Streams names their subjects."""

from dataclasses import dataclass
from typing import Literal

import pytest

import headrace as hr
from headrace import stores
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.schema import Schema
from headrace.testing import TopologyTestDriver


@dataclass(frozen=True)
class Order:
    customer: str
    amount: int


TEXT = hr.registry.avro(str)
ORDERS = hr.Topic("orders", key=TEXT, value=hr.registry.avro(Order))
TOTALS = hr.Topic("totals", key=TEXT, value=hr.registry.avro(int))
STORE = stores.key_value("by-customer", key=TEXT, value=hr.registry.avro(int))


def topology() -> hr.Topology:
    builder = hr.StreamsBuilder()
    (
        builder.stream(ORDERS)
        .group_by(lambda id, order: order.customer, key=TEXT)
        .aggregate(
            lambda: 0,
            lambda customer, order, total: total + order.amount,
            value=hr.registry.avro(int),
            store=STORE,
        )
        .to_stream()
        .to(TOTALS)
    )
    return builder.build()


def test_internal_topics_have_subjects_of_their_own(
    registry: MockRegistry, request: pytest.FixtureRequest
) -> None:
    url = f"mock://{request.node.nodeid}"
    with TopologyTestDriver(topology(), application_id="shop", schema_registry_url=url) as driver:
        driver.input(ORDERS).pipe_all([("1", Order("ann", 3)), ("2", Order("ann", 4))])
        assert driver.output(TOTALS).read_table() == {"ann": 7}
        assert driver.store(STORE).get("ann") == 7
        driver.restart(lose_state=True)
        driver.input(ORDERS).pipe("3", Order("ann", 1))
        assert driver.output(TOTALS).read_table() == {"ann": 8}
    assert list(registry.subjects) == [
        "orders-key",
        "orders-value",
        "shop-by-customer-changelog-key",
        "shop-by-customer-changelog-value",
        "shop-by-customer-repartition-key",
        "shop-by-customer-repartition-value",
        "totals-key",
        "totals-value",
    ]


def test_a_driver_needs_no_registry() -> None:
    with TopologyTestDriver(topology()) as driver:
        driver.input(ORDERS).pipe("1", Order("ann", 3))
        assert driver.output(TOTALS).read_pair() == ("ann", 3)


def test_ids_go_in_headers_where_a_topic_says_so() -> None:
    source = hr.Topic(
        "in", key=hr.registry.avro(str, id_in="header"), value=hr.registry.avro(int, id_in="header")
    )
    plain = hr.Topic("plain", key=TEXT, value=hr.registry.avro(int))
    builder = hr.StreamsBuilder()
    stream = builder.stream(source)
    stream.to(plain)
    stream.map_values(lambda number: number + 1).to(hr.Topic("out", key=source.key, value=source.value))
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(source).pipe("k", 1, headers=[("trace", b"7")])
        read = driver.output(hr.Topic("out", key=source.key, value=source.value)).read()
        assert (read.key, read.value) == ("k", 2)
        assert [name for name, _ in read.headers] == ["trace", "__key_schema_id", "__value_schema_id"]
        read = driver.output(plain).read()
        assert (read.key, read.value, read.headers) == ("k", 1, (("trace", b"7"),))
        (raw,) = driver.log.records("out")
        assert raw[2:4] == (b"\x02k", b"\x04")


def test_a_registry_that_lost_a_schema_is_no_reason_to_drop_a_record(
    registry: MockRegistry, request: pytest.FixtureRequest
) -> None:
    registry.register("orders-value", Schema("AVRO", '"int"'))
    latest = hr.Topic("orders", key=TEXT, value=hr.registry.avro(str, use_latest=True))
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("in", value=str)).to(latest.name, key=TEXT, value=latest.value)
    url = f"mock://{request.node.nodeid}"
    with (
        TopologyTestDriver(
            builder.build(), schema_registry_url=url, production_exception_handler=hr.log_and_continue
        ) as driver,
        pytest.raises(hr.HeadraceError, match="cannot write with the schema"),
    ):
        driver.input(hr.Topic("in", value=str)).pipe("k", "v")


@pytest.mark.parametrize("id_in", ["prefix", "header"])
def test_a_table_is_restored_from_its_own_topic_whatever_its_producers_write(
    registry: MockRegistry, request: pytest.FixtureRequest, id_in: Literal["prefix", "header"]
) -> None:
    # Another client has registered the same keys and values in a form of its own.
    registry.register("theirs-key", Schema("AVRO", '{"type":"string"}'))
    registry.register("theirs-value", Schema("AVRO", '{"type":"int"}'))
    theirs = hr.Topic(
        "numbers",
        key=hr.registry.avro(str, schema='{"type":"string"}', id_in=id_in),
        value=hr.registry.avro(int, schema='{"type":"int"}', id_in=id_in),
    )
    ours = hr.Topic("numbers", key=TEXT, value=hr.registry.avro(int))
    store = stores.key_value("numbers-store", key=TEXT, value=ours.value)
    builder = hr.StreamsBuilder(optimize="all")
    builder.table(ours, store=store)
    url = f"mock://{request.node.nodeid}"
    with TopologyTestDriver(builder.build(), schema_registry_url=url) as driver:
        driver.input(theirs).pipe_all([("a", 1), ("b", 2), ("a", 3)])
        before = dict(driver.store(store).all())
        driver.restart(lose_state=True)
        assert dict(driver.store(store).all()) == before == {"a": 3, "b": 2}
        assert driver.store(store).get("a") == 3
        driver.input(theirs).pipe("a", None)
        assert dict(driver.store(store).all()) == {"b": 2}


def test_what_waits_in_a_join_has_the_subjects_of_its_changelog(
    registry: MockRegistry, request: pytest.FixtureRequest
) -> None:
    builder = hr.StreamsBuilder()
    table = builder.table(
        hr.Topic("prices", key=TEXT, value=hr.registry.avro(int)),
        store=stores.versioned("prices-store", key=TEXT, value=hr.registry.avro(int), history="1h"),
    )
    builder.stream(ORDERS).join(
        table, lambda order, price: order.amount * price, value=int, grace="1m", name="priced"
    )
    url = f"mock://{request.node.nodeid}"
    with TopologyTestDriver(builder.build(), application_id="shop", schema_registry_url=url) as driver:
        driver.input(ORDERS).pipe("1", Order("ann", 3), 0)
    assert [subject for subject in registry.subjects if not subject.startswith("orders")] == [
        "shop-priced-Buffer-changelog-key",
        "shop-priced-Buffer-changelog-value",
    ]
