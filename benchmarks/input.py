"""Writes the input of a workload into an embedded log."""

from collections.abc import Iterable
from itertools import islice

from benchmarks.workloads import INPUT, USERS, USERS_COUNT, Workload, orders, user
from headrace.base.columns import Columns
from headrace.base.records import NO_HEADERS
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import Log, TopicSpec

__all__ = ["fill"]

#: As large as a producer's batch of a megabyte.
_BATCH_RECORDS = 8_000

#: What the first order is stamped with (2026-01-01); the others follow, 1 ms apart.
_START_MS = 1_767_225_600_000


def fill(path: str, workload: Workload, records: int) -> None:
    """Make the topics and write the users, where wanted, and then the orders, in batches."""
    log = EmbeddedLog.open(path)
    try:
        log.create_topics([TopicSpec(INPUT.name, 1)])
        if workload.users:
            log.create_topics([TopicSpec(USERS.name, 1)])
            # Before the first order: records of two topics go by their time.
            _write(log, USERS.name, map(user, range(USERS_COUNT)), _START_MS - USERS_COUNT)
        _write(log, INPUT.name, orders(records), _START_MS)
    finally:
        log.close()


def _write(log: Log, topic: str, pairs: Iterable[tuple[str, str]], start_ms: int) -> None:
    writer = log.writer("benchmark")
    columns = Columns()
    numbered = enumerate(pairs)
    while batch := list(islice(numbered, _BATCH_RECORDS)):
        for number, (key, value) in batch:
            columns.append(key.encode(), value.encode(), start_ms + number, NO_HEADERS)
        writer.append(topic, 0, columns)
        writer.commit({})
        columns.clear()
    writer.close()
