"""Stores with a bound against a dictionary in the order of use: in any order, with aborts and restarts between."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from headrace.serde.primitives import raw
from tests.state.stores import LISTS, NUMBERS, Stores, store_spec

pytestmark = pytest.mark.campaign

KEYS = st.sampled_from([b"", b"a", b"a\x00", b"b", b"c", b"\xff"])
NUMBER = st.integers(-5, 5)

Rows = dict[bytes, Any]


class LruMachine(RuleBasedStateMachine):
    """`model` is what should be there, used the longest ago first; `gone` what has left since the last commit."""

    rows_max = 3
    is_mutable = False

    def __init__(self) -> None:
        super().__init__()
        value: Any = LISTS if self.is_mutable else NUMBERS
        self.stores = Stores(store_spec(key=raw, value=value, rows_max=self.rows_max))
        self.model: Rows = {}
        self.committed: Rows = {}
        self.gone: dict[bytes, None] = {}

    def teardown(self) -> None:
        self.stores.close()

    def value(self, number: int) -> Any:
        return [number] if self.is_mutable else number

    def use(self, key: bytes) -> None:
        self.model[key] = self.model.pop(key)

    def leave(self, key: bytes) -> None:
        del self.model[key]
        self.gone[key] = None

    @rule(key=KEYS, number=NUMBER)
    def put(self, key: bytes, number: int) -> None:
        self.stores.only.put(key, self.value(number), 1, ())
        if key not in self.model and len(self.model) == self.rows_max:
            self.leave(next(iter(self.model)))
        self.model[key] = self.value(number)
        self.use(key)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        self.stores.only.put(key, None, 1, ())
        if key in self.model:
            self.leave(key)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        found = self.stores.only.get(key)
        assert (None if found is None else found[0]) == self.model.get(key)
        if key in self.model:
            self.use(key)

    @rule(key=KEYS)
    def read_from_another_thread(self, key: bytes) -> None:
        """Which is no use."""
        self.stores.state.read_only("store").get(key)

    @rule()
    def commit(self) -> None:
        self.stores.commit()
        self.committed = dict(self.model)
        self.gone.clear()

    @rule()
    def abort(self) -> None:
        self.stores.abort()
        order = {key: None for key in self.gone if key in self.committed}
        for key in self.model:
            order.pop(key, None)
            order[key] = None
        self.model = {key: self.committed[key] for key in order if key in self.committed}
        self.gone.clear()

    @rule()
    def crash(self) -> None:
        self.stores.crash()
        rows: Rows = {}
        for key, value, _, _ in self.stores.log["store"]:
            rows.pop(key, None)
            if value is not None:
                rows[key] = self.committed.get(key)
        assert rows == self.committed
        self.model = rows
        self.gone.clear()

    @rule()
    def crash_within_commit(self) -> None:
        self.stores.commit_log()
        self.committed = dict(self.model)
        self.crash()

    @invariant()
    def rows_are_those_that_were_used_last(self) -> None:
        rows = list(self.stores.only.range(None, None))
        assert [(key, value) for key, value, _ in rows] == sorted(self.model.items())
        assert len(rows) <= self.rows_max
        assert list(self.stores.state.read_only("store")._state.range(None, None)) == rows


@pytest.mark.parametrize("is_mutable", [False, True], ids=["objects", "bytes"])
@pytest.mark.parametrize("rows_max", [1, 3])
def test_store_keeps_the_rows_that_were_used_last(rows_max: int, is_mutable: bool) -> None:
    machine = type("Machine", (LruMachine,), {"rows_max": rows_max, "is_mutable": is_mutable})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=50, derandomize=True, deadline=None, database=None
        ),
    )


def test_row_that_leaves_is_logged_as_deleted_before_the_one_that_is_put() -> None:
    stores = Stores(store_spec(rows_max=1))
    stores.only.put(b"a", 1, 5, ())
    stores.only.put(b"b", 2, 6, ())
    assert [(key, value is None, timestamp) for key, value, timestamp in stores.logged()] == [
        (b"a", False, 5),
        (b"a", True, 6),
        (b"b", False, 6),
    ]


def test_restore_of_more_rows_than_there_may_be_lets_them_go_with_the_next_put() -> None:
    stores = Stores(store_spec(rows_max=2))
    number = NUMBERS.serialize("t", 1)
    stores.log["store"] = [(key, number, 1, ()) for key in (b"a", b"b", b"c")]
    stores.catch_up()
    assert stores.only.get(b"a") == (1, 1)
    stores.only.put(b"d", 1, 1, ())
    assert [key for key, _, _ in stores.only.range(None, None)] == [b"a", b"d"]
