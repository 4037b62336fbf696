"""A task's queue: decoding ahead, markers, offsets."""

from typing import Any

import pytest

import headrace as hr
from headrace.base.columns import Chunk
from headrace.base.ids import Location, TopicPartition
from headrace.engine.queue import RecordQueue, Undecodable
from headrace.serde.serde import Serde
from headrace.topology.nodes import SourceNode


def queue_of(value: Serde[Any] = hr.int64, timestamp: object = None) -> RecordQueue:
    source = SourceNode("source", ("in",), hr.string, value, Location("shop.py", 1), timestamp=timestamp)  # type: ignore[arg-type]
    return RecordQueue(TopicPartition("in", 0), source)


def chunk_of(values: list[bytes | None], first: int = 0, timestamps: list[int] | None = None) -> Chunk:
    count = len(values)
    stamps = timestamps or list(range(count))
    return Chunk("in", 0, range(first, first + count), stamps, [b"k"] * count, values, None, 10 * count)


def eight(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_records_come_out_decoded_in_order_across_chunks() -> None:
    queue = queue_of()
    queue.add(chunk_of([eight(1), None]))
    queue.add(chunk_of([eight(3)], first=2))
    seen: list[object] = []
    while (batch := queue.batch()) is not None:
        seen += batch.values
        batch.cursor = len(batch.keys)
    assert seen == [1, None, 3]
    assert queue.queued_bytes == 0


def test_record_that_cannot_be_decoded_is_left_as_a_marker_and_the_others_are_decoded() -> None:
    queue = queue_of()
    queue.add(chunk_of([eight(1), b"short", eight(3)]))
    batch = queue.batch()
    assert batch is not None
    assert batch.has_markers
    assert [type(value) is Undecodable for value in batch.values] == [False, True, False]
    assert batch.values[0] == 1


class _TextsAtOnce(list[bytes | None]):
    """A column that reads text from its own buffer."""

    def texts(self) -> list[str | None]:
        return [None if part is None else part.decode().upper() for part in self]

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found


def _values_of(serde: Serde[Any], values: list[bytes | None]) -> list[object]:
    queue = queue_of(serde)
    queue.add(chunk_of(_TextsAtOnce(values)))
    batch = queue.batch()
    assert batch is not None
    return [each.stage if isinstance(each, Undecodable) else each for each in batch.values]


def test_text_is_read_by_the_column_itself_and_other_values_by_their_serde() -> None:
    assert _values_of(hr.string, [b"a", None, b""]) == ["A", None, ""]
    assert _values_of(hr.json(str), [b'"a"', None]) == ["a", None]
    assert _values_of(hr.raw, [b"a", None]) == [b"a", None]


def test_column_of_text_with_a_row_that_is_none_is_read_row_by_row() -> None:
    assert _values_of(hr.string, [b"a", b"\xff", None]) == ["a", "deserialize", None]


def test_only_a_thousand_records_are_decoded_ahead() -> None:
    queue = queue_of()
    queue.add(chunk_of([*[eight(1)] * 1500, b"bad"]))
    batch = queue.batch()
    assert batch is not None
    assert len(batch.keys) == 1000
    assert not batch.has_markers


def test_next_offset_is_that_of_the_first_record_not_processed() -> None:
    queue = queue_of()
    assert queue.next_offset is None
    queue.add(chunk_of([eight(1), eight(2)], first=40))
    batch = queue.batch()
    assert batch is not None
    batch.cursor = 1
    next_offsets = [queue.next_offset]
    batch.cursor = 2
    next_offsets.append(queue.next_offset)
    assert next_offsets == [41, None]


def test_extractor_gets_the_highest_timestamp_before_as_partition_time() -> None:
    seen = []

    def extract(record: hr.Record[str, int], partition_time: int) -> int:
        seen.append(partition_time)
        return record.value

    queue = queue_of(timestamp=extract)
    queue.add(chunk_of([eight(5), eight(3), eight(9)]))
    batch = queue.batch()
    assert batch is not None
    assert list(batch.timestamps) == [5, 3, 9]
    assert seen == [-1, 5, 5]


def test_negative_timestamp_from_an_extractor_marks_the_record_as_skipped() -> None:
    queue = queue_of(timestamp=lambda record, partition_time: -1)
    queue.add(chunk_of([eight(5)]))
    batch = queue.batch()
    assert batch is not None
    assert batch.values[0].stage == "skip"


def test_negative_timestamp_in_the_log_is_fatal_without_an_extractor() -> None:
    queue = queue_of()
    queue.add(chunk_of([eight(5)], timestamps=[-1]))
    batch = queue.batch()
    assert batch is not None
    assert batch.values[0].stage == "timestamp"


@pytest.mark.parametrize("cursor", [0, 1])
def test_cleared_queue_has_nothing_and_weighs_nothing(cursor: int) -> None:
    queue = queue_of()
    queue.add(chunk_of([eight(1), eight(2)]))
    batch = queue.batch()
    assert batch is not None
    batch.cursor = cursor
    queue.clear()
    assert queue.batch() is None
    assert queue.queued_bytes == 0
    assert queue.next_offset is None


# ── seconds for milliseconds ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("extractor", [None, lambda record, partition_time: record.timestamp])
def test_time_in_seconds_is_told_of_once_a_partition(
    extractor: object, caplog: pytest.LogCaptureFixture
) -> None:
    queue = queue_of(timestamp=extractor)
    for offset in range(2):
        queue.add(chunk_of([eight(1)], first=offset, timestamps=[1_700_000_000]))
        batch = queue.batch()
        assert batch is not None
        batch.cursor = 1
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        "source (shop.py:1) reads topic 'in', partition 0, where a record's time is 1700000000: "
    )
    assert "milliseconds are wanted, such as int(time.time() * 1000)" in message


@pytest.mark.parametrize("timestamp", [0, 86_400_000, 1_700_000_000_000])
def test_time_in_milliseconds_is_no_news(timestamp: int, caplog: pytest.LogCaptureFixture) -> None:
    queue = queue_of()
    queue.add(chunk_of([eight(1)], timestamps=[timestamp]))
    assert queue.batch() is not None
    assert caplog.records == []
