"""A worker's figures by Kafka Streams' names."""

from collections.abc import Mapping

from headrace.engine.status import LagInfo, WorkerStatus

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


def lags_of(status: WorkerStatus) -> Mapping[str, Mapping[int, LagInfo]]:
    """Return how far the stores of tasks are that run, restore or are followed, by store and partition."""
    lags: dict[str, dict[int, LagInfo]] = {}
    for task in (*status.standbys, *status.tasks):
        for store, lag in task.stores.items():
            lags.setdefault(store, {})[task.id.partition] = lag
    return lags
