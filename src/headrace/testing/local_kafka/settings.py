"""What the brokers of `LocalKafka` are told: ports nobody uses, and `server.properties` that suit a test."""

import random
import socket
from collections.abc import Iterable, Sequence

from headrace.base.errors import LogError
from headrace.testing.local_kafka.node import Node
from headrace.testing.local_kafka.security import ADMIN, ListenerSecurity

__all__ = ["MISSED_AFTER_MS", "free_ports", "node_properties", "require_free"]

#: A broker of a test is missed after 3 s, not after 9.
MISSED_AFTER_MS = 3000

# Below what Linux (32768) and macOS (49152) hand out to outgoing connections: one of those could take the port of a
# broker that is being started again.
_PORTS = range(20_000, 32_000)

#: What suits tests, whatever the cluster is.
_SUITS_TESTS = {
    # Kafka waits 3 s for more members before a group's first assignment.
    "group.initial.rebalance.delay.ms": "0",
    # A test that kills its clients wants their group, and their transactions, back soon.
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.streams.min.session.timeout.ms": "1000",
    "group.streams.min.heartbeat.interval.ms": "100",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "broker.heartbeat.interval.ms": "500",
    "controlled.shutdown.retry.backoff.ms": "500",
    # Records of a test are as old as it likes. By default those of last week may go, at a moment nobody chooses.
    "log.retention.ms": "-1",
    # The index files of a partition are made at full length, 20 MB; on a small disk that adds up.
    "log.index.size.max.bytes": "1048576",
}


def free_ports(count: int) -> list[int]:
    """Choose ports of 127.0.0.1 that nothing listens on now.

    Raises:
        LogError: there are not as many.
    """
    # Not seeded: two test runs on one machine must not try the same ones in the same order.
    chance = random.SystemRandom()
    found: list[int] = []
    for port in chance.sample(_PORTS, len(_PORTS)):
        if len(found) == count:
            return found
        if _is_free(port):
            found.append(port)
    raise LogError(
        f"cannot start a local Kafka: no {count} free ports between {_PORTS.start} and {_PORTS.stop}"
    )


def require_free(ports: Iterable[int]) -> None:
    """Refuse ports that something listens on, before a broker fails on them.

    Raises:
        LogError: one of them is taken.
    """
    for port in ports:
        if not _is_free(port):
            raise LogError(
                f"cannot start a local Kafka on port {port}: something listens there; name another port"
            )


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def node_properties(
    node: Node, nodes: Sequence[Node], security: ListenerSecurity, *, advertised: str, has_authorizer: bool
) -> dict[str, str]:
    """Put together `server.properties` of one of a cluster's nodes; `advertised` is the address that it tells clients.

    Three listeners: CLIENT as asked for; INTERNAL among brokers and for Java's tools, and CONTROLLER, both plain. A
    broker has the first two, a controller the third.
    """
    replication = min(sum(each.is_broker for each in nodes), 3)
    in_sync = max(1, replication - 1)
    voters = [each for each in nodes if each.is_controller]
    protocols = f"CLIENT:{security.protocol.upper()},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
    roles, listeners, addresses = [], [], {}
    if node.is_broker:
        roles.append("broker")
        internal = f"INTERNAL://127.0.0.1:{node.internal_port}"
        listeners += [f"CLIENT://127.0.0.1:{node.client_port}", internal]
        addresses = {
            "advertised.listeners": f"CLIENT://{advertised},{internal}",
            "inter.broker.listener.name": "INTERNAL",
        }
    if node.is_controller:
        roles.append("controller")
        listeners.append(f"CONTROLLER://127.0.0.1:{node.controller_port}")
    properties = {
        "process.roles": ",".join(roles),
        "node.id": str(node.number),
        "controller.quorum.voters": ",".join(
            f"{each.number}@127.0.0.1:{each.controller_port}" for each in voters
        ),
        "listeners": ",".join(listeners),
        **addresses,
        "listener.security.protocol.map": protocols,
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(node.data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(replication),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.num.partitions": "3",
        "offsets.topic.replication.factor": str(replication),
        "transaction.state.log.num.partitions": "3",
        "transaction.state.log.replication.factor": str(replication),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": str(replication),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        "broker.session.timeout.ms": str(MISSED_AFTER_MS),
        **_SUITS_TESTS,
    }
    if has_authorizer:
        properties |= {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The brokers among themselves have no name.
            "super.users": f"User:{ADMIN};User:ANONYMOUS",
        }
    return properties | security.broker_properties()
