"""The proxy of the fault tests: each fault really happens, and the broker has acted, or not, as it says."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from headrace.testing import LocalKafka
from tests.kafka.broker.proxy import Proxy
from tests.kafka.conftest import NewTopic

pytestmark = pytest.mark.broker

API_VERSIONS, CREATE_TOPICS = 18, 19


class Client:
    """Speaks just enough of the protocol: requests by hand, answers as bytes."""

    def __init__(self, proxy: Proxy) -> None:
        self._socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
        self._correlation = 0

    def send(self, api_key: int, version: int, body: bytes = b"") -> int:
        self._correlation += 1
        request = struct.pack(">hhih", api_key, version, self._correlation, -1) + body
        self._socket.sendall(struct.pack(">i", len(request)) + request)
        return self._correlation

    def create_topic(self, name: str) -> int:
        topic = struct.pack(">ih", 1, len(name)) + name.encode() + struct.pack(">ihii", 1, 1, 0, 0)
        return self.send(CREATE_TOPICS, 4, topic + struct.pack(">i?", 10_000, False))

    def receive(self) -> bytes:
        """The next piece of an answer; empty at the end of the connection."""
        return self._socket.recv(65536)

    def answer(self) -> tuple[int, int]:
        """Size and correlation id of a whole answer."""
        data = b""
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4]):
            piece = self.receive()
            assert piece, "the connection ended within an answer"
            data += piece
        size, correlation = struct.unpack_from(">ii", data)
        return size, correlation

    def all(self) -> bytes:
        """Everything up to the end of the connection."""
        data = b""
        while piece := self.receive():
            data += piece
        return data

    def says_nothing_for(self, seconds: float) -> bool:
        self._socket.settimeout(seconds)
        try:
            self.receive()
        except TimeoutError:
            return True
        else:
            return False
        finally:
            self._socket.settimeout(10)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def client(proxied: LocalKafka, proxy: Proxy) -> Iterator[Client]:
    made = Client(proxy)
    yield made
    made.close()


def test_clients_come_through_the_proxy(proxied: LocalKafka, proxy: Proxy, new_topic: NewTopic) -> None:
    from kafka import KafkaProducer

    before = proxy.requests[0]
    topic = new_topic(kafka=proxied)
    producer = KafkaProducer(bootstrap_servers=proxied.bootstrap_servers)
    assert producer.send(topic, b"x").get(10).offset == 0
    producer.close()
    assert proxied.bootstrap_servers == proxy.address
    assert proxy.requests[0] == before + 1


def test_a_swallowed_answer_leaves_what_the_broker_did(
    proxied: LocalKafka, proxy: Proxy, client: Client
) -> None:
    lost = proxy.swallow_answers(api_key=CREATE_TOPICS)
    client.send(API_VERSIONS, 0)
    assert client.answer()[1] == 1
    client.create_topic("swallowed")
    assert client.all() == b""
    assert lost.happened == 1
    assert "swallowed" in proxied.view().topics


def test_a_swallowed_answer_may_leave_the_connection_hanging(proxy: Proxy, client: Client) -> None:
    lost = proxy.swallow_answers(api_key=API_VERSIONS, closes=False)
    client.send(API_VERSIONS, 0)
    lost.wait()
    client.send(API_VERSIONS, 0)
    assert client.says_nothing_for(0.3)
    proxy.clear()
    assert client.all() == b""


def test_only_as_many_answers_are_swallowed_as_were_asked_for(proxy: Proxy, client: Client) -> None:
    lost = proxy.swallow_answers(count=1)
    client.send(API_VERSIONS, 0)
    assert client.all() == b""
    again = Client(proxy)
    again.send(API_VERSIONS, 0)
    assert again.answer()[1] == 1
    again.close()
    assert lost.happened == 1


def test_a_cut_answer_ends_in_the_middle_of_its_frame(proxy: Proxy, client: Client) -> None:
    client.send(API_VERSIONS, 0)
    size, _ = client.answer()
    proxy.cut_answers(api_key=API_VERSIONS)
    client.send(API_VERSIONS, 0)
    assert len(client.all()) == (size + 4) // 2


def test_a_cut_request_never_reaches_the_broker(proxied: LocalKafka, proxy: Proxy, client: Client) -> None:
    cut = proxy.cut_requests(api_key=CREATE_TOPICS)
    client.create_topic("cut")
    assert client.all() == b""
    assert cut.happened == 1
    assert "cut" not in proxied.view().topics


def test_a_delayed_answer_comes_later(proxy: Proxy, client: Client) -> None:
    proxy.delay_answers(0.4, api_key=API_VERSIONS, count=1)
    started = time.monotonic()
    client.send(API_VERSIONS, 0)
    client.send(API_VERSIONS, 0)
    assert client.answer()[1] == 1
    assert time.monotonic() - started >= 0.4


def test_connections_are_cut_at_once(proxy: Proxy, client: Client) -> None:
    client.send(API_VERSIONS, 0)
    client.answer()
    assert proxy.cut_connections() >= 1
    assert client.all() == b""


def test_new_connections_are_refused_meanwhile_and_old_ones_stay(proxy: Proxy, client: Client) -> None:
    client.send(API_VERSIONS, 0)
    client.answer()
    with proxy.refusing():
        with pytest.raises(ConnectionRefusedError):
            Client(proxy)
        client.send(API_VERSIONS, 0)
        assert client.answer()[1] == 2
    again = Client(proxy)
    again.send(API_VERSIONS, 0)
    assert again.answer()[1] == 1
    again.close()


def test_nothing_passes_while_it_is_silent(proxy: Proxy, client: Client) -> None:
    with proxy.silent():
        client.send(API_VERSIONS, 0)
        assert client.says_nothing_for(0.3)
    assert client.answer()[1] == 1
