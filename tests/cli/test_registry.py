"""Topics, dead letters and stores whose schemas a registry has, on the command line."""

import json
from pathlib import Path

import pytest

import headrace as hr
from tests.cli.conftest import Command
from tests.streams.waiting import until

APP = """
import dataclasses, datetime, decimal, typing
import headrace as hr
from headrace import stores

@dataclasses.dataclass
class Order:
    id: str
    at: datetime.datetime
    total: typing.Annotated[decimal.Decimal, hr.registry.Decimal(6, 2)]

TEXT = hr.registry.avro(str)
ORDERS = hr.Topic("orders", key=TEXT, value=hr.registry.avro(Order))
TOTALS = hr.Topic("totals", key=TEXT, value=hr.registry.json_schema(Order, id_in="header"))
LAST = stores.key_value("last", key=TEXT, value=hr.registry.avro(Order))

def pick(order):
    if order.id == "bad":
        raise ValueError("bad")
    return order

builder = hr.StreamsBuilder()
orders = builder.stream(ORDERS)
orders.map_values(pick, value=ORDERS.value).to(TOTALS)
orders.to_table(store=LAST)
topology = builder.build()

def on_failure(failure):
    return hr.Reaction.dead_letter("dead")
"""
OPTIONS = ("--app", "shop.py:topology", "--embedded", "shop.db", "--set", "application.id=shop")
ORDER = {"id": "1", "at": "2026-01-02T03:04:05Z", "total": "2.50"}


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return (*OPTIONS, "--set", f"schema.registry.url=mock://{request.node.name}")


@pytest.fixture
def shop(command: Command, directory: Path, registered: tuple[str, ...]) -> Command:
    """Commands beside an application that has processed what was written, a record that fails among it."""
    (directory / "shop.py").write_text(APP)
    lines = "".join(
        json.dumps({"key": id, "value": {**ORDER, "id": id}, "timestamp": 5}) + "\n" for id in ("1", "bad")
    )
    ran = command("topics", "write", "orders", *registered, stdin=lines)
    assert (ran.code, ran.err) == (0, "wrote 2 records to orders\n")
    scope: dict[str, object] = {}
    exec(compile(APP, "shop", "exec", dont_inherit=True), scope)
    topology = scope["topology"]
    assert isinstance(topology, hr.Topology)
    with hr.Streams(
        topology,
        application_id="shop",
        embedded_path="shop.db",
        schema_registry_url=registered[-1].partition("=")[2],
        processing_exception_handler=scope["on_failure"],  # type: ignore[arg-type]
    ) as streams:
        streams.wait_running("30s")
        until(lambda: len(dict(streams.query("last", where="local").all())) == 2)
    return command


def test_what_is_written_is_read_as_the_application_declares_it(
    shop: Command, registered: tuple[str, ...]
) -> None:
    rows = [json.loads(line) for line in shop("topics", "read", "orders", *registered).lines]
    assert [(row["key"], row["value"]) for row in rows] == [("1", ORDER), ("bad", {**ORDER, "id": "bad"})]


def test_ids_in_headers_are_read_too(shop: Command, registered: tuple[str, ...]) -> None:
    (row,) = [json.loads(line) for line in shop("topics", "read", "totals", *registered).lines]
    assert (row["key"], row["value"]) == ("1", ORDER)
    assert [name for name, _ in row["headers"]] == ["__value_schema_id"]


def test_dead_letters_are_shown_as_what_they_are_of(shop: Command, registered: tuple[str, ...]) -> None:
    row = json.loads(shop("dlq", "show", "dead", "--json", *registered).out)
    assert (row["key"], row["value"]) == ("bad", {**ORDER, "id": "bad"})


def test_stores_are_asked_by_keys_of_the_registry(shop: Command, registered: tuple[str, ...]) -> None:
    assert json.loads(shop("stores", "get", "last", "1", *registered).out)["value"] == ORDER


def test_a_value_that_is_none_is_a_bad_line(shop: Command, registered: tuple[str, ...]) -> None:
    line = json.dumps({"key": "1", "value": {**ORDER, "total": "2.505"}})
    ran = shop("topics", "write", "orders", *registered, stdin=line)
    assert ran.code == 1
    assert "more than 2 digits behind the point - at `$.total`" in ran.err


def test_without_a_registry_bytes_are_shown(shop: Command) -> None:
    first, *_ = shop("topics", "read", "orders", *OPTIONS).lines
    assert json.loads(first)["key"] == {"base64": "AAAAAAECMQ=="}
