"""What is seen of an application that is here: its state, its figures, its threads, its stores."""

from collections.abc import Mapping
from typing import Any, overload

from typing_extensions import TypeVar, Unpack

from headrace.base.errors import StoreUnavailableError
from headrace.engine.status import WorkerStatus
from headrace.query.local import QueryOptions, local_view, store_name
from headrace.state.declaration import Store
from headrace.state.queried import Queried
from headrace.streams.figures import lags_of, metrics_of
from headrace.streams.home_process import HomeProcess
from headrace.streams.states import FINAL, Lifecycle, State, before_a_query
from headrace.streams.stream_threads import StreamThreads
from headrace.streams.thread_metadata import ThreadMetadata
from headrace.topology.topology import Topology

__all__ = ["Observed"]

R = TypeVar("R")


class Observed:
    """What `Streams` shows, from any thread; it only looks. Whoever inherits it starts and stops the threads."""

    def __init__(self, topology: Topology, application_id: str) -> None:
        self._topology = topology
        self._application_id = application_id
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

    def metrics(self) -> Mapping[str, float]:
        """Return figures of all threads by Kafka Streams' names of them (thread level); empty before the start."""
        status = self.status()
        return {} if status is None else metrics_of(status)

    def lags(self) -> Mapping[str, Mapping[int, int]]:
        """Return how many changelog records are still to be restored for each store's partition; 0 once it runs.

        All stores of a task are restored together, so each has the figure of its task.
        """
        status = self.status()
        return {} if status is None else lags_of(status, self._topology)

    def metadata_for_local_threads(self) -> tuple[ThreadMetadata, ...]:
        """Return what the stream threads of this instance do, by their names."""
        found = {} if self._here is None else self._here.by_thread()
        return tuple(ThreadMetadata.of(name, found[name]) for name in sorted(found))

    # ── queries ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @overload
    def query(self, store: Store[Queried[R]], **how: Unpack[QueryOptions]) -> R: ...
    @overload
    def query(self, store: str, **how: Unpack[QueryOptions]) -> Any: ...
    def query(self, store: Store[Any] | str, **how: Unpack[QueryOptions]) -> Any:
        """Return a read-only view of a store over all its partitions, as of now: it also sees what waits for a commit.

        The view stays good: each call on it asks the partitions that are here then.

        Raises:
            TopologyError: the topology has no such store.
            StoreUnavailableError: not started, restoring, or stopped: retry later, or give up where it has stopped.
        """
        name = store_name(self._topology, store)
        return local_view(self._topology.stores[name], lambda: self._partitions(name), how)

    def _partitions(self, name: str) -> Mapping[int, Any]:
        self._ensure_here(f"query store {name!r} of")
        threads = self._here
        if threads is None or self.state not in ("rebalancing", "running"):
            raise StoreUnavailableError(
                f"cannot query store {name!r}: application {self._application_id!r} is {self.state}; "
                f"{before_a_query(self.state)}"
            )
        return threads.query(name)
