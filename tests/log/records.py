"""Small words for the tests of logs: columns from pairs, writing at once, reading to the end."""

from collections.abc import Iterable, Sequence

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.records import NO_HEADERS, Headers
from headrace.log.port import Log, Reader, TopicSpec

HOUR_MS = 3_600_000

Pair = tuple[bytes | None, bytes | None]


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


def drain(reader: Reader) -> list[tuple[str, int, int, bytes | None, bytes | None, int, Headers]]:
    """Read until nothing comes, as (topic, partition, offset, key, value, timestamp, headers)."""
    found: list[tuple[str, int, int, bytes | None, bytes | None, int, Headers]] = []
    while chunks := reader.poll(0):
        for chunk in chunks:
            headers: Sequence[Headers] = chunk.headers or [()] * len(chunk)
            columns = zip(chunk.offsets, chunk.keys, chunk.values, chunk.timestamps, headers)
            found += [(chunk.topic, chunk.partition, *record) for record in columns]
    return found


def read(
    log: Log, topic: str, partition: int = 0, position: int | None = None
) -> list[tuple[int, bytes | None]]:
    """Read a partition to its end, as (offset, value); from its start unless told."""
    place = TopicPartition(topic, partition)
    reader = log.reader()
    try:
        reader.assign({place: log.beginning_offsets([place])[place] if position is None else position})
        return [(record[2], record[4]) for record in drain(reader)]
    finally:
        reader.close()
