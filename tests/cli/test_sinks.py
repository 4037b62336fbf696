"""`headrace run` with a sink: as any application, with its own log, server, figures and end."""

import json
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, Process
from tests.streams.waiting import until

Start = Callable[..., Process]

SINK = """
import headrace as hr

PRICES = hr.Topic("prices", value=hr.json(int))
sink = hr.sql.Sink(
    PRICES, "prices", database="sqlite:///out.db", row=lambda record: {"cents": record.value}, key_columns=["item"]
)


def build():
    return sink
"""
RUN = ("run", "prices:sink", "--embedded", "prices.db")


@pytest.fixture
def prices(directory: Path) -> Path:
    """The sink's module, and its table."""
    (directory / "prices.py").write_text(SINK)
    with closing(sqlite3.connect(directory / "out.db")) as database:
        database.execute("CREATE TABLE prices (item text PRIMARY KEY, cents bigint)")
    return directory


def asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


def rows(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / "out.db")) as database:
        return database.execute("SELECT item, cents FROM prices ORDER BY item").fetchall()


@pytest.mark.process
def test_sink_runs_and_is_asked_as_any_application(prices: Path, command: Command, start: Start) -> None:
    command("topics", "create", "prices", "--partitions", "2", "--embedded", "prices.db")
    text = '{"key": "tea", "value": 300}\n{"key": "cup", "value": 900}\n'
    command("topics", "write", "prices", "--value", "json", "--embedded", "prices.db", stdin=text)
    process = start(*RUN, "--serve", "127.0.0.1:0")
    process.wait_for("application 'prices' on prices.db")
    process.wait_for("answers at ")
    process.wait_for("running: ")
    found = re.search(r"answers at (http://\S+)", process.err)
    assert found is not None
    until(lambda: rows(prices) == [("cup", 900), ("tea", 300)])
    assert asked(f"{found[1]}/health/ready") == {"state": "running", "waits_for": None}
    with urllib.request.urlopen(f"{found[1]}/metrics", timeout=20) as answer:
        body = answer.read().decode()
    assert 'kafka_stream_sink_row_total{application_id="prices",table="prices"} 2.0' in body
    until(lambda: asked(f"{found[1]}/lag")["records"] == 0)
    paths = asked(f"{found[1]}/openapi.json")["paths"]
    assert {"/health/live", "/health/ready", "/metrics", "/lag", "/config"} <= paths.keys()
    assert "/stores" not in paths
    process.signal(signal.SIGTERM)
    ran = process.end()
    assert (ran.code, ran.err.endswith("headrace: stopped\n")) == (0, True)


@pytest.mark.process
def test_sink_that_fails_ends_with_the_reason(prices: Path, command: Command, start: Start) -> None:
    (prices / "prices.py").write_text(SINK.replace('"prices", database', '"none", database'))
    command("topics", "create", "prices", "--embedded", "prices.db")
    ran = start(*RUN).end()
    assert ran.code == 2
    assert "there is no table" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "prices:sink"), "no log is named"),
        ((*RUN, "--locked"), "--locked is for topologies, and prices:sink is a sink"),
        (
            ("run", "prices:build", "--bootstrap-servers", "127.0.0.1:1", "--workers", "2"),
            "--workers is for topologies, and prices:build is a sink",
        ),
        (("topology", "show", "prices:sink"), "prices:sink is a Sink, not a Topology"),
    ],
)
def test_what_is_no_matter_of_sinks_is_a_mistake(
    prices: Path, command: Command, arguments: tuple[str, ...], said: str
) -> None:
    ran = command(*arguments)
    assert ran.code != 0
    assert said in " ".join(ran.err.split())
