"""`headrace kafka`: a broker in the foreground."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from headrace.testing.local_kafka.settings import free_ports
from tests.cli.conftest import Command, Process

pytestmark = [pytest.mark.broker, pytest.mark.process]


def test_it_says_where_it_runs_and_stops_on_sigterm(
    local_kafka_is_there: None, start: Callable[..., Process], directory: Path
) -> None:
    port = str(free_ports(1)[0])
    process = start("kafka", "--port", port, "--dir", "kept")
    process.wait_for(f"headrace: Kafka 4.4.0 runs on 127.0.0.1:{port}, kept in kept\n")
    process.wait_for(f"use it: headrace run MODULE:NAME --bootstrap-servers 127.0.0.1:{port}\n")
    process.signal(signal.SIGTERM)
    ran = process.end()
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.endswith("headrace: stopping\nheadrace: stopped\n")
    assert (directory / "kept" / "broker-0" / "data" / "meta.properties").exists()


def test_a_port_that_is_taken_is_named(local_kafka_is_there: None, command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = command("kafka", "--port", str(port))
    assert (ran.code, ran.err) == (
        1,
        f"headrace: cannot start a local Kafka on port {port}: something listens there; name another port\n",
    )


def test_missing_java_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    ran = command("kafka")
    assert (ran.code, ran.err) == (
        1,
        "headrace: a local Kafka needs Java 17 or newer: no `java` on PATH, and JAVA_HOME names none\n",
    )


def test_a_version_that_is_none_is_told(command: Command) -> None:
    ran = command("kafka", "--version", "4")
    assert (ran.code, ran.err) == (
        2,
        "headrace: no local Kafka of version '4': name a release from 3.9.0 on, such as '4.4.0'\n",
    )


def test_the_version_that_was_asked_for_runs(
    kafka_of: Callable[[str], LocalKafka], start: Callable[..., Process]
) -> None:
    port = str(free_ports(1)[0])
    process = start("kafka", "--port", port, "--version", "4.3.1")
    process.wait_for(f"headrace: Kafka 4.3.1 runs on 127.0.0.1:{port}, kept until it stops\n")


def test_a_property_of_brokers_needs_an_equals_sign(command: Command) -> None:
    ran = command("kafka", "--set", "message.max.bytes")
    assert (ran.code, ran.err) == (
        2,
        "headrace: --set 'message.max.bytes' has no '=': write --set name=value\n",
    )
