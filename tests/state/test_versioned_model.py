"""Versioned stores against lists of versions: in any order of times, with crashes between."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from headrace.serde.primitives import raw
from headrace.state.spec import Engine
from tests.budget import examples
from tests.state.crashing import CrashingMachine
from tests.state.stores import LISTS, NUMBERS, Stores, store_spec

pytestmark = pytest.mark.campaign

#: Segments are 60 s long: a version lives in one to four of them.
HISTORY_MS = 150_000

ALL_KEYS = [b"", b"a", b"a\x00", b"ab", b"\xff" * 8]
KEYS = st.sampled_from(ALL_KEYS)
TIMES = st.integers(0, 40).map(lambda count: count * 10_000)
VALUES = st.none() | st.integers(-3, 3)

#: Of one key: timestamp to value, None deletes.
Versions = dict[int, Any]


class VersionedMachine(CrashingMachine):
    """`model` has every version that was put and not dropped, `committed` those of the last commit."""

    engine: Engine = "memory"
    is_mutable = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        value: Any = LISTS if self.is_mutable else NUMBERS
        spec = store_spec(kind="versioned", engine=self.engine, key=raw, value=value, history_ms=HISTORY_MS)
        self.stores = Stores(spec, path=self.folder / "db")
        self.model: dict[bytes, Versions] = {}
        self.stream_time = -1
        self.committed: tuple[dict[bytes, Versions], int] = ({}, -1)

    def value(self, number: int | None) -> Any:
        return [number] if self.is_mutable and number is not None else number

    # Several, and looks around each: what is remembered of a look must not outlive what is put.
    @rule(versions=st.lists(st.tuples(KEYS, VALUES, TIMES), min_size=1, max_size=4))
    def put_several(self, versions: list[tuple[bytes, int | None, int]]) -> None:
        for key, number, time in versions:
            self.look_back_at(key, time)
            self.put(key, number, time)
            self.look_back_at(key, time)
            self.look_back_at(key, time - 10_000)

    def put(self, key: bytes, number: int | None, time: int) -> None:
        found = self.stores.only.put(key, self.value(number), time, ())
        if time < self.stream_time - HISTORY_MS:
            assert found == time
            assert self.stores.dropped
            return
        self.stream_time = max(self.stream_time, time)
        versions = self.model.setdefault(key, {})
        later = [each for each in versions if each > time]
        assert found == min(later, default=None)
        if number is None and not later and list(versions) == [time]:
            # The only version is deleted by another one of its time: Kafka Streams keeps nothing of it.
            del self.model[key]
            return
        versions[time] = self.value(number)

    def valid(self, key: bytes, time: int) -> tuple[Any, int, int | None] | None:
        """The version of a key that was valid at a time, as `as_of` gives it."""
        versions = self.model.get(key, {})
        before = [each for each in versions if each <= time]
        if not before or versions[max(before)] is None:
            return None
        until = min((each for each in versions if each > time), default=None)
        if until is not None and time < self.stream_time - HISTORY_MS:
            return None
        return versions[max(before)], max(before), until

    @rule(time=TIMES)
    def look_back(self, time: int) -> None:
        for key in ALL_KEYS:  # of all, so that what was found once is looked for again
            self.look_back_at(key, time)

    def look_back_at(self, key: bytes, time: int) -> None:
        expected = self.valid(key, time)
        assert self.stores.only.as_of(key, time) == expected
        assert self.stores.state.read_only("store")._state.as_of(key, time) == expected

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        expected = self.valid(key, 10**9)
        assert self.stores.only.get(key) == (expected and expected[:2])

    @rule(key=KEYS)
    def read_history(self, key: bytes) -> None:
        start = max(self.stream_time - HISTORY_MS, 0)
        times = sorted({start, *(each for each in self.model.get(key, {}) if each >= start)})
        expected = [found for time in times if (found := self.valid(key, time)) is not None]
        assert list(self.stores.only.history(key, start, None)) == expected

    @rule(first=st.none() | KEYS)
    def read_latest(self, first: bytes | None) -> None:
        valid = {key: self.valid(key, 10**9) for key in ALL_KEYS}
        expected = [
            (key, *found[:2]) for key, found in sorted(valid.items()) if found and key >= (first or b"")
        ]
        assert list(self.stores.only.latest(first)) == expected
        assert list(self.stores.state.read_only("store")._state.latest(first)) == expected

    def remember(self) -> None:
        self.committed = ({key: dict(versions) for key, versions in self.model.items()}, self.stream_time)

    def go_back(self) -> None:
        self.model = {key: dict(versions) for key, versions in self.committed[0].items()}
        self.stream_time = self.committed[1]

    @invariant()
    def stream_time_is_known(self) -> None:
        assert self.stores.only.observed_stream_time == self.stream_time


@pytest.mark.parametrize("is_mutable", [False, True], ids=["objects", "bytes"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_store_behaves_like_lists_of_versions(engine: str, is_mutable: bool) -> None:
    machine = type("Machine", (VersionedMachine,), {"engine": engine, "is_mutable": is_mutable})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(6 if engine == "rocksdb" else 20),
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
        ),
    )


def test_a_version_that_was_replaced_long_after_is_found(tmp_path: Path) -> None:
    spec = store_spec(kind="versioned", engine="rocksdb", key=raw, value=NUMBERS, history_ms=HISTORY_MS)
    stores = Stores(spec, path=tmp_path / "db")
    for number, time in (
        (1, 0),
        (2, 140_000),
        (3, 145_000),
    ):  # the first one lies with those that end two segments on
        stores.only.put(b"a", number, time, ())
    stores.commit()
    assert stores.only.as_of(b"a", 10_000) == (1, 0, 140_000)
    assert stores.only.as_of(b"a", 144_999) == (2, 140_000, 145_000)
    stores.close()
