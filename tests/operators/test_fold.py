"""Every fold in every windowing: what comes out, record by record."""

from typing import Any

import pytest

from headrace.operators.aggregate import Aggregate
from headrace.operators.fold import COUNT, Fold, aggregation, reduction
from headrace.operators.windowed import WindowAggregate, WindowShape
from tests.operators.nodes import Node
from tests.operators.test_aggregate import spec
from tests.operators.test_windowed import spec as window_spec

FOLDS: dict[str, Fold] = {
    "count": COUNT,
    "aggregate": aggregation(lambda: 100, lambda key, value, sum: sum + value),
    "reduce": reduction(lambda aggregate, value: aggregate * value),
}
#: New and old values after 3, 4 and 5 for one key, all in one window.
EXPECTED: dict[str, list[tuple[Any, Any, bool]]] = {
    "count": [(1, 0, True), (2, 1, True), (3, 2, True)],
    "aggregate": [(103, 100, True), (107, 103, True), (112, 107, True)],
    "reduce": [(3, None, True), (12, 3, True), (60, 12, True)],
}


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("advance_ms", [None, 10, 5])
def test_folds_give_the_same_in_all_windowings(name: str, advance_ms: int | None) -> None:
    operator: Aggregate | WindowAggregate
    if advance_ms is None:
        operator = Aggregate(FOLDS[name], "s")
    else:
        operator = WindowAggregate(WindowShape(10, advance_ms, 0), FOLDS[name], "s")
    operator.send_old = True
    node = Node(operator, spec() if advance_ms is None else window_spec())
    for value in (3, 4, 5):
        node.send("a", value, 1)
    assert [sent.value for sent in node.sent] == EXPECTED[name]


@pytest.mark.parametrize("advance_ms", [10, 5])
def test_null_value_deletes_a_window_where_the_function_returns_it(advance_ms: int) -> None:
    fold = reduction(lambda aggregate, value: value)
    node = Node(WindowAggregate(WindowShape(10, advance_ms, 0), fold, "s"), window_spec())
    for value in (3, None, 4):
        node.send("a", value, 1)
    assert [sent.value[0] for sent in node.sent] == [3, None, 4]


def test_failure_in_a_later_window_changes_no_window() -> None:
    def add(key: str, value: int, sum: int) -> int:
        if value == 2 and sum == 0:
            raise ValueError(value)
        return sum + value

    node = Node(WindowAggregate(WindowShape(10, 5, 0), aggregation(int, add), "s"), window_spec())
    node.send("a", 1, 7)
    node.send("a", 2, 12)
    node.send("a", 3, 12)
    assert [sent.value[0] for sent in node.sent] == [1, 1, 4, 3]
    assert [type(failure) for failure in node.failures] == [ValueError]
