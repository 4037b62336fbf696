"""Metrics of clients (instances of an application) and of their stream threads."""

from headrace.metrics.declaration import CLIENT, THREAD, Declaration, Level, fields_of

__all__ = ["CLIENTS", "RESTORES", "THREADS"]

_client = fields_of("stream-metrics", CLIENT)
_thread = fields_of("stream-thread-metrics", THREAD)
_deep_thread = fields_of("stream-thread-metrics", THREAD, Level.TRACE)
_own_thread = fields_of("stream-thread-metrics", THREAD, is_own=True)
_restore = fields_of("stream-state-updater-metrics", THREAD)

CLIENTS: tuple[Declaration, ...] = (
    _client.one("version", "text", "", "Version of headrace."),
    _client.one("application-id", "text", "", "The application's id."),
    _client.one("topology-description", "text", "", "The topology, as `describe()` tells it."),
    _client.one("state", "text", "", "State of the instance, such as RUNNING."),
    fields_of("stream-metrics", (*CLIENT, "process-id", "application-id")).one(
        "client-state",
        "gauge",
        "",
        "State of the instance as Kafka Streams numbers it: created 0, rebalancing 1, running 2, pending shutdown 3, "
        "not running 4, pending error 5, error 6.",
    ),
    fields_of("stream-metrics", (*CLIENT, "process-id")).one(
        "recording-level", "gauge", "", "What is recorded: info 0, debug 1, trace 2."
    ),
    _client.one("alive-stream-threads", "gauge", "threads", "Stream threads that are there."),
    _client.one("failed-stream-threads", "counter", "threads", "Stream threads' deaths since the start."),
)

THREADS: tuple[Declaration, ...] = (
    *_thread.extremes("commit-latency", "ms", "Time of a commit of all tasks of the thread together"),
    *_thread.counted("commit", "commits", "Commits"),
    _thread.one("commit-ratio", "gauge", "ratio", "Share of its time that the thread commits."),
    *_thread.extremes("poll-latency", "ms", "Time to ask the log for records, and to wait for them"),
    *_thread.counted("poll", "polls", "Times that the log was asked for records"),
    _thread.one(
        "poll-ratio", "gauge", "ratio", "Share of its time that the thread asks and waits for records."
    ),
    *_thread.extremes("poll-records", "records", "Records that came of asking the log once"),
    *_thread.extremes("process-latency", "ms", "Time of a record, of turns of many"),
    *_thread.counted("process", "records", "Records processed"),
    _thread.one("process-ratio", "gauge", "ratio", "Share of its time that the thread processes records."),
    *_thread.extremes("process-records", "records", "Records processed in one turn of the thread"),
    *_thread.extremes(
        "punctuate-latency", "ms", "Time of the punctuations that were due by the wall clock together"
    ),
    *_thread.counted("punctuate", "rounds", "Rounds of punctuations by the wall clock"),
    _thread.one(
        "punctuate-ratio", "gauge", "ratio", "Share of its time that the thread punctuates by the wall clock."
    ),
    *_thread.counted("task-created", "tasks", "Tasks taken up"),
    *_thread.counted("task-closed", "tasks", "Tasks given up"),
    *_thread.extremes(
        "tasks-assigned-latency", "ms", "Time to take up tasks that the group gives, without restores"
    ),
    *_thread.extremes(
        "tasks-revoked-latency", "ms", "Time to commit and give up tasks that the group takes away"
    ),
    *_thread.extremes("tasks-lost-latency", "ms", "Time to give up all tasks of who is no member any more"),
    _deep_thread.one("state", "text", "", "State of the thread, such as RUNNING."),
    fields_of("stream-thread-metrics", (*THREAD, "process-id"), Level.TRACE).one(
        "thread-state",
        "gauge",
        "",
        "State of the thread as Kafka Streams numbers it: created 0, starting 1, partitions assigned 3, running 4, "
        "dead 6.",
    ),
    _deep_thread.one("thread-start-time", "gauge", "ms", "When the thread began (epoch)."),
    _own_thread.one("records-lag", "gauge", "records", "Records of all inputs that are not processed yet."),
    _own_thread.one(
        "misplaced-keys-total",
        "counter",
        "keys",
        "Keys found in another partition than they should be, of the first of each input.",
    ),
)

RESTORES: tuple[Declaration, ...] = (
    _restore.one("active-restoring-tasks", "gauge", "tasks", "Tasks that are restored."),
    _restore.one("standby-updating-tasks", "gauge", "tasks", "Tasks that are followed as standbys."),
    _restore.one(
        "active-restore-ratio", "gauge", "ratio", "Share of its time that the thread restores tasks."
    ),
    _restore.one(
        "standby-update-ratio", "gauge", "ratio", "Share of its time that the thread follows standbys."
    ),
    _restore.one("restore-records-rate", "gauge", "records/s", "Changelog records applied, a second."),
    _restore.one("restore-call-rate", "gauge", "turns/s", "Turns of restoring, a second."),
)
