"""The connections of one Network: made when they are needed, not too often, to the addresses that brokers tell."""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from selectors import BaseSelector

from headrace.kafka.metadata import Address
from headrace.kafka.net.connection import Connection
from headrace.kafka.net.conversation import Conversation
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import BrokerVersions
from headrace.kafka.net.security.logins import Security
from headrace.kafka.options import ConnectionSettings

__all__ = ["Connections"]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Backoff:
    failures: int
    until: float
    error: NetworkError


class Connections:
    """Connections by node id. Bootstrap servers, whose ids nobody knows yet, have the ids -1, -2, …

    Attributes:
        brokers: the addresses of the cluster's brokers, as the last answer about them said.
    """

    def __init__(
        self, selector: BaseSelector, settings: ConnectionSettings, security: Security, client_id: str
    ) -> None:
        self._selector = selector
        self._settings = settings
        self._security = security
        self._client_id = client_id
        self._servers = {-1 - index: _address(text) for index, text in enumerate(settings.bootstrap_servers)}
        self._open: dict[int, Connection] = {}
        self._backoffs: dict[int, _Backoff] = {}
        self._versions: dict[int, BrokerVersions] = {}
        self.brokers: Mapping[int, Address] = {}

    @property
    def servers(self) -> Sequence[int]:
        """The ids of the bootstrap servers."""
        return list(self._servers)

    @property
    def versions(self) -> Sequence[BrokerVersions]:
        """What each broker that was ever reached has."""
        return list(self._versions.values())

    def address(self, node_id: int) -> Address | None:
        """Where a node listens, if that is known."""
        return self.brokers.get(node_id) or self._servers.get(node_id)

    def name(self, node_id: int) -> str:
        """Say which node is meant, for an error."""
        known = self.address(node_id)
        if node_id in self._servers:
            return f"bootstrap server {known}"
        return f"broker {node_id}" + (f" at {known}" if known else "")

    def update(self, brokers: Mapping[int, Address]) -> None:
        """Take over what an answer says of the brokers. A connection to an old address lives as long as it works."""
        if brokers:
            self.brokers = dict(brokers)

    def forget_brokers(self) -> None:
        """Start again with the bootstrap servers."""
        self.brokers = {}

    def release(self, node_id: int) -> None:
        """Close a connection that is not needed any more, if it is there."""
        connection = self._open.get(node_id)
        if connection is not None:
            connection.close()

    def delay_s(self, node_id: int) -> float:
        """How long to wait before a node may be connected to again."""
        backoff = self._backoffs.get(node_id)
        return 0.0 if backoff is None else max(0.0, backoff.until - time.monotonic())

    def trouble(self, node_id: int) -> NetworkError | None:
        """Say why a node was not reached, or was lost, if it has not been reached since."""
        backoff = self._backoffs.get(node_id)
        return None if backoff is None else backoff.error

    def all_trouble(self) -> str:
        """Say that no node can be reached, and why the brokers, or the bootstrap servers before them, cannot."""
        nodes = list(self.brokers) or list(self._servers)
        reasons = [f"{self.name(node)}: {reason}" for node in nodes if (reason := self.trouble(node))]
        return f"no broker can be reached ({'; '.join(reasons)})" if reasons else "no broker can be reached"

    def any_node(self) -> int | None:
        """Return a node to ask what all of them know: the least busy connected one, or one that may be tried.

        Bootstrap servers come last: they count when no broker whose address we know can be reached.
        """
        connected = [node for node in self.brokers if self.is_ready(node)]
        if connected:
            return min(connected, key=lambda node: (self._open[node].conversation.under_way, node))
        for nodes in (list(self.brokers), list(self._servers)):
            free = [node for node in nodes if self.delay_s(node) == 0]
            if free:
                return random.choice(free)
        return None

    def next_delay_s(self) -> float:
        """How long until `any_node` has one."""
        return min((self.delay_s(node) for node in (*self.brokers, *self._servers)), default=0.0)

    def is_ready(self, node_id: int) -> bool:
        """Whether a node is connected, and takes requests now."""
        connection = self._open.get(node_id)
        return connection is not None and connection.conversation.takes_requests(time.monotonic())

    def get(self, node_id: int) -> Connection:
        """Return the connection to a node, which may only be on its way: it keeps requests until it is there.

        Raises:
            NetworkError: the node is unknown, or was tried a moment ago.
        """
        connection = self._open.get(node_id)
        if connection is not None:
            return connection
        address = self.address(node_id)
        if address is None:
            raise NetworkError(f"broker {node_id} is not known; the cluster's brokers have changed")
        if self.delay_s(node_id) > 0:
            raise self._backoffs[node_id].error.at(self.name(node_id))
        now = time.monotonic()
        setup_until = now + self._settings.socket_connection_setup_timeout_ms / 1000
        conversation = Conversation(
            self._client_id,
            self._security.login_at(address.host),
            request_timeout_s=self._settings.request_timeout_ms / 1000,
            settle_by=setup_until,
        )
        connection = Connection(
            self._selector,
            conversation,
            address,
            self._security.tls,
            setup_until=setup_until,
            closed=partial(self._closed, node_id),
        )
        self._open[node_id] = connection
        connection.start(now)
        if connection.is_closed:
            raise self._backoffs[node_id].error.at(self.name(node_id))
        return connection

    def look(self, now: float) -> None:
        """Do what is due by now on all connections."""
        for node_id, connection in list(self._open.items()):
            connection.look(now)
            versions = connection.conversation.versions
            if (
                versions is not None
                and self._versions.get(node_id) is not versions
                and not connection.is_closed
            ):
                self._versions[node_id] = versions
                self._backoffs.pop(node_id, None)

    def next_time(self) -> float:
        """When to look again, if nothing is seen until then."""
        return min((connection.next_time() for connection in self._open.values()), default=float("inf"))

    def _closed(self, node_id: int, error: NetworkError | None) -> None:
        del self._open[node_id]
        if error is None:
            return
        _log.debug("connection to %s is lost: %s", self.name(node_id), error)
        known = self._backoffs.get(node_id)
        failures = 1 if known is None else known.failures + 1
        wait_ms = min(
            self._settings.reconnect_backoff_ms * 2.0 ** min(failures - 1, 30),
            self._settings.reconnect_backoff_max_ms,
        )
        # Many clients lose a broker at the same moment; they shall not all come back at the same moment.
        wait_s = wait_ms / 1000 * random.uniform(0.8, 1.2)
        self._backoffs[node_id] = _Backoff(failures, time.monotonic() + wait_s, error)

    def close_idle(self) -> None:
        """Close connections that carried nothing for `connections.max.idle.ms`."""
        now = time.monotonic()
        limit = now - self._settings.connections_max_idle_ms / 1000
        for connection in list(self._open.values()):
            conversation = connection.conversation
            is_idle = conversation.takes_requests(now) and not conversation.under_way
            if is_idle and connection.last_activity < limit:
                connection.close()

    def close(self) -> None:
        """Close all; what waits for an answer fails."""
        for connection in list(self._open.values()):
            connection.close(NetworkError("the network is closed"))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))
