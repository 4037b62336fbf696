"""The table of a topic of changes is the table of the database: rows, deletions, large values, TRUNCATE."""

from dataclasses import dataclass
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.serde.registry.mock import mock_registry
from headrace.testing import TopologyTestDriver
from tests.cdc.kinds import KINDS_KEY, Large
from tests.cdc.record import recorded, register_recorded


@dataclass
class Customer:
    name: str
    notes: str = ""


KEY = hr.cdc.key("id", int)
CUSTOMERS = hr.cdc.table("shop.public.customers", Customer, key=KEY)
ROWS = stores.key_value("customers", key=KEY, value=Customer)
RAW = hr.Topic(CUSTOMERS.name, key=hr.raw, value=hr.raw)
OUT = hr.Topic("out", key=int, value=Customer)


def event(key: int, op: str, after: str = "null", before: str = "null") -> tuple[bytes, bytes]:
    return b'{"id":%d}' % key, f'{{"before":{before},"after":{after},"op":"{op}","source":{{}}}}'.encode()


def topology(topic: hr.Topic[int, Customer] = CUSTOMERS, **options: Any) -> hr.Topology:
    builder = hr.StreamsBuilder(**options)
    builder.table(topic, store=ROWS).to_stream().to(OUT)
    return builder.build()


def test_rows_follow_inserts_updates_and_deletions() -> None:
    with TopologyTestDriver(topology()) as driver:
        driver.input(RAW).pipe(*event(1, "r", '{"id":1,"name":"Ada"}'))
        driver.input(RAW).pipe(*event(2, "c", '{"id":2,"name":"Bob"}'))
        driver.input(RAW).pipe(*event(1, "u", '{"id":1,"name":"Ada L."}'))
        driver.input(RAW).pipe(*event(2, "d", before='{"id":2,"name":""}'))
        assert dict(driver.store(ROWS).all()) == {1: Customer("Ada L.")}


def test_deletion_and_its_tombstone_are_one_update() -> None:
    with TopologyTestDriver(topology()) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada"}'))
        driver.input(RAW).pipe(*event(1, "d", before='{"id":1,"name":""}'))
        driver.input(RAW).pipe(b'{"id":1}', None)
        assert driver.output(OUT).read_pairs() == [(1, Customer("Ada")), (1, None)]


@pytest.mark.parametrize("optimize", ["none", "all"])
def test_rows_survive_a_crash(optimize: str) -> None:
    """Also where source topics are changelogs: changes are no rows."""
    with TopologyTestDriver(topology(optimize=optimize)) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada","notes":"long"}'))
        driver.restart()
        mark = '{"id":1,"name":"Ada L.","notes":"__debezium_unavailable_value"}'
        driver.input(RAW).pipe(*event(1, "u", mark))
        assert driver.store(ROWS).get(1) == Customer("Ada L.", "long")


LARGE_KEY = hr.cdc.key("id", int, avro_of="shop.public.large")


@pytest.mark.parametrize(
    ("variant", "topic"),
    [
        ("plain", hr.cdc.table("shop.public.large", Large, key=KINDS_KEY)),
        ("avro", hr.cdc.table("shop.public.large", Large, key=LARGE_KEY, format="avro")),
    ],
)
def test_large_values_that_have_not_changed_are_those_of_the_row(
    variant: str, topic: hr.Topic[int, Large]
) -> None:
    register_recorded(mock_registry("table"))
    builder = hr.StreamsBuilder()
    rows = stores.key_value("large", key=topic.key, value=Large)
    builder.table(topic, store=rows)
    events = [each for each in recorded(variant) if each.topic == topic.name]
    raw = hr.Topic(topic.name, key=hr.raw, value=hr.raw)
    with TopologyTestDriver(builder.build(), schema_registry_url="mock://table") as driver:
        driver.input(raw).pipe(events[0].key, events[0].value)
        before = driver.store(rows).get(1)
        driver.input(raw).pipe(events[1].key, events[1].value)
        after = driver.store(rows).get(1)
    assert before is not None
    assert after is not None
    assert (before.c, after.c, after.b == before.b, after.ua == before.ua, after.h == before.h) == (
        1, 2, True, True, True,
    )  # fmt: skip


def test_row_that_cannot_be_known_is_for_the_handler() -> None:
    failures: list[str] = []

    def go_on(failure: hr.Failure) -> hr.Reaction:
        failures.append(f"{failure.stage}: {failure.error}")
        return hr.Reaction.resume

    mark = '{"id":1,"name":"Ada","notes":"__debezium_unavailable_value"}'
    with TopologyTestDriver(topology(), processing_exception_handler=go_on) as driver:
        driver.input(RAW).pipe(*event(1, "u", mark))
        driver.input(RAW).pipe(*event(2, "c", '{"id":2,"name":"Bob"}'))
        assert dict(driver.store(ROWS).all()) == {2: Customer("Bob")}
    assert failures == [
        "process: the values of 'notes' have not changed and are not in the record, and the row before it is not "
        "known; let the database log whole rows: ALTER TABLE … REPLICA IDENTITY FULL"
    ]


def test_truncate_fails_unless_it_is_said_what_it_does() -> None:
    with TopologyTestDriver(topology()) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada"}'))
        with pytest.raises(
            hr.ProcessingError, match="the table was truncated, and this is told in one partition"
        ):
            driver.input(RAW).pipe(None, event(0, "t")[1])


def test_truncate_deletes_all_rows_where_it_may() -> None:
    topic = hr.cdc.table(CUSTOMERS.name, Customer, key=KEY, truncates="delete")
    with TopologyTestDriver(topology(topic)) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada"}'))
        driver.input(RAW).pipe(*event(2, "c", '{"id":2,"name":"Bob"}'))
        driver.input(RAW).pipe(None, event(0, "t")[1])
        assert dict(driver.store(ROWS).all()) == {}
        pairs: list[tuple[int, object]] = [*driver.output(OUT).read_pairs()]
        assert pairs[2:] == [(1, None), (2, None)]


def test_truncate_is_passed_over_where_it_is_said() -> None:
    topic = hr.cdc.table(CUSTOMERS.name, Customer, key=KEY, truncates="ignore")
    with TopologyTestDriver(topology(topic)) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada"}'))
        driver.input(RAW).pipe(None, event(0, "t")[1])
        assert dict(driver.store(ROWS).all()) == {1: Customer("Ada")}


def test_groups_of_the_table_give_back_what_has_changed() -> None:
    builder = hr.StreamsBuilder()
    by_name = stores.key_value("by-name", key=str, value=int)
    builder.table(CUSTOMERS, store=ROWS).group_by(lambda key, row: (row.name, 1), key=str, value=int).count(
        store=by_name
    )
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada"}'))
        driver.input(RAW).pipe(*event(2, "c", '{"id":2,"name":"Ada"}'))
        driver.input(RAW).pipe(*event(2, "u", '{"id":2,"name":"Bob"}'))
        driver.input(RAW).pipe(*event(1, "d", before='{"id":1,"name":""}'))
        assert dict(driver.store(by_name).all()) == {"Ada": 0, "Bob": 1}


def test_stream_meets_the_table_when_it_is_keyed_as_the_database_is() -> None:
    orders = hr.Topic("orders", key=int, value=str)
    named = hr.Topic("named", key=int, value=str)
    builder = hr.StreamsBuilder()
    customers = builder.table(CUSTOMERS, store=ROWS)
    keyed = builder.stream(orders).repartition(key=KEY, name="by-customer")
    keyed.join(customers, lambda order, customer: f"{order} of {customer.name}").to(named)
    with TopologyTestDriver(builder.build(), partitions=4) as driver:
        for number in range(8):
            driver.input(RAW).pipe(*event(number, "c", f'{{"id":{number},"name":"c{number}"}}'))
        for number in range(8):
            driver.input(orders).pipe(number, "tea")
        assert sorted(driver.output(named).read_pairs()) == [(n, f"tea of c{n}") for n in range(8)]


def test_changes_are_not_read_as_rows() -> None:
    with pytest.raises(
        hr.TopologyError, match=r"of which builder.table\(\) makes a table; to read the changes"
    ):
        hr.StreamsBuilder().stream(CUSTOMERS)
    with pytest.raises(hr.TopologyError, match=r"of which builder.table\(\) makes a table"):
        hr.StreamsBuilder().global_table(CUSTOMERS)


def test_changes_are_read_as_values() -> None:
    changes = hr.Topic(CUSTOMERS.name, key=KEY, value=hr.cdc.debezium(Customer))
    out = hr.Topic("operations", key=int, value=str)
    builder = hr.StreamsBuilder()
    builder.stream(changes).map_values(lambda change: change.operation, value=str).to(out)
    with TopologyTestDriver(builder.build()) as driver:
        driver.input(RAW).pipe(*event(1, "c", '{"id":1,"name":"Ada"}'))
        driver.input(RAW).pipe(*event(1, "d"))
        assert driver.output(out).read_values() == ["insert", "delete"]


def at_commit(commit: int, key: int, op: str, after: str = "null") -> tuple[bytes, bytes]:
    source = f'{{"sequence":"[\\"{commit}\\",\\"{commit + 5}\\"]"}}'
    return b'{"id":%d}' % key, f'{{"before":null,"after":{after},"op":"{op}","source":{source}}}'.encode()


def test_changes_that_a_killed_connector_writes_again_end_in_the_same_rows() -> None:
    marked = '{"id":1,"name":"Ada L.","notes":"__debezium_unavailable_value"}'
    again = [
        at_commit(200, 1, "u", marked),
        at_commit(300, 2, "c", '{"id":2,"name":"Bob"}'),
        at_commit(400, 1, "d"),
    ]
    with TopologyTestDriver(topology()) as driver:
        driver.input(RAW).pipe(*at_commit(100, 1, "c", '{"id":1,"name":"Ada","notes":"long"}'))
        driver.input(RAW).pipe_all(again)
        driver.restart()  # how far the log of the database was is not forgotten
        driver.input(RAW).pipe_all(again)
        assert dict(driver.store(ROWS).all()) == {2: Customer("Bob")}
        with pytest.raises(hr.ProcessingError, match="the row before it is not known"):
            driver.input(RAW).pipe(*at_commit(500, 3, "u", marked.replace('"id":1', '"id":3')))
