"""A mistake about a cluster is one line that names what to change, and it comes soon."""

import itertools
import json
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from kafka.protocol.sasl import SaslHandshakeResponse

from headrace.testing import LocalKafka
from headrace.testing.local_kafka.java import JavaRecord
from headrace.testing.local_kafka.security import make_certificates
from tests.cli.conftest import Command, Process
from tests.kafka.broker.acls import Operation, Resource, allow
from tests.kafka.broker.proxy import Proxy
from tests.kafka.net.servers import answer, closed_port, read_frame, serving, versions

pytestmark = [pytest.mark.broker, pytest.mark.timeout(60)]

_NUMBERS = itertools.count(1)

Start = Callable[..., Process]
Said = Callable[..., str]


@pytest.fixture
def topic() -> str:
    """A name that no other test has, of an application and the topic that it reads; its output is `topic`-out."""
    return f"mistakes-{next(_NUMBERS)}"


@pytest.fixture
def app(directory: Path, topic: str) -> tuple[str, ...]:
    """What runs an application that copies a topic."""
    (directory / "copy_app.py").write_text(
        "import headrace as hr\n"
        "builder = hr.StreamsBuilder()\n"
        f"builder.stream(hr.Topic({topic!r}, value=str)).to(hr.Topic('{topic}-out', value=str))\n"
    )
    return ("run", "copy_app:builder", "--quiet", "--application-id", topic)


@pytest.fixture
def counting(directory: Path, topic: str) -> tuple[str, ...]:
    """What runs an application that has internal topics."""
    (directory / "count_app.py").write_text(
        "import headrace as hr\n"
        "builder = hr.StreamsBuilder()\n"
        f"lines = builder.stream(hr.Topic({topic!r}, key=str, value=str))\n"
        f"counts = lines.group_by(lambda key, line: line, key=str).count()\n"
        f"counts.to_stream().to(hr.Topic('{topic}-out', key=str, value=int))\n"
    )
    return ("run", "count_app:builder", "--quiet", "--application-id", topic)


@pytest.fixture
def said(command: Command, directory: Path) -> Said:
    """Run a command that fails with one line within seconds, and return the line."""

    def run(*arguments: str, properties: Mapping[str, str] | None = None, seconds: float = 15) -> str:
        (directory / "kafka.toml").write_text(_toml(properties or {}))
        began = time.monotonic()
        ran = command(*arguments, "--config", "kafka.toml")
        assert ran.code in (1, 2), ran
        assert ran.out == ""
        (line,) = ran.err.splitlines()
        assert line.startswith("headrace: ")
        assert time.monotonic() - began < seconds
        return line.removeprefix("headrace: ")

    return run


def _toml(properties: Mapping[str, str]) -> str:
    return "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in properties.items())


def _plain(kafka: LocalKafka) -> tuple[str, str]:
    return ("--bootstrap-servers", kafka.bootstrap_servers)


def _alice(kafka: LocalKafka, **changed: str | None) -> dict[str, str]:
    given = {
        **kafka.client_properties_of("alice"),
        **{name.replace("_", "."): v for name, v in changed.items()},
    }
    return {name: value for name, value in given.items() if value is not None}


# ── the way to the cluster ───────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_listens(said: Said) -> None:
    address = closed_port()
    told = said("topics", "list", "--bootstrap-servers", address, "--set", "default.api.timeout.ms=500")
    assert told == (
        f"cannot connect to the Kafka cluster: bootstrap server {address}: it cannot be connected to "
        f"(Connection refused); check bootstrap.servers (default.api.timeout.ms: 0.5 s)"
    )


def test_a_host_that_nobody_knows(said: Said, app: tuple[str, ...]) -> None:
    told = said(*app, "--bootstrap-servers", "nowhere.invalid:9092", seconds=30)
    assert "bootstrap server nowhere.invalid:9092: its name cannot be looked up" in told
    assert told.endswith("check bootstrap.servers")


def test_tls_to_a_port_without_it(said: Said, app: tuple[str, ...], local_kafka: LocalKafka) -> None:
    told = said(*app, *_plain(local_kafka), "--set", "security.protocol=SSL")
    assert told.endswith(
        "if this port does not speak TLS, set security.protocol to PLAINTEXT or SASL_PLAINTEXT"
    )


def test_a_login_to_a_port_without_one(said: Said, local_kafka: LocalKafka) -> None:
    properties = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
        "sasl.password": "secret",
    }
    told = said("topics", "list", *_plain(local_kafka), properties=properties)
    assert told.endswith("this port takes no login: set security.protocol to PLAINTEXT or SSL")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_no_tls_to_a_port_with_it(
    said: Said, app: tuple[str, ...], secured: LocalKafka, protocol: str
) -> None:
    told = said(*app, properties=_alice(secured, security_protocol=protocol))
    assert told.endswith("it speaks TLS: set security.protocol to SSL or SASL_SSL")


def test_tls_without_a_login(said: Said, secured: LocalKafka) -> None:
    properties = _alice(secured, security_protocol="SSL", default_api_timeout_ms="1000")
    told = said("topics", "list", properties=properties)
    assert "security.protocol (does this port want a login, SASL_PLAINTEXT or SASL_SSL?)" in told


def test_an_authority_that_did_not_sign(
    said: Said, app: tuple[str, ...], secured: LocalKafka, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("others")
    make_certificates(folder)
    told = said(*app, properties=_alice(secured, ssl_truststore_location=str(folder / "ca.pem")))
    assert "its certificate is not accepted (" in told
    assert "ssl.truststore.location must hold the authority that signed it" in told


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password(said: Said, app: tuple[str, ...], secured: LocalKafka, mechanism: str) -> None:
    properties = _alice(secured, sasl_jaas_config=None, sasl_mechanism=mechanism)
    told = said(*app, properties={**properties, "sasl.username": "alice", "sasl.password": "wrong"})
    assert f"it refused the login with {mechanism}: Authentication failed" in told
    assert told.endswith("check sasl.jaas.config (or sasl.username and sasl.password)")
    assert "wrong" not in told


def test_a_mechanism_that_the_brokers_do_not_take(said: Said, app: tuple[str, ...]) -> None:
    def serve(connection: socket.socket) -> None:
        answer(connection, read_frame(connection), versions())
        refused = SaslHandshakeResponse(version=1, error_code=33, mechanisms=["SCRAM-SHA-256", "OAUTHBEARER"])
        answer(connection, read_frame(connection), refused)

    properties = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
        "sasl.password": "secret",
    }
    with serving(serve) as address:
        told = said(*app, "--bootstrap-servers", address, properties=properties)
    assert told.endswith("it does not take sasl.mechanism=PLAIN (enabled there: SCRAM-SHA-256, OAUTHBEARER)")


def test_a_broker_that_is_too_old(said: Said, app: tuple[str, ...]) -> None:
    def serve(connection: socket.socket) -> None:
        found = versions()
        for each in found.api_keys:
            each.max_version = min(each.max_version, 5)
        answer(connection, read_frame(connection), found)

    with serving(serve) as address:
        told = said(*app, "--bootstrap-servers", address)
    assert told.endswith("it is too old: headrace needs Kafka 2.5 or later")


# ── rights ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_Right = tuple[Resource, str, Operation]

# What an application needs that copies a topic; a name stands behind the test's own.
_RIGHTS: tuple[_Right, ...] = (
    ("topic", "", "READ"),
    ("topic", "", "DESCRIBE_CONFIGS"),
    ("topic", "-out", "WRITE"),
    ("topic", "-out", "DESCRIBE_CONFIGS"),
    ("group", "", "READ"),
    ("transactional_id", "-", "WRITE"),
)


def _grant(kafka: LocalKafka, topic: str, rights: tuple[_Right, ...]) -> None:
    kafka.create_topic(topic)
    kafka.create_topic(f"{topic}-out")
    for resource, suffix, operation in rights:
        is_prefix = resource == "transactional_id"  # the process's own id stands behind it
        allow(kafka, "alice", resource, topic + suffix, operation, is_prefix=is_prefix)


@pytest.mark.parametrize(
    ("missing", "instead", "told"),
    [
        pytest.param(0, None, "allow this principal to DESCRIBE the topic (READ for an input", id="describe"),
        pytest.param(0, "DESCRIBE", "allow this principal to READ and DESCRIBE the topic", id="read"),
        pytest.param(2, "DESCRIBE", "allow this principal to WRITE to the topic", id="write"),
        pytest.param(4, None, "allow this principal to DESCRIBE the group (READ, which", id="group"),
        pytest.param(4, "DESCRIBE", "allow this principal to READ the group", id="group read"),
        pytest.param(
            5, None, "allow this principal to WRITE and DESCRIBE the transactional id", id="transaction"
        ),
    ],
)
def test_a_right_that_is_missing(
    said: Said,
    app: tuple[str, ...],
    secured: LocalKafka,
    topic: str,
    missing: int,
    instead: Operation | None,
    told: str,
) -> None:
    rights = list(_RIGHTS)
    resource, suffix, _ = rights.pop(missing)
    if instead is not None:
        rights.append((resource, suffix, instead))
    _grant(secured, topic, tuple(rights))
    secured.produce_with_java(topic, [JavaRecord(value=b"a")])
    line = said(*app, properties=_alice(secured))
    assert told in line
    assert topic in line


def test_the_right_to_make_internal_topics_is_missing(
    said: Said, counting: tuple[str, ...], secured: LocalKafka, topic: str
) -> None:
    _grant(secured, topic, _RIGHTS)
    line = said(*counting, properties=_alice(secured))
    assert f"cannot look up topics '{topic}-" in line
    assert "allow this principal to DESCRIBE the topic" in line
    allow(secured, "alice", "topic", f"{topic}-", "DESCRIBE", is_prefix=True)
    line = said(*counting, properties=_alice(secured))
    assert f"cannot create topics '{topic}-" in line
    assert "allow this principal to CREATE the topic" in line


@pytest.mark.process
def test_these_rights_are_enough(
    start: Start, counting: tuple[str, ...], secured: LocalKafka, directory: Path, topic: str
) -> None:
    _grant(secured, topic, _RIGHTS)
    internal: tuple[Operation, ...] = ("CREATE", "READ", "WRITE", "DELETE", "DESCRIBE_CONFIGS")
    allow(secured, "alice", "topic", f"{topic}-", *internal, is_prefix=True)
    (directory / "kafka.toml").write_text(_toml(_alice(secured)))
    secured.produce_with_java(topic, [JavaRecord(value=b"a")])
    process = start(*counting, "--config", "kafka.toml")
    (count,) = secured.consume_with_java(f"{topic}-out", count=1)
    assert (count.key, count.value) == (b"a", (1).to_bytes(8, "big"))
    process.signal(signal.SIGTERM)
    ran = process.end()
    assert (ran.code, ran.err) == (0, "")


# ── topics and their properties ──────────────────────────────────────────────────────────────────────────────────────


def test_topics_that_are_missing(
    said: Said, app: tuple[str, ...], local_kafka: LocalKafka, topic: str
) -> None:
    told = said(*app, *_plain(local_kafka))
    assert told.startswith(f"there are no topics '{topic}', '{topic}-out' on the cluster: create them first")
    assert f"`headrace topics create {topic} --partitions 1 --bootstrap-servers …`" in told
    local_kafka.create_topic(topic)
    assert said(*app, *_plain(local_kafka)).startswith(
        f"there is no topic '{topic}-out' on the cluster: create it"
    )


def test_more_replicas_than_brokers(
    said: Said, counting: tuple[str, ...], local_kafka: LocalKafka, topic: str
) -> None:
    local_kafka.create_topic(topic)
    local_kafka.create_topic(f"{topic}-out")
    told = said(*counting, *_plain(local_kafka), "--set", "replication.factor=3")
    assert f"cannot create topics '{topic}-" in told
    assert told.endswith("set replication.factor to at most the number of brokers, or to -1")


def test_transactions_longer_than_the_brokers_allow(
    said: Said, app: tuple[str, ...], local_kafka: LocalKafka, topic: str
) -> None:
    local_kafka.create_topic(topic)
    local_kafka.create_topic(f"{topic}-out")
    told = said(*app, *_plain(local_kafka), "--set", "transaction.timeout.ms=3600000")
    assert f"cannot begin with transactional id '{topic}-" in told
    assert told.endswith("lower transaction.timeout.ms, or raise the brokers' transaction.max.timeout.ms")


def test_a_record_that_is_too_large(
    said: Said, app: tuple[str, ...], local_kafka: LocalKafka, topic: str
) -> None:
    local_kafka.create_topic(topic)
    local_kafka.create_topic(f"{topic}-out", 1, {"max.message.bytes": "20000"})
    local_kafka.produce_with_java(topic, [JavaRecord(value=b"v" * 30_000)])
    told = said(*app, *_plain(local_kafka))
    assert f"could not write a record: topic '{topic}', partition 0, offset 0" in told
    assert f"cannot write a record to partition 0 of topic '{topic}-out': it has 30,082 bytes" in told
    assert "Raise max.request.size and the topic's max.message.bytes" in told


# ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.process
def test_the_status_line_says_what_is_waited_for(
    start: Start, app: tuple[str, ...], proxied: LocalKafka, proxy: Proxy, topic: str
) -> None:
    proxied.create_topic(topic)
    proxied.create_topic(f"{topic}-out")
    process = start(*(each for each in app if each != "--quiet"), *_plain(proxied))
    process.wait_for("running: ")
    with proxy.refusing():
        proxy.cut_connections()
        process.wait_for("running: waits: ")
        process.wait_for(proxy.address)
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        ran = process.end()
    assert time.monotonic() - began < 10
    assert ran.code == 0
    assert ran.err.endswith("headrace: stopped\n")
    assert "Traceback" not in ran.err
