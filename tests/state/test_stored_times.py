"""The times of rows in the database: read in order, some ahead, and again where a commit has added earlier ones."""

import pytest

from headrace.state.buffer import stored_times
from headrace.state.buffer.stored_times import StoredTimes, time_key
from headrace.state.expiry_queue import NEVER
from headrace.state.memory import MemoryDatabase


def stored(*rows: tuple[int, bytes]) -> tuple[StoredTimes, MemoryDatabase]:
    database = MemoryDatabase()
    database.write([("s", {b"\x00a row": b"", **{time_key(key, time): b"" for time, key in rows}})], {})
    return StoredTimes(database.family("s")), database


def all_until(times: StoredTimes, until: int) -> list[tuple[int, bytes]]:
    found = []
    while (taken := times.take(until)) is not None:
        found.append(taken)
    return found


@pytest.mark.parametrize("ahead", [1, 2, 500])
def test_they_come_in_order_up_to_a_time_and_each_once(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_times, "_AHEAD", ahead)
    times, _ = stored((5, b"a"), (3, b"b"), (3, b""), (9, b"c"))
    assert all_until(times, 5) == [(3, b""), (3, b"b"), (5, b"a")]
    assert times.next_ms == 9
    assert (all_until(times, 8), all_until(times, 9), times.next_ms) == ([], [(9, b"c")], NEVER)


@pytest.mark.parametrize("ahead", [1, 2, 500])
@pytest.mark.parametrize("lowest", [4, 7, 12])
def test_what_a_commit_adds_comes_wherever_it_stands(
    ahead: int, lowest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_times, "_AHEAD", ahead)
    times, database = stored((3, b"a"), (6, b"b"), (9, b"c"))
    assert all_until(times, 3) == [(3, b"a")]
    database.write([("s", {time_key(b"a", 3): None, time_key(b"d", lowest): b""})], {})
    times.added(lowest)
    assert all_until(times, 20) == sorted([(6, b"b"), (9, b"c"), (lowest, b"d")])


def test_it_begins_anew_after_an_abort() -> None:
    times, _ = stored((3, b"a"))
    assert all_until(times, 5) == [(3, b"a")]
    times.begin()
    assert (times.next_ms, all_until(times, 5)) == (-1, [(3, b"a")])
