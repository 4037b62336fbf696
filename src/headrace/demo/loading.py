"""The loader: writes the rows into a log, each once, however often it is stopped and started again.

How far it is, is committed with the rows, as an application commits how far it has read.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.base.records import NO_HEADERS
from headrace.demo.data import Rows, read_reference, read_year
from headrace.demo.declarations import (
    AIRLINES,
    AIRPORTS,
    DEAD_LETTERS,
    DEPARTURES,
    ENRICHED,
    FLIGHTS,
    NEVER_LEFT,
    PLACES,
    PLANES,
    SCHEDULE,
    SEATS,
    TOURS,
    WEATHER,
    WINDY,
)
from headrace.log.port import CommittedOffset, Log, TopicSpec, Writer

__all__ = ["OtherFlightsError", "Stage", "count_records", "is_begun", "is_loaded", "load", "make_topics"]

#: Rows written in one transaction of the log: large enough to cost little, small enough to show progress.
_BATCH_ROWS = 20_000

#: The last departure, long after all others: see `Stage.END`.
_END_MS = int(datetime(2014, 1, 6, tzinfo=UTC).timestamp()) * 1000

OnProgress = Callable[[int, int], object]


class OtherFlightsError(hr.HeadraceError):
    """The log holds more flights, or fewer, than are wanted of it."""


class Stage(enum.Enum):
    """What is loaded together, in this order.

    REFERENCE is what flights are joined with. The job has to have read it before there are flights: records of equal
    time in two topics have no order, and flights leave at the very time for which there is weather.

    YEAR is the flights, in three topics. The job does not run meanwhile: it would find one of them without the others,
    and all of them are one year.

    END is a departure of no flight in each partition. Time goes on with the records: without it, the last flights that
    never left would wait for a later record for ever. It is written a second after all else was processed: as in Kafka
    Streams, what has no match is looked for once a second.
    """

    REFERENCE = "reference"
    YEAR = "year"
    END = "end"

    @property
    def topics(self) -> tuple[hr.Topic[Any, Any], ...]:
        """The topics that it writes to."""
        return _TOPICS[self]

    @property
    def group(self) -> str:
        """The group that commits how many of its rows each partition has."""
        return f"flights-loader-{self.value}"


_TOPICS: Mapping[Stage, tuple[hr.Topic[Any, Any], ...]] = {
    Stage.REFERENCE: (AIRLINES, AIRPORTS, PLACES, PLANES, WEATHER),
    Stage.YEAR: (FLIGHTS, SCHEDULE, DEPARTURES),
    Stage.END: (DEPARTURES,),
}


def make_topics(log: Log) -> None:
    """Create the topics of the job, to be kept for ever: a cluster would soon delete records of 2013 as too old."""
    results: tuple[hr.Topic[Any, Any], ...] = (ENRICHED, SEATS, WINDY, TOURS, NEVER_LEFT)
    topics = {
        topic.name: topic.partitions or 1
        for topic in (*results, *_TOPICS[Stage.REFERENCE], *_TOPICS[Stage.YEAR])
    }
    config = {"retention.ms": "-1"}
    log.create_topics([TopicSpec(name, size, config) for name, size in {**topics, DEAD_LETTERS: 1}.items()])


def is_begun(log: Log, stage: Stage) -> bool:
    """Say whether rows of a stage have been written."""
    return bool(log.committed(stage.group, _partitions(stage)))


def is_loaded(log: Log, stage: Stage, flights_max: int | None = None) -> bool:
    """Say whether a stage has been loaded to its end, with as many flights as are wanted.

    Raises:
        OtherFlightsError: it has been begun with more of them, or fewer.
    """
    progress = log.committed(stage.group, _partitions(stage))
    if not progress:
        return False
    wanted = _wanted(flights_max)
    held, _, total = next(iter(progress.values())).metadata.partition(": ")
    if held != wanted:
        raise OtherFlightsError(
            f"the log was begun with {held}, and {wanted} are wanted of it: give another --path, or on a cluster "
            "delete the topics of the demonstration first"
        )
    return sum(committed.offset for committed in progress.values()) == int(total)


def load(
    log: Log,
    stage: Stage,
    directory: Path,
    *,
    flights_max: int | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> int:
    """Write the rows of a stage that are not there yet, and return how many that were.

    The topics are there. A row's partition is decided by the row, and each partition is written in order, so the number
    of its rows says which comes next. `flights_max` stops after that many flights. `on_progress` is called with the
    rows that are there, and how many there will be.

    Raises:
        OtherFlightsError: it has been begun with another number of flights, or somebody else has written to its topics.
    """
    if is_loaded(log, stage, flights_max):
        return 0  # reading and sorting the year takes longer than seeing that it is there
    if stage is not Stage.END and not is_begun(log, stage):
        _refuse_others(log, stage)
    rows = _rows(stage, directory, flights_max)
    progress = log.committed(stage.group, _partitions(stage))
    present = {
        partition: progress[partition].offset if partition in progress else 0
        for partition in _partitions(stage)
    }
    before = sum(present.values())
    total = sum(map(len, rows.values()))
    state = f"{_wanted(flights_max)}: {total}"
    on_progress(before, total)
    writer = log.writer(stage.group)
    try:
        for written in _write(writer, rows, present):
            writer.commit({each: CommittedOffset(number, state) for each, number in written.items()})
            on_progress(sum(written.values()), total)
    finally:
        writer.close()
    return total - before


def count_records(log: Log, topic: str) -> int:
    """Count the records of a topic, one by one: the offsets of a cluster count the markers of transactions, too."""
    partitions = [TopicPartition(topic, number) for number in range(log.topics([topic])[topic].partitions)]
    ends = log.end_offsets(partitions)
    reader, found = log.reader(), 0
    try:
        reader.assign(log.beginning_offsets(partitions))
        while any(reader.position(partition) < end for partition, end in ends.items()):
            found += sum(map(len, reader.poll(100)))
    finally:
        reader.close()
    return found


def _refuse_others(log: Log, stage: Stage) -> None:
    for topic in stage.topics:
        if count_records(log, topic.name):
            raise OtherFlightsError(
                f"topic {topic.name!r} has records that this demonstration has not written: give another --path, or on "
                "a cluster delete the topic first"
            )


def _wanted(flights_max: int | None) -> str:
    return "all flights" if flights_max is None else f"{flights_max} flights"


def _partitions(stage: Stage) -> list[TopicPartition]:
    return [
        TopicPartition(topic.name, each) for topic in stage.topics for each in range(topic.partitions or 1)
    ]


def _rows(stage: Stage, directory: Path, flights_max: int | None) -> dict[hr.Topic[Any, Any], Rows]:
    match stage:
        case Stage.REFERENCE:
            return read_reference(directory)
        case Stage.YEAR:
            return read_year(directory, flights_max)
        case Stage.END:
            return {DEPARTURES: [(key, 0, _END_MS) for key in _key_of_each(DEPARTURES.partitions or 1)]}


def _key_of_each(partitions: int) -> list[str]:
    """Return a key for each of so many partitions."""
    keys: dict[int, str] = {}
    numbers = count()
    while len(keys) < partitions:
        key = f"end-{next(numbers)}"
        keys.setdefault(partition_for(key.encode(), partitions), key)
    return list(keys.values())


def _write(
    writer: Writer, rows: Mapping[hr.Topic[Any, Any], Rows], present: Mapping[TopicPartition, int]
) -> Iterator[Mapping[TopicPartition, int]]:
    """Append rows but for the first ones of each partition, which are present. Yields when it is time to commit.

    What it yields is how many rows each partition has then.
    """
    passed = dict.fromkeys(present, 0)
    for topic, all_rows in rows.items():
        for start in range(0, len(all_rows), _BATCH_ROWS):
            is_new = False
            for number, columns in enumerate(_columns(topic, all_rows, start)):
                partition = TopicPartition(topic.name, number)
                there = min(max(present[partition] - passed[partition], 0), len(columns))
                passed[partition] += len(columns)
                if there < len(columns):
                    columns.drop_first(there)
                    writer.append(*partition, columns)
                    is_new = True
            if is_new:
                yield {each: max(number, present[each]) for each, number in passed.items()}


def _columns(topic: hr.Topic[Any, Any], rows: Rows, start: int) -> list[Columns]:
    """Return a batch of rows as bytes, by partition: a key goes where Kafka sends it, rows without one take turns."""
    partitions = topic.partitions or 1
    columns = [Columns() for _ in range(partitions)]
    encode = topic.value.serializer(topic.name)
    for number, (key, value, timestamp) in enumerate(rows[start : start + _BATCH_ROWS], start):
        raw = None if key is None else key.encode()
        chosen = number % partitions if raw is None else partition_for(raw, partitions)
        columns[chosen].append(raw, encode(value), timestamp, NO_HEADERS)
    return columns
