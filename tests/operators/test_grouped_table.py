"""Grouped tables, update by update: which groups hear of a row, and what becomes of their aggregates."""

from typing import Any

import pytest

from headrace.operators.fold import COUNT, aggregation, reduction
from headrace.operators.grouped_table import TableAggregate, TableSelect
from tests.operators.nodes import Node, Sent
from tests.operators.test_aggregate import spec

SUM = aggregation(lambda: 100, lambda key, value, sum: sum + value, lambda key, value, sum: sum - value)
ADDED = reduction(lambda aggregate, value: aggregate + value, lambda aggregate, value: aggregate - value)


def selecting(selector: Any = lambda key, value: value) -> Node:
    return Node(TableSelect(selector))


def test_row_that_moves_leaves_its_old_group_before_it_comes_to_the_new_one() -> None:
    node = selecting()
    node.send("a", (("new", 2), ("old", 1), True), 5)
    assert node.sent == [Sent("old", (None, 1, True), 5), Sent("new", (2, None, True), 5)]


def test_row_that_stays_in_its_group_is_one_update() -> None:
    node = selecting()
    node.send("a", (("same", 2), ("same", 1), True), 5)
    assert node.sent == [Sent("same", (2, 1, True), 5)]


def test_first_value_is_added_and_a_deletion_is_subtracted() -> None:
    node = selecting()
    node.send("a", (("g", 1), None, True))
    node.send("a", (None, ("g", 1), True))
    assert [sent.value for sent in node.sent] == [(1, None, True), (None, 1, True)]


@pytest.mark.parametrize("nowhere", [None, (None, 1), ("g", None)])
def test_row_is_in_no_group_where_the_selector_gives_none_or_a_null_key_or_value(nowhere: Any) -> None:
    groups = {"in": ("g", 1), "out": nowhere}
    node = selecting(lambda key, value: groups[value])
    node.send("a", ("in", "out", True))
    node.send("a", ("out", "in", True))
    node.send("a", ("out", "out", True))
    assert [sent.value for sent in node.sent] == [(1, None, True), (None, 1, True)]


def test_selector_that_gives_no_pair_fails_the_update() -> None:
    node = selecting(lambda key, value: "no")
    node.send("a", (1, None, True))
    assert node.sent == []
    assert "where a pair is wanted" in str(node.failures[0])


def test_selector_is_not_asked_about_nulls() -> None:
    asked: list[Any] = []
    node = selecting(lambda key, value: asked.append(value))
    node.send("a", (None, None, True))
    assert asked == []


def test_counts_go_up_and_down() -> None:
    node = Node(TableAggregate(COUNT, "s"), spec())
    node.send("g", ("x", None, True), 1)
    node.send("g", ("y", None, True), 2)
    node.send("g", (None, "x", True), 3)
    assert node.sent == [
        Sent("g", (1, None, True), 1),
        Sent("g", (2, None, True), 2),
        Sent("g", (1, None, True), 3),
    ]


def test_old_value_is_subtracted_before_the_new_one_is_added() -> None:
    calls: list[str] = []

    def add(key: str, value: int, sum: int) -> int:
        calls.append(f"{sum} + {value}")
        return sum + value

    def subtract(key: str, value: int, sum: int) -> int:
        calls.append(f"{sum} - {value}")
        return sum - value

    node = Node(TableAggregate(aggregation(int, add, subtract), "s"), spec())
    node.send("g", (5, None, True))
    node.send("g", (7, 5, True))
    assert calls == ["0 + 5", "5 - 5", "0 + 7"]


def test_nothing_is_subtracted_from_a_group_without_an_aggregate() -> None:
    node = Node(TableAggregate(SUM, "s"), spec())
    node.send("g", (None, 5, True), 3)
    node.send("g", (7, 5, True), 4)
    assert node.sent == [Sent("g", (None, None, True), 3), Sent("g", (107, None, True), 4)]


def test_new_group_has_no_old_value_and_later_ones_have_the_one_from_before_the_update() -> None:
    operator = TableAggregate(SUM, "s")
    operator.send_old = True
    node = Node(operator, spec())
    node.send("g", (1, None, True))
    node.send("g", (5, 1, True))
    assert [sent.value for sent in node.sent] == [(101, None, True), (105, 101, True)]


def test_reduction_begins_with_the_first_value() -> None:
    node = Node(TableAggregate(ADDED, "s"), spec())
    for change in ((3, None, True), (4, None, True), (5, 3, True), (None, 5, True)):
        node.send("g", change)
    assert [sent.value[0] for sent in node.sent] == [3, 7, 9, 4]


def test_subtractor_that_gives_none_deletes_the_group_and_an_added_value_begins_anew() -> None:
    fold = aggregation(
        lambda: 0, lambda key, value, sum: sum + value, lambda key, value, sum: (sum - value) or None
    )
    node = Node(TableAggregate(fold, "s"), spec())
    for change in ((3, None, True), (None, 3, True), (4, None, True), (5, 4, True)):
        node.send("g", change)
    assert [sent.value[0] for sent in node.sent] == [3, None, 4, 5]


def test_result_keeps_the_highest_time() -> None:
    node = Node(TableAggregate(SUM, "s"), spec())
    node.send("g", (1, None, True), 10)
    node.send("g", (None, 1, True), 4)
    assert node.sent[-1] == Sent("g", (100, None, True), 10)


def test_failing_subtractor_drops_the_update_here_and_changes_nothing() -> None:
    fold = aggregation(int, lambda key, value, sum: sum + value, lambda key, value, sum: sum // 0)
    node = Node(TableAggregate(fold, "s"), spec())
    node.send("g", (1, None, True))
    node.send("g", (2, 1, True))
    node.send("g", (3, None, True))
    assert [type(failure) for failure in node.failures] == [ZeroDivisionError]
    assert [sent.value[0] for sent in node.sent] == [1, 4]


def test_cached_group_forwards_its_last_value_when_it_is_flushed() -> None:
    node = Node(TableAggregate(COUNT, "s"), spec(caching=True), cache_bytes=1 << 20)
    node.send("g", ("x", None, True), 1)
    node.send("g", ("y", None, True), 2)
    assert node.sent == []
    node.state.flush()
    assert node.sent == [Sent("g", (2, None, True), 2)]
