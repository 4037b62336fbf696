"""Connections to a real broker: what they tell, how they log in, and what becomes of requests when they break."""

import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from kafka.protocol.consumer import FetchRequest
from kafka.protocol.metadata import MetadataRequest

from headrace.base.errors import LogError
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import PartitionMetadata, TopicMetadata, metadata_request
from headrace.kafka.net.network import ApiMessage, Network, NetworkError
from headrace.kafka.options import ConnectionSettings
from headrace.testing import LocalKafka
from headrace.testing.local_kafka.security import make_certificates
from tests.kafka.broker.proxy import Proxy
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

_METADATA_KEY = 3

NewNetwork = Callable[..., Network]


@pytest.fixture
def new_network() -> Iterator[NewNetwork]:
    """Make networks to a cluster; properties by Kafka's names, None takes one away."""
    made: list[Network] = []

    def make(kafka: LocalKafka, properties: dict[str, object] | None = None) -> Network:
        given = {"default.api.timeout.ms": 3000, **kafka.client_properties, **(properties or {})}
        settings = ConnectionSettings.of({name: value for name, value in given.items() if value is not None})
        made.append(Network(settings, purpose="test"))
        return made[-1]

    yield make
    for network in made:
        network.close()
    made.clear()
    gc.collect()


def _never(error: NetworkError) -> None:
    raise AssertionError(str(error))


def _pump(network: Network, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not until():
        assert time.monotonic() < deadline, "nothing came"
        network.pump(100)


def test_a_cluster_tells_its_versions_and_features(broker: LocalKafka, new_network: NewNetwork) -> None:
    network = new_network(broker)
    network.connect()
    assert network.version(MetadataRequest) == 13
    assert network.version(FetchRequest) == 18
    assert network.features()["transaction.version"] == 2


def test_topics_are_told_with_leaders_and_missing_ones_with_their_error(
    broker: LocalKafka, new_network: NewNetwork, new_topic: NewTopic
) -> None:
    network = new_network(broker)
    network.connect()
    topic = new_topic(partitions=2)
    answers: list[dict[str, TopicMetadata]] = []
    network.request_metadata([topic, "nobody-made-this"], lambda found: answers.append(dict(found)), _never)
    _pump(network, lambda: bool(answers))
    found = answers[0]
    assert found[topic].partitions == {
        0: PartitionMetadata(0, 0, ErrorCode.NONE),
        1: PartitionMetadata(0, 0, ErrorCode.NONE),
    }
    assert len(found[topic].id) == 36
    assert found["nobody-made-this"].error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert found["nobody-made-this"].id == ""


def _note(seen: list[int], number: int, answer: ApiMessage) -> None:
    seen.append(number)


def test_requests_to_one_broker_are_answered_in_their_order(
    broker: LocalKafka, new_network: NewNetwork
) -> None:
    network = new_network(broker)
    network.connect()
    seen: list[int] = []
    for number in range(50):
        network.send(0, metadata_request(()), partial(_note, seen, number), _never)
    assert seen == []
    _pump(network, lambda: len(seen) == 50)
    assert seen == list(range(50))


def test_a_request_may_be_sent_again(broker: LocalKafka, new_network: NewNetwork) -> None:
    network = new_network(broker)
    network.connect()
    request = metadata_request(())
    assert len(network.call(request).brokers) == 1
    assert len(network.call(request).brokers) == 1


def test_a_lost_answer_leaves_the_outcome_open(
    proxied: LocalKafka, proxy: Proxy, new_network: NewNetwork
) -> None:
    network = new_network(proxied)
    network.connect()
    proxy.swallow_answers(api_key=_METADATA_KEY, closes=False)
    failed: list[NetworkError] = []
    network.send(0, metadata_request(()), lambda answer: None, failed.append, timeout_ms=300)
    network.send(0, metadata_request(()), lambda answer: None, failed.append, timeout_ms=5000)
    _pump(network, lambda: len(failed) == 2)
    assert [(error.was_sent, error.is_fatal) for error in failed] == [(True, False)] * 2
    assert "it did not answer in time (request.timeout.ms" in str(failed[0])
    assert len(network.call(metadata_request(())).brokers) == 1


def test_a_cut_connection_fails_what_was_under_way_and_is_made_again(
    proxied: LocalKafka, proxy: Proxy, new_network: NewNetwork
) -> None:
    network = new_network(proxied)
    network.connect()
    fault = proxy.delay_answers(5, api_key=_METADATA_KEY)
    failed: list[NetworkError] = []
    network.send(0, metadata_request(()), lambda answer: None, failed.append)
    deadline = time.monotonic() + 5
    while fault.happened == 0 and time.monotonic() < deadline:
        network.pump(10)
    proxy.clear()
    proxy.cut_connections()
    _pump(network, lambda: bool(failed))
    assert failed[0].was_sent
    deadline = time.monotonic() + 5
    while True:
        try:
            assert len(network.call(metadata_request(())).brokers) == 1
            break
        except NetworkError as error:
            assert not error.is_fatal and time.monotonic() < deadline


def test_a_stopped_broker_is_found_again_through_the_others(
    cluster: LocalKafka, new_network: NewNetwork
) -> None:
    network = new_network(cluster)
    network.connect()
    assert sorted(network.brokers) == [0, 1, 2]
    cluster.kill_broker(1)
    failed: list[NetworkError] = []
    network.send(1, metadata_request(()), lambda answer: None, failed.append)
    _pump(network, lambda: bool(failed))
    assert not failed[0].is_fatal
    cluster.start_broker(1)
    deadline = time.monotonic() + 15
    while True:
        try:
            answer = network.call(metadata_request(()), node_id=1)
            break
        except NetworkError:
            assert time.monotonic() < deadline
            network.pump(50)
    assert len(answer.brokers) >= 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_each_mechanism_logs_in(secured: LocalKafka, new_network: NewNetwork, mechanism: str) -> None:
    network = new_network(secured, dict(secured.client_properties_of("alice", mechanism)))  # type: ignore[arg-type]  # one of its four words
    network.connect()
    assert list(network.brokers) == [0]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_a_login_that_ends_is_renewed_while_requests_come(
    secured: LocalKafka, new_network: NewNetwork, mechanism: str
) -> None:
    network = new_network(secured, dict(secured.client_properties_of("alice", mechanism)))  # type: ignore[arg-type]  # one of its four words
    network.connect()
    until = time.monotonic() + 4.5
    answers: list[ApiMessage] = []
    while time.monotonic() < until:
        # After its 2 s, a login that was not renewed would have its connection closed by the next request.
        network.send(0, metadata_request(()), answers.append, _never)
        network.pump(50)
    assert len(answers) > 40


def _refusal(network: Network) -> tuple[str, float]:
    started = time.monotonic()
    with pytest.raises(LogError) as failed:
        network.connect()
    return str(failed.value), time.monotonic() - started


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_is_said_at_once(
    secured: LocalKafka, new_network: NewNetwork, mechanism: str
) -> None:
    given: dict[str, object] = {
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": None,
        "sasl.username": "alice",
        "sasl.password": "wrong",
        "default.api.timeout.ms": 60_000,
    }
    message, seconds = _refusal(new_network(secured, given))
    assert f"it refused the login with {mechanism}: Authentication failed" in message
    assert "check sasl.jaas.config (or sasl.username and sasl.password)" in message
    assert seconds < 10


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"security.protocol": "PLAINTEXT"}, "it speaks TLS: set security.protocol to SSL or SASL_SSL"),
        ({"security.protocol": "SASL_PLAINTEXT"}, "it speaks TLS: set security.protocol to SSL or SASL_SSL"),
        (
            {"security.protocol": "SSL"},
            "security.protocol (does this port want a login, SASL_PLAINTEXT or SASL_SSL?)",
        ),
        (
            {"ssl.truststore.location": None},
            "its certificate is not accepted (unable to get local issuer certificate); ssl.truststore.location",
        ),
    ],
)
def test_a_wrong_protocol_or_authority_says_what_to_change(
    secured: LocalKafka, new_network: NewNetwork, properties: dict[str, object], said: str
) -> None:
    message, seconds = _refusal(new_network(secured, properties))
    assert said in message
    assert seconds < 5


def test_an_authority_of_others_is_not_trusted(
    secured: LocalKafka, new_network: NewNetwork, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    network = new_network(
        secured, {"ssl.truststore.location": str(tmp_path / "ca.pem"), "default.api.timeout.ms": 60_000}
    )
    message, seconds = _refusal(network)
    assert "its certificate is not accepted" in message
    assert seconds < 5


def test_a_login_to_a_port_without_one_says_so(broker: LocalKafka, new_network: NewNetwork) -> None:
    given: dict[str, object] = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
        "sasl.password": "pw",
    }
    message, seconds = _refusal(new_network(broker, given))
    assert "this port takes no login: set security.protocol to PLAINTEXT or SSL" in message
    assert seconds < 5


def test_tls_to_a_plain_port_says_so(broker: LocalKafka, new_network: NewNetwork) -> None:
    message, _ = _refusal(new_network(broker, {"security.protocol": "SSL"}))
    assert "it closed the connection during the TLS handshake; if this port does not speak TLS" in message
