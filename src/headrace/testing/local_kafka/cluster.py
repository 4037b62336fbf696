"""A real Apache Kafka on this machine for the length of a test: KRaft brokers on loopback ports."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.base.errors import ConfigError, LogError
from headrace.testing.local_kafka import jars, wire
from headrace.testing.local_kafka.archive import java_command
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from headrace.testing.local_kafka.java import Isolation, JavaClients, JavaRecord, TransactionEnd
from headrace.testing.local_kafka.node import Node, end_of_log
from headrace.testing.local_kafka.security import (
    ADMIN,
    ListenerSecurity,
    Mechanism,
    SecurityProtocol,
    make_certificates,
)
from headrace.testing.local_kafka.settings import MISSED_AFTER_MS, free_ports, node_properties, require_free
from headrace.testing.local_kafka.storage import format_storage, keeps_storage, note_version

__all__ = ["LocalKafka"]

_POLL_SECONDS = 0.05
_TOPIC_SECONDS = 60.0


class LocalKafka:
    """A cluster of one broker or several, up in about 4 s; each is a controller too, unless one is asked for.

    with LocalKafka() as kafka:
        kafka.create_topic("orders", partitions=3)
        client = Client(kafka.client_properties)

    Brokers have the numbers 0, 1, 2: their node ids. They listen on 127.0.0.1 only, and end when this process ends,
    by kill -9 too. The first start of a version on a machine fetches 45 MB of jars with Maven.

    Args:
        brokers: how many.
        controller: whether a controller runs beside them, in a process of its own, and outlives each of them. Without
            one a broker alone that is killed in the midst of a commit may lose the end of that transaction, which stays
            open for readers then: Kafka takes partitions that nobody leads yet for deleted ones.
        version: of Kafka, any release from 3.9.0 on. A directory of an older one goes on with the features of that.
        security: of the listener for clients. Certificates and users are made for it.
        mechanism: the SASL mechanism of `client_properties`; the brokers accept all four of them.
        users: passwords by name, beside `admin`, who is there always.
        authorizer: Kafka's own, which lets nobody but `admin` do anything until ACLs say so.
        config: properties of the brokers, over those that suit a test.
        advertised: the address `host:port` that each broker tells its clients, where it is not its own: a proxy's.
        directory: where it is kept; started again there, it has its topics and records. A temporary one by default.
        port: of the first broker for clients; the next ones follow. Free ones by default.
        jvm_options: of the brokers' Java, over `-Xmx512m` and a compiler that makes starts quick, but a busy broker
            slow: `["-Xmx2g", "-XX:TieredStopAtLevel=4"]` is for measurements.
        start_seconds: how long its start may take.
    """

    def __init__(
        self,
        brokers: int = 1,
        *,
        controller: bool = False,
        version: str = KAFKA_VERSION,
        security: SecurityProtocol = "plaintext",
        mechanism: Mechanism = "PLAIN",
        users: Mapping[str, str] | None = None,
        authorizer: bool = False,
        config: Mapping[str, str] | None = None,
        advertised: Sequence[str] | None = None,
        directory: Path | None = None,
        port: int | None = None,
        jvm_options: Sequence[str] = (),
        start_seconds: float = 60.0,
    ) -> None:
        if brokers < 1:
            raise ConfigError(f"a local Kafka has at least one broker, not {brokers}")
        # Refuses what is none.
        jars.series_of(version)
        if advertised is not None and len(advertised) != brokers:
            raise ConfigError(
                f"advertised has {len(advertised)} addresses for {brokers} brokers: give one for each"
            )
        self.version = version
        self._brokers = brokers
        self._has_controller = controller
        self._config = dict(config or {})
        self._advertised = advertised
        self._authorizer = authorizer
        self._directory = directory
        self._port = port
        self._jvm_options = jvm_options
        self._start_seconds = start_seconds
        self._security_asked: tuple[SecurityProtocol, Mechanism] = (security, mechanism)
        self._users = {ADMIN: "admin-secret", **(users or {})}
        self._nodes: list[Node] = []
        self._controllers: list[Node] = []
        self._java: list[str] = []
        self._template = Path()
        self._clients: JavaClients | None = None
        self._folder = Path()
        self._security = self._securing(Path())

    @staticmethod
    def unavailable(version: str = KAFKA_VERSION) -> str | None:
        """Say in one line why no Kafka of this version can be started here; None where it can."""
        return jars.unavailable(version)

    @staticmethod
    def prepare(version: str = KAFKA_VERSION) -> None:
        """Fetch and make what a version's first start on a machine needs, so that it takes no longer than the others.

        Raises:
            LogError: Java or Maven is missing, or Maven fails.
        """
        java_command(jars.fetch_jars(version))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start all brokers and wait until they serve.

        Raises:
            LogError: Java or Maven is missing, or a broker ended or took too long; with the end of its log.
        """
        fetched = jars.fetch_jars(self.version)
        self._java = [*java_command(fetched), *self._jvm_options]
        self._template = fetched / "storage"
        self._folder = self._directory or Path(tempfile.mkdtemp(prefix="headrace-kafka-"))
        try:
            self._prepare()
            for node in self._all_nodes():
                node.start(self._java)
            self._wait_for(self._nodes)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all brokers. What they kept is removed, unless a directory was named: then they shut down in order."""
        if self._clients is not None:
            self._clients.close()
            self._clients = None
        # A controller last: brokers that shut down in order ask it.
        for nodes in (self._nodes, self._controllers):
            for node in nodes:
                if self._directory is None:
                    node.kill()
                else:
                    node.ask_to_stop()
            for node in nodes:
                node.wait()
        self._nodes, self._controllers = [], []
        if self._directory is None and self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses that clients start from: those that are advertised."""
        return ",".join(self._address(node) for node in self._nodes)

    @property
    def broker_servers(self) -> list[str]:
        """The brokers' own addresses for clients, by number: what a proxy connects to."""
        return [f"127.0.0.1:{node.client_port}" for node in self._nodes]

    @property
    def internal_servers(self) -> str:
        """Where the brokers talk among themselves: no proxy, no TLS, no password, allowed everything."""
        return ",".join(f"127.0.0.1:{node.internal_port}" for node in self._nodes)

    @property
    def client_properties(self) -> dict[str, str]:
        """What a client sets to connect as `admin`, under Kafka's names."""
        return self.client_properties_of(ADMIN)

    def client_properties_of(self, user: str, mechanism: Mechanism | None = None) -> dict[str, str]:
        """What a client sets to connect as this user, by this mechanism or the one of the cluster."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            **self._security.client_properties(user, mechanism),
        }

    def pid(self, broker: int) -> int | None:
        """The process id of a broker; None while it does not run."""
        return self._nodes[broker].pid

    def stop_broker(self, broker: int) -> None:
        """Let a broker shut down in order, and wait for that: it hands its partitions over first."""
        self._nodes[broker].ask_to_stop()
        self._nodes[broker].wait()

    def kill_broker(self, broker: int) -> None:
        """End a broker as by a crash. Its cluster misses it after 3 s."""
        self._nodes[broker].kill()

    def start_broker(self, broker: int) -> None:
        """Start a broker that was stopped or killed, with what it has on disk, and wait until it serves.

        Beside a controller of its own one that was killed is not started before it is missed.

        Raises:
            LogError: it ended or took too long; with the end of its log.
        """
        node = self._nodes[broker]
        if not node.is_running:
            node.wait()
            if self._has_controller:
                session_ms = int(self._config.get("broker.session.timeout.ms", MISSED_AFTER_MS))
                time.sleep(max(0.0, node.killed_at + session_ms / 1000 + 0.5 - time.monotonic()))
            node.start(self._java)
        self._wait_for([node])

    def logs(self, broker: int | None = None) -> str:
        """What a broker has written, or all of them one after the other."""
        return "".join(node.log_text() for node in self._nodes if broker is None or node.number == broker)

    def view(self, topics: Sequence[str] | None = None) -> wire.ClusterView:
        """What the first running broker knows of the cluster: brokers, and leaders and replicas of topics."""
        return wire.view(self._running()[0].internal_port, None if topics is None else list(topics))

    def leader(self, topic: str, partition: int = 0) -> int:
        """The number of the broker that leads a partition; -1 while none does."""
        return self.view([topic]).topics[topic][partition].leader

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        *,
        replication: int = -1,
    ) -> None:
        """Create a topic and wait until every running broker knows who leads its partitions.

        Raises:
            LogError: the brokers refuse it, or it does not come about within a minute.
        """
        nodes = self._running()
        code, message = wire.create_topic(nodes[0].internal_port, name, partitions, replication, config or {})
        if code != 0:
            raise LogError(f"cannot create topic {name!r} on the local Kafka: {message or f'error {code}'}")

        def is_led(node: Node) -> bool:
            found = wire.view(node.internal_port, [name]).topics.get(name, ())
            return len(found) == partitions and all(each.leader >= 0 for each in found)

        self._until(lambda: all(is_led(node) for node in nodes), f"topic {name!r} to be led", _TOPIC_SECONDS)

    def delete_topic(self, name: str) -> None:
        """Delete a topic.

        Raises:
            LogError: the brokers refuse that.
        """
        code = wire.delete_topic(self._running()[0].internal_port, name)
        if code != 0:
            raise LogError(f"cannot delete topic {name!r} of the local Kafka: error {code}")

    def consume_with_java(
        self, topic: str, isolation: Isolation = "read_committed", *, count: int = 0, timeout: float = 60.0
    ) -> list[JavaRecord]:
        """Read a topic from its beginning to its end with Java's consumer, which checks every batch's CRC.

        With a count: once there are so many records, and then to the end too. What came by the time-out (seconds) is
        returned, so that a comparison shows what is missing. The first call starts a Java, 2 s.

        Raises:
            LogError: the consumer fails: no such topic, a wrong CRC.
        """
        return self._java_clients().consume(topic, isolation, count, timeout)

    def produce_with_java(
        self,
        topic: str,
        records: Iterable[JavaRecord],
        *,
        transactional_id: str | None = None,
        end: TransactionEnd = "commit",
        config: Mapping[str, str] | None = None,
    ) -> list[JavaRecord]:
        """Write records with Java's producer; returns them with partition and offset.

        With a transactional id in a transaction, which is left open with `end="open"`, for the next call with that id
        to continue. `config` is the producer's (`compression.type`); that of an id's first call stays.

        Raises:
            LogError: the producer fails.
        """
        clients = self._java_clients()
        return clients.produce(
            topic, records, transactional_id=transactional_id, end=end, config=config or {}
        )

    def _java_clients(self) -> JavaClients:
        if self._clients is None:
            self._clients = JavaClients(self._java, self.internal_servers)
        return self._clients

    def _securing(self, folder: Path) -> ListenerSecurity:
        protocol, mechanism = self._security_asked
        asks_certificate = self._config.get("ssl.client.auth") == "required"
        if self._authorizer and protocol in ("plaintext", "ssl") and not asks_certificate:
            raise ConfigError(
                "an authorizer needs clients with names: give security='sasl_plaintext' or 'sasl_ssl', "
                "or security='ssl' with the broker's property ssl.client.auth=required"
            )
        return ListenerSecurity(protocol, mechanism, self._users, folder, asks_certificate)

    def _address(self, node: Node) -> str:
        return self._advertised[node.number] if self._advertised else f"127.0.0.1:{node.client_port}"

    def _all_nodes(self) -> list[Node]:
        return [*self._controllers, *self._nodes]

    def _running(self) -> list[Node]:
        nodes = [node for node in self._nodes if node.is_running]
        if not nodes:
            raise LogError("no broker of the local Kafka runs: start it, or one of its brokers")
        return nodes

    def _prepare(self) -> None:
        """Write what the brokers start from: certificates, properties, and the formatted storage."""
        is_kept = keeps_storage(self._folder, self._brokers, self.version)
        count = self._brokers
        free = free_ports(3 * count + 1)
        if self._port:
            require_free(range(self._port, self._port + count))
        clients = range(self._port, self._port + count) if self._port else free[2 * count : 3 * count]
        self._nodes = [
            Node(
                number,
                self._folder / f"broker-{number}",
                ports=(client, free[2 * number], free[2 * number + 1]),
                is_controller=not self._has_controller,
            )
            for number, client in enumerate(clients)
        ]
        if self._has_controller:
            ports = (0, 0, free[-1])
            self._controllers = [Node(1000, self._folder / "controller", ports=ports, is_broker=False)]
        self._security = self._securing(self._folder / "certificates")
        if self._security.has_tls:
            make_certificates(self._security.folder)
        for node in self._all_nodes():
            properties = node_properties(
                node,
                self._all_nodes(),
                self._security,
                advertised=self._address(node) if node.is_broker else "",
                has_authorizer=self._authorizer,
            )
            node.write_properties(properties | self._config)
        if not is_kept:
            credentials = self._security.scram_credentials()
            template = None if self._config or credentials else self._template
            format_storage(self._java, self._all_nodes(), credentials, template)
            note_version(self._folder, self.version)

    def _wait_for(self, nodes: Sequence[Node]) -> None:
        """Wait until all running brokers have these in their view of the cluster."""
        wanted = {node.number for node in nodes}

        def is_up() -> bool:
            for node in nodes:
                if not node.is_running:
                    raise LogError(
                        f"broker {node.number} of the local Kafka ended:\n{end_of_log(node.log_text())}"
                    )
            return all(wire.view(node.internal_port, []).brokers >= wanted for node in self._running())

        self._until(is_up, "its brokers to serve", self._start_seconds)

    def _until(self, holds: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except OSError:
                # It does not listen yet.
                pass
            if time.monotonic() > deadline:
                raise LogError(
                    f"the local Kafka: waited {seconds:g} s for {what}; its log ends:\n{end_of_log(self.logs())}"
                )
            time.sleep(_POLL_SECONDS)
