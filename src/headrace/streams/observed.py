"""What is seen of an application that is here: its state, its figures, its threads, and where its tasks are."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.base.errors import StoreUnavailableError
from headrace.base.version import headrace_version
from headrace.engine.status import LagInfo, WorkerStatus
from headrace.engine.task_places import PlannedTasks
from headrace.engine.work_history import WorkSample
from headrace.group.membership import EndpointTasks
from headrace.group.user_data import Endpoint
from headrace.log.port import Log
from headrace.metrics.declaration import Level
from headrace.metrics.metric import Metrics, MetricsOf
from headrace.metrics.rates import Rates
from headrace.query.local import store_name
from headrace.query.metadata import (
    KeyQueryMetadata,
    StreamsMetadata,
    key_metadata,
    store_partitions,
    streams_metadata,
    task_counts,
)
from headrace.state.declaration import Store
from headrace.streams.config import Config
from headrace.streams.figures import lags_of, measure_client, measure_threads
from headrace.streams.home_process import HomeProcess
from headrace.streams.options import APPLICATION_ID
from headrace.streams.states import FINAL, Lifecycle, State, before_a_query, in_words
from headrace.streams.stream_threads import StreamThreads
from headrace.streams.thread_metadata import ThreadMetadata
from headrace.topology.locations import caller
from headrace.topology.partitioners import Partitioner, placing
from headrace.topology.topology import Topology

__all__ = ["Observed"]


class Observed:
    """What `Streams` shows, from any thread; it only looks. Whoever inherits it starts and stops the threads."""

    def __init__(self, topology: Topology, config: Config) -> None:
        self._topology = topology
        self._config = config
        self._application_id: str = config.get(APPLICATION_ID)
        self._rates = Rates(time.monotonic())
        self._life = Lifecycle()
        self._home = HomeProcess()
        self._threads: StreamThreads | None = None  # from start() on

    @property
    def state(self) -> State:
        """Where the application is: created, rebalancing, running, pending_shutdown, not_running, or on to error."""
        state = self._life.state
        return "not_running" if self._home.is_elsewhere and state not in FINAL else state

    @property
    def application_id(self) -> str:
        """The application's id."""
        return self._application_id

    @property
    def topology(self) -> Topology:
        """What it runs."""
        return self._topology

    @property
    def _here(self) -> StreamThreads | None:
        return None if self._home.is_elsewhere else self._threads

    def _ensure_here(self, attempt: str) -> None:
        if self._life.state not in FINAL:
            self._home.ensure_here(f"{attempt} {self._application_id!r}")

    # ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> WorkerStatus | None:
        """Return the figures of all threads together; None before the start."""
        return None if self._here is None else self._here.status()

    @property
    def trouble(self) -> str | None:
        """What the application waits for while its brokers do not answer, for people to read; None if all is well."""
        return None if self._here is None else self._here.trouble

    @property
    def silence_s(self) -> float | None:
        """For how long (seconds) its brokers have not answered, while `trouble` tells of that; else None."""
        return None if self._here is None else self._here.log.silence_s

    def metrics(self) -> Metrics:
        """Return all metrics as they are now: those of `metrics.recording.level`, of the threads that are there.

        docs/metrics.md lists them, and those of Kafka Streams that are not here. Gathering takes about a millisecond
        for ten tasks with a store each. Source: `KafkaStreams.metrics`.
        """
        level = Level[self._config["metrics.recording.level"]]
        into = MetricsOf(level, self._rates, time.monotonic())
        threads = self._here
        tags = {
            "client-id": self._config["client.id"] or self._application_id,
            "process-id": "" if threads is None else threads.process_id,
            "application-id": self._application_id,
        }
        measure_client(
            into, tags, state=self.state, version=headrace_version(), topology=self._topology, level=level
        )
        if threads is not None:
            measure_threads(into, tags, threads)
        return Metrics(into.found)

    def history(self) -> Sequence[WorkSample]:
        """Return what was done in the last hour, in samples of ten seconds, the oldest first; kept in memory alone."""
        return () if self._here is None else self._here.history()

    @property
    def killed_by(self) -> BaseException | None:
        """What ended the application; None where it runs, or was stopped."""
        return None if self._threads is None else self._threads.killed_by

    @property
    def log(self) -> Log | None:
        """The log that it runs on, for who looks at it beside; None before the start, and when it has stopped."""
        return None if self._here is None or self.state in FINAL else self._here.log

    def lags(self) -> Mapping[str, Mapping[int, LagInfo]]:
        """Return how far each store is behind its changelog, by partition: of tasks that run here, restore, or follow.

        A store that a task runs on is behind nothing. Stores without a changelog are not there, nor those of which the
        end of the changelog is not known yet. Source: `KafkaStreams.allLocalStorePartitionLags`.
        """
        status = self.status()
        return {} if status is None else lags_of(status)

    def metadata_for_local_threads(self) -> tuple[ThreadMetadata, ...]:
        """Return what the stream threads of this instance do, by their names."""
        found = {} if self._here is None else self._here.by_thread()
        return tuple(ThreadMetadata.of(name, found[name]) for name in sorted(found))

    # ── all instances ───────────────────────────────────────────────────────────────────────────────────────────────

    def metadata_for_all_streams_clients(self) -> tuple[StreamsMetadata, ...]:
        """Return the instances of the application, this one too: which stores and partitions each has, by its host.

        The group tells the last assignment, which may be under way. It knows of instances with `application.server`;
        on an embedded log there is one, at ("unavailable", -1) where nothing is set.

        Raises:
            StoreUnavailableError: the application does not run.
        """
        planned, endpoints = self._placed("tell the instances")
        return () if planned is None else streams_metadata(planned, endpoints, self._application_id)

    def streams_metadata_for_store(self, store: Store[Any] | str) -> tuple[StreamsMetadata, ...]:
        """Return the instances that have partitions of a store, in tasks that they run or follow; see above.

        Raises:
            TopologyError: the topology has no such store.
            StoreUnavailableError: the application does not run.
        """
        name = store_name(self._topology, store)
        return tuple(
            each
            for each in self.metadata_for_all_streams_clients()
            if name in each.state_store_names or name in each.standby_state_store_names
        )

    def query_metadata_for_key(
        self, store: Store[Any] | str, key: Any, *, partitioner: Partitioner | None = None
    ) -> KeyQueryMetadata:
        """Return the instance that has a key of a store, those that follow it, and the partition.

        `key` is that of the records that reach the store: of a windowed store, the key without its window. They are
        placed as the topology places them, or, in topics of others, by Kafka's default partitioner; `partitioner` is
        for those that are placed otherwise, and is asked as one of a sink would be, with None for the value.

        Raises:
            TopologyError: the topology has no such store, or nothing says how its keys are placed.
            SerializationError: the key is of another type.
            StoreUnavailableError: the application does not run, or no instance is known that has the key: without
                `application.server`, none is.
        """
        name = store_name(self._topology, store)
        asked = placing(partitioner, caller())
        planned, endpoints = self._placed(f"look for a key of store {name!r}")
        if planned is None:
            raise StoreUnavailableError(
                f"cannot tell who has store {name!r}: the application is starting; wait_running() first"
            )
        return key_metadata(planned, endpoints, self._application_id, name, key, asked)

    def partitions_of_store(self, store: Store[Any] | str) -> Sequence[int]:
        """Return the partitions that a store has, wherever they are; of a global store, -1 alone.

        Raises:
            TopologyError: the topology has no such store.
            StoreUnavailableError: the application does not run, or has not looked at its topics yet.
        """
        name = store_name(self._topology, store)
        planned, _ = self._placed(f"tell the partitions of store {name!r}")
        if planned is None:
            raise StoreUnavailableError(
                f"cannot tell the partitions of store {name!r}: the application is starting; wait_running() first"
            )
        return store_partitions(planned, self._application_id, name)

    def task_counts(self) -> Mapping[int, int]:
        """Return how many tasks each sub-topology has, wherever they run; none before topics were looked at.

        Raises:
            StoreUnavailableError: the application does not run.
        """
        planned, _ = self._placed("tell the tasks")
        return {} if planned is None else task_counts(planned, self._application_id)

    def _placed(self, attempt: str) -> tuple[PlannedTasks | None, Mapping[Endpoint, EndpointTasks]]:
        places = self._running(attempt).places
        return (None, {}) if places is None else (places.planned, places.endpoints)

    def _running(self, attempt: str) -> StreamThreads:
        self._ensure_here(f"{attempt} of")
        threads = self._here
        if threads is None or self.state not in ("rebalancing", "running"):
            raise StoreUnavailableError(
                f"cannot {attempt}: application {self._application_id!r} is {in_words(self.state)}; "
                f"{before_a_query(self.state)}"
            )
        return threads
