"""Compaction of the embedded log: which records stay, for whom, and when."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog, rewrite
from headrace.log.embedded.compaction import CompactionLimits
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.reader import EmbeddedReader
from headrace.log.embedded.rewrite import Target, load, replace
from headrace.log.embedded.rows import rows_behind
from headrace.log.embedded.topics import stored
from tests.budget import examples
from tests.log.records import HOUR_MS, Clock, Pair, columns_of, create, drain, read, write

C0 = TopicPartition("c", 0)


def compact(log: EmbeddedLog, clock: Clock) -> None:
    """Let all compaction that is due happen."""
    clock.advance(1_000)
    log.maintain(60_000)


@pytest.fixture
def log(open_log: Callable[..., EmbeddedLog]) -> EmbeddedLog:
    opened = open_log()
    create(opened, "c", cleanup_policy="compact")
    return opened


def test_latest_record_of_each_key_stays_at_its_offset(log: EmbeddedLog, clock: Clock) -> None:
    write(log, "c", columns_of([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]))
    write(log, "c", columns_of([(b"c", b"4"), (b"b", b"5")]))
    compact(log, clock)
    assert read(log, "c") == [(2, b"3"), (3, b"4"), (4, b"5")]
    assert log.beginning_offsets([C0]) == {C0: 0}


def test_parts_of_surviving_records_are_unchanged(log: EmbeddedLog, clock: Clock) -> None:
    columns = Columns()
    columns.append(b"a", b"1", 5, ())
    columns.append(b"b", b"2", 6, (("h", b"x"),))
    columns.append(b"a", b"3", 7, ())
    write(log, "c", columns)
    compact(log, clock)
    reader = log.reader()
    reader.assign({C0: 0})
    assert drain(reader) == [("c", 0, 1, b"b", b"2", 6, (("h", b"x"),)), ("c", 0, 2, b"a", b"3", 7, ())]


def test_tombstone_stays_until_its_retention_has_passed(log: EmbeddedLog, clock: Clock) -> None:
    write(log, "c", columns_of([(b"a", b"1"), (b"a", None)]))
    compact(log, clock)
    assert read(log, "c") == [(1, None)]
    clock.advance(25 * HOUR_MS)
    write(log, "c", columns_of([(b"b", b"2")] * 2))
    compact(log, clock)
    assert read(log, "c") == [(3, b"2")]


def test_tombstone_at_the_end_leaves_the_end_offset(log: EmbeddedLog, clock: Clock) -> None:
    write(log, "c", columns_of([(b"a", b"1"), (b"b", b"1"), (b"b", None)]))
    clock.advance(25 * HOUR_MS)
    compact(log, clock)
    assert read(log, "c") == [(0, b"1")]
    assert log.end_offsets([C0]) == {C0: 3}
    reader = log.reader()
    reader.assign({C0: 0})
    drain(reader)
    assert reader.position(C0) == 3


def test_partition_of_nothing_but_old_tombstones_becomes_empty(log: EmbeddedLog, clock: Clock) -> None:
    write(log, "c", columns_of([(b"a", None), (b"b", None)]))
    clock.advance(25 * HOUR_MS)
    compact(log, clock)
    reader = log.reader()
    reader.assign({C0: 0})
    assert reader.poll(0) == []
    assert reader.position(C0) == 2
    assert write(log, "c", columns_of([(b"a", b"1")])) == 3
    assert [record[2] for record in drain(reader)] == [2]


def test_tombstones_under_steady_traffic_go_in_the_end(log: EmbeddedLog, clock: Clock) -> None:
    # Each pass merges what is there with younger chunks: the age of a tombstone must not start again each time.
    for hour in range(60):
        write(
            log, "c", columns_of([(b"gone-%d" % hour, b"x"), (b"gone-%d" % hour, None), (b"k", b"x" * 500)])
        )
        clock.advance(HOUR_MS)
        log.maintain(60_000)
    tombstones = [offset for offset, value in read(log, "c") if value is None]
    assert 24 <= len(tombstones) <= 36


def test_young_records_are_left_alone(open_log: Callable[..., EmbeddedLog], clock: Clock) -> None:
    log = open_log()
    create(log, "c", cleanup_policy="compact", min_compaction_lag_ms=str(HOUR_MS))
    write(log, "c", columns_of([(b"a", b"1"), (b"a", b"2")]))
    clock.advance(HOUR_MS + 1)
    write(log, "c", columns_of([(b"a", b"3")]))
    compact(log, clock)
    assert read(log, "c") == [(1, b"2"), (2, b"3")]


def test_topic_that_is_not_compacted_keeps_everything(
    open_log: Callable[..., EmbeddedLog], clock: Clock
) -> None:
    log = open_log()
    create(log, "c")
    write(log, "c", columns_of([(b"a", b"1"), (b"a", b"2")]))
    compact(log, clock)
    assert len(read(log, "c")) == 2


def test_compaction_waits_until_the_dirty_part_outweighs_the_clean_one(
    log: EmbeddedLog, clock: Clock
) -> None:
    write(log, "c", columns_of([(b"%d" % i, bytes(1_000)) for i in range(50)]))
    compact(log, clock)
    write(log, "c", columns_of([(b"0", bytes(1_000))] * 40))
    compact(log, clock)
    assert len(read(log, "c")) == 90
    write(log, "c", columns_of([(b"0", bytes(1_000))] * 20))
    compact(log, clock)
    assert len(read(log, "c")) == 50


def test_compaction_frees_space_that_is_used_again(log: EmbeddedLog, clock: Clock, tmp_path: Path) -> None:
    sizes: list[int] = []
    for _ in range(30):
        write(log, "c", columns_of([(b"k", bytes(100_000))] * 10))
        compact(log, clock)
        sizes.append((tmp_path / "log.db").stat().st_size)
    assert sizes[-1] < 20_000_000
    assert sizes[-1] == sizes[-5]


def test_reader_in_a_compacted_chunk_goes_on_behind_it(log: EmbeddedLog, clock: Clock) -> None:
    write(log, "c", columns_of([(b"a", b"1"), (b"b", b"2"), (b"b", b"3"), (b"a", b"4"), (b"a", b"5")]))
    reader = log.reader()
    reader.assign({C0: 1})
    compact(log, clock)
    assert [record[2] for record in drain(reader)] == [2, 4]
    assert reader.position(C0) == 5


def test_position_behind_the_last_record_of_a_chunk_reads_the_next_chunk(
    log: EmbeddedLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "CHUNK_RECORDS", 2)
    write(log, "c", columns_of([(b"a", b"1"), (b"b", b"2")]))
    write(log, "c", columns_of([(b"b", b"3"), (b"c", b"4")]))
    compact(log, clock)
    reader = log.reader()
    reader.assign({C0: 1})
    (chunk,) = reader.poll(0)
    assert list(chunk.offsets) == [2, 3]


def test_two_processes_may_compact_the_same_topic(
    open_log: Callable[..., EmbeddedLog], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "CHUNK_RECORDS", 4)
    logs = [open_log(), open_log()]
    create(logs[0], "c", cleanup_policy="compact")
    for n in range(40):
        write(
            logs[0],
            "c",
            columns_of([(b"%d" % (n % 7), b"%d" % n), (b"%d" % (n % 3), None), (b"x", b"%d" % n)]),
        )
        clock.advance(1_000)
        for _ in range(n % 5):
            logs[n % 2].maintain(0)
            logs[1 - n % 2].maintain(0)
    compact(logs[1], clock)
    # More than all that is clean, so that one more pass is due, which goes up to the end.
    write(logs[0], "c", columns_of([(b"x", bytes(1_000))]))
    compact(logs[1], clock)
    table: dict[bytes | None, tuple[int, bytes | None]] = {}
    reader = logs[0].reader()
    reader.assign({C0: 0})
    for record in drain(reader):
        assert record[3] not in table
        table[record[3]] = record[2], record[4]
    assert table == {
        b"0": (118, None),
        b"1": (112, None),
        b"2": (115, None),
        b"3": (114, b"38"),
        b"4": (117, b"39"),
        b"5": (99, b"33"),
        b"6": (102, b"34"),
        b"x": (120, bytes(1_000)),
    }


def test_chunks_that_another_process_changed_are_not_replaced(tmp_path: Path, clock: Clock) -> None:
    file = EmbeddedFile.open(tmp_path / "log.db", clock.now_ms, 1_000)
    log = EmbeddedLog(file, CompactionLimits(dirty_bytes_min=1))
    create(log, "c", cleanup_policy="compact")
    write(log, "c", columns_of([(b"a", b"1"), (b"a", b"2")]))
    write(log, "c", columns_of([(b"b", b"3")]))
    connection = file.connect()
    topic = stored(connection, "c")
    assert topic is not None
    target = Target(file, connection, topic, 0)
    rows = rows_behind(connection, topic.number, 0, 0, rows_max=9)
    loaded = load(target, rows)
    assert loaded is not None
    compact(log, clock)
    with pytest.raises(StopIteration) as outcome:
        next(replace(target, rows, [loaded.to_row(rows)]))
    assert outcome.value.value is False
    assert load(target, rows) is None
    assert read(log, "c") == [(1, b"2"), (2, b"3")]
    log.close()


def test_pass_takes_only_as_many_keys_as_its_map_may_hold(
    open_log: Callable[..., EmbeddedLog], clock: Clock
) -> None:
    log = open_log(map_bytes_max=1)
    create(log, "c", cleanup_policy="compact")
    for n in range(3):
        write(log, "c", columns_of([(b"k", b"%d" % n)] * 2))
    clock.advance(1_000)
    # Sweeping, reading one chunk into the map, rewriting it.
    for _ in range(3):
        log.maintain(0)
    assert [offset for offset, _ in read(log, "c")] == [1, 2, 3, 4, 5]


Operation = tuple[str, list[Pair]]
_keys = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
_values = st.one_of(st.none(), st.binary(min_size=1, max_size=4))
_operations: st.SearchStrategy[list[Operation]] = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.tuples(_keys, _values), min_size=1, max_size=9)),
        st.tuples(st.sampled_from(["slice", "slice", "all", "poll", "reopen", "day"]), st.just([])),
    ),
    min_size=4,
    max_size=40,
)


class World:
    """A log that is compacted, a plain dictionary, and a reader that follows the log into a dictionary of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.expected: dict[bytes | None, bytes | None] = {}
        self.followed: dict[bytes | None, bytes | None] = {}
        self.end = 0
        self.log = self.open()
        create(self.log, "c", cleanup_policy="compact")
        self.reader = self.follow(0)

    def open(self) -> EmbeddedLog:
        # A map of 300 bytes holds two keys: most passes cover a part only.
        limits = CompactionLimits(dirty_bytes_min=1, map_bytes_max=300)
        return EmbeddedLog.open(self.path, now_ms=self.clock.now_ms, limits=limits)

    def follow(self, position: int) -> EmbeddedReader:
        reader = self.log.reader()
        reader.assign({C0: position})
        return reader

    def poll(self) -> None:
        for record in drain(self.reader):
            self.followed[record[3]] = record[4]

    def do(self, operation: str, pairs: list[Pair]) -> None:
        if operation == "write":
            self.expected.update(pairs)
            self.end += len(pairs)
            assert write(self.log, "c", columns_of(pairs)) == self.end
        elif operation == "poll":
            self.poll()
        elif operation == "day":
            # Who is a day behind may miss tombstones: that is what delete.retention.ms says.
            self.poll()
            self.clock.advance(25 * HOUR_MS)
        elif operation == "reopen":
            position = self.reader.position(C0)
            self.log.close()
            self.log = self.open()
            self.reader = self.follow(position)
        else:
            self.clock.advance(1_000)
            self.log.maintain(0 if operation == "slice" else 60_000)

    def check(self) -> None:
        self.poll()
        fresh = self.log.reader()
        fresh.assign({C0: 0})
        records = drain(fresh)
        offsets = [record[2] for record in records]
        assert offsets == sorted(set(offsets))
        assert fresh.position(C0) == self.reader.position(C0) == self.end
        assert without_tombstones({record[3]: record[4] for record in records}) == without_tombstones(
            self.expected
        )
        assert without_tombstones(self.followed) == without_tombstones(self.expected)
        assert self.log.end_offsets([C0]) == {C0: self.end}


def without_tombstones(table: dict[bytes | None, bytes | None]) -> dict[bytes | None, bytes | None]:
    return {key: value for key, value in table.items() if value is not None}


@pytest.mark.campaign
@settings(max_examples=examples(80), deadline=None)
@given(_operations)
def test_compaction_against_a_dictionary(operations: list[Operation]) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        # Chunks of four records: groups, merges and rewrites with few records.
        patch.setattr(rewrite, "CHUNK_RECORDS", 4)
        world = World(Path(directory) / "log.db")
        try:
            for operation, pairs in operations:
                world.do(operation, pairs)
            world.check()
            world.do("all", [])
            world.check()
        finally:
            world.log.close()
