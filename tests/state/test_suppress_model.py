"""What suppression holds back against a dictionary: in any order, with crashes between."""

import tempfile
from dataclasses import dataclass
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

from headrace.state.held_change import Stamps, decode_change
from headrace.state.spec import Engine
from tests.budget import examples
from tests.state.crashing import CrashingMachine
from tests.state.stores import LISTS, NUMBERS, Stores, store_spec

pytestmark = pytest.mark.campaign

KEYS = st.sampled_from([b"", b"a", b"a\x00", b"ab", b"b", b"\xff"])
TIMES = st.integers(0, 6)
VALUES = st.none() | st.integers(-3, 3)

#: How a stamp with the headers below begins, before the time; and the one of a value of which nothing is known.
STAMP = bytes.fromhex("0a0202680231")
UNKNOWN = b"\x00" + b"\xff" * 8


@dataclass(frozen=True)
class Held:
    """What is known of one key."""

    time: int
    prior: Any
    old: Any
    new: Any
    offset: int
    timestamp: int
    stamps: Stamps | None = None


Model = dict[bytes, Held]


class SuppressMachine(CrashingMachine):
    """`model` is what should be held, `committed` what was at the last commit."""

    engine: Engine = "memory"
    is_mutable = False
    is_stamped = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        value: Any = LISTS if self.is_mutable else NUMBERS
        spec = store_spec(kind="suppress", engine=self.engine, value=value, stamped=self.is_stamped)
        self.stores = Stores(spec, path=self.folder / "db")
        self.stores.only.load()
        self.model: Model = {}
        self.committed: Model = {}
        self.offset = 100

    def value(self, number: int | None) -> Any:
        return [number] if self.is_mutable and number is not None else number

    @rule(key=KEYS, time=TIMES, new=VALUES, old=VALUES, timestamp=TIMES)
    def put(self, key: bytes, time: int, new: int | None, old: int | None, timestamp: int) -> None:
        self.offset += 1
        self.stores.at(self.offset, timestamp)
        value = self.value(new)
        self.stores.only.put(key, time, value, self.value(old), timestamp, (("h", b"1"),))
        if self.is_mutable and value is not None:
            value.append(99)  # nobody's business but the caller's
        held = self.model.get(key)
        self.model[key] = Held(
            time if held is None else held.time,
            self.value(old) if held is None else held.prior,
            self.value(old),
            self.value(new),
            self.offset,
            timestamp,
            self.stamps(held, is_there=old is not None) if self.is_stamped else None,
        )

    def stamps(self, held: Held | None, *, is_there: bool) -> Stamps:
        """What was put before is known to have the stamp of its record while it is held, and none of its own else."""
        known = held is not None and held.new is not None
        old = None
        if is_there:
            old = STAMP + held.timestamp.to_bytes(8, "big") if held and known else UNKNOWN
        return Stamps(old if held is None else held.stamps and held.stamps.prior, old)

    @precondition(lambda self: self.model)
    @rule()
    def let_the_oldest_go(self) -> None:
        key = min(self.model, key=lambda key: (self.model[key].time, key))
        gone: list[bytes] = []
        self.stores.only.let_first_go(lambda change: gone.append(change.key))
        assert gone == [key]
        del self.model[key]

    @rule(until=TIMES)
    def let_go(self, until: int) -> None:
        due = [key for key, held in self.model.items() if held.time <= until]
        gone: list[bytes] = []
        self.stores.only.let_go(until, lambda change: gone.append(change.key))
        assert gone == sorted(due, key=lambda key: (self.model[key].time, key))
        for key in gone:
            del self.model[key]

    @rule()
    def flush(self) -> None:
        self.stores.state.flush()

    def remember(self) -> None:
        self.committed = dict(self.model)

    def go_back(self) -> None:
        self.stores.only.load()
        self.model = dict(self.committed)

    @invariant()
    def what_is_held_is_known(self) -> None:
        buffer = self.stores.only
        assert len(buffer) == len(self.model)
        assert buffer.oldest == min((held.time for held in self.model.values()), default=2**63)
        for key, expected in self.model.items():
            found = buffer.get(key)
            assert expected == Held(
                found.time,
                buffer.to_value(found.prior),
                buffer.to_value(found.old),
                buffer.value_of(found),
                found.offset,
                found.timestamp,
                found.stamps,
            )
            assert (found.topic, found.headers) == ("input", (("h", b"1"),))

    @invariant()
    def size_is_that_of_all(self) -> None:
        buffer = self.stores.only
        assert buffer.size_bytes == sum(buffer.get(key).size_bytes for key in self.model)

    @invariant()
    def changelog_has_what_was_committed(self) -> None:
        rows: dict[bytes, bytes] = {}
        for key, value, _, headers in self.stores.log["store"]:
            assert headers[:1] == ((("v", b"\x03"),) if value is not None else ())
            assert self.is_stamped or len(headers) < 2
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        assert {key: decode_change(key, raw).time for key, raw in rows.items()} == {
            key: held.time for key, held in self.committed.items()
        }


@pytest.mark.parametrize("is_stamped", [False, True], ids=["plain", "stamped"])
@pytest.mark.parametrize("is_mutable", [False, True], ids=["objects", "bytes"])
@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_buffer_behaves_like_a_dictionary_in_order_of_time(
    engine: str, is_mutable: bool, is_stamped: bool
) -> None:
    attributes = {"engine": engine, "is_mutable": is_mutable, "is_stamped": is_stamped}
    machine = type("Machine", (SuppressMachine,), attributes)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(8 if engine == "rocksdb" else 30),
            stateful_step_count=40,
            derandomize=True,
            deadline=None,
            database=None,
        ),
    )
