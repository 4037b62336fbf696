"""Stateless nodes, record by record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.operators.stateless import (
    Branch,
    Filter,
    FlatMap,
    FlatMapValues,
    Map,
    MapValues,
    Only,
    Peek,
    Print,
    RepartitionFilter,
    SelectKey,
)
from headrace.topology.wiring import Operator
from tests.operators.nodes import Node, Sent


def outcome(operator: Operator, key: Any, value: Any) -> list[tuple[Any, Any]]:
    node = Node(operator)
    node.send(key, value, 5)
    assert {sent.timestamp for sent in node.sent} <= {5}
    return [(sent.key, sent.value) for sent in node.sent]


def test_operators_replace_what_they_are_for() -> None:
    assert outcome(Map(lambda k, v: (v, k)), "a", 1) == [(1, "a")]
    assert outcome(SelectKey(lambda k, v: v), "a", 1) == [(1, 1)]
    assert outcome(MapValues(lambda v: v + 1), "a", 1) == [("a", 2)]
    assert outcome(MapValues(lambda k, v: (k, v), with_key=True), "a", 1) == [("a", ("a", 1))]
    assert outcome(FlatMap(lambda k, v: [(k, v), (v, k)]), "a", 1) == [("a", 1), (1, "a")]
    assert outcome(FlatMapValues(lambda v: range(v)), "a", 2) == [("a", 0), ("a", 1)]


def test_filters_take_any_truth() -> None:
    assert outcome(Filter(lambda k, v: v), "a", "yes") == [("a", "yes")]
    assert outcome(Filter(lambda k, v: v), "a", "") == []
    assert outcome(Filter(lambda k, v: v, negate=True), "a", "") == [("a", "")]


def test_only_keeps_values_of_a_class() -> None:
    assert outcome(Only(int), "a", 1) == [("a", 1)]
    assert outcome(Only(int), "a", "1") == []
    assert outcome(Only(int), "a", None) == []


def test_functions_get_nulls() -> None:
    assert outcome(MapValues(lambda v: v is None), None, None) == [(None, True)]


def test_generator_that_fails_in_its_midst_forwards_nothing() -> None:
    def halfway(value: int) -> Iterator[int]:
        yield value
        raise ValueError("enough")

    node = Node(FlatMapValues(halfway))
    node.send("a", 1)
    assert node.sent == []
    assert [str(failure) for failure in node.failures] == ["enough"]


@pytest.mark.parametrize("result", ["abc", b"abc", 5, None])
def test_one_result_in_place_of_many_is_refused_rather_than_taken_apart(result: Any) -> None:
    many: list[Operator] = [
        FlatMapValues(lambda v: result),
        FlatMapValues(lambda k, v: result, with_key=True),
        FlatMap(lambda k, v: result),
    ]
    for operator in many:
        node = Node(operator)
        node.send("a", 1)
        assert node.sent == []
        assert [str(failure) for failure in node.failures] == [
            f"the function returned {'None' if result is None else f'one {type(result).__name__}'} where any number "
            "of results is wanted: yield each, or return a list"
        ]


@pytest.mark.parametrize("result", ["ab", b"ab", {"a", "b"}, {"a": 1, "b": 2}, 5, None])
def test_what_is_no_pair_is_refused_rather_than_taken_apart(result: Any) -> None:
    operators: list[Operator] = [Map(lambda k, v: result), FlatMap(lambda k, v: [result])]
    for operator in operators:
        node = Node(operator)
        node.send("a", 1)
        assert node.sent == []
        assert [str(failure) for failure in node.failures] == [
            f"the function returned {'None' if result is None else f'one {type(result).__name__}'} where a pair is "
            "wanted: return (key, value)"
        ]


def test_pair_may_be_a_list() -> None:
    swapped: Any = [1, "a"]
    assert outcome(Map(lambda k, v: swapped), "a", 1) == [(1, "a")]
    assert outcome(FlatMap(lambda k, v: iter([swapped])), "a", 1) == [(1, "a")]


def test_failure_goes_to_the_handler_and_the_next_record_is_processed() -> None:
    node = Node(MapValues(lambda v: 10 // v))
    node.send("a", 0)
    node.send("a", 5)
    assert [type(failure) for failure in node.failures] == [ZeroDivisionError]
    assert node.sent == [Sent("a", 2, 0)]


def test_peek_that_fails_drops_the_record() -> None:
    node = Node(Peek(lambda k, v: 1 // 0))
    node.send("a", 1)
    assert node.sent == []


def test_record_takes_the_first_branch_that_wants_it() -> None:
    operator = Branch([lambda k, v: v > 10, lambda k, v: v > 5], ["big", "medium", "rest"])
    node = Node(operator, children=("big", "medium", "rest"))
    for value in (20, 7, 1):
        node.send("a", value)
    assert {name: [sent.value for sent in got] for name, got in node.children.items()} == {
        "big": [20],
        "medium": [7],
        "rest": [1],
    }


def test_record_that_no_branch_wants_is_gone_without_a_default() -> None:
    node = Node(Branch([lambda k, v: False], ["never"]), children=("never",))
    node.send("a", 1)
    assert node.sent == []


@pytest.mark.parametrize(("keep", "count"), [(False, 0), (True, 1)])
def test_repartition_keeps_null_keys_for_left_joins_only(keep: bool, count: int) -> None:
    node = Node(RepartitionFilter(keep_null_keys=keep))
    node.send(None, "x")
    assert len(node.sent) == count


def test_print_writes_label_key_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(Print("orders"))
    node.send("a", 1)
    assert capsys.readouterr().out == "[orders]: a, 1\n"


def test_print_appends_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    for value in (1, 2):
        node = Node(Print("orders", str(path), lambda key, value: f"{key}={value}"))
        node.send("a", value)
        for close in node.closes:
            close()
    assert path.read_text() == "[orders]: a=1\n[orders]: a=2\n"
