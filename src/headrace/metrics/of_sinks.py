"""Metrics of sinks into databases. Kafka Streams has none: its sinks are topics."""

from headrace.metrics.declaration import Declaration, fields_of

__all__ = ["SINKS", "SINK_GROUP"]

SINK_GROUP = "stream-sink-metrics"

_sink = fields_of(SINK_GROUP, ("table",), is_own=True)

SINKS: tuple[Declaration, ...] = (
    *_sink.extremes(
        "transaction-latency", "ms", "Time to write a batch, rows and position, until the database has it"
    ),
    *_sink.counted("transaction", "batches", "Batches that the database has, each in one transaction"),
    *_sink.counted("record", "records", "Records behind which the position in the database is"),
    *_sink.counted("row", "rows", "Rows that were written or deleted"),
    *_sink.counted("dropped-record", "records", "Records that a handler has let go"),
    *_sink.counted(
        "retry", "tries", "Times that it had to wait and try again, for database, log or registry"
    ),
    *_sink.counted("claim", "claims", "Partitions that were claimed in the database"),
    *_sink.counted("lost-claim", "claims", "Claims that another instance, or another claim, has ended"),
    _sink.one("partitions-claimed", "gauge", "partitions", "Partitions that it writes now."),
    _sink.one(
        "records-lag",
        "gauge",
        "records",
        "Offsets between the positions of its partitions and their ends.",
    ),
    _sink.one("waiting", "gauge", "", "1 while it waits for the database, the log or a registry, else 0."),
)
