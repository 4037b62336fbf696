"""The metrics of a worker: of its thread, its tasks with nodes and stores, and of the topics that it writes.

They are gathered when somebody asks, in the thread that asks. What stands in objects that the worker's thread changes
is read without locks: a figure may be of a moment later than the one before it.
"""

import math
from collections.abc import Iterable, Mapping

from headrace.engine.collector import RecordCollector
from headrace.engine.status import TaskStatus, WorkerStatus
from headrace.engine.store_measuring import measure_stores
from headrace.engine.task import Task
from headrace.engine.thread_figures import ThreadFigures
from headrace.metrics.metric import MetricsOf

__all__ = ["measure_tasks", "measure_thread", "measure_written"]

_THREADS, _TASKS, _NODES = "stream-thread-metrics", "stream-task-metrics", "stream-processor-node-metrics"
_TOPICS, _RESTORES = "stream-topic-metrics", "stream-state-updater-metrics"


def measure_thread(into: MetricsOf, thread: str, figures: ThreadFigures, status: WorkerStatus) -> None:
    """Gather what concerns a worker as a whole; `status` is its last one."""
    now, tags = figures.seconds(), {"thread-id": thread}
    for name, meter in (
        ("commit", figures.commits),
        ("poll", figures.polls),
        ("process", figures.turns),
        ("punctuate", figures.punctuations),
    ):
        into.put_latency(_THREADS, tags, name, meter, now)
        into.put(_THREADS, tags, {f"{name}-ratio": meter.share(now)})
        into.put(_THREADS, tags, {f"{name}-rate": meter.rate(now), f"{name}-total": meter.count})
    into.put_extremes(_THREADS, tags, "poll-records", figures.polled_records, now)
    into.put_extremes(_THREADS, tags, "process-records", figures.turn_records, now)
    for name, meter in (
        ("tasks-assigned", figures.assigned),
        ("tasks-revoked", figures.revoked),
        ("tasks-lost", figures.lost),
    ):
        into.put_latency(_THREADS, tags, name, meter, now)
    into.put_counted(
        _THREADS, tags, {"task-created": figures.tasks_created, "task-closed": figures.tasks_closed}
    )
    # Of a task that does not read yet, nobody knows the ends of its inputs: it is not caught up.
    is_known = all(task.inputs and task.state == "running" for task in status.tasks)
    lag = status.lag_records if is_known else math.nan
    into.put(_THREADS, tags, {"records-lag": lag, "misplaced-keys-total": status.misplaced_keys})
    into.put(
        _RESTORES,
        tags,
        {
            "active-restoring-tasks": sum(task.state == "restoring" for task in status.tasks),
            "standby-updating-tasks": len(status.standbys),
            "active-restore-ratio": figures.restores.share(now),
            "standby-update-ratio": figures.followings.share(now),
            "restore-call-rate": figures.restores.rate(now),
            "restore-records-rate": into.rate(_RESTORES, tags, "restore-records", status.restored),
        },
    )


def measure_written(into: MetricsOf, thread: str, collector: RecordCollector, now_ms: int) -> None:
    """Gather what concerns the topics that a worker writes."""
    for topic, written in list(collector.written.items()):
        tags = {"thread-id": thread, "topic": topic}
        into.put(
            _TOPICS, tags, {"records-produced-total": written.records, "bytes-produced-total": written.bytes}
        )
        into.put_extremes(_TOPICS, tags, "record-e2e-latency", written.ages, now_ms / 1000, least=True)


def measure_tasks(
    into: MetricsOf, thread: str, tasks: Iterable[Task], status: WorkerStatus, now_ms: int
) -> None:
    """Gather what concerns each task, its nodes, its inputs and its stores."""
    told = {each.id: each for each in (*status.tasks, *filter(None, (status.global_stores,)))}
    for task in tasks:
        tags = {"thread-id": thread, "task-id": str(task.id)}
        _measure_task(into, tags, task, told.get(task.id))
        _measure_nodes(into, tags, task, now_ms)
        _measure_inputs(into, tags, task, told.get(task.id), now_ms)
        measure_stores(into, tags, task)


def _measure_task(into: MetricsOf, tags: Mapping[str, str], task: Task, told: TaskStatus | None) -> None:
    figures = task.figures
    now = figures.seconds()
    for name, meter in (("process", figures.turns), ("punctuate", figures.punctuations)):
        into.put_latency(_TASKS, tags, name, meter, now)
        into.put(_TASKS, tags, {f"{name}-rate": meter.rate(now)})
    into.put(_TASKS, tags, {"process-total": task.processed, "punctuate-total": figures.punctuations.count})
    into.put(
        _TASKS,
        tags,
        {
            "active-process-ratio": figures.turns.share(now),
            "active-buffer-count": sum(queue.waiting for queue in task.queues.values()),
            "restore-remaining-records-total": 0 if told is None else told.remaining,
        },
    )
    restored = 0 if told is None else told.restored
    into.put_counted(_TASKS, tags, {"dropped-records": figures.dropped, "restore": restored})
    into.put_extremes(_TASKS, tags, "record-lateness", figures.lateness, task.context.now_ms() / 1000)


def _measure_nodes(into: MetricsOf, tags: Mapping[str, str], task: Task, now_ms: int) -> None:
    figures = task.figures
    taken: dict[str, int] = {}
    for queue in task.queues.values():
        taken[queue.source.name] = taken.get(queue.source.name, 0) + queue.taken
    for source, count in taken.items():
        into.put_counted(_NODES, {**tags, "processor-node-id": source}, {"process": count})
    for source, meter in list(figures.ages.items()):
        node_tags = {**tags, "processor-node-id": source}
        into.put_extremes(_NODES, node_tags, "record-e2e-latency", meter, now_ms / 1000, least=True)
    for node, meter in list(figures.nodes.items()):
        node_tags, now = {**tags, "processor-node-id": node}, figures.seconds()
        into.put_latency(_NODES, node_tags, "process", meter, now)
        into.put(_NODES, node_tags, {"process-rate": meter.rate(now), "process-total": meter.count})
    for (node, reason), count in list(figures.drops.items()):
        drop_tags = {**tags, "processor-node-id": node, "reason": reason}
        into.put(_NODES, drop_tags, {"dropped-records-total": count})


def _measure_inputs(
    into: MetricsOf, tags: Mapping[str, str], task: Task, told: TaskStatus | None, now_ms: int
) -> None:
    consumed: dict[tuple[str, str], tuple[int, int]] = {}
    for (topic, partition), queue in task.queues.items():
        node = queue.source.name
        records, size_bytes = consumed.get((node, topic), (0, 0))
        consumed[node, topic] = records + queue.taken, size_bytes + queue.finished_bytes
        lag = None if told is None else told.inputs.get(queue.partition)
        if lag is not None:
            # What nobody has fetched has an age that nobody knows.
            age = 0.0 if not lag.lag_records else math.nan
            if lag.oldest_timestamp is not None:
                age = now_ms - lag.oldest_timestamp
            into.put(
                _TOPICS,
                {**tags, "processor-node-id": node, "topic": topic, "partition": str(partition)},
                {"records-lag": lag.lag_records, "records-lag-age": age},
            )
    for (node, topic), (records, size_bytes) in consumed.items():
        topic_tags = {**tags, "processor-node-id": node, "topic": topic}
        into.put(_TOPICS, topic_tags, {"records-consumed-total": records, "bytes-consumed-total": size_bytes})
