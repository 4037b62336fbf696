"""What a worker's tasks have to write: columns for each topic-partition, drained into the worker's transaction."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TypeAlias

from headrace.base.columns import Columns
from headrace.base.errors import ProductionError, RecordsRefusedError
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.base.records import Headers, Record
from headrace.engine.admission import Admission, admission_of
from headrace.log.limits import RecordLimits
from headrace.log.port import TopicInfo, Writer
from headrace.metrics.meter import Meter

__all__ = ["RecordCollector", "TopicFigures"]

#: Keys whose partition is remembered, for each topic. Hashing takes some microseconds in Python, a look-up 0.05.
_REMEMBERED_KEYS_MAX = 20_000

#: Rows that wait in a column before they are encoded into the writer's transaction.
_DRAIN_RECORDS = 5_000

#: The same in bytes, judged by the last row: large records must be seen by who limits what waits for a commit.
_DRAIN_BYTES = 1 << 20


#: What appends a key, a value, a timestamp and headers.
Appends: TypeAlias = tuple[
    Callable[[bytes | None], None],
    Callable[[bytes | None], None],
    Callable[[int], None],
    Callable[[Headers], None],
]


class TopicFigures:
    """What was written to one topic: records, bytes as the log gets them, and the ages of some records (ms)."""

    __slots__ = ("ages", "bytes", "records")

    def __init__(self, now: float) -> None:
        self.records = self.bytes = 0
        self.ages = Meter(now)


class RecordCollector:
    """Output of a worker's tasks since the last drain, of each topic-partition in the order of processing.

    # Invariant: the `Columns` of a topic-partition is one object for the worker's life; sinks bind its lists' methods.

    # Invariant: no change record is durable before all output that was made before it. An operator deletes what it has
    # held back when it lets it go: a crash between the two would leave neither, and the input may be committed since
    # long. A transaction sees to that by itself; without one, changelogs go behind a barrier.
    """

    def __init__(
        self,
        topic_info: Callable[[str], TopicInfo],
        now_ms: Callable[[], int],
        limits: Callable[[str], RecordLimits] | None = None,
        make_topics: Callable[[], None] = lambda: None,
        note_letter_topic: Callable[[str], None] = lambda topic: None,
        *,
        takes_text: bool = False,
    ) -> None:
        """`limits` looks up those of a topic as they are at the time, where that can be done.

        `make_topics` makes those that `topic_info` has told of and that are not there yet. `note_letter_topic` hears of
        topics that get dead letters. `takes_text` says of the writer what `Writer.takes_text` does.
        """
        self.takes_text = takes_text
        self._note_letter_topic = note_letter_topic
        self._limits = limits
        self._make_topics = make_topics
        self._topic_info = topic_info
        self._now_ms = now_ms
        self._admissions: dict[str, Admission | None] = {}
        self._columns: dict[TopicPartition, Columns] = {}
        self._changelogs: dict[TopicPartition, Columns] = {}
        self._remembered: dict[str, dict[bytes, int]] = {}
        self._null_keys: dict[str, int] = {}
        self._columns_of: dict[tuple[str, int], Sequence[Columns]] = {}
        self._appends_of: dict[tuple[str, int], Sequence[Appends]] = {}
        self._looks = 0
        #: By topic, what was handed to the writer.
        self.written: dict[str, TopicFigures] = {}

    def columns(self, topic: str, partition: int) -> Columns:
        """Return the columns for a topic-partition, the same object each time."""
        name = TopicPartition(topic, partition)
        columns = self._columns.get(name)
        if columns is None:
            columns = self._columns[name] = Columns()
        return columns

    def changelog_columns(self, topic: str, partition: int) -> Columns:
        """Return the columns for a partition of a changelog, the same object each time."""
        return self._changelogs.setdefault(TopicPartition(topic, partition), Columns())

    def columns_of(self, topic: str, count: int) -> Sequence[Columns]:
        """Return the columns of all partitions of a topic: one sequence for all tasks, which may be thousands."""
        found = self._columns_of.get((topic, count))
        if found is None:
            found = self._columns_of[topic, count] = [self.columns(topic, number) for number in range(count)]
        return found

    def appends_of(self, topic: str, count: int) -> Sequence[Appends]:
        """Return what appends keys, values, timestamps and headers to each of `columns_of`."""
        found = self._appends_of.get((topic, count))
        if found is None:
            found = self._appends_of[topic, count] = [
                (each.keys.append, each.values.append, each.timestamps.append, each.headers.append)
                for each in self.columns_of(topic, count)
            ]
        return found

    def partition_count(self, topic: str) -> int:
        """Return how many partitions a topic has.

        Raises:
            UnknownTopicError: there is no such topic, and none can be made.
        """
        return self._topic_info(topic).partitions

    def partition_of(self, topic: str, key: bytes | None, count: int) -> int:
        """Choose a partition as Kafka's producer does: murmur2 of the key; without a key, the partitions take turns."""
        if key is None:
            # A turn lasts until the next drain, so that batches stay large (Kafka's sticky partitioner).
            return self._null_keys.setdefault(topic, 0) % count
        remembered = self._remembered.setdefault(topic, {})
        partition = remembered.get(key)
        if partition is None:
            if len(remembered) >= _REMEMBERED_KEYS_MAX:
                remembered.clear()
            partition = remembered[key] = partition_for(key, count)
        return partition

    def admission(self, topic: str, *, are_keyed: bool = False) -> Admission | None:
        """Return who judges the records of a topic, the same object each time; None where any record is taken.

        Raises:
            UnknownTopicError: there is no such topic, and none can be made.
        """
        if topic not in self._admissions:
            self._admissions[topic] = admission_of(
                self._topic_info(topic),
                self._now_ms,
                are_keyed=are_keyed,
                ask=None if self._limits is None else partial(self._limits, topic),
            )
        return self._admissions[topic]

    def refuse(self, error: RecordsRefusedError) -> None:
        """Know the records that the log has refused when they come again: they are refused one by one then."""
        topic = error.topic or ""
        admission = self._admissions.get(topic)
        if admission is None:
            admission = Admission(self._topic_info(topic), self._now_ms, needs_key=False)
            self._admissions[topic] = admission
        admission.refuse(error.partition, error.records, str(error))

    def committed(self) -> None:
        """Take it that all that was drained is durable."""
        for admission in self._admissions.values():
            if admission is not None:
                admission.committed()

    def add(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers
    ) -> None:
        """Add one record, its partition chosen by its key; where the topic does not take its timestamp, as of now.

        Raises:
            ProductionError: the topic does not take the record.
            UnknownTopicError: there is no such topic, and none can be made.
        """
        partition = self.partition_of(topic, key, self.partition_count(topic))
        admission = self.admission(topic)
        if admission is not None:
            timestamp = admission.nearest(timestamp)
            admission.check(partition, key, value, timestamp, headers)
        self.columns(topic, partition).append(key, value, timestamp, headers)

    def add_dead_letter(self, topic: str, letter: Record[bytes | None, bytes | None]) -> None:
        """Add a dead letter. Raises what `add` raises."""
        self.add(topic, letter.key, letter.value, letter.timestamp, letter.headers)
        self._note_letter_topic(topic)

    def drain(self, writer: Writer) -> None:
        """Hand all records to the writer, whose topics are made before."""
        self._make_topics()
        self._hand_over_all(writer, self._columns)
        writer.barrier()
        self._hand_over_all(writer, self._changelogs)
        self._take_turns()

    def drain_long(self, writer: Writer, taken: int) -> None:
        """Hand over what is long enough to make a good batch; `taken` records were processed since the last call.

        There is a look at a column for each of them, so that thousands of columns cost no more than a few. Where the
        writer is not atomic, a long changelog takes all with it.
        """
        self._looks += taken
        if self._looks >= len(self._columns) + len(self._changelogs):
            self._looks = 0
            self._make_topics()
            for name, columns in chain(self._columns.items(), self._changelogs.items()):
                # Looked at once a record: a call would take as long as all the rest.
                values = columns.values
                count = len(values)
                if count and (count >= _DRAIN_RECORDS or count * len(values[-1] or b"") >= _DRAIN_BYTES):
                    if name in self._changelogs and not writer.is_atomic:
                        self.drain(writer)
                        return
                    self._hand_over(writer, name, columns)
        self._take_turns()

    def _hand_over_all(self, writer: Writer, found: Mapping[TopicPartition, Columns]) -> None:
        for name, columns in found.items():
            if columns.keys:
                self._hand_over(writer, name, columns)

    def _hand_over(self, writer: Writer, name: TopicPartition, columns: Columns) -> None:
        before, timestamps = writer.pending_bytes, columns.timestamps
        writer.append(name.topic, name.partition, columns)
        figures = self.written.get(name.topic)
        now_ms = self._now_ms()
        if figures is None:
            figures = self.written[name.topic] = TopicFigures(now_ms / 1000)
        figures.records += len(timestamps)
        figures.bytes += max(0, writer.pending_bytes - before)
        figures.ages.record_each((now_ms - timestamps[0], now_ms - timestamps[-1]), now_ms / 1000)
        columns.clear()

    def _take_turns(self) -> None:
        for topic in self._null_keys:
            self._null_keys[topic] += 1

    def discard(self) -> None:
        """Forget everything that was not drained (abort)."""
        for columns in chain(self._columns.values(), self._changelogs.values()):
            columns.clear()


def check_partition(topic: str, partition: object, count: int) -> int:
    """Return a partition that a user's partitioner chose.

    Raises:
        ProductionError: it is not a partition of the topic.
    """
    # A numpy integer is a number too, a bool is none.
    number = None if isinstance(partition, bool) else getattr(partition, "__index__", lambda: None)()
    if number is not None and 0 <= number < count:
        found: int = number
        return found
    raise ProductionError(
        f"the partitioner for topic '{topic}' returned {partition!r}, but the topic has partitions 0 to {count - 1}; "
        "return one of them, several, or None for the default"
    )
