"""Rows that wait for their time: taken in order, wherever new ones stand, and without a scan for each."""

from collections.abc import Iterator
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators import delayed_rows
from headrace.operators.delayed_rows import DelayedRows
from tests.budget import examples


class Rows:
    """A store of bytes, which notes where it is scanned from."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.scans: list[bytes | None] = []

    def put_encoded(self, key: bytes, encoding: object, raw: bytes | None, now_ms: int) -> None:
        if raw is None:
            del self.rows[key]
        else:
            self.rows[key] = raw

    def view(
        self, start: bytes | None, end: bytes | None, over: object, *, reverse: bool
    ) -> Iterator[tuple[bytes, bytes, int]]:
        self.scans.append(start)
        return iter([(key, self.rows[key], 0) for key in sorted(self.rows) if start is None or start <= key])

    def range(self, start: None, end: None) -> Iterator[tuple[bytes, bytes, int]]:
        return iter([(key, self.rows[key], 0) for key in sorted(self.rows)])


def row_key(time: int, number: int) -> bytes:
    return b"\x00" + time.to_bytes(8, "big") + b"key" + number.to_bytes(4, "big")


@settings(max_examples=examples(100), deadline=None)
@given(ahead=st.integers(1, 4), steps=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_they_are_taken_in_order_up_to_a_time_and_each_once(
    ahead: int, steps: list[tuple[int, bool]]
) -> None:
    state, waiting, taken_before = Rows(), list[bytes](), 0
    rows = DelayedRows(state, lambda: 0)
    with patch.object(delayed_rows, "_AHEAD", ahead):
        for number, (later, takes) in enumerate(steps):
            if takes:
                taken_before += later
                due = sorted(key for key in waiting if key < row_key(taken_before, 0))
                assert list(rows.taken(taken_before)) == [(key, key) for key in due]
                waiting = [key for key in waiting if key not in due]
                assert sorted(state.rows) == sorted(waiting)
            else:
                key = row_key(taken_before + later, number)
                rows.put(key, key, taken_before + later)
                waiting.append(key)
            oldest = min((int.from_bytes(key[1:9], "big") for key in waiting), default=rows.oldest)
            assert rows.oldest <= oldest
        assert list(rows.begin()) == sorted(waiting)
        assert [key for key, _ in rows.taken(1_000)] == sorted(waiting)


def test_one_after_the_other_is_taken_with_few_scans_and_none_begins_where_others_have_gone() -> None:
    state = Rows()
    rows = DelayedRows(state, lambda: 0)
    for time in range(2_000):
        rows.put(row_key(time, 0), b"", time)
        if time >= 1_000:
            assert len(list(rows.taken(time - 999))) == 1
    assert len(state.scans) <= 5
    assert state.scans[1:] == sorted(
        key for key in state.scans[1:] if key is not None and key > row_key(0, 0)
    )
