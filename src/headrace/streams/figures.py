"""What `Streams` shows of an application's figures: its metrics as an instance, and how far its stores are."""

from collections.abc import Mapping

from headrace.engine.status import LagInfo, WorkerStatus
from headrace.metrics.declaration import Level
from headrace.metrics.metric import MetricsOf
from headrace.streams.states import State
from headrace.streams.stream_threads import StreamThreads
from headrace.topology.topology import Topology

__all__ = ["lags_of", "measure_client", "measure_threads"]

_CLIENTS, _THREADS = "stream-metrics", "stream-thread-metrics"

#: As Kafka Streams numbers them, by name: `KafkaStreams.State`, `StreamThread.State`.
_STATE_NUMBERS: Mapping[State, int] = {
    "created": 0,
    "rebalancing": 1,
    "running": 2,
    "pending_shutdown": 3,
    "not_running": 4,
    "pending_error": 5,
    "error": 6,
}
_THREAD_STATES = {
    "starting": ("STARTING", 1),
    "restoring": ("PARTITIONS_ASSIGNED", 3),
    "running": ("RUNNING", 4),
    "stopped": ("DEAD", 6),
}


def measure_client(
    into: MetricsOf,
    tags: Mapping[str, str],
    *,
    state: State,
    version: str,
    topology: Topology | None,
    level: Level,
) -> None:
    """Gather what concerns an instance as a whole; `tags` are client, process and application.

    A sink has no topology.
    """
    own = {"client-id": tags["client-id"]}
    into.put(
        _CLIENTS,
        own,
        {
            "version": version,
            "application-id": tags["application-id"],
            **({} if topology is None else {"topology-description": topology.describe()}),
            "state": state.upper(),
        },
    )
    into.put(_CLIENTS, tags, {"client-state": _STATE_NUMBERS[state]})
    into.put(_CLIENTS, {**own, "process-id": tags["process-id"]}, {"recording-level": level})


def measure_threads(into: MetricsOf, tags: Mapping[str, str], threads: StreamThreads) -> None:
    """Gather what concerns the stream threads of an instance."""
    found = threads.threads
    into.put(
        _CLIENTS,
        {"client-id": tags["client-id"]},
        {"alive-stream-threads": len(found), "failed-stream-threads": threads.deaths},
    )
    for thread in found:
        own = {"thread-id": thread.name}
        worker = thread.worker
        state, number = _THREAD_STATES["starting" if worker is None else worker.status().state]
        into.put(_THREADS, own, {"state": state, "thread-start-time": thread.started_ms})
        into.put(_THREADS, {**own, "process-id": tags["process-id"]}, {"thread-state": number})
        if worker is not None:
            worker.measure(into, thread.name)


def lags_of(status: WorkerStatus) -> Mapping[str, Mapping[int, LagInfo]]:
    """Return how far the stores of tasks are that run, restore or are followed, by store and partition."""
    lags: dict[str, dict[int, LagInfo]] = {}
    for task in (*status.standbys, *status.tasks):
        for store, lag in task.stores.items():
            lags.setdefault(store, {})[task.id.partition] = lag
    return lags
