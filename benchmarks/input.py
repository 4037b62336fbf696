"""Writes the input of a workload into a log: an embedded one, or a cluster's."""

from collections.abc import Iterable

from benchmarks.workloads import (
    NATURAL_BYTES,
    ORDERS_PER_PROFILE,
    USERS_COUNT,
    Topics,
    Workload,
    click,
    orders,
    profile,
    user,
)
from headrace.base.columns import Columns
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS
from headrace.log.port import Log, TopicSpec, Writer

__all__ = ["fill", "fill_clicks", "fill_orders", "fill_profiles", "fill_users"]

#: A batch as large as a broker takes (1 MiB), with the lengths of its records.
_BATCH_BYTES = 940_000
_RECORD_OVERHEAD = 8

#: Written between two commits; a writer keeps that much in memory.
_TRANSACTION_BYTES = 16_000_000

#: What the first order is stamped with (2026-01-01); the others follow, 1 ms apart.
_START_MS = 1_767_225_600_000

#: The records look old to a broker, which would delete them.
KEPT = {"retention.ms": "-1"}


def fill(log: Log, workload: Workload, topics: Topics, records: int) -> None:
    """Make the topics and write the users, clicks or profiles, where wanted, and then the orders."""
    if workload.users:
        fill_users(log, topics)
    if workload.clicks:
        fill_clicks(log, topics, records)
    if workload.profiles:
        fill_profiles(log, topics, records)
    fill_orders(log, topics, records)


def fill_users(log: Log, topics: Topics) -> None:
    """Write the table of users, older than the first order: records of two topics go by their time."""
    users = map(user, range(USERS_COUNT))
    _write(log, TopicSpec(topics.users, topics.partitions, KEPT), users, _START_MS - USERS_COUNT)


def fill_clicks(log: Log, topics: Topics, records: int) -> None:
    """Write as many clicks as there are orders, at the same times."""
    _write(log, TopicSpec(topics.clicks, topics.partitions, KEPT), map(click, range(records)), _START_MS)


def fill_profiles(log: Log, topics: Topics, records: int) -> None:
    """Write the updates of the table of profiles, one for some orders, over the same time."""
    spec = TopicSpec(topics.profiles, topics.partitions, KEPT)
    updates = map(profile, range(records // ORDERS_PER_PROFILE))
    _write(log, spec, updates, _START_MS, every_ms=ORDERS_PER_PROFILE)


def fill_orders(log: Log, topics: Topics, records: int, value_bytes: int = NATURAL_BYTES) -> None:
    """Write orders whose values have about this size."""
    spec = TopicSpec(topics.input, topics.partitions, KEPT)
    _write(log, spec, orders(records, value_bytes), _START_MS)


class _Batches:
    """Collects records by partition, and writes a partition's when they are a full batch."""

    def __init__(self, writer: Writer, topic: TopicSpec) -> None:
        self._writer = writer
        self._topic = topic
        self._columns = [Columns() for _ in range(topic.partitions)]
        self._bytes = [0] * topic.partitions
        self._pending = 0

    def add(self, partition: int, key: bytes, value: bytes | None, timestamp: int) -> None:
        self._columns[partition].append(key, value, timestamp, NO_HEADERS)
        self._bytes[partition] += len(key) + len(value or b"") + _RECORD_OVERHEAD
        if self._bytes[partition] >= _BATCH_BYTES:
            self._write(partition)

    def finish(self) -> None:
        for partition, columns in enumerate(self._columns):
            if len(columns):
                self._write(partition)
        self._writer.commit({})

    def _write(self, partition: int) -> None:
        self._writer.append(self._topic.name, partition, self._columns[partition])
        self._columns[partition].clear()
        self._pending += self._bytes[partition]
        self._bytes[partition] = 0
        if self._pending >= _TRANSACTION_BYTES:
            self._writer.commit({})
            self._pending = 0


def _write(
    log: Log, topic: TopicSpec, pairs: Iterable[tuple[str, str | None]], start_ms: int, *, every_ms: int = 1
) -> None:
    log.create_topics([topic])
    # Without a transactional id: no markers among the records, and nothing for a reader to wait for.
    writer = log.writer("benchmark")
    batches = _Batches(writer, topic)
    partitions: dict[str, int] = {}
    for number, (text, value) in enumerate(pairs):
        key = text.encode()
        if (partition := partitions.get(text)) is None:
            partition = partitions[text] = partition_for(key, topic.partitions)
        encoded = None if value is None else value.encode()
        batches.add(partition, key, encoded, start_ms + number * every_ms)
    batches.finish()
    writer.close()
