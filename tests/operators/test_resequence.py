"""Records of a key in order, record by record: what goes on when, what is missing, what is late."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.operators.resequence import Resequence, Waiting
from headrace.serde.primitives import int64, raw, string
from tests.operators.nodes import Node, Sent
from tests.state.stores import store_spec

WITHIN = 10

#: Key and number of a gap's first and last record.
Gap = tuple[str, int, int]


def waiting(records_max: int = 100, bytes_max: int | None = None) -> Waiting:
    return Waiting(WITHIN, "waiting", string, int64, records_max, bytes_max)


BUFFER = store_spec("waiting", key=raw, value=raw, timestamped=False, logging=False)
NEXT = store_spec("next", logging=False)


def by_number(
    *records: tuple[int, int], first: int | None = None, records_max: int = 100, bytes_max: int | None = None
) -> tuple[Node, list[Gap]]:
    """Send values, which are their own numbers, at times."""
    gaps: list[Gap] = []
    operator = Resequence(
        waiting(records_max, bytes_max),
        lambda value: value,
        first=first,
        on_gap=lambda key, start, end: gaps.append((key, start, end)),
        progress="next",
    )
    node = Node(operator, BUFFER, NEXT, tells_late=True)
    for value, timestamp in records:
        node.send("k", value, timestamp)
    return node, gaps


def values(node: Node) -> list[int]:
    return [sent.value for sent in node.sent]


def test_what_comes_in_order_goes_on_at_once() -> None:
    node, gaps = by_number((7, 0), (8, 1), (9, 2))
    assert (node.sent, gaps) == ([Sent("k", 7, 0), Sent("k", 8, 1), Sent("k", 9, 2)], [])


def test_what_comes_too_early_waits_for_what_is_before_it_and_keeps_its_time_and_headers() -> None:
    node, _ = by_number((1, 0))
    node.send("k", 4, 3, (("n", b"4"),))
    node.send("k", 3, 2)
    assert values(node) == [1]
    node.send("k", 2, 1)
    assert node.sent[1:] == [Sent("k", 2, 1), Sent("k", 3, 2), Sent("k", 4, 3)]


def test_one_that_is_missing_is_waited_for_and_then_told_as_a_gap() -> None:
    node, gaps = by_number((1, 0), (4, 5), (5, 6))
    node.send("other", 0, 14)
    assert (values(node), gaps) == ([1, 0], [])
    node.send("other", 1, 15)
    assert (values(node), gaps) == ([1, 0, 1, 4, 5], [("k", 2, 3)])


def test_a_second_gap_has_its_own_wait() -> None:
    node, gaps = by_number((1, 0), (3, 5), (5, 9))
    node.send("other", 0, 15)
    assert (values(node)[-1], gaps) == (3, [("k", 2, 2)])
    node.send("other", 1, 19)
    assert (values(node)[-1], gaps) == (5, [("k", 2, 2), ("k", 4, 4)])


def test_what_comes_after_its_gap_was_given_up_is_late() -> None:
    node, _ = by_number((1, 0), (3, 5), (4, 15), (2, 16))
    assert values(node) == [1, 3, 4]
    ((late, headers),) = node.came_late
    assert (late, dict(headers)["__headrace.late.expected"]) == (Sent("k", 2, 16), b"5")
    assert node.drops == ["out of order by too much, or repeated"]


@pytest.mark.parametrize("records", [[(1, 0), (1, 1)], [(1, 0), (3, 1), (3, 2)]])
def test_what_comes_twice_goes_on_once(records: list[tuple[int, int]]) -> None:
    node, _ = by_number(*records, (2, 3))
    assert len(node.drops) == 1
    assert values(node) == ([1, 2] if len(records) == 2 else [1, 2, 3])


def test_the_first_number_is_waited_for_if_it_is_known() -> None:
    node, gaps = by_number((2, 0), (1, 1), (0, 2), first=1)
    assert (values(node), gaps, len(node.drops)) == ([1, 2], [], 1)
    node, gaps = by_number((3, 0), (4, 10), first=1)
    assert (values(node), gaps) == ([3, 4], [("k", 1, 2)])


def test_the_longest_wait_ends_early_where_too_many_wait() -> None:
    node, gaps = by_number((1, 0), (3, 1), (5, 2), (7, 3), records_max=2)
    assert (values(node), gaps) == ([1, 3], [("k", 2, 2)])
    node, gaps = by_number((1, 0), (3, 1), (5, 2), bytes_max=1)
    assert (values(node), gaps) == ([1, 3, 5], [("k", 2, 2), ("k", 4, 4)])


def test_keys_do_not_wait_for_each_other() -> None:
    node, _ = by_number((1, 0), (3, 1))
    for key in ("", "kk", "\x00"):
        node.send(key, 3, 1)
        node.send(key, 4, 1)
    assert values(node) == [1, 3, 4, 3, 4, 3, 4]


@pytest.mark.parametrize("number", [None, 1.5, True, "1", 2**63])
def test_what_is_no_number_fails_as_a_record_of_its_own(number: Any) -> None:
    operator = Resequence(waiting(), lambda value: number, progress="next")
    node = Node(operator, BUFFER, NEXT)
    node.send("k", 1, 0)
    assert (node.sent, len(node.failures)) == ([], 1)


def by_time(*records: tuple[int, int], records_max: int = 100) -> Node:
    node = Node(Resequence(waiting(records_max)), BUFFER, tells_late=True)
    for value, timestamp in records:
        node.send("k", value, timestamp)
    return node


def test_by_time_each_record_waits_and_leaves_in_order() -> None:
    node = by_time((1, 5), (2, 3), (3, 4))
    assert node.sent == []
    node.send("other", 0, 13)
    assert node.sent == [Sent("k", 2, 3)]
    node.send("other", 0, 15)
    assert node.sent[1:] == [Sent("k", 3, 4), Sent("k", 1, 5)]


def test_by_time_those_of_equal_times_keep_their_order() -> None:
    node = by_time((1, 5), (2, 5), (3, 5), (0, 4))
    node.send("other", 0, 15)
    assert values(node) == [0, 1, 2, 3]


def test_by_time_what_should_have_left_is_late() -> None:
    node = by_time((1, 20), (2, 11), (3, 10))
    assert [late for late, _ in node.came_late] == [Sent("k", 3, 10)]


def test_null_keys_are_dropped() -> None:
    for node in (by_number()[0], by_time()):
        node.send(None, 1, 0)
        assert (node.sent, node.drops) == ([], ["null key"])


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 4)), max_size=40),
    st.integers(1, 6),
    st.lists(st.integers(0, 39), max_size=3),
)
def test_whatever_comes_leaves_in_order_once_or_is_told_to_be_missing_or_late(
    steps: list[tuple[str, int, int]], records_max: int, restarts: list[int]
) -> None:
    gaps: list[Gap] = []
    operator = Resequence(
        waiting(records_max),
        lambda value: value,
        first=0,
        on_gap=lambda key, start, end: gaps.append((key, start, end)),
        progress="next",
    )
    node = Node(operator, BUFFER, NEXT, tells_late=True)
    time = 0
    for step, (key, number, later) in enumerate(steps):
        if step in restarts:  # the same stores, and what was committed with the offsets
            node.starts.clear()
            node.run = operator.compile(node)
            for start in node.starts:
                start()
        time += later
        node.send(key, number, time)
    node.send("end", 0, time + 100)
    sent = [(each.key, each.value) for each in node.sent if each.key != "end"]
    for key in "ab":
        left = [value for other, value in sent if other == key]
        missing = [n for other, start, end in gaps if other == key for n in range(start, end + 1)]
        assert left == sorted(set(left))
        assert sorted(left + missing) == list(range(max(left + missing, default=-1) + 1))
    late = [(each.key, each.value) for each, _ in node.came_late]
    assert sorted(sent + late) == sorted((key, number) for key, number, _ in steps)
