"""Joins of tables, update by update: when there is a result, its time, and the old value that goes with it."""

from dataclasses import replace
from typing import Any

import pytest

from headrace.operators.getters import StoreGetter
from headrace.operators.stream_table_join import StreamTableJoin
from headrace.operators.table_table_join import JoinGetter, Joining, TableJoinResult, TableJoinSide
from tests.operators.nodes import Node, Sent
from tests.operators.test_aggregate import spec

INNER = Joining(lambda this, other: (this, other), keeps_this=False, keeps_other=False)
LEFT = replace(INNER, keeps_this=True)
OUTER = replace(LEFT, keeps_other=True)


def side(joining: Joining, *, of_other: bool = False, send_old: bool = False) -> Node:
    """One side of a join, whose other side has a row 1 of the key "a" and the time 10."""
    operator = TableJoinSide(joining, StoreGetter("s"), of_other=of_other, send_old=send_old)
    node = Node(operator, spec())
    node.store("s").put(b"a", 1, 10, ())
    return node


def changes(node: Node) -> list[Any]:
    return [sent.value for sent in node.sent]


@pytest.mark.parametrize("of_other", [False, True])
def test_inner_join_has_a_result_only_where_the_other_side_has_a_row(of_other: bool) -> None:
    node = side(INNER, of_other=of_other)
    node.send("a", ("x", None, True))
    node.send("b", ("x", None, True))
    assert changes(node) == [((1, "x") if of_other else ("x", 1), None, True)]


@pytest.mark.parametrize(("joining", "of_other"), [(INNER, False), (INNER, True), (LEFT, False)])
def test_row_that_goes_deletes_the_result_even_if_there_was_none(joining: Joining, of_other: bool) -> None:
    node = side(joining, of_other=of_other)
    node.send("a", (None, None, True))
    assert changes(node) == [(None, None, True)]


def test_left_join_has_none_for_what_the_other_side_lacks() -> None:
    node = side(LEFT)
    node.send("b", ("x", None, True))
    assert changes(node) == [(("x", None), None, True)]


@pytest.mark.parametrize(("joining", "of_other"), [(LEFT, False), (OUTER, False), (OUTER, True)])
def test_deletion_of_what_was_never_there_is_silent_without_a_match(joining: Joining, of_other: bool) -> None:
    node = side(joining, of_other=of_other)
    node.send("b", (None, None, True))
    node.send("b", (None, "x", True))
    assert changes(node) == [(None, None, True)]


def test_other_side_of_a_left_join_is_silent_while_this_side_has_no_row() -> None:
    node = side(LEFT, of_other=True)
    node.send("b", ("x", None, True))
    node.send("b", (None, "x", True))
    assert node.sent == []


@pytest.mark.parametrize(("joining", "of_other"), [(LEFT, True), (OUTER, True), (OUTER, False)])
def test_match_stays_without_the_row_that_goes(joining: Joining, of_other: bool) -> None:
    node = side(joining, of_other=of_other)
    node.send("a", (None, "x", True))
    assert changes(node) == [((1, None) if of_other else (None, 1), None, True)]


@pytest.mark.parametrize("of_other", [False, True])
def test_outer_join_has_none_for_either_side(of_other: bool) -> None:
    node = side(OUTER, of_other=of_other)
    node.send("b", ("x", None, True))
    assert changes(node) == [((None, "x") if of_other else ("x", None), None, True)]


def test_result_has_the_higher_time_of_both_rows() -> None:
    node = side(LEFT)
    node.send("a", ("x", None, True), 4)
    node.send("a", ("y", None, True), 14)
    node.send("b", ("z", None, True), 4)
    assert [sent.timestamp for sent in node.sent] == [10, 14, 4]


@pytest.mark.parametrize(
    ("joining", "of_other", "first"),
    [
        (INNER, False, None),
        (LEFT, False, None),
        (LEFT, True, (1, None)),
        (OUTER, False, (None, 1)),
        (OUTER, True, (1, None)),
    ],
)
def test_old_value_is_the_result_of_before(joining: Joining, of_other: bool, first: Any) -> None:
    node = side(joining, of_other=of_other, send_old=True)
    node.send("a", ("x", None, True))
    node.send("a", ("y", "x", True))
    one, two = ((1, "x"), (1, "y")) if of_other else (("x", 1), ("y", 1))
    assert changes(node) == [(one, first, True), (two, one, True)]


def test_joiner_is_called_for_no_old_value_that_nobody_asked_for() -> None:
    calls: list[Any] = []
    node = side(replace(OUTER, joiner=lambda this, other: calls.append((this, other))))
    node.send("a", ("y", "x", True))
    assert calls == [("y", 1)]


def test_joiner_that_gives_none_deletes() -> None:
    node = side(replace(INNER, joiner=lambda this, other: None))
    node.send("a", ("x", None, True))
    assert changes(node) == [(None, None, True)]


def test_null_key_is_dropped() -> None:
    node = side(OUTER)
    node.send(None, ("x", None, True))
    assert node.sent == []
    assert node.drops == ["null join key"]


def test_failing_joiner_drops_the_update_here() -> None:
    node = side(replace(INNER, joiner=lambda this, other: this / other))
    node.send("a", ("x", None, True))
    node.send("a", (3, None, True))
    assert [type(failure) for failure in node.failures] == [TypeError]
    assert changes(node) == [(3, None, True)]


def test_update_that_is_not_the_latest_is_dropped() -> None:
    node = side(INNER)
    node.send("a", ("x", None, False))
    assert changes(node) == []
    assert node.drops == ["out-of-order update of a versioned table"]


# ── the result ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_result_without_a_store_passes_updates_on() -> None:
    node = Node(TableJoinResult())
    node.send("a", (2, 1, True), 5)
    assert node.sent == [Sent("a", (2, 1, True), 5)]


def test_result_with_a_store_keeps_it_and_sends_the_old_value_of_the_sides() -> None:
    node = Node(TableJoinResult("s"), spec())
    node.send("a", (2, 1, True), 5)
    node.send("b", (2, None, True), 5)
    node.send("b", (None, 2, True), 6)
    assert changes(node) == [(2, 1, True), (2, None, True), (None, 2, True)]
    assert node.store("s").get(b"a") == (2, 5)
    assert node.store("s").get(b"b") is None


def test_cached_result_forwards_its_last_value_when_it_is_flushed() -> None:
    operator = TableJoinResult("s")
    operator.send_old = True
    node = Node(operator, spec(caching=True), cache_bytes=1 << 20)
    node.send("a", (1, None, True), 5)
    node.send("a", (2, 1, True), 6)
    assert node.sent == []
    node.state.flush()
    assert node.sent == [Sent("a", (2, None, True), 6)]


def test_result_that_its_store_cannot_keep_is_dropped_here() -> None:
    node = Node(TableJoinResult("s"), spec())
    node.send("a", ("no number", None, True))
    assert len(node.failures) == 1
    assert node.sent == []


# ── looking a result up ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("joining", "found"),
    [
        (INNER, {"both": ((1, 3), 9)}),
        (LEFT, {"both": ((1, 3), 9), "this": ((2, None), 7)}),
        (OUTER, {"both": ((1, 3), 9), "this": ((2, None), 7), "other": ((None, 4), 8)}),
    ],
)
def test_result_without_a_store_is_joined_again_when_it_is_looked_up(
    joining: Joining, found: dict[str, Any]
) -> None:
    getter = JoinGetter(joining, StoreGetter("s"), StoreGetter("t"))
    node = Node(StreamTableJoin(getter, lambda value, row: row), spec(), replace(spec(), name="t"))
    node.store("s").put(b"both", 1, 5, ())
    node.store("s").put(b"this", 2, 7, ())
    node.store("t").put(b"both", 3, 9, ())
    node.store("t").put(b"other", 4, 8, ())
    look_up = getter.compile(node)
    rows = {key: look_up(key) for key in ("both", "this", "other", "neither")}
    assert {key: row for key, row in rows.items() if row is not None} == found


def test_joiner_that_gives_none_leaves_nothing_to_be_found() -> None:
    getter = JoinGetter(replace(OUTER, joiner=lambda this, other: None), StoreGetter("s"), StoreGetter("s"))
    node = Node(StreamTableJoin(getter, lambda value, row: row), spec())
    node.store("s").put(b"a", 1, 5, ())
    assert getter.compile(node)("a") is None


def test_lookup_reads_each_store_once_named() -> None:
    getter = JoinGetter(INNER, StoreGetter("s"), JoinGetter(INNER, StoreGetter("t"), StoreGetter("s")))
    assert getter.stores == ("s", "t")
