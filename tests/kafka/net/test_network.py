"""Connecting to what is not there, or is no Kafka: one error each, in time, that says what to change."""

import gc
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from headrace.base.errors import LogError
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import metadata_request
from headrace.kafka.net.network import Network, NetworkError
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings
from tests.kafka.net.servers import answer, brokers, closed_port, read_frame, serving, versions


@pytest.fixture
def new_network() -> Iterator[Callable[..., Network]]:
    made: list[Network] = []

    def make(servers: str, *, waiting: Waiting | None = None, **properties: object) -> Network:
        named = {name.replace("_", "."): value for name, value in properties.items()}
        given = {"bootstrap.servers": servers, "default.api.timeout.ms": 700, **named}
        made.append(Network(ConnectionSettings.of(given), purpose="test", waiting=waiting))
        return made[-1]

    yield make
    for network in made:
        network.close()
        network.close()
    made.clear()
    # An open socket would be a ResourceWarning, which is an error.
    gc.collect()


def _failure(network: Network) -> tuple[str, float]:
    started = time.monotonic()
    with pytest.raises(LogError) as failed:
        network.connect()
    return str(failed.value), time.monotonic() - started


NewNetwork = Callable[..., Network]


def test_a_refused_port_is_tried_until_the_time_is_over(new_network: NewNetwork) -> None:
    address = closed_port()
    message, seconds = _failure(new_network(address))
    assert message == (
        f"cannot connect to the Kafka cluster: bootstrap server {address}: it cannot be connected to "
        f"(Connection refused); check bootstrap.servers (default.api.timeout.ms: 0.7 s)"
    )
    assert seconds < 1.5


def test_nothing_is_said_before_an_error_that_comes_soon(
    new_network: NewNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = Waiting()
    waiting.hurry(0.5)
    message, seconds = _failure(new_network(closed_port(), waiting=waiting, default_api_timeout_ms=60_000))
    assert message.endswith("(given up, since the application stops)")
    assert seconds < 2
    assert caplog.records == []


def test_a_name_that_nobody_knows_is_given_up_at_once(new_network: NewNetwork) -> None:
    message, seconds = _failure(new_network("nowhere.invalid:9092", default_api_timeout_ms=60_000))
    assert message.startswith(
        "cannot connect to the Kafka cluster: bootstrap server nowhere.invalid:9092: its name cannot be looked up"
    )
    assert message.endswith("check bootstrap.servers")
    assert seconds < 20


def test_a_silent_server_is_given_up_in_time(new_network: NewNetwork) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        message, seconds = _failure(new_network(address, socket_connection_setup_timeout_ms=200))
    assert "it did not answer in time" in message
    assert "check bootstrap.servers (is this the port of a Kafka broker?)" in message
    assert seconds < 2


def test_a_silent_server_is_given_up_in_time_with_tls(new_network: NewNetwork) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        network = new_network(address, security_protocol="SSL", socket_connection_setup_timeout_ms=200)
        message, seconds = _failure(network)
    assert (
        "it did not answer the TLS handshake in time; does this port speak TLS (security.protocol)?"
        in message
    )
    assert seconds < 2


def test_the_last_moments_of_the_time_given_do_not_hide_what_was_seen_before(new_network: NewNetwork) -> None:
    closed: list[bool] = []

    def serve(connection: socket.socket) -> None:
        answer(connection, read_frame(connection), versions())
        read_frame(connection)
        if closed:
            # The next try lasts until the time is over: what it sees is our own haste.
            connection.recv(1)
        closed.append(True)

    with serving(serve) as address:
        message, _ = _failure(new_network(address))
    assert "security.protocol (does this port want a login, SASL_PLAINTEXT or SASL_SSL?)" in message
    assert "did not answer in time" not in message


def test_a_web_server_is_named_at_once(new_network: NewNetwork) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with serving(serve) as address:
        message, seconds = _failure(new_network(address, default_api_timeout_ms=60_000))
    assert message == (
        f"cannot connect to the Kafka cluster: bootstrap server {address}: it speaks HTTP: this is not a Kafka port; "
        f"correct bootstrap.servers"
    )
    assert seconds < 5


def test_an_answer_that_cannot_be_decoded_closes_the_connection(new_network: NewNetwork) -> None:
    def serve(connection: socket.socket) -> None:
        request = read_frame(connection)
        garbage = request[4:8] + b"\x00\x00" + b"\xff" * 20
        connection.sendall(struct.pack(">i", len(garbage)) + garbage)
        read_frame(connection)

    with serving(serve) as address:
        message, _ = _failure(new_network(address))
    assert "its answer cannot be read" in message


def test_an_answer_to_another_request_closes_the_connection(new_network: NewNetwork) -> None:
    def serve(connection: socket.socket) -> None:
        read_frame(connection)
        connection.sendall(struct.pack(">ii", 8, 77) + b"\x00" * 4)
        read_frame(connection)

    with serving(serve) as address:
        message, _ = _failure(new_network(address))
    assert "it answered another request (number 77 instead of 1)" in message


def test_a_broker_older_than_2_5_is_refused_at_once(new_network: NewNetwork) -> None:
    def serve(connection: socket.socket) -> None:
        # Refuses the new ApiVersions in version 0, then tells OffsetFetch (9) up to version 6, as 2.4 does.
        while True:
            request = read_frame(connection)
            version = struct.unpack_from(">h", request, 2)[0]
            error = 0 if version == 0 else 35
            body = request[4:8] + struct.pack(">hi", error, 2) + struct.pack(">hhhhhh", 18, 0, 0, 9, 0, 6)
            connection.sendall(struct.pack(">i", len(body)) + body)

    with serving(serve) as address:
        message, seconds = _failure(new_network(address, default_api_timeout_ms=60_000))
    assert message == (
        f"cannot connect to the Kafka cluster: bootstrap server {address}: it is too old: headrace needs Kafka 2.5 or "
        f"later"
    )
    assert seconds < 5


def test_a_request_that_found_no_broker_was_not_sent(new_network: NewNetwork) -> None:
    network = new_network(closed_port())
    failed: list[NetworkError] = []
    network.request_metadata(["orders"], lambda topics: None, failed.append)
    assert failed == []
    deadline = time.monotonic() + 5
    while not failed and time.monotonic() < deadline:
        network.pump(100)
    assert [(error.was_sent, error.is_fatal) for error in failed] == [(False, False)]


def test_a_request_to_an_unknown_node_fails_in_the_next_pump(new_network: NewNetwork) -> None:
    network = new_network(closed_port())
    failed: list[NetworkError] = []
    network.send(7, metadata_request(()), lambda answer: None, failed.append)
    assert failed == []
    network.pump(0)
    assert [str(error) for error in failed] == ["broker 7 is not known; the cluster's brokers have changed"]


def test_what_a_callback_raises_comes_out_of_the_pump(new_network: NewNetwork) -> None:
    network = new_network(closed_port())

    def burst(error: NetworkError) -> None:
        raise ZeroDivisionError

    failed: list[NetworkError] = []
    network.send(7, metadata_request(()), lambda answer: None, burst)
    network.send(8, metadata_request(()), lambda answer: None, failed.append)
    with pytest.raises(ZeroDivisionError):
        network.pump(0)
    network.pump(0)
    assert len(failed) == 1


def test_a_closed_network_says_so(new_network: NewNetwork) -> None:
    network = new_network(closed_port())
    network.close()
    with pytest.raises(NetworkError, match="the network for test is closed"):
        network.pump(0)


def test_what_a_broker_said_before_it_closed_is_read(new_network: NewNetwork) -> None:
    def serve(connection: socket.socket) -> None:
        request = read_frame(connection)
        body = request[4:8] + struct.pack(">hi", ErrorCode.CLUSTER_AUTHORIZATION_FAILED, 0)
        connection.sendall(struct.pack(">i", len(body)) + body)

    with serving(serve) as address:
        message, _ = _failure(new_network(address, default_api_timeout_ms=60_000))
    assert "it refused to tell its versions (CLUSTER_AUTHORIZATION_FAILED)" in message


def test_a_broker_that_throttles_gets_no_request_until_its_time_is_over(new_network: NewNetwork) -> None:
    seen: list[float] = []

    def serve(connection: socket.socket) -> None:
        while True:
            request = read_frame(connection)
            if request[:2] == b"\x00\x12":
                answer(connection, request, versions())
            else:
                seen.append(time.monotonic())
                answer(connection, request, brokers(address, throttle_ms=250))

    with serving(serve) as address:
        network = new_network(address)
        network.call(metadata_request(()), node_id=-1)
        answers: list[object] = []
        network.send(-1, metadata_request(()), answers.append, answers.append)
        network.send(-1, metadata_request(()), answers.append, answers.append, timeout_ms=50)
        deadline = time.monotonic() + 5
        while len(answers) < 2 and time.monotonic() < deadline:
            network.pump(100)
        network.close()
    late, answered = answers
    assert isinstance(late, NetworkError)
    assert str(late) == f"bootstrap server {address}: it throttles us for too long"
    assert not late.was_sent
    assert not isinstance(answered, NetworkError)
    assert seen[1] - seen[0] >= 0.25


def test_an_address_that_only_the_brokers_tell_is_said_to_be_theirs(new_network: NewNetwork) -> None:
    elsewhere = closed_port()

    def serve(connection: socket.socket) -> None:
        answer(connection, read_frame(connection), versions())
        answer(connection, read_frame(connection), brokers(elsewhere))

    with serving(serve) as address:
        message, _ = _failure(new_network(address))
    assert message == (
        f"cannot connect to the Kafka cluster: broker 0 at {elsewhere}: it cannot be connected to (Connection "
        f"refused); look whether it is up; if its address is wrong, correct the broker's advertised.listeners "
        f"(default.api.timeout.ms: 0.7 s)"
    )


def test_who_is_woken_goes_on_waiting_or_not_as_it_was_told(new_network: NewNetwork) -> None:
    network = new_network(closed_port())
    network.wakeup()
    began = time.monotonic()
    network.pump(50)
    assert time.monotonic() - began >= 0.05
    # Whoever wakes before anybody waits has woken who waits next.
    network.wakeup()
    network.pump(60_000, ends_when_woken=True)
    threading.Timer(0.05, network.wakeup).start()
    network.pump(60_000, ends_when_woken=True)
    assert 0.1 <= time.monotonic() - began < 30
