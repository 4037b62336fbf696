"""Key-value stores against a dictionary: whatever is done to them, in any order, with crashes between."""

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

from headrace.base.errors import StateError
from headrace.serde.primitives import raw
from headrace.state.spec import Engine
from headrace.state.stamped import Stamped
from tests.budget import examples
from tests.state.crashing import CrashingMachine
from tests.state.stores import CACHES, LISTS, NUMBERS, Stores, store_spec

pytestmark = pytest.mark.campaign

KEYS = st.sampled_from([b"", b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff", b"\xff\xff"])
BOUNDS = st.none() | KEYS
NUMBER = st.integers(-5, 5)
TIMES = st.integers(0, 50)


class KeyValueMachine(CrashingMachine):
    """`model` is what the store should hold, `committed` what it held at the last commit."""

    engine: Engine = "memory"
    caching = False
    cache_bytes = 1 << 20
    is_compiled = False
    is_mutable = False
    is_stamped = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        value: Any = LISTS if self.is_mutable else NUMBERS
        spec = store_spec(
            key=raw,
            engine=self.engine,
            caching=self.caching,
            value=value,
            timestamped=not self.is_stamped,
            stamped=self.is_stamped,
        )
        self.stores = Stores(
            spec, path=self.folder / "db", cache_bytes=self.cache_bytes, is_compiled=self.is_compiled
        )
        self.model: dict[bytes, tuple[Any, int]] = {}
        self.committed: dict[bytes, tuple[Any, int]] = {}
        self.below: dict[bytes, Any] = {}

    def value(self, number: int) -> Any:
        value = [number] if self.is_mutable else number
        return Stamped(value, number + 10, (("h", b"%d" % number), ("n", None))) if self.is_stamped else value

    def row(self, number: int, timestamp: int) -> tuple[Any, int]:
        return self.value(number), -1 if self.is_stamped else timestamp

    def spoil(self, value: Any) -> None:
        """Change what is nobody's business but the caller's."""
        if self.is_mutable:
            (value.value if self.is_stamped else value).append(99)

    @rule(key=KEYS, number=NUMBER, timestamp=TIMES)
    def put(self, key: bytes, number: int, timestamp: int) -> None:
        value = self.value(number)
        self.stores.only.put(key, value, timestamp, ())
        self.model[key] = self.row(number, timestamp)
        self.spoil(value)

    @rule(key=KEYS, timestamp=TIMES)
    def delete(self, key: bytes, timestamp: int) -> None:
        self.stores.only.put(key, None, timestamp, ())
        self.model.pop(key, None)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        found = self.stores.only.get(key)
        assert found == self.model.get(key)
        if found is not None:
            self.spoil(found[0])

    @rule(key=KEYS)
    @precondition(lambda self: not self.is_stamped)
    def get_encoded(self, key: bytes) -> None:
        known = self.model.get(key)
        expected = known and (self.stores.only.spec.value.serialize("t", known[0]), known[1])
        assert self.stores.only.get_encoded(key) == expected

    @rule(start=BOUNDS, end=BOUNDS, reverse=st.booleans())
    def ask_for_range(self, start: bytes | None, end: bytes | None, reverse: bool) -> None:
        keys = [
            key
            for key in sorted(self.model, reverse=reverse)
            if (start is None or start <= key) and (end is None or key <= end)
        ]
        expected = [(key, *self.model[key]) for key in keys]
        assert list(self.stores.only.range(start, end, reverse)) == expected

    @rule(prefix=KEYS)
    def ask_for_prefix(self, prefix: bytes) -> None:
        keys = [key for key in sorted(self.model) if key.startswith(prefix)]
        assert list(self.stores.only.prefix(prefix)) == [(key, *self.model[key]) for key in keys]

    @rule(key=KEYS, number=NUMBER)
    def change_while_iterating(self, key: bytes, number: int) -> None:
        before = [(known, *self.model[known]) for known in sorted(self.model)]
        rows = self.stores.only.range(None, None)
        seen = [next(rows, None)]
        self.put(key, number, 1)
        if before:
            self.delete(before[-1][0], 2)
        seen += list(rows)
        assert [row for row in seen if row is not None] == before

    @rule()
    def flush(self) -> None:
        self.stores.state.flush()

    def remember(self) -> None:
        self.committed = dict(self.model)

    def go_back(self) -> None:
        self.model = dict(self.committed)
        self.below = {key: value for key, (value, _) in self.model.items()}

    @invariant()
    def readers_of_other_threads_see_the_same(self) -> None:
        rows = list(self.stores.state.read_only("store")._state.range(None, None))
        assert rows == [(key, *self.model[key]) for key in sorted(self.model)]

    @invariant()
    def committed_reads_see_the_last_commit(self) -> None:
        rows = list(self.stores.state.read_only("store", committed=True)._state.range(None, None))
        assert rows == [(key, *self.committed[key]) for key in sorted(self.committed)]

    @invariant()
    def changelog_has_values_alone(self) -> None:
        """What stamped values came with is the change records' own."""
        for _, value, timestamp, headers in self.stores.log["store"]:
            if value is not None and self.is_stamped:
                (number,) = (
                    LISTS.deserialize("t", value) if self.is_mutable else [NUMBERS.deserialize("t", value)]
                )
                assert (timestamp, headers) == (number + 10, (("h", b"%d" % number), ("n", None)))

    def waits(self) -> bool:
        try:
            self.stores.only.ensure_flushed()
        except StateError:
            return True
        return False

    def look(self) -> None:
        """Each update that the cache let go of has as its old value what was let go of before."""
        for key, new, old, _, _ in self.stores.forwarded:
            assert self.below.get(key) == old
            assert new is not None or old is not None
            if new is None:
                del self.below[key]
            else:
                self.below[key] = new
        self.stores.forwarded.clear()
        if self.caching and not self.waits():
            assert self.below == {key: value for key, (value, _) in self.model.items()}


@pytest.mark.parametrize("is_stamped", [False, True], ids=["plain", "stamped"])
@pytest.mark.parametrize("is_mutable", [False, True], ids=["objects", "bytes"])
@pytest.mark.parametrize("cache_bytes", [0, 1_200, 1 << 20], ids=["uncached", "evicting", "cached"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_store_behaves_like_a_dictionary(
    engine: str, cache_bytes: int, is_mutable: bool, is_stamped: bool
) -> None:
    run_machine(engine, cache_bytes, is_mutable=is_mutable, is_stamped=is_stamped)


@pytest.mark.parametrize("is_compiled", CACHES[1:])
@pytest.mark.parametrize("cache_bytes", [450, 1 << 20], ids=["evicting", "cached"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_store_of_numbers_with_the_compiled_cache_behaves_like_a_dictionary(
    engine: str, cache_bytes: int, is_compiled: bool
) -> None:
    run_machine(engine, cache_bytes, is_compiled=is_compiled)


def run_machine(
    engine: str,
    cache_bytes: int,
    *,
    is_mutable: bool = False,
    is_stamped: bool = False,
    is_compiled: bool = False,
) -> None:
    attributes = {
        "engine": engine,
        "is_compiled": is_compiled,
        "caching": cache_bytes > 0,
        "cache_bytes": cache_bytes,
        "is_mutable": is_mutable,
        "is_stamped": is_stamped,
    }
    machine = type("Machine", (KeyValueMachine,), attributes)
    tries = examples(5 if engine == "rocksdb" else 20)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=tries, stateful_step_count=40, derandomize=True, deadline=None, database=None
        ),
    )
