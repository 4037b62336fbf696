"""Metrics of tasks, of their nodes, and of the topics that they read and write."""

from headrace.metrics.declaration import NODE, TASK, THREAD, Declaration, Level, fields_of

__all__ = ["NODES", "TASKS", "TOPICS"]

_task = fields_of("stream-task-metrics", TASK)
_deep_task = fields_of("stream-task-metrics", TASK, Level.DEBUG)
_node = fields_of("stream-processor-node-metrics", NODE)
_topic = fields_of("stream-topic-metrics", (*NODE, "topic"))
_written = fields_of("stream-topic-metrics", (*THREAD, "topic"))
_own_written = fields_of("stream-topic-metrics", (*THREAD, "topic"), is_own=True)
_own_input = fields_of("stream-topic-metrics", (*NODE, "topic", "partition"), is_own=True)

TASKS: tuple[Declaration, ...] = (
    *_task.counted("process", "records", "Records processed"),
    *_task.extremes("process-latency", "ms", "Time of a record, of turns of many"),
    _task.one(
        "active-process-ratio", "gauge", "ratio", "Share of the thread's time that it processes this task."
    ),
    *_task.counted("dropped-records", "records", "Records dropped, whatever the reason"),
    *_task.counted("punctuate", "rounds", "Rounds of punctuations by the wall clock"),
    *_task.extremes(
        "punctuate-latency", "ms", "Time of the punctuations by the wall clock that were due together"
    ),
    _task.one("active-buffer-count", "gauge", "records", "Records that were read and wait to be processed."),
    _task.one(
        "restore-remaining-records-total",
        "gauge",
        "records",
        "Changelog offsets that its restore still has to read.",
    ),
    *_task.counted("restore", "records", "Changelog records that its present restore has applied"),
    *_deep_task.extremes(
        "record-lateness", "ms", "How far records are behind stream time, of some of each stretch"
    ),
)

NODES: tuple[Declaration, ...] = (
    *_node.counted("process", "records", "Records that a node was given: sources; at debug, all"),
    *_node.extremes(
        "record-e2e-latency",
        "ms",
        "Age of records by their timestamps when a source's task has processed them, of some of each stretch",
        least=True,
    ),
    *fields_of("stream-processor-node-metrics", NODE, Level.DEBUG, is_own=True).extremes(
        "process-latency", "ms", "Time of a record in a node and in all below it"
    ),
    *_node.counted("suppression-emit", "updates", "Updates that suppression has let go"),
    fields_of("stream-processor-node-metrics", (*NODE, "reason"), is_own=True).one(
        "dropped-records-total", "counter", "records", "Records that a node has dropped, by the reason."
    ),
)

TOPICS: tuple[Declaration, ...] = (
    _topic.one("records-consumed-total", "counter", "records", "Records of a topic that were processed."),
    _topic.one("bytes-consumed-total", "counter", "bytes", "The same in bytes, of chunks that are done."),
    _written.one(
        "records-produced-total", "counter", "records", "Records written to a topic, changelogs included."
    ),
    _written.one("bytes-produced-total", "counter", "bytes", "The same in bytes, as the log gets them."),
    *_own_written.extremes(
        "record-e2e-latency",
        "ms",
        "Age of records by their timestamps when they are handed to the log, of two of each run",
        least=True,
    ),
    _own_input.one("records-lag", "gauge", "records", "Records of a partition that are not processed yet."),
    _own_input.one(
        "records-lag-age",
        "gauge",
        "ms",
        "Age of the oldest record that waits, by its timestamp; 0 where none does.",
    ),
)
