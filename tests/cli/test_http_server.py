"""`--serve`: who may be answered where, and that the server lives as long as the application."""

import json
import re
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.errors import ConfigError
from headrace.cli.http_server import Serving
from tests.cli.conftest import Command, Process

Start = Callable[..., Process]
RUN = ("run", "words:build", "--embedded", "words.db", "--set", "commit.interval.ms=20")


def asked(url: str) -> object:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.process
def test_running_application_answers_until_it_stops(command: Command, words: Path, start: Start) -> None:
    command("topics", "create", "lines", "--partitions", "2", "--embedded", "words.db")
    process = start(*RUN, "--serve", "127.0.0.1:0")
    process.wait_for("answers at ")
    process.wait_for("running: ")
    found = re.search(r"answers at (http://\S+)", process.err)
    assert found is not None
    assert asked(f"{found[1]}/health/ready") == {"state": "running", "waits_for": None}
    process.signal(signal.SIGTERM)
    assert process.end().code == 0
    with pytest.raises(OSError, match="refused"):
        asked(f"{found[1]}/health/live")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--serve", "8080"), "--serve is '8080': write HOST:PORT"),
        (("--serve", "127.0.0.1:99999"), "write HOST:PORT"),
        (("--insecure",), "--insecure is about --serve"),
        (("--serve", "0.0.0.0:8080"), "set application.server=HOST:8080"),
        (
            ("--serve", "0.0.0.0:0", "--set", "application.server=here:1"),
            "others reach it, and would read every store",
        ),
        (("--serve", "127.0.0.1:0", "--set", "server.token=short"), "has less than 16 characters"),
        (("--serve", "127.0.0.1:0", "--set", "server.token.file=none"), "cannot read server.token.file"),
        (("--serve", "127.0.0.1:0", "--set", "server.ssl.certificate.location=none"), "with TLS"),
    ],
)
def test_address_that_cannot_be_served_is_a_mistake(
    command: Command, words: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = command(*RUN, *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert not Path("words.db").exists()


def test_port_that_is_taken_is_told_before_anything_starts(command: Command, words: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = command(*RUN, "--serve", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ran.code == 2
    assert "in use" in ran.err
    assert not Path("words.db").exists()


def test_others_know_where_it_is_asked() -> None:
    serving = Serving("127.0.0.1", 8080)
    assert serving.config(hr.Config())["application.server"] == "127.0.0.1:8080"
    assert serving.config(hr.Config(application_server="shop-1:80"))["application.server"] == "shop-1:80"


def test_each_worker_has_a_port_of_its_own() -> None:
    third = hr.Config(properties={"worker.number": 3})
    assert Serving("127.0.0.1", 8080).config(third)["application.server"] == "127.0.0.1:8082"
    known = third.with_fields(application_server="shop-1:80")
    assert Serving("", 8080).config(known)["application.server"] == "shop-1:82"


def test_all_addresses_need_one_that_others_know() -> None:
    with pytest.raises(ConfigError, match="under which one other instances reach this one"):
        Serving("", 8080).config(hr.Config())
