"""A worker's figures by Kafka Streams' names."""

from collections.abc import Mapping

from headrace.engine.status import WorkerStatus
from headrace.topology.topology import Topology

__all__ = ["lags_of", "metrics_of"]


def metrics_of(status: WorkerStatus) -> Mapping[str, float]:
    """Return the figures of a worker (thread level)."""
    return {
        "process-total": float(status.records),
        "process-rate": status.records_per_second,
        "records-lag": float(status.lag_records),
        "dropped-records-total": float(status.dropped),
        "misplaced-keys-total": float(status.misplaced_keys),
        "commit-total": float(status.commits),
        "commit-latency-avg": status.commit_ms_average,
        "commit-latency-max": status.commit_ms_max,
        "restore-total": float(status.restored),
        "active-task-count": float(len(status.tasks)),
        "restoring-task-count": float(sum(task.state == "restoring" for task in status.tasks)),
    }


def lags_of(status: WorkerStatus, topology: Topology) -> Mapping[str, Mapping[int, int]]:
    """Return how many changelog records are still to be restored, by store and partition."""
    lags: dict[str, dict[int, int]] = {}
    for task in status.tasks:
        for store in topology.subtopologies[task.id.subtopology].stores:
            lags.setdefault(store.name, {})[task.id.partition] = task.remaining
    return lags
