"""Stores of windows and of sessions against a dictionary of (key, slot), with expiry: in any order, with crashes."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headrace.state.buffer.segment_layout import SegmentLayout
from headrace.state.buffer.session_layout import SESSIONS, session_slot
from headrace.state.buffer.window_layout import WINDOWS
from headrace.state.spec import Engine, StoreKind
from headrace.state.stamped import Stamped
from tests.budget import examples
from tests.state.crashing import CrashingMachine
from tests.state.stores import CACHES, LISTS, NUMBERS, Stores, store_spec

pytestmark = pytest.mark.campaign

#: Segments are 65 s long, and a cell lives for 130 s of stream time.
SEGMENT_MS = 65_000
RETENTION_MS = 130_000

# Keys that contain one another, and one that looks like a key and a start.
KEYS = st.sampled_from([b"", b"a", b"a\x00", b"ab", b"a" + bytes(8), b"a" + bytes(12), b"\xff"])
TIMES = st.integers(0, 40).map(lambda count: count * 10_000)
#: A cell's time, and how long a session is.
CELLS = st.tuples(TIMES, st.sampled_from([0, 10_000, 50_000]))
NUMBER = st.integers(-5, 5)

Row = tuple[bytes, int, Any, int]


class SegmentedMachine(CrashingMachine):
    kind: StoreKind = "window"
    layout: SegmentLayout = WINDOWS
    engine: Engine = "memory"
    caching = False
    cache_bytes = 1 << 20
    is_compiled = False
    is_mutable = False
    time_ordered = False
    is_stamped = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        value: Any = LISTS if self.is_mutable else NUMBERS
        spec = store_spec(
            kind=self.kind,
            engine=self.engine,
            caching=self.caching,
            value=value,
            retention_ms=RETENTION_MS,
            time_ordered=self.time_ordered,
            timestamped=not self.is_stamped,
            stamped=self.is_stamped,
        )
        self.stores = Stores(
            spec, path=self.folder / "db", cache_bytes=self.cache_bytes, is_compiled=self.is_compiled
        )
        self.model: dict[tuple[bytes, int], tuple[Any, int]] = {}
        self.stream_time = -1
        self.committed = (dict(self.model), self.stream_time)

    @property
    def lifetime_ms(self) -> int:
        """Windows that can be read by time too live a millisecond longer."""
        return RETENTION_MS + (self.time_ordered and self.kind == "window")

    def expected(self, model: dict[tuple[bytes, int], tuple[Any, int]]) -> list[Row]:
        rows = [(key, slot, *found) for (key, slot), found in model.items()]
        live = (row for row in rows if self.time(row[1]) > self.stream_time - self.lifetime_ms)
        return sorted(live, key=lambda row: self.layout.row_key(row[0], row[1], SEGMENT_MS))

    def slot(self, cell: tuple[int, int]) -> int:
        time, length = cell
        return time if self.kind == "window" else session_slot(max(0, time - length), time)

    def time(self, slot: int) -> int:
        return slot >> self.layout.rest_bits

    def value(self, number: int) -> Any:
        value = [number] if self.is_mutable else number
        return Stamped(value, number + 10, (("h", b"%d" % number),)) if self.is_stamped else value

    @rule(key=KEYS, cell=CELLS, number=NUMBER)
    def put(self, key: bytes, cell: tuple[int, int], number: int) -> None:
        slot = self.slot(cell)
        self.stores.only.put(key, slot, self.value(number), number + 100, ())
        self.note(key, slot, self.value(number), number + 100)

    @rule(key=KEYS, cell=CELLS)
    def delete(self, key: bytes, cell: tuple[int, int]) -> None:
        slot = self.slot(cell)
        self.stores.only.put(key, slot, None, 1, ())
        self.note(key, slot, None, 1)

    @rule(key=KEYS, count=st.integers(0, 2), cell=CELLS, number=st.none() | NUMBER)
    def replace(self, key: bytes, count: int, cell: tuple[int, int], number: int | None) -> None:
        slots = self.stores.only.slots(key, 0)[-count:] if count else []
        value = None if number is None else self.value(number)
        self.stores.only.replace(key, slots, self.slot(cell), value, 7, ())
        for slot in slots:
            self.note(key, slot, None, 7)
        self.note(key, self.slot(cell), value, 7)

    def note(self, key: bytes, slot: int, value: Any, timestamp: int) -> None:
        self.stream_time = max(self.stream_time, self.time(slot))
        self.model.pop((key, slot), None)
        if value is not None:
            self.model[key, slot] = (value, -1 if self.is_stamped else timestamp)

    @rule(key=KEYS, cell=CELLS)
    def get(self, key: bytes, cell: tuple[int, int]) -> None:
        slot = self.slot(cell)
        is_live = self.time(slot) > self.stream_time - self.lifetime_ms
        assert self.stores.only.get(key, slot) == (self.model.get((key, slot)) if is_live else None)

    @rule(key=KEYS, start=TIMES)
    def ask_for_slots(self, key: bytes, start: int) -> None:
        slots = [row[1] for row in self.expected(self.model) if row[0] == key]
        assert self.stores.only.slots(key, start) == [slot for slot in slots if self.time(slot) >= start]

    @rule(key=KEYS, start=st.none() | TIMES, end=st.none() | TIMES, reverse=st.booleans())
    def ask_for_key(self, key: bytes, start: int | None, end: int | None, reverse: bool) -> None:
        self.ask(key, start, end, reverse)

    @rule(start=st.none() | TIMES, end=st.none() | TIMES, reverse=st.booleans())
    def ask_for_all(self, start: int | None, end: int | None, reverse: bool) -> None:
        self.ask(None, start, end, reverse)

    def ask(self, key: bytes | None, start: int | None, end: int | None, reverse: bool) -> None:
        expected = [
            row
            for row in self.expected(self.model)
            if (key is None or row[0] == key)
            and (start is None or start <= self.time(row[1]))
            and (end is None or self.time(row[1]) <= end)
        ]
        if reverse:
            expected.reverse()
        assert list(self.stores.only.range(key, start, end, reverse)) == expected

    @precondition(lambda machine: machine.time_ordered)
    @rule(start=TIMES, end=TIMES)
    def ask_by_time(self, start: int, end: int) -> None:
        rows = [(key, slot, *found) for (key, slot), found in self.model.items()]
        asked = [row for row in rows if start <= self.time(row[1]) <= end]
        asked.sort(key=lambda row: (row[1], row[0]))
        oldest = self.stream_time - RETENTION_MS
        if self.kind == "session":
            oldest -= oldest % SEGMENT_MS  # sessions can be read by time until their segment expires
        stored = [row for row in asked if self.time(row[1]) >= oldest]
        found = list(self.stores.only.by_time(start, end))
        if self.caching:  # which has some of those that have expired, too
            assert [row for row in asked if row in found] == found
            assert [row for row in found if row in stored] == stored
        else:
            assert found == stored

    @rule(key=KEYS, cell=CELLS, number=NUMBER)
    def change_while_iterating(self, key: bytes, cell: tuple[int, int], number: int) -> None:
        before = self.expected(self.model)
        rows = self.stores.only.range(None, None, None)
        seen = [next(rows, None)]
        self.put(key, cell, number)
        if before:
            last_key, last_slot = before[-1][:2]
            self.stores.only.put(last_key, last_slot, None, 1, ())
            self.note(last_key, last_slot, None, 1)
        seen += list(rows)
        assert [row for row in seen if row is not None] == before

    @rule()
    def flush(self) -> None:
        self.stores.state.flush()

    def remember(self) -> None:
        self.committed = (dict(self.model), self.stream_time)

    def go_back(self) -> None:
        self.model, self.stream_time = dict(self.committed[0]), self.committed[1]

    @rule()
    def crash(self) -> None:
        super().crash()
        if self.engine == "memory":
            self.take_time_from_the_log()

    @rule()
    def crash_within_commit(self) -> None:
        super().crash_within_commit()
        self.take_time_from_the_log()

    @rule()
    def lose_the_disk(self) -> None:
        super().lose_the_disk()
        self.take_time_from_the_log()

    def take_time_from_the_log(self) -> None:
        """A cell that was put and deleted within a cache is not in the log, and the time that it showed is lost."""
        if self.caching:
            size = self.layout.suffix.size
            logged = [
                self.layout.suffix.unpack_from(key, len(key) - size)[0]
                for key, *_ in self.stores.log["store"]
            ]
            found = self.stores.only.observed_stream_time
            assert max(logged, default=-1) <= found <= self.stream_time
            self.stream_time = found
            self.committed = (self.committed[0], found)

    @invariant()
    def stream_time_is_known(self) -> None:
        assert self.stores.only.observed_stream_time == self.stream_time

    @invariant()
    def readers_of_other_threads_see_the_same(self) -> None:
        rows = list(self.stores.state.read_only("store")._state.range(None, None, None))
        assert rows == self.expected(self.model)

    @invariant()
    def committed_reads_see_the_last_commit(self) -> None:
        rows = list(self.stores.state.read_only("store", committed=True)._state.range(None, None, None))
        assert rows == self.expected(self.committed[0])


@pytest.mark.parametrize(
    ("kind", "layout"), [("window", WINDOWS), ("session", SESSIONS)], ids=["window", "session"]
)
@pytest.mark.parametrize("is_mutable", [False, True], ids=["objects", "bytes"])
@pytest.mark.parametrize("cache_bytes", [0, 1_500, 1 << 20], ids=["uncached", "evicting", "cached"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@pytest.mark.parametrize("order", ["by-key", "by-time", "stamped"])
def test_store_behaves_like_a_dictionary_that_forgets(
    order: str, engine: str, cache_bytes: int, is_mutable: bool, kind: str, layout: SegmentLayout
) -> None:
    run_machine(
        engine,
        cache_bytes,
        kind=kind,
        layout=layout,
        is_mutable=is_mutable,
        time_ordered=order == "by-time",
        is_stamped=order == "stamped",
    )


@pytest.mark.parametrize("is_compiled", CACHES[1:])
@pytest.mark.parametrize("cache_bytes", [450, 1 << 20], ids=["evicting", "cached"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_windows_of_numbers_with_the_compiled_cache_behave_like_a_dictionary_that_forgets(
    engine: str, cache_bytes: int, is_compiled: bool
) -> None:
    run_machine(engine, cache_bytes, is_compiled=is_compiled)


def run_machine(engine: str, cache_bytes: int, **more: object) -> None:
    attributes = {"engine": engine, "caching": cache_bytes > 0, "cache_bytes": cache_bytes, **more}
    machine = type("Machine", (SegmentedMachine,), attributes)
    tries = examples(3 if engine == "rocksdb" else 10)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=tries, stateful_step_count=40, derandomize=True, deadline=None, database=None
        ),
    )
