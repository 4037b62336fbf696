"""A task's queue for one input partition: raw chunks, decoded a little ahead of the cursor.

Columns are decoded about a thousand records at a time. A record that cannot be decoded stays in its column as a
marker, and goes to the handler when the cursor reaches it, not before: what came earlier is processed first.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import starmap
from typing import Any, Literal

from headrace.base.columns import Chunk, Column, texts_of
from headrace.base.ids import TopicPartition
from headrace.base.interrupts import is_interrupt
from headrace.base.records import NO_HEADERS, Record
from headrace.engine.key_placement import KeyPlacement
from headrace.engine.punctuation import NEVER
from headrace.engine.seconds import tell_of_seconds
from headrace.processor.parts import TIMESTAMP_MAX, checked_timestamp
from headrace.serde.serde import Serde
from headrace.topology.nodes import SourceNode

__all__ = ["DecodedRecords", "RecordQueue", "Undecodable", "oldest"]

#: Records decoded at a time: enough that the loop's overhead vanishes, few enough that memory stays small.
_DECODE_RECORDS = 1000


class Undecodable:
    """Stands in a value column for a record that could not be read, or that must be skipped.

    `stage` is "deserialize" (for the handler of reading), "timestamp" (there is none, or the extractor failed: for the
    handler of processing) or "skip" (the extractor answered with a negative timestamp: the record is dropped).
    """

    __slots__ = ("error", "stage")

    def __init__(self, error: BaseException, stage: Literal["deserialize", "timestamp", "skip"]) -> None:
        self.error = error
        self.stage = stage


class DecodedRecords:
    """Decoded records of one chunk, from chunk index `first` on; `cursor` counts within the batch.

    `before` is how many records the queue had given before it.
    """

    __slots__ = (
        "before",
        "chunk",
        "cursor",
        "first",
        "has_markers",
        "headers",
        "keys",
        "timestamps",
        "values",
    )

    def __init__(
        self,
        chunk: Chunk,
        first: int,
        timestamps: Sequence[int],
        keys: Sequence[Any],
        values: Sequence[Any],
        has_markers: bool,
        before: int,
    ) -> None:
        self.before = before
        self.chunk = chunk
        self.first = first
        self.cursor = 0
        self.timestamps = timestamps
        self.keys = keys
        self.values = values
        self.has_markers = has_markers
        self.headers = None if chunk.headers is None else chunk.headers[first : first + len(keys)]


class RecordQueue:
    """What one partition has waiting for its task.

    Attributes:
        queued_bytes: weight of the chunks that are not finished (back-pressure counts it).
        finished_bytes: weight of those that are.
        partition_time: highest timestamp taken so far, -1 if none; it survives restarts in the committed offset.
    """

    def __init__(
        self,
        partition: TopicPartition,
        source: SourceNode,
        partition_time: int = -1,
        placement: KeyPlacement | None = None,
    ) -> None:
        self.partition = partition
        self.source = source
        self.queued_bytes = self.finished_bytes = 0
        self.partition_time = partition_time
        self._taken = 0  # without what is taken of the batch
        self._chunks: deque[Chunk] = deque()
        self._next_index = 0  # first record of the first chunk that is not decoded yet
        self._batch: DecodedRecords | None = None
        self._decoded_time = partition_time  # as partition_time, but of what is decoded
        self._decode_key = _column_decoder(source.key, partition.topic)
        self._decode_value = _column_decoder(source.value, partition.topic)
        self._placement = placement  # until it has seen enough
        self._has_told_of_seconds = False

    def add(self, chunk: Chunk) -> None:
        """Put a chunk behind what is waiting."""
        self._chunks.append(chunk)
        self.queued_bytes += chunk.size_bytes
        if self._placement is not None and not self._placement.look(self.partition.partition, chunk.keys):
            self._placement = None

    def batch(self) -> DecodedRecords | None:
        """Return the decoded records at the cursor, decoding more if needed; None when nothing waits."""
        batch = self._batch
        if batch is not None and batch.cursor < len(batch.keys):
            return batch
        return self._decode_next()

    def _decode_next(self) -> DecodedRecords | None:
        if self._batch is not None:
            self._taken = self._batch.before + len(self._batch.keys)
            self._batch = None
            if self._next_index >= len(self._chunks[0]):
                self._finish()
                self._next_index = 0
        while self._chunks and not len(self._chunks[0]):
            self._finish()
        if not self._chunks:
            return None
        chunk, first = self._chunks[0], self._next_index
        self._next_index = min(first + _DECODE_RECORDS, len(chunk))
        self._batch = self._decode(chunk, first, self._next_index)
        return self._batch

    def _finish(self) -> None:
        size_bytes = self._chunks.popleft().size_bytes
        self.queued_bytes -= size_bytes
        self.finished_bytes += size_bytes

    def _decode(self, chunk: Chunk, first: int, end: int) -> DecodedRecords:
        headers = None if chunk.headers is None else chunk.headers[first:end]
        keys, bad_keys = self._decode_key(chunk.keys[first:end], headers)
        values, bad_values = self._decode_value(chunk.values[first:end], headers)
        for index, error in bad_keys:
            values[index] = Undecodable(error, "deserialize")
        timestamps: Sequence[int] = chunk.timestamps[first:end]
        unstamped = False
        if self.source.timestamp is not None:
            timestamps, unstamped = self._extract(self.source.timestamp, keys, values, timestamps, headers)
        elif min(timestamps) < 0:
            unstamped = self._refuse_negative(values, timestamps)
        if not self._has_told_of_seconds:  # of a stretch, the first record tells
            self._has_told_of_seconds = tell_of_seconds(timestamps[0], self.source, self.partition)
        return DecodedRecords(
            chunk, first, timestamps, keys, values, bool(bad_keys or bad_values or unstamped), self._taken
        )

    def _extract(
        self,
        extractor: Callable[[Any, int], int],
        keys: list[Any],
        values: list[Any],
        timestamps: Sequence[int],
        headers: Any,
    ) -> tuple[list[int], bool]:
        extracted = list(timestamps)
        marked = False
        for index, value in enumerate(values):
            if type(value) is Undecodable:
                continue
            try:
                record_headers = NO_HEADERS if headers is None else headers[index]
                timestamp = extractor(
                    Record(keys[index], value, timestamps[index], record_headers), self._decoded_time
                )
                if type(timestamp) is not int or timestamp > TIMESTAMP_MAX:
                    timestamp = checked_timestamp(
                        timestamp, "what the extractor returned", least=-TIMESTAMP_MAX
                    )
            except BaseException as error:  # the user's function; raised again where the cursor reaches it
                if is_interrupt(error):
                    raise
                values[index] = Undecodable(error, "timestamp")
                marked = True
                continue
            if timestamp < 0:
                values[index] = Undecodable(ValueError(f"the extractor returned {timestamp}"), "skip")
                marked = True
            extracted[index] = timestamp
            self._decoded_time = max(self._decoded_time, timestamp)
        return extracted, marked

    def _refuse_negative(self, values: list[Any], timestamps: Sequence[int]) -> bool:
        for index, timestamp in enumerate(timestamps):
            if timestamp < 0 and type(values[index]) is not Undecodable:
                values[index] = Undecodable(
                    ValueError(
                        f"the record's timestamp is {timestamp}; give the source timestamp=, a function that finds one"
                    ),
                    "timestamp",
                )
        return True

    @property
    def head_timestamp(self) -> int | None:
        """Timestamp of the next record; None when nothing waits."""
        batch = self._batch  # as in `batch`: asked after each stretch, of each queue of the task
        if batch is None or batch.cursor >= len(batch.keys):
            batch = self._decode_next()
        return None if batch is None else batch.timestamps[batch.cursor]

    @property
    def next_offset(self) -> int | None:
        """Offset of the next record to process; None when nothing waits (then the reader's position is it)."""
        batch = self._batch
        if batch is not None and batch.cursor < len(batch.keys):
            return batch.chunk.offsets[batch.first + batch.cursor]
        for position, chunk in enumerate(self._chunks):
            index = self._next_index if position == 0 else 0
            if index < len(chunk):
                return chunk.offsets[index]
        return None

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self.batch() is None

    @property
    def taken(self) -> int:
        """How many records it has given its task, those that come again after an abort too. From any thread."""
        batch = self._batch
        return self._taken if batch is None else batch.before + batch.cursor

    @property
    def waiting(self) -> int:
        """How many records wait, as far as they were fetched. From any thread."""
        batch, chunks = self._batch, list(self._chunks)
        gone = 0 if batch is None else batch.first + batch.cursor
        return max(0, sum(map(len, chunks)) - gone)

    @property
    def last_taken(self) -> int | None:
        """Timestamp of the record before the cursor; None where nothing of the batch is taken."""
        batch = self._batch
        return None if batch is None or not batch.cursor else batch.timestamps[batch.cursor - 1]

    def clear(self) -> None:
        """Forget what waits; `partition_time` stays."""
        self._taken = self.taken
        self._chunks.clear()
        self._batch = None
        self._next_index = 0
        self.queued_bytes = 0
        self._decoded_time = self.partition_time


_Failures = list[tuple[int, BaseException]]
_ColumnDecoder = Callable[[Column, Any], tuple[list[Any], _Failures]]


def _column_decoder(serde: Serde[Any], topic: str) -> _ColumnDecoder:
    """Make a function that decodes a column, and says which rows failed; failed values are markers already."""
    if serde.uses_headers or serde.reads_headers:
        without_headers = None if serde.uses_headers else _plain_decoder(serde, topic)

        def decode_one(data: bytes, headers: Any) -> Any:
            return serde.deserialize(topic, data, headers)

        def decode_with_headers(column: Column, headers: Any) -> tuple[list[Any], _Failures]:
            if headers is None and without_headers is not None:
                return without_headers(column, None)
            every = headers if headers is not None else [NO_HEADERS] * len(column)
            return _decode_singly(list(zip(column, every)), decode_one)

        return decode_with_headers
    return _plain_decoder(serde, topic)


def _plain_decoder(serde: Serde[Any], topic: str) -> _ColumnDecoder:
    deserialize, is_text = serde.deserializer(topic), serde.is_text

    def decode(column: Column, _: Any) -> tuple[list[Any], _Failures]:
        try:
            if is_text:
                return texts_of(column), []
            # The whole column in one comprehension: half the cost of a loop with a try around each record.
            return [None if data is None else deserialize(data) for data in column], []
        except BaseException as error:  # found again below, record by record
            if is_interrupt(error):
                raise
            # `deserializer` raises raw errors; `deserialize` says what was expected.
            return _decode_singly(
                [(data, None) for data in column], lambda data, _: serde.deserialize(topic, data)
            )

    return decode


def _decode_singly(
    rows: list[tuple[bytes | None, Any]], decode_one: Callable[[bytes, Any], Any]
) -> tuple[list[Any], _Failures]:
    failures: _Failures = []

    def attempt(index: int, row: tuple[bytes | None, Any]) -> Any:
        data, headers = row
        if data is None:
            return None
        try:
            return decode_one(data, headers)
        except BaseException as error:  # the serde's own, for the deserialization handler
            if is_interrupt(error):
                raise
            failures.append((index, error))
            return Undecodable(error, "deserialize")

    return list(starmap(attempt, enumerate(rows))), failures


def oldest(queues: Iterable[RecordQueue]) -> tuple[RecordQueue | None, int]:
    """Return the queue whose head is oldest, the first of equal ones, and the lowest head of the others.

    None where nothing waits, and NEVER where it waits in one queue alone.
    """
    picked: RecordQueue | None = None
    lowest = limit = NEVER
    for queue in queues:
        head = queue.head_timestamp
        if head is None:
            continue
        if picked is None or head < lowest:
            limit = min(limit, lowest)
            picked, lowest = queue, head
        else:
            limit = min(limit, head)
    return picked, limit
