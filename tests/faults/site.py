"""Where the application to be killed runs: its folder, and its log, a file there or a cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from headrace.log.embedded import EmbeddedLog
from headrace.log.port import Log
from headrace.streams.process_id import ProcessIds

__all__ = ["Site", "two_sites"]


#: A machine with other work may hold a commit up for longer than the default of 10 s. Who tests that sets it.
_PATIENT = {"transaction.timeout.ms": "60000"}

#: A sleep of seconds outlasts it, and whoever takes over from a killed instance does not wait for long.
SHORT_SESSION = {
    "session.timeout.ms": "4000",
    "heartbeat.interval.ms": "500",
    # What one that is dead has left open holds up who takes over.
    "transaction.timeout.ms": "10000",
}


Protocol: TypeAlias = Literal["classic", "streams"]


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A place for one application. Without `servers` its log is a file in the folder.

    Several may share a folder, each as another `worker`. `properties` are those of the cluster's connections and data
    plane, by Kafka's names.
    """

    folder: Path
    servers: str | None = None
    is_exactly_once: bool = True
    properties: Mapping[str, str] = field(default_factory=dict)
    protocol: Protocol = "classic"
    threads: int = 1
    worker: int | None = None

    def open_log(self) -> Log:
        """Open the log."""
        if self.servers is None:
            return EmbeddedLog.open(self.folder / "log.db")
        from headrace.kafka.log import KafkaLog
        from headrace.kafka.options import ConnectionSettings, KafkaOptions

        values = {"bootstrap.servers": self.servers, **_PATIENT, **self.properties}
        return KafkaLog(ConnectionSettings.of(values), KafkaOptions.of(values))

    def options(self) -> list[str]:
        """Return what the application's command line needs to find the same place."""
        options = [str(self.folder)]
        if self.servers is not None:
            options += ["--bootstrap-servers", self.servers]
        if not self.is_exactly_once:
            options += ["--at-least-once"]
        options += ["--protocol", self.protocol, "--threads", str(self.threads)]
        if self.worker is not None:
            options += ["--worker", str(self.worker)]
        for name, value in self.properties.items():
            options += ["--set", f"{name}={value}"]
        return options

    @classmethod
    def of(
        cls,
        folder: Path,
        servers: str | None,
        properties: Sequence[str],
        *,
        at_least_once: bool,
        protocol: Protocol,
        threads: int,
        worker: int | None,
    ) -> "Site":
        """Make a site of what a command line said."""
        named = dict(each.split("=", 1) for each in properties)
        return cls(folder, servers, not at_least_once, named, protocol, threads, worker)

    @property
    def ids(self) -> ProcessIds:
        """The ids by which the application's group knows the place again."""
        return ProcessIds(self.folder / "state")

    def name_of(self, thread: int) -> str:
        """What a thread of the process here is called, among all that share the folder."""
        return str(thread) if self.worker is None else f"{self.worker}-{thread}"

    @property
    def transactional_id(self) -> str | None:
        """The id of the transactions of the first thread here."""
        return self.transactional_id_of(self.name_of(1))

    def transactional_id_of(self, name: str) -> str | None:
        """The id of the transactions of a thread."""
        return f"faults-{self.ids.process_id()}-{name}" if self.is_exactly_once else None


def two_sites(
    folder: Path,
    servers: str,
    *,
    is_exactly_once: bool = True,
    properties: Mapping[str, str] = MappingProxyType({}),
    protocol: Protocol = "classic",
) -> tuple[Site, Site]:
    """Make two places for one application on one cluster, each with a folder, so with state, of its own."""

    def site(name: str) -> Site:
        (folder / name).mkdir()
        return Site(folder / name, servers, is_exactly_once, properties, protocol)

    return site("first"), site("second")
