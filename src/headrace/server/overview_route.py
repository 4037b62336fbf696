"""All that one glance wants to know of an instance, in one answer: what `headrace top` and the page's head show."""

import math
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.base.errors import StoreUnavailableError
from headrace.base.version import headrace_version
from headrace.engine.failures import is_failure
from headrace.engine.status import TaskStatus, WorkerStatus
from headrace.metrics.metric import Metrics
from headrace.server.inspection import progress_of
from headrace.server.routes import Route
from headrace.streams.logs import address_of
from headrace.streams.status_text import waiting_text
from headrace.streams.streams import Streams
from headrace.streams.thread_metadata import ThreadMetadata

__all__ = ["overview_route"]

_TASKS, _NODES = "stream-task-metrics", "stream-processor-node-metrics"

#: Of a traceback, the end is what tells most.
_TRACEBACK_CHARACTERS_MAX = 20_000


def overview_route(streams: Streams) -> Route:
    """Return the route."""
    return Route(
        "/overview",
        "State, with what ended the application where something did, throughput, lag, commits, what was dropped or has "
        "failed, threads, tasks and instances at once. Rates and times of commits are of the last minute, and null "
        "where there were none. Lags are those of `lag_as_of` (epoch ms): now, or when brokers that are away were last "
        "heard of; null where the application has ended, or not begun.",
        lambda given: _overview(streams),
    )


def _overview(streams: Streams) -> object:
    state, status, trouble = streams.state, streams.status(), streams.trouble
    figures, metrics = status or WorkerStatus("starting"), streams.metrics()
    tasks = [_task(task, metrics) for task in figures.tasks]
    threads = [_thread(thread, metrics) for thread in streams.metadata_for_local_threads()]
    return {
        "application_id": streams.application_id,
        "version": headrace_version(),
        "log": str(address_of(streams.config)),
        "state": state,
        "is_paused": streams.is_paused,
        "waits_for": trouble if state == "running" else waiting_text(state, status, trouble),
        "failure": _failure(streams.killed_by),
        "records": figures.records,
        "records_per_second": figures.records_per_second,
        "lag_records": figures.lag_records,
        "lag_as_of": _as_of(streams),
        "lag_age_ms": max((each["lag_age_ms"] for each in tasks), default=0),
        "dropped": sum(each["dropped"] for each in tasks),  # of the tasks that are here, as what failed
        "failed": _failed(metrics),
        "commits": figures.commits,
        **_commits(threads),
        "threads": threads,
        "tasks": tasks,
        "standbys": [progress_of(each) for each in figures.standbys],
        "global_stores": None if figures.global_stores is None else progress_of(figures.global_stores),
        "instances": _instances(streams),
    }


def _as_of(streams: Streams) -> int | None:
    if streams.state not in ("rebalancing", "running"):
        return None
    return time.time_ns() // 1_000_000 - int(1000 * (streams.silence_s or 0))


def _failure(error: BaseException | None) -> Mapping[str, str] | None:
    if error is None:
        return None
    text = "".join(traceback.format_exception(error))
    return {
        "error": type(error).__qualname__,
        "message": str(error),
        "traceback": text[-_TRACEBACK_CHARACTERS_MAX:],
    }


def _failed(metrics: Metrics) -> int:
    dropped = metrics.find("dropped-records-total", _NODES)
    return sum(
        int(each.value)
        for each in dropped
        if is_failure(each.tags["reason"]) and not isinstance(each.value, str)
    )


def _thread(thread: ThreadMetadata, metrics: Metrics) -> dict[str, Any]:
    def number(name: str) -> float | None:
        return _number(metrics.find(name, "stream-thread-metrics", thread_id=thread.thread_name))

    return {
        "name": thread.thread_name,
        "state": thread.thread_state,
        "tasks": [str(each) for each in thread.active_tasks],
        "standbys": [str(each) for each in thread.standby_tasks],
        "records_per_second": number("process-rate"),
        "commits_per_second": number("commit-rate"),
        "commit_ms_average": number("commit-latency-avg"),
        "commit_ms_max": number("commit-latency-max"),
    }


def _commits(threads: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Put together how long the threads' commits take: the average of all commits, and the longest one."""
    rated = [
        (each["commit_ms_average"], each["commits_per_second"])
        for each in threads
        if each["commit_ms_average"] is not None and each["commits_per_second"]
    ]
    commits = sum(rate for _, rate in rated)
    longest = [each["commit_ms_max"] for each in threads if each["commit_ms_max"] is not None]
    return {
        "commit_ms_average": sum(average * rate for average, rate in rated) / commits if commits else None,
        "commit_ms_max": max(longest, default=None),
    }


def _task(task: TaskStatus, metrics: Metrics) -> dict[str, Any]:
    oldest = [
        each.oldest_timestamp
        for each in task.inputs.values()
        if each.lag_records and each.oldest_timestamp is not None
    ]
    own = {"task_id": str(task.id)}
    return {
        "id": str(task.id),
        "state": task.state,
        "lag_records": sum(each.lag_records for each in task.inputs.values()),
        "lag_age_ms": max(0, time.time_ns() // 1_000_000 - min(oldest)) if oldest else 0,
        "records_per_second": _number(metrics.find("process-rate", _TASKS, **own)),
        "dropped": int(metrics.total("dropped-records-total", _TASKS, **own)),
        "restore": progress_of(task) if task.state == "restoring" else None,
    }


def _number(found: Metrics) -> float | None:
    values = [each.value for each in found if isinstance(each.value, int | float)]
    return values[0] if values and not math.isnan(values[0]) else None


def _instances(streams: Streams) -> Sequence[Mapping[str, Any]]:
    """Return the instances with how many stores and partitions each has; none before the application runs."""
    try:
        found = streams.metadata_for_all_streams_clients()
    except StoreUnavailableError:
        return ()
    return [
        {
            "host": each.host_info.host,
            "port": each.host_info.port,
            "stores": len(each.state_store_names),
            "partitions": len(each.topic_partitions),
            "standby_partitions": len(each.standby_topic_partitions),
        }
        for each in found
    ]
