"""The properties that the engine reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from headrace.base.options import (
    Option,
    OptionKind,
    boolean,
    choice,
    duration_ms,
    function,
    integer,
    long,
    text,
)
from headrace.plan.internal_topics import WINDOW_ADDITIONAL_RETENTION_MS
from headrace.processor.handlers import Handler, log_and_fail
from headrace.state.rocksdb_options import (
    ROCKS_MEMORY_BYTES,
    ROCKS_MEMORY_BYTES_MIN,
    Configure,
    as_they_are,
)

__all__ = ["EMIT_EXPIRED", "OPTIONS", "OUTER_JOIN_EMIT_INTERVAL", "WINDOW_EMIT_INTERVAL", "EngineOptions"]

#: Internal properties of Kafka Streams: its driver and its tests set them.
OUTER_JOIN_EMIT_INTERVAL = "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__"
WINDOW_EMIT_INTERVAL = "__emit.interval.ms.kstreams.windowed.aggregation__"

#: What the test driver does not do either.
EMIT_EXPIRED = "windows.expired.emit"

_OPTIONAL_MS: OptionKind[int | None] = duration_ms()


def _cannot_trace(is_wanted: bool) -> str | None:
    # Others have packages in the room `opentelemetry` too.
    if not is_wanted or (find_spec("opentelemetry") and find_spec("opentelemetry.trace")):
        return None
    return "opentelemetry-api is not installed: pip install 'headrace[otel]'"


OPTIONS: tuple[Option[Any], ...] = (
    Option(
        "commit.interval.ms",
        duration_ms(minimum=1),
        100,
        "Time between commits (ms). Longer means fewer outputs of cached stores, later visibility, more to redo.",
    ),
    Option(
        "input.buffer.max.bytes",
        long(minimum=1),
        16 * 1024 * 1024,
        "Raw bytes of input that a worker holds unprocessed; reading stops there and goes on at a quarter of it.",
    ),
    Option(
        "statestore.uncommitted.max.bytes",
        long(minimum=1),
        64 * 1024 * 1024,
        "State and output that wait for a commit (bytes); the commit comes early when they reach this.",
    ),
    Option(
        "statestore.cache.max.bytes",
        long(minimum=0),
        10 * 1024 * 1024,
        "Size of the record cache that a worker's stores share (bytes); 0 sends every single update downstream.",
    ),
    Option(
        "state.cleanup.delay.ms",
        duration_ms(minimum=0),
        600_000,
        "How long the local state of a task that runs elsewhere is kept (ms): should it come back, the rest is read.",
    ),
    Option(
        "acceptable.recovery.lag",
        long(minimum=0),
        10_000,
        "How many changelog records an instance may be behind and still be given a task to run, instead of one that "
        "has all of its state.",
    ),
    Option(
        "join.index.max.bytes",
        long(minimum=0),
        128 * 1024 * 1024,
        "What a worker's joins of streams keep of their windows in memory (bytes), beside the rows in their stores: "
        "the newest records. What meets older ones reads them from RocksDB, which takes 30 times as long. The rows "
        "that stores without a cache have written last count as well, up to 8 MiB a store. Not a property of Kafka.",
    ),
    Option(
        OUTER_JOIN_EMIT_INTERVAL,
        duration_ms(minimum=0),
        1000,
        "Time between two looks of a left or outer join of streams for records whose window has closed without a match "
        "(wall clock, ms).",
    ),
    Option(
        WINDOW_EMIT_INTERVAL,
        duration_ms(minimum=0),
        1000,
        "Time between two looks for windows that have closed, where their results leave then (wall clock, ms).",
    ),
    Option(
        EMIT_EXPIRED,
        boolean,
        True,
        "Whether results leave too of windows that have closed and expired between two looks. False leaves them out, "
        "unless a cache still holds them, as Kafka Streams does. Not a property of Kafka.",
    ),
    Option(
        "task.alignment.ms",
        _OPTIONAL_MS,
        None,
        "How far (record time, ms) one task may run ahead of the worker's next one while both have records. By default "
        "an hour, or a quarter of the smallest grace among the topology's windows if that is less.",
    ),
    Option(
        "max.task.idle.ms",
        long(minimum=-1),
        0,
        "How long a task waits for records of an empty input without lag (ms); -1 never waits, not even for a fetch.",
    ),
    Option(
        "poll.ms", duration_ms(minimum=0), 100, "Longest wait for input when there is nothing to do (ms)."
    ),
    Option(
        "repartition.purge.interval.ms",
        duration_ms(minimum=1),
        30_000,
        "Time between deletions of processed records from repartition topics (ms).",
    ),
    Option(
        "windowstore.changelog.additional.retention.ms",
        duration_ms(minimum=0),
        WINDOW_ADDITIONAL_RETENTION_MS,
        "How much longer than its store a new changelog of windows keeps them (ms). Brokers judge timestamps by their "
        "own clock: an application that reads old records needs their age here, else what its stores are restored from "
        "is deleted.",
    ),
    Option(
        "deserialization.exception.handler",
        function("failure"),
        log_and_fail,
        "Decides about a record whose key or value cannot be read: a function Failure -> Reaction.",
    ),
    Option(
        "processing.exception.handler",
        function("failure"),
        log_and_fail,
        "Decides about a record, or punctuation, on which a node failed: a function Failure -> Reaction.",
    ),
    Option(
        "processing.exception.handler.global.enabled",
        boolean,
        False,
        "Whether that handler decides about records of global stores too; without it, each failure stops.",
    ),
    Option(
        "production.exception.handler",
        function("failure"),
        log_and_fail,
        "Decides about a record that cannot be written: a function Failure -> Reaction.",
    ),
    Option(
        "rocksdb.memory.max.bytes",
        long(minimum=ROCKS_MEMORY_BYTES_MIN),
        ROCKS_MEMORY_BYTES,
        "What RocksDB keeps in memory for all stores of an instance (bytes): blocks that were read, and rows that are "
        "in no file yet, which have a third of it. It fills up in the first hours. Not a property of Kafka.",
    ),
    Option(
        "rocksdb.config.setter",
        function("store", "options", "blocks"),
        as_they_are,
        "Changes how RocksDB keeps a store before it is opened: a function of its name and of rocksdict's Options and "
        "BlockBasedOptions. The block cache and the bound of all write buffers stay those of the application.",
    ),
    Option(
        "errors.dead.letter.queue.topic.name",
        text,
        None,
        "Topic of the records that a handler answers with Reaction.dead_letter().",
    ),
    Option(
        "partitioning.check.records",
        integer(minimum=0),
        500,
        "How many records of each input partition are looked at for keys that another partitioner has placed, where a "
        "join or an aggregation needs them in their own partition; the first one is warned of. 0 looks at none. Not a "
        "property of Kafka.",
    ),
    Option(
        "metrics.recording.level",
        choice("INFO", "DEBUG", "TRACE", ignore_case=True),
        "INFO",
        "What is measured. DEBUG times each call of nodes and stores, which makes records several times as dear.",
    ),
    Option(
        "tracing.enabled",
        boolean,
        False,
        "Whether the processing of a record that brings a trace (a header traceparent) is a span of OpenTelemetry, of "
        "which its results carry the traceparent. Not a property of Kafka.",
        _cannot_trace,
    ),
    Option("stretch.records.max", integer(minimum=1), 1000, "Most records that a task runs in one go."),
)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """The engine's properties with their values. Times in ms, sizes in bytes."""

    commit_interval_ms: int
    input_buffer_max_bytes: int
    statestore_uncommitted_max_bytes: int
    statestore_cache_max_bytes: int
    state_cleanup_delay_ms: int
    acceptable_recovery_lag: int
    join_index_max_bytes: int
    __emit_interval_ms_kstreams_outer_join_spurious_results_fix__: int
    __emit_interval_ms_kstreams_windowed_aggregation__: int
    windows_expired_emit: bool
    task_alignment_ms: int | None
    max_task_idle_ms: int
    poll_ms: int
    repartition_purge_interval_ms: int
    windowstore_changelog_additional_retention_ms: int
    deserialization_exception_handler: Handler
    processing_exception_handler: Handler
    processing_exception_handler_global_enabled: bool
    production_exception_handler: Handler
    rocksdb_memory_max_bytes: int
    rocksdb_config_setter: Configure
    errors_dead_letter_queue_topic_name: str | None
    partitioning_check_records: int
    metrics_recording_level: str
    tracing_enabled: bool
    stretch_records_max: int

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "EngineOptions":
        """Take the engine's properties out of `values` (by Kafka's names), with defaults for those that are missing.

        Raises:
            ConfigError: a value is impossible.
        """
        fields: dict[str, Any] = {}
        for option in OPTIONS:
            fields[option.field] = (
                option.parse(values[option.name]) if option.name in values else option.default
            )
        return cls(**fields)
