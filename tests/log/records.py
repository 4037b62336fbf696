"""Small words for the tests of logs: columns from pairs, writing at once, reading to the end."""

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence

from headrace.base.columns import Chunk, Columns
from headrace.base.ids import TopicPartition
from headrace.base.records import NO_HEADERS, Headers
from headrace.log.port import CommittedOffset, Log, Reader, TopicSpec, Writer

HOUR_MS = 3_600_000

#: How long a log may take to show what was committed. A cluster needs some ms, a busy machine some seconds.
PATIENCE_SECONDS = 30.0

_NUMBERS = itertools.count(1)

Pair = tuple[bytes | None, bytes | None]
Row = tuple[str, int, int, bytes | None, bytes | None, int, Headers]


class Clock:
    """A wall clock that moves when told."""

    def __init__(self) -> None:
        self.time_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.time_ms

    def advance(self, by_ms: int) -> None:
        self.time_ms += by_ms


def columns_of(pairs: Iterable[Pair], *, timestamp: int = 0, headers: Headers = NO_HEADERS) -> Columns:
    columns = Columns()
    for key, value in pairs:
        columns.append(key, value, timestamp, headers)
    return columns


def numbered(count: int, first: int = 0) -> Columns:
    return columns_of((b"k%d" % i, b"v%d" % i) for i in range(first, first + count))


def create(log: Log, name: str, partitions: int = 1, **config: str) -> None:
    log.create_topics(
        [TopicSpec(name, partitions, {name.replace("_", "."): text for name, text in config.items()})]
    )


def write(log: Log, topic: str, columns: Columns, partition: int = 0) -> int:
    """Append and commit; return the position behind the last record."""
    writer = log.writer("writers")
    try:
        writer.append(topic, partition, columns)
        return writer.commit({})[TopicPartition(topic, partition)]
    finally:
        writer.close()


def fresh(word: str) -> str:
    """Make a name that no test has used: a cluster keeps the offsets of a group when its topics are deleted."""
    return f"{word}-{next(_NUMBERS)}"


def transactional(log: Log, group: str = "g") -> Writer:
    """Make a writer of transactions: on a cluster, one without an id writes at least once."""
    return log.writer(group, fresh("writer"))


def commit(
    log: Log, writer: Writer, offsets: Mapping[TopicPartition, CommittedOffset] | None = None
) -> Mapping[TopicPartition, int]:
    """Commit, and wait until everybody sees it; return the positions behind the last records."""
    ends = writer.commit(offsets or {})
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(end < ends[topic_partition] for topic_partition, end in log.end_offsets(ends).items()):
        assert time.monotonic() < deadline, f"what was committed up to {ends} is not seen"
    return ends


def rows(chunks: Iterable[Chunk]) -> list[Row]:
    """The records of chunks as (topic, partition, offset, key, value, timestamp, headers)."""
    found: list[Row] = []
    for chunk in chunks:
        headers: Sequence[Headers] = chunk.headers or [()] * len(chunk)
        columns = zip(chunk.offsets, chunk.keys, chunk.values, chunk.timestamps, headers)
        found += [(chunk.topic, chunk.partition, *record) for record in columns]
    return found


def drain(reader: Reader) -> list[Row]:
    """Read until nothing comes: from a log on this machine, which has at once what it has."""
    found: list[Row] = []
    while chunks := reader.poll(0):
        found += rows(chunks)
    return found


def polls(log: Log, reader: Reader, *topic_partitions: TopicPartition) -> list[list[Chunk]]:
    """Read these partitions to the ends that they have now; return what each poll gave."""
    ends = log.end_offsets(topic_partitions)
    deadline = time.monotonic() + PATIENCE_SECONDS
    found: list[list[Chunk]] = []
    while any(reader.position(topic_partition) < end for topic_partition, end in ends.items()):
        assert time.monotonic() < deadline, f"{ends} are not reached"
        found.append(reader.poll(20))
    return found


def read_on(log: Log, reader: Reader, *topic_partitions: TopicPartition) -> list[Row]:
    """Read these partitions to the ends that they have now."""
    return [row for chunks in polls(log, reader, *topic_partitions) for row in rows(chunks)]


def read(
    log: Log, topic: str, partition: int = 0, position: int | None = None
) -> list[tuple[int, bytes | None]]:
    """Read a partition to its end, as (offset, value); from its start unless told."""
    topic_partition = TopicPartition(topic, partition)
    reader = log.reader()
    try:
        reader.assign(
            {
                topic_partition: log.beginning_offsets([topic_partition])[topic_partition]
                if position is None
                else position
            }
        )
        return [(record[2], record[4]) for record in read_on(log, reader, topic_partition)]
    finally:
        reader.close()


def values(log: Log, topic: str, partition: int = 0) -> list[bytes | None]:
    """Read the values of a partition: where they lie depends on the log, whose markers may take offsets."""
    return [value for _, value in read(log, topic, partition)]


def fails_within_patience(reader: Reader) -> None:
    """Poll until that raises, which is for the caller to expect."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        reader.poll(100)
