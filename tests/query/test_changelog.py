"""Stores read from their changelogs."""

import struct

import pytest

from headrace.base.columns import Columns
from headrace.base.errors import StoreUnavailableError
from headrace.base.ids import Location, TopicPartition
from headrace.log.memory import MemoryLog
from headrace.log.port import CommittedOffset, TopicSpec
from headrace.query.changelog import (
    KeyValueRow,
    SpanRow,
    changelog_of,
    key_value_rows,
    partitions_of,
    read_rows,
    span_rows,
)
from headrace.serde.primitives import int64, string
from headrace.state.spec import StoreKind, StoreSpec

PLACE = TopicPartition("changelog", 0)


def _log(*records: tuple[bytes | None, bytes | None, int]) -> MemoryLog:
    log = MemoryLog()
    log.create_topics([TopicSpec("changelog", 2)])
    columns = Columns()
    for key, value, timestamp in records:
        columns.append(key, value, timestamp, ())
    writer = log.writer("test")
    writer.append("changelog", 0, columns)
    writer.commit({})
    return log


def _spec(
    kind: StoreKind = "key_value",
    *,
    logging: bool = True,
    source_topic: str | None = None,
    retention_ms: int | None = None,
    size_ms: int | None = None,
    retain_duplicates: bool = False,
) -> StoreSpec:
    return StoreSpec(
        name="counts",
        kind=kind,
        timestamped=True,
        key=string,
        value=int64,
        engine="rocksdb",
        caching=True,
        logging=logging,
        where=Location("shop.py", 1),
        source_topic=source_topic,
        retention_ms=retention_ms,
        size_ms=size_ms,
        retain_duplicates=retain_duplicates,
    )


def test_the_newest_record_of_a_key_counts_and_a_tombstone_deletes() -> None:
    log = _log(
        (b"b", b"1", 1), (b"a", b"2", 2), (b"b", b"3", 3), (b"c", b"4", 4), (b"c", None, 5), (None, b"x", 6)
    )
    assert list(key_value_rows(read_rows(log, PLACE))) == [
        KeyValueRow(b"a", b"2", 2),
        KeyValueRow(b"b", b"3", 3),
    ]


def test_an_empty_changelog_is_an_empty_store() -> None:
    assert read_rows(_log(), TopicPartition("changelog", 1)) == {}


def test_a_store_on_its_own_source_topic_is_as_far_as_its_application() -> None:
    log = _log((b"a", b"1", 1), (b"a", b"2", 2), (b"a", b"3", 3))
    assert read_rows(log, PLACE, group="shop") == {}
    log.writer("shop").commit({PLACE: CommittedOffset(2)})
    assert read_rows(log, PLACE, group="shop") == {b"a": (b"2", 2, ())}


def _window_key(key: bytes, start: int, sequence: int = 0) -> bytes:
    return key + struct.pack(">qI", start, sequence)


def test_windows_come_by_key_and_start_without_expired_ones() -> None:
    log = _log(
        (_window_key(b"b", 1_000), b"old", 1),
        (_window_key(b"b", 9_000), b"2", 9_500),
        (_window_key(b"a", 10_000), b"3", 10_001),
        (_window_key(b"b", 5_001), b"4", 5_002),
        (_window_key(b"b", 5_000), b"gone", 5_001),
    )
    spec = _spec("window", retention_ms=5_000, size_ms=1_000)
    assert list(span_rows(read_rows(log, PLACE), spec)) == [
        SpanRow(b"a", 10_000, 11_000, b"3", 10_001),
        SpanRow(b"b", 5_001, 6_001, b"4", 5_002),
        SpanRow(b"b", 9_000, 10_000, b"2", 9_500),
    ]


def test_sessions_come_by_key_and_end_without_expired_ones() -> None:
    ends_and_starts = ((10, 0), (20, 15), (15, 12), (5, 1))
    rows = {b"a" + struct.pack(">qq", *pair): (b"%d" % pair[0], 7, ()) for pair in ends_and_starts}
    assert list(span_rows(rows, _spec("session", retention_ms=15))) == [
        SpanRow(b"a", 0, 10, b"10", 7),
        SpanRow(b"a", 12, 15, b"15", 7),
        SpanRow(b"a", 15, 20, b"20", 7),
    ]


def test_duplicates_of_a_window_stay_in_their_order() -> None:
    rows = {_window_key(b"a", 0, 2): (b"second", 5, ()), _window_key(b"a", 0, 1): (b"first", 5, ())}
    spec = _spec("window", retention_ms=1_000, retain_duplicates=True)
    assert [row.value for row in span_rows(rows, spec)] == [b"first", b"second"]


def test_where_a_store_is_read_from() -> None:
    assert changelog_of(_spec(), "shop") == "shop-counts-changelog"
    assert changelog_of(_spec(source_topic="table"), "shop") == "table"
    with pytest.raises(StoreUnavailableError, match="has no changelog"):
        changelog_of(_spec(logging=False), "shop")


def test_a_changelog_that_is_not_there_says_that_nothing_has_run() -> None:
    with pytest.raises(StoreUnavailableError, match="has not run on this log yet"):
        partitions_of(MemoryLog(), "changelog")
