"""Requests out to the brokers of a cluster, answers back, on the thread that owns it."""

import logging
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, DefaultSelector

from headrace.base.errors import LogError, LogUnavailableError
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import (
    Address,
    PartitionMetadata,
    TopicMetadata,
    metadata_request,
    read_brokers,
    read_topics,
)
from headrace.kafka.net.connections import Connections
from headrace.kafka.net.errors import Ending, NetworkError
from headrace.kafka.net.messages import ApiMessage, Bounded, Request
from headrace.kafka.net.security.logins import Security
from headrace.kafka.net.waiting import ANY_NODE, Waiting
from headrace.kafka.options import ConnectionSettings

__all__ = ["ApiMessage", "Bounded", "Network", "NetworkError", "PartitionMetadata", "TopicMetadata"]

_log = logging.getLogger(__name__)

_IDLE_CHECK_S = 30.0

# A call that blocks looks as often as this whether somebody is in a hurry.
_LOOK_MS = 200

# A broker that shuts down closes connections for a moment; one that does it for longer wants another protocol.
_CLOSING_S = 5.0

_CONNECTING = "connecting"


class Network:
    """Connections to all brokers of a cluster. Belongs to one thread, which drives it with `pump`.

    Requests to one broker are answered in the order in which they were sent. Nothing limits how many are under way:
    those who send do. Names of hosts are looked up blocking.
    """

    def __init__(self, settings: ConnectionSettings, *, purpose: str, waiting: Waiting | None = None) -> None:
        """Make a network without connecting. `purpose` goes into the client id, which brokers' logs and quotas show.

        `waiting` may cut short what blocks: `connect` and `call`.

        Raises:
            ConfigError: the security properties do not fit together.
        """
        self._settings = settings
        self._purpose = purpose
        self._waiting = waiting or Waiting()
        client_id = f"{settings.client_id or 'headrace'}-{purpose}"
        security = Security.of(settings)  # before there are sockets to close
        self._selector = DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, EVENT_READ)
        self._connections = Connections(self._selector, settings, security, client_id)
        self._outcomes: deque[Callable[[], None]] = deque()
        self._was_woken = False
        self._idle_check_at = time.monotonic() + _IDLE_CHECK_S
        self._is_closed = False

    def connect(self) -> None:
        """Find the cluster's brokers and connect to one of them. Blocks for `default.api.timeout.ms` at most.

        Raises:
            LogError: the login, TLS or the broker's age are wrong (known at once): says which.
            LogUnavailableError: nobody answers.
        """
        began = time.monotonic()
        deadline = began + self._settings.default_api_timeout_ms / 1000
        seen: list[NetworkError] = []
        while True:
            wrong = self._bootstrap(deadline)
            if wrong is None:
                self._waiting.is_over(_CONNECTING, ANY_NODE)
                return
            now = time.monotonic()
            self._give_up_where_hopeless(wrong, now - began)
            wait_s = max(self._connections.next_delay_s(), self._settings.retry_backoff_ms / 1000)
            if now + wait_s >= self._waiting.deadline(deadline):
                why = f"default.api.timeout.ms: {self._settings.default_api_timeout_ms / 1000:g} s"
                if now + wait_s < deadline:
                    why = "given up, since the application stops"
                if seen and all(error.ending is Ending.SILENT for error in wrong):
                    # The last try is cut short by our own deadline: it says less than the one before it.
                    wrong = seen
                raise LogUnavailableError(f"{self._unreachable(wrong)} ({why})") from wrong[0]
            # One that closes is either back in a moment, or hopeless in a few: no word about it before that is known.
            # Nor is there one where the error itself comes soon.
            if deadline - now > _CLOSING_S and not all(error.is_close for error in wrong):
                self._waiting.goes_on(_CONNECTING, ANY_NODE, self._reason(wrong))
            self._pump_until(lambda: False, self._waiting.deadline(now + wait_s))
            seen = wrong

    def _bootstrap(self, deadline: float) -> list[NetworkError] | None:
        """Ask the bootstrap servers for the brokers, then one of these. What went wrong, if nobody answers."""
        wrong: list[NetworkError] = []
        for server in random.sample(self._connections.servers, len(self._connections.servers)):
            try:
                self._learn_brokers(server, deadline)
            except NetworkError as error:
                wrong.append(error)
                if error.is_fatal:
                    return wrong
                continue
            brokers = list(self._connections.brokers)
            for broker in random.sample(brokers, len(brokers)):
                try:
                    self._learn_brokers(broker, deadline)
                except NetworkError as error:
                    wrong.append(error)
                    if error.is_fatal:
                        return wrong
                else:
                    self._connections.release(server)
                    return None
        return wrong

    def _learn_brokers(self, node_id: int, deadline: float) -> None:
        wait_s = min(self._connections.delay_s(node_id), max(0.0, deadline - time.monotonic()))
        self._pump_until(lambda: False, time.monotonic() + wait_s)
        answer = self.call(metadata_request(()), node_id=node_id, timeout_ms=_left_ms(deadline))
        self._connections.update(read_brokers(answer))
        if not answer.brokers:
            raise NetworkError(f"{self._connections.name(node_id)} knows no brokers yet")

    def _give_up_where_hopeless(self, wrong: list[NetworkError], tried_s: float) -> None:
        for error in wrong:
            if error.is_fatal:
                raise LogError(f"cannot connect to the Kafka cluster: {error}") from error
        hopeless = all(_is_unknown_host(error) for error in wrong) or (
            tried_s > _CLOSING_S and all(error.is_close for error in wrong)
        )
        if hopeless:
            raise LogError(self._unreachable(wrong)) from (wrong[0] if wrong else None)

    def _unreachable(self, wrong: list[NetworkError]) -> str:
        return f"cannot connect to the Kafka cluster: {self._reason(wrong)}"

    def _reason(self, wrong: list[NetworkError]) -> str:
        reasons = "; ".join(dict.fromkeys(map(str, wrong))) or "bootstrap.servers is empty"
        advice = "check bootstrap.servers"
        if self._connections.brokers:
            # Somebody has answered, and told of others.
            advice = (
                "look whether it is up; if its address is wrong, correct the broker's advertised.listeners"
            )
        elif any(error.ending is Ending.CLOSED_IN_HANDSHAKE for error in wrong):
            advice = "if this port does not speak TLS, set security.protocol to PLAINTEXT or SASL_PLAINTEXT"
        elif any(error.is_close for error in wrong) and not self._settings.uses_sasl:
            # A listener that wants a login answers nothing else, it closes.
            advice += ", and security.protocol (does this port want a login, SASL_PLAINTEXT or SASL_SSL?)"
        elif any(error.ending is Ending.SILENT for error in wrong):
            # Many servers wait for the end of a line, which no request of Kafka's has.
            advice += " (is this the port of a Kafka broker?)"
        return f"{reasons}; {advice}"

    def version(self, request: type[ApiMessage]) -> int | None:
        """Return the newest version of a request that all brokers met so far and we have, or None.

        Meant for after `connect`. A request sent without a version takes the newest that its own broker has.
        """
        found = [versions.newest(request) for versions in self._connections.versions]
        known = [version for version in found if version is not None]
        return min(known) if known and len(known) == len(found) else None

    def features(self) -> Mapping[str, int]:
        """Return the cluster's finalized features with their levels; empty for clusters without any (before 2.7)."""
        known = self._connections.versions
        return dict(known[-1].features) if known else {}

    @property
    def brokers(self) -> Collection[int]:
        """The ids of the cluster's brokers, as far as they are known."""
        return self._connections.brokers.keys()

    def learn(self, brokers: Mapping[int, Address]) -> None:
        """Take over the brokers' addresses from an answer to `metadata_request` that came through `call`."""
        self._connections.update(brokers)

    def learn_one(self, node_id: int, address: Address) -> None:
        """Take over one broker's address, from an answer that names a coordinator."""
        self._connections.update({**self._connections.brokers, node_id: address})

    def forget_brokers(self) -> None:
        """Start again with the bootstrap servers."""
        self._connections.forget_brokers()

    def send(
        self,
        node_id: int,
        request: ApiMessage | Bounded,
        answered: Callable[[ApiMessage], None],
        failed: Callable[[NetworkError], None],
        *,
        timeout_ms: int | None = None,
    ) -> None:
        """Send a request to a node, connecting to it if need be. Never blocks, except to look up a host's name.

        One of `answered` and `failed` is called by a later `pump`, never from here. After `failed`, the outcome is
        unknown unless the error's `was_sent` is False. A request that takes longer than `timeout_ms`, which is
        `request.timeout.ms` if not given, closes the connection, and fails all that was under way on it.
        """
        self._send(node_id, request, answered, failed, timeout_ms)

    def _send(
        self,
        node_id: int,
        message: ApiMessage | Bounded,
        answered: Callable[[ApiMessage], None],
        failed: Callable[[NetworkError], None],
        timeout_ms: int | None,
    ) -> Request:
        self._check_open()
        newest = None
        if isinstance(message, Bounded):
            message, newest = message
        wait_ms = self._settings.request_timeout_ms if timeout_ms is None else timeout_ms
        now = time.monotonic()
        request = Request(
            message,
            lambda answer: self._outcomes.append(partial(answered, answer)),
            lambda error, was_sent: self._outcomes.append(
                partial(failed, error.at(self._connections.name(node_id), was_sent=was_sent))
            ),
            now + wait_ms / 1000,
            newest,
        )
        try:
            connection = self._connections.get(node_id)
        except NetworkError as error:
            # It has the broker's name already.
            self._outcomes.append(partial(failed, error))
        else:
            connection.ask(request, now)
        return request

    def request_metadata(
        self,
        topics: Collection[str],
        answered: Callable[[Mapping[str, TopicMetadata]], None],
        failed: Callable[[NetworkError], None],
    ) -> None:
        """Ask any broker about these topics (about the brokers alone if there are none); as `send` otherwise.

        The answer names every topic, those with an error too. The brokers' addresses are refreshed by it.
        """
        self.send_to_any(metadata_request(topics), partial(self._take_metadata, answered, failed), failed)

    def send_to_any(
        self,
        request: ApiMessage | Bounded,
        answered: Callable[[ApiMessage], None],
        failed: Callable[[NetworkError], None],
    ) -> None:
        """Send what any broker can answer, to a bootstrap server while none is known; as `send` otherwise."""
        self._check_open()
        node_id = self._connections.any_node()
        if node_id is None:
            self._outcomes.append(partial(failed, NetworkError(self._connections.all_trouble())))
            return
        self.send(node_id, request, answered, failed)

    def _take_metadata(
        self,
        answered: Callable[[Mapping[str, TopicMetadata]], None],
        failed: Callable[[NetworkError], None],
        answer: ApiMessage,
    ) -> None:
        code = ErrorCode(getattr(answer, "error_code", 0) or 0)
        if code is ErrorCode.REBOOTSTRAP_REQUIRED:
            # KIP-1102: this broker belongs to another cluster by now; only the bootstrap servers know more.
            self._connections.forget_brokers()
            failed(NetworkError("the cluster has moved; asking the bootstrap servers again", was_sent=True))
            return
        self._connections.update(read_brokers(answer))
        answered(read_topics(answer))

    def pump(self, timeout_ms: int, *, ends_when_woken: bool = False) -> None:
        """Move bytes, then call back. Waits up to `timeout_ms` for something to call back about, or to be woken.

        What a callback raises comes out of here; the rest of the callbacks wait for the next call.
        """
        self._was_woken = False
        self._pump_until(
            lambda: bool(self._outcomes) or (ends_when_woken and self._was_woken),
            time.monotonic() + timeout_ms / 1000,
        )
        for _ in range(len(self._outcomes)):
            self._outcomes.popleft()()

    def _pump_until(self, is_enough: Callable[[], bool], deadline: float) -> None:
        self._check_open()
        while True:
            wake_at = 0.0 if is_enough() else min(deadline, self._connections.next_time())
            for key, events in self._selector.select(max(0.0, wake_at - time.monotonic())):
                if key.data is None:
                    self._woken.recv(1024)
                    self._was_woken = True
                else:
                    key.data.ready(events, time.monotonic())
            now = time.monotonic()
            self._connections.look(now)
            if now >= self._idle_check_at:
                self._idle_check_at = now + _IDLE_CHECK_S
                self._connections.close_idle()
            if is_enough() or now >= deadline:
                return

    def wakeup(self) -> None:
        """Let a `pump` that waits on another thread look again. It goes on waiting, unless that is its end.

        Safe from any thread. Where none waits, the next one is woken.
        """
        with suppress(BlockingIOError, OSError):  # it is awake already, or closed
            self._waker.send(b"\0")

    def call(
        self, request: ApiMessage | Bounded, *, node_id: int | None = None, timeout_ms: int | None = None
    ) -> ApiMessage:
        """Send a request, to any broker where `node_id` is None, and wait for its answer, calling others back.

        Raises:
            NetworkError: there is none within `timeout_ms` (`request.timeout.ms` if not given).
        """
        wait_ms = self._settings.request_timeout_ms if timeout_ms is None else timeout_ms
        deadline = time.monotonic() + wait_ms / 1000
        # Notice first which connections were lost while nobody looked.
        self.pump(0)
        while node_id is None:
            node_id = self._connections.any_node()
            if node_id is None:
                if time.monotonic() >= self._waiting.deadline(deadline):
                    raise NetworkError(self._connections.all_trouble())
                delay_ms = int(1000 * self._connections.next_delay_s())
                self.pump(max(1, min(delay_ms, _LOOK_MS, _left_ms(deadline))))
        answers: list[ApiMessage] = []
        errors: list[NetworkError] = []
        sent = self._send(node_id, request, answers.append, errors.append, _left_ms(deadline))
        while not answers and not errors:
            if time.monotonic() >= self._waiting.deadline(deadline):
                # What went wrong with the connection before says more than that it takes its time again.
                trouble = self._connections.trouble(node_id) or self._silence(wait_ms, deadline)
                raise trouble.at(self._connections.name(node_id), was_sent=sent.was_sent)
            self.pump(min(_LOOK_MS, _left_ms(deadline)))
        if errors:
            raise errors[0]
        return answers[0]

    def _silence(self, wait_ms: int, deadline: float) -> NetworkError:
        is_over = time.monotonic() >= deadline
        return NetworkError(f"no answer within {wait_ms} ms" if is_over else "no answer yet")

    def close(self) -> None:
        """Close all connections; what is under way is forgotten, and calls nobody back. Twice is fine."""
        if self._is_closed:
            return
        self._is_closed = True
        self._connections.close()
        self._selector.close()
        self._woken.close()
        self._waker.close()
        self._outcomes.clear()

    def _check_open(self) -> None:
        if self._is_closed:
            raise NetworkError(f"the network for {self._purpose} is closed")


def _left_ms(deadline: float) -> int:
    # At least one: nothing that has just begun is over already.
    return max(1, int(1000 * (deadline - time.monotonic())))


def _is_unknown_host(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, socket.gaierror):
            return error.errno == socket.EAI_NONAME
        error = error.__cause__
    return False
