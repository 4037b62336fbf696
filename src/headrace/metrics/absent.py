"""Metrics of Kafka Streams that are not here, each with the reason. Names and groups may have `*` in them."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["ABSENT", "Absent", "why_absent"]


@dataclass(frozen=True, slots=True)
class Absent:
    """Some that are not here."""

    group: str
    name: str
    reason: str


ABSENT: tuple[Absent, ...] = (
    Absent(
        "consumer*",
        "*",
        "There is no consumer of Kafka's here. What it tells of work is told of threads, tasks and topics.",
    ),
    Absent("producer*", "*", "There is no producer of Kafka's here: see `stream-topic-metrics`."),
    Absent("admin-client*", "*", "There is no admin client of Kafka's here."),
    Absent("app-info", "*", "Of Kafka's clients. The version is in `stream-metrics`."),
    Absent("kafka-metrics-count", "*", "Count the metrics that there are."),
    Absent(
        "stream-metrics", "commit-id", "A release is told by its version; wheels do not know their commit."
    ),
    Absent(
        "stream-thread-metrics",
        "blocked-time-ns-total",
        "`poll-ratio` and `commit-ratio` say how a thread waits.",
    ),
    Absent("stream-task-metrics", "cache-size-bytes-total", "The tasks of a thread share one record cache."),
    Absent(
        "stream-task-metrics",
        "enforced-processing-*",
        "Which task goes on without records of all inputs is decided for all tasks together, by record time.",
    ),
    Absent(
        "stream-processor-node-metrics",
        "window-aggregate-final-emit-*",
        "Results are counted where they are written; the look for windows that close is in the time of the task.",
    ),
    Absent(
        "stream-state-updater-metrics",
        "*-paused-tasks",
        "Pausing an instance pauses what it processes; restores and standbys go on.",
    ),
    Absent("stream-state-updater-metrics", "idle-ratio", "No thread of its own restores, so none is idle."),
    Absent(
        "stream-state-updater-metrics",
        "checkpoint-ratio",
        "There are no checkpoints: positions are in the stores.",
    ),
    Absent("stream-state-metrics", "all-*", "Reading all rows is a range without ends: see `range-*`."),
    Absent("stream-state-metrics", "delete-*", "A deletion is a put of null: see `put-*`."),
    Absent("stream-state-metrics", "remove-*", "A session is removed by a put of null: see `put-*`."),
    Absent("stream-state-metrics", "put-if-absent-*", "It is a look and a put: see `get-*` and `put-*`."),
    Absent(
        "stream-state-metrics",
        "commit-*",
        "All stores of a thread are written together: see `commit-*` of `stream-thread-metrics`.",
    ),
    Absent(
        "stream-state-metrics",
        "oldest-iterator-open-since-ms",
        "See `num-open-iterators`, `iterator-duration-*`.",
    ),
    Absent("stream-state-metrics", "restore-*", "See `restore-*` of `stream-task-metrics`."),
    *(
        Absent(
            "stream-state-metrics",
            name,
            "A statistic of RocksDB's, which a database has and no store: here a task has one for all its stores.",
        )
        for name in (
            "block-cache-*-hit-ratio",
            "bytes-*-compaction-rate",
            "bytes-read-*",
            "bytes-written-*",
            "compaction-time-*",
            "memtable-*",
            "number-*",
            "write-stall-duration-*",
        )
    ),
)


def why_absent(group: str, name: str) -> str | None:
    """Return why a metric of Kafka Streams is not here, None where no reason is known."""
    return next(
        (each.reason for each in ABSENT if fnmatchcase(group, each.group) and fnmatchcase(name, each.name)),
        None,
    )
