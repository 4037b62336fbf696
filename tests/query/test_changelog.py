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
    WindowRow,
    changelog_of,
    key_value_rows,
    partitions_of,
    read_rows,
    window_rows,
)
from headrace.serde.primitives import int64, string
from headrace.state.spec import StoreSpec

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


def _spec(*, logging: bool = True, source_topic: str | None = None) -> StoreSpec:
    return StoreSpec(
        name="counts",
        kind="key_value",
        timestamped=True,
        key=string,
        value=int64,
        engine="rocksdb",
        caching=True,
        logging=logging,
        where=Location("shop.py", 1),
        source_topic=source_topic,
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
    assert read_rows(log, PLACE, group="shop") == {b"a": (b"2", 2)}


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
    assert list(window_rows(read_rows(log, PLACE), retention_ms=5_000)) == [
        WindowRow(b"a", 10_000, b"3", 10_001),
        WindowRow(b"b", 5_001, b"4", 5_002),
        WindowRow(b"b", 9_000, b"2", 9_500),
    ]


def test_duplicates_of_a_window_stay_in_their_order() -> None:
    rows = {_window_key(b"a", 0, 2): (b"second", 5), _window_key(b"a", 0, 1): (b"first", 5)}
    assert [row.value for row in window_rows(rows, None)] == [b"first", b"second"]


def test_where_a_store_is_read_from() -> None:
    assert changelog_of(_spec(), "shop") == "shop-counts-changelog"
    assert changelog_of(_spec(source_topic="table"), "shop") == "table"
    with pytest.raises(StoreUnavailableError, match="has no changelog"):
        changelog_of(_spec(logging=False), "shop")


def test_a_changelog_that_is_not_there_says_that_nothing_has_run() -> None:
    with pytest.raises(StoreUnavailableError, match="has not run on this log yet"):
        partitions_of(MemoryLog(), "changelog")
