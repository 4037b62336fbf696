"""Key-value stores whose rows expire, against a dictionary with a clock: puts, times and crashes in any order."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from headrace.serde.primitives import raw
from headrace.state.buffer import stored_times
from headrace.state.buffer.expiring import ExpiringBuffer
from tests.budget import examples
from tests.state.stores import Stores, store_spec
from tests.state.test_key_value_model import KEYS, KeyValueMachine

pytestmark = pytest.mark.campaign

TTL_MS = 10


class ExpiringMachine(KeyValueMachine):
    """The model forgets what has expired; `heard` is what somebody knows who hears of everything that is forwarded."""

    timestamped = True
    #: Whether all that is due is deleted before the next record.
    is_prompt = True

    def __init__(self) -> None:
        super().__init__()
        self.stores.close()
        spec = store_spec(
            key=raw,
            engine=self.engine,
            caching=self.caching,
            value=self.stores.specs[0].value,
            ttl_ms=TTL_MS,
            timestamped=self.timestamped,
        )
        self.stores = Stores(spec, path=self.folder / "db", cache_bytes=self.cache_bytes)
        self.stream_time = self.committed_time = -1
        self.heard: dict[bytes, Any] = {}

    @property
    def until(self) -> int:
        return self.stream_time - TTL_MS

    @rule(by=st.sampled_from([0, 1, 4, 11, -5]))
    def advance(self, by: int) -> None:
        time = max(self.stream_time + by, 0)
        self.stores.only.advance(time)
        self.stream_time = max(self.stream_time, time)
        self.model = {key: row for key, row in self.model.items() if row[1] > self.until}
        self.hear_deletions()
        if self.is_prompt and not self.caching:
            assert self.heard == {key: value for key, (value, _) in self.model.items()}

    @rule(key=KEYS, number=st.integers(-5, 5), ago=st.integers(-3, 12))
    def put_lately(self, key: bytes, number: int, ago: int) -> None:
        self.put(key, number, max(self.stream_time - ago, 0))

    @rule(key=KEYS, number=st.integers(-5, 5), by=st.sampled_from([1, 11]))
    def keep_for_a_while(self, key: bytes, number: int, by: int) -> None:
        """Looks through what is stored, stores more, and looks again: what aborts mostly come between."""
        self.advance(11)
        self.put_lately(key, number, 2)
        self.commit()
        self.advance(by)

    def put(self, key: bytes, number: int, timestamp: int) -> None:
        known = dict(self.model)
        super().put(key, number, timestamp)
        self.hear_deletions()
        if timestamp > self.until:
            self.heard[key] = self.model[key][0]
        else:
            assert self.stores.dropped.pop() == ("store", "row has expired")
            self.model = known
        assert self.stores.dropped == []

    @rule(key=KEYS, timestamp=st.integers(0, 50))
    def delete(self, key: bytes, timestamp: int) -> None:
        super().delete(key, timestamp)
        self.hear_deletions()
        self.heard.pop(key, None)

    def hear_deletions(self) -> None:
        if self.caching:
            return
        for key, new, old, timestamp, headers in self.stores.forwarded:
            assert new is None
            assert self.heard.pop(key) == old
            assert (timestamp <= self.stream_time, headers) == (True, ())
        self.stores.forwarded.clear()

    def look(self) -> None:
        if not self.caching:
            return
        for key, new, old, _, _ in self.stores.forwarded:
            assert self.below.get(key) == old
            if new is None:
                del self.below[key]
            else:
                self.below[key] = new
        self.stores.forwarded.clear()
        if self.is_prompt and not self.stores.only._dirty:
            assert self.below == {key: value for key, (value, _) in self.model.items()}

    @rule()
    def commit(self) -> None:
        super().commit()
        stored: Any = self.stores.state._stores["store"].buffer
        rows = dict(stored._stored.scan(None, None))
        alive = {b"\x00" + key for key in self.model}
        times = {b"\x01" + time.to_bytes(8, "big") + key for key, (_, time) in self.model.items()}
        if self.is_prompt:
            assert set(rows) == alive | times  # what has expired takes no room
        else:
            assert set(rows) >= alive | times

    def remember(self) -> None:
        super().remember()
        self.committed_time = self.stream_time

    def go_back(self) -> None:
        super().go_back()
        self.stream_time = self.committed_time
        self.heard = {key: value for key, (value, _) in self.model.items()}
        if not self.is_prompt:
            # What has expired and is not deleted yet is still known to who hears of it.
            self.heard |= {key: self.known(key) for key in KEYS_LEFT if self.known(key) is not None}
            self.below = dict(self.heard)

    def known(self, key: bytes) -> Any:
        buffer: Any = self.stores.state._stores["store"].buffer
        found = buffer.kept(key)
        return None if found is None else found[0]

    @invariant()
    def committed_reads_see_the_last_commit(self) -> None:
        rows = list(self.stores.state.read_only("store", committed=True)._state.range(None, None))
        assert rows == [
            (key, *self.committed[key])
            for key in sorted(self.committed)
            if self.committed[key][1] > self.until
        ]

    @invariant()
    def no_expired_row_is_read(self) -> None:
        for key in KEYS_LEFT:
            assert self.stores.only.get(key) == self.model.get(key)


KEYS_LEFT = [b"", b"\x00", b"a", b"a\x00", b"ab", b"b", b"\xff", b"\xff\xff"]


@pytest.mark.parametrize(("at_once", "is_mutable"), [(1, False), (1000, True)], ids=["objects", "bytes"])
@pytest.mark.parametrize("cache_bytes", [0, 1_200, 1 << 20], ids=["uncached", "evicting", "cached"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_store_behaves_like_a_dictionary_that_forgets(
    engine: str, cache_bytes: int, is_mutable: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExpiringBuffer, "at_once", at_once)
    monkeypatch.setattr(stored_times, "_AHEAD", 2)
    attributes = {
        "engine": engine,
        "caching": cache_bytes > 0,
        "cache_bytes": cache_bytes,
        "is_mutable": is_mutable,
        "is_prompt": at_once > 1,
        "timestamped": not is_mutable,
    }
    machine = type("Machine", (ExpiringMachine,), attributes)
    tries = examples(5 if engine == "rocksdb" else 30)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=tries, stateful_step_count=50, derandomize=True, deadline=None, database=None
        ),
    )
