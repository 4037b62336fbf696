"""What a join looks up in memory is what its rows say, whatever fits: against a plain list, with aborts and crashes."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from headrace.state.buffer.live_cells import LiveBudget, LiveCells
from headrace.state.spec import Engine
from tests.budget import examples
from tests.state.stores import LISTS, NUMBERS, Stores, store_spec

OpenStores = Callable[..., Stores]

RETENTION_MS = 100_000
SIZE_MS = 20_000

KEYS = st.sampled_from([b"", b"a", b"a\x00", b"b", b"a" + bytes(8), b"a" + bytes(12)])
TIMES = st.integers(0, 40).map(lambda count: count * 7_000)


class LiveMachine(RuleBasedStateMachine):
    engine: Engine = "memory"
    live_bytes = 1 << 20
    is_mutable = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        spec = store_spec(
            kind="window",
            engine=self.engine,
            timestamped=False,
            value=LISTS if self.is_mutable else NUMBERS,
            retention_ms=RETENTION_MS,
            size_ms=SIZE_MS,
            retain_duplicates=True,
        )
        self.stores = Stores(spec, path=self.folder / "db", live_bytes=self.live_bytes)
        self.model: list[tuple[bytes, int, Any]] = []
        self.stream_time = -1
        self.committed: tuple[list[tuple[bytes, int, Any]], int] = ([], -1)
        self.count = 0

    def teardown(self) -> None:
        self.stores.close()
        assert self.stores.live.used_bytes == 0
        shutil.rmtree(self.folder)

    @rule(key=KEYS, time=TIMES)
    def put(self, key: bytes, time: int) -> None:
        self.count += 1
        value = [self.count] if self.is_mutable else self.count
        self.stores.only.put(key, time, value, time, ())
        self.stream_time = max(self.stream_time, time)
        if time > self.stream_time - RETENTION_MS:
            self.model.append((key, time, value))

    @rule(key=KEYS, time=TIMES)
    def put_nothing(self, key: bytes, time: int) -> None:
        self.stores.only.put(key, time, None, time, ())

    @rule(key=KEYS, time=TIMES, before=st.sampled_from([-5, 0, 7_000, SIZE_MS, RETENTION_MS]))
    def find(self, key: bytes, time: int, before: int) -> None:
        first, last = time - before, time + SIZE_MS - before
        oldest = self.stream_time - RETENTION_MS
        store = self.stores.only
        found = [
            (at, value if store.open_value is None else store.open_value(value))
            for at, value in store.find(key, first, last)
        ]
        expected = [
            (at, value) for one, at, value in self.model if one == key and first <= at <= last and at > oldest
        ]
        assert found == sorted(expected, key=lambda pair: pair[0])
        assert self.stores.live.used_bytes <= self.live_bytes

    @rule()
    def commit(self) -> None:
        self.stores.commit()
        self.committed = (list(self.model), self.stream_time)

    @rule()
    def abort(self) -> None:
        self.stores.abort()
        self.roll_back()

    @rule()
    def crash(self) -> None:
        self.stores.crash()
        self.roll_back()

    @rule()
    def crash_within_commit(self) -> None:
        self.stores.commit_log()
        self.committed = (list(self.model), self.stream_time)
        self.crash()

    def roll_back(self) -> None:
        self.model, self.stream_time = list(self.committed[0]), self.committed[1]


@pytest.mark.campaign
@pytest.mark.parametrize("is_mutable", [False, True], ids=["objects", "bytes"])
@pytest.mark.parametrize("live_bytes", [0, 1_500, 1 << 20], ids=["none", "some", "all"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_look_up_finds_what_was_put_whatever_fits_into_memory(
    engine: str, live_bytes: int, is_mutable: bool
) -> None:
    attributes = {"engine": engine, "live_bytes": live_bytes, "is_mutable": is_mutable}
    run_state_machine_as_test(
        type("Machine", (LiveMachine,), attributes),
        settings=settings(
            max_examples=examples(5 if engine == "rocksdb" else 20),
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
        ),
    )


def test_cells_come_in_the_order_of_time_and_then_of_the_puts() -> None:
    cells = LiveCells(1_000, 100, LiveBudget(1 << 20))
    for value, time in enumerate([50, 10, 50, 30, 10]):
        cells.add(b"k", time, value, 1)
    assert cells.find(b"k", 0, 100) == [(10, 1), (10, 4), (30, 3), (50, 0), (50, 2)]
    assert cells.find(b"k", 11, 49) == [(30, 3)]
    assert cells.find(b"other", 0, 100) == []


def test_budget_lets_go_of_the_oldest_and_says_how_far_back_it_reaches() -> None:
    budget = LiveBudget(2_000)
    cells = LiveCells(800, 100, budget)
    for time in range(0, 1_000, 100):
        cells.add(b"k", time, "value", 5)
    assert budget.used_bytes <= 2_000
    assert cells.since == 400
    assert cells.find(b"k", 399, 900) is None
    assert cells.find(b"k", 400, 900) == [(time, "value") for time in range(400, 1_000, 100)]


def test_budget_is_kept_by_the_store_that_has_most() -> None:
    budget = LiveBudget(2_000)
    large, small = LiveCells(800, 100, budget), LiveCells(800, 100, budget)
    for time in (0, 100, 200):
        large.add(b"k", time, "value", 400)
    small.add(b"k", 0, "value", 5)
    assert (large.since, small.since) == (100, 0)


def test_what_has_expired_weighs_nothing() -> None:
    budget = LiveBudget(1 << 20)
    cells = LiveCells(1_000, 100, budget)
    cells.add(b"k", 0, "value", 5)
    weight = budget.used_bytes
    cells.add(b"k", 100_000, "value", 5)
    assert budget.used_bytes == weight
    cells.close()
    assert budget.used_bytes == 0


def test_memory_is_filled_from_the_rows_after_a_restart_the_newest_first(open_stores: OpenStores) -> None:
    spec = store_spec(
        kind="window",
        engine="rocksdb",
        timestamped=False,
        retention_ms=200_000,
        size_ms=20_000,
        retain_duplicates=True,
    )
    stores = open_stores(spec, live_bytes=1_200)
    for number in range(19):
        stores.only.put(b"k", number * 10_000, number, 0, ())
    stores.commit()
    stores.crash()
    assert stores.only.find(b"k", 150_000, 180_000) == [(number * 10_000, number) for number in range(15, 19)]
    assert stores.live.used_bytes > 0
    assert stores.only.find(b"k", 0, 20_000) == [(0, 0), (10_000, 1), (20_000, 2)]


def test_rows_that_wait_are_put_in_order_for_the_first_look_up_alone(open_stores: OpenStores) -> None:
    spec = store_spec(
        kind="window",
        engine="memory",
        timestamped=False,
        retention_ms=200_000,
        size_ms=20_000,
        retain_duplicates=True,
    )
    store = open_stores(spec).only
    store.put(b"k", 0, 0, 0, ())
    assert store.find(b"k", 0, 20_000) == [(0, 0)]
    store.put(b"k", 10_000, 1, 0, ())
    assert store._rows == {}  # by key and slot: half of what a put takes
    assert store.find(b"k", 0, 20_000) == [(0, 0), (10_000, 1)]
    assert [value for _, _, value, _ in store.range(b"k", None, None)] == [0, 1]
