"""The connections of one Network: made when they are needed, not too often, to the addresses that brokers tell."""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.kafka.metadata import Address
from headrace.kafka.net.connection import BrokerVersions, Connection
from headrace.kafka.net.errors import NetworkError, told
from headrace.kafka.net.security.logins import Security
from headrace.kafka.net.transport import Transport, open_socket
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
        self, selector: Any, settings: ConnectionSettings, security: Security, client_id: str
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
            return min(connected, key=lambda node: (len(self._open[node].in_flight_requests), node))
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
        return connection is not None and connection.connected and not connection.paused

    def is_throttled(self, node_id: int) -> bool:
        """Whether a node has asked us to wait before the next request."""
        connection = self._open.get(node_id)
        return connection is not None and "throttle" in connection.paused

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
        connection = Connection(
            self._selector,
            node_id,
            client_id=self._client_id,
            request_timeout_ms=self._settings.request_timeout_ms,
            security=self._security,
        )
        self._open[node_id] = connection
        connection.close_future.add_both(lambda error: self._closed(node_id, connection, error))
        timeout_at = time.monotonic() + self._settings.socket_connection_setup_timeout_ms / 1000
        self._selector.call_soon(lambda: self._connect(connection, address, timeout_at))
        return connection

    async def _connect(self, connection: Connection, address: Address, timeout_at: float) -> None:
        transport: Transport | None = None
        try:
            sock = await open_socket(self._selector, address, timeout_at)
            transport = Transport(self._selector, sock, address.host, self._security.tls)
            await transport.shake_hands(timeout_at)
            if connection.closed:
                return
            connection.connection_made(transport)
            transport = None
            await connection.initialize(timeout_at=timeout_at)
        except Exception as error:
            connection.connection_lost(error)
            return
        finally:
            if transport is not None:
                transport.close()
        if connection.connected:
            self._backoffs.pop(connection.node_id, None)
            self._versions[connection.node_id] = connection.broker_version_data

    def _closed(self, node_id: int, connection: Connection, error: Exception | None) -> None:
        if self._open.get(node_id) is connection:
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
        self._backoffs[node_id] = _Backoff(failures, time.monotonic() + wait_s, told(error))

    def close_idle(self) -> None:
        """Close connections that carried nothing for `connections.max.idle.ms`."""
        limit = time.monotonic() - self._settings.connections_max_idle_ms / 1000
        for connection in list(self._open.values()):
            transport = connection.transport
            is_idle = connection.connected and not connection.in_flight_requests
            if is_idle and transport is not None and transport.last_activity < limit:
                connection.close()

    def close(self) -> None:
        """Close all; what waits for an answer fails."""
        for connection in list(self._open.values()):
            connection.close(NetworkError("the network is closed"))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))
