"""Aggregations record by record: nulls, times, old values, deletions, failures."""

from typing import Any

from headrace.base.ids import Location
from headrace.operators.aggregate import Aggregate
from headrace.operators.fold import COUNT, aggregation, reduction
from headrace.serde.primitives import int64, string
from headrace.serde.serde import Serde
from headrace.serde.structured import json
from headrace.state.spec import StoreSpec
from tests.operators.nodes import Node, Sent


def spec(value: Serde[Any] = int64, *, caching: bool = False) -> StoreSpec:
    return StoreSpec(
        name="s",
        kind="key_value",
        timestamped=True,
        key=string,
        value=value,
        engine="memory",
        caching=caching,
        logging=False,
        where=Location("test.py", 1),
    )


def test_count_forwards_each_count() -> None:
    node = Node(Aggregate(COUNT, "s"), spec())
    node.send("a", "x", 1)
    node.send("a", "y", 2)
    assert node.sent == [Sent("a", (1, None, True), 1), Sent("a", (2, None, True), 2)]


def test_late_record_counts_and_the_result_keeps_the_highest_time() -> None:
    node = Node(Aggregate(COUNT, "s"), spec())
    node.send("a", "x", 10)
    node.send("a", "y", 2)
    assert node.sent[-1] == Sent("a", (2, None, True), 10)


def test_null_key_and_null_value_are_dropped() -> None:
    node = Node(Aggregate(COUNT, "s"), spec())
    node.send(None, "x")
    node.send("a", None)
    assert node.sent == []
    assert node.drops == ["null key or value", "null key or value"]


def test_initialisers_result_is_the_old_value_of_a_new_key() -> None:
    operator = Aggregate(aggregation(lambda: 100, lambda key, value, aggregate: aggregate + value), "s")
    operator.send_old = True
    node = Node(operator, spec())
    node.send("a", 1)
    node.send("a", 2)
    assert [sent.value for sent in node.sent] == [(101, 100, True), (103, 101, True)]


def test_first_value_of_a_reduce_has_no_old_value() -> None:
    operator = Aggregate(reduction(lambda aggregate, value: aggregate + value), "s")
    operator.send_old = True
    node = Node(operator, spec())
    node.send("a", 1)
    node.send("a", 2)
    assert [sent.value for sent in node.sent] == [(1, None, True), (3, 1, True)]


def test_result_of_none_deletes_and_the_next_record_begins_anew() -> None:
    operator = Aggregate(
        aggregation(lambda: 0, lambda key, value, sum: None if value < 0 else sum + value), "s"
    )
    node = Node(operator, spec())
    for value in (5, -1, 7):
        node.send("a", value)
    assert [sent.value[0] for sent in node.sent] == [5, None, 7]


def test_failure_drops_the_record_here_and_changes_nothing() -> None:
    operator = Aggregate(aggregation(lambda: 0, lambda key, value, sum: sum + 10 // value), "s")
    node = Node(operator, spec())
    node.send("a", 5)
    node.send("a", 0)
    node.send("a", 2)
    assert [type(failure) for failure in node.failures] == [ZeroDivisionError]
    assert [sent.value[0] for sent in node.sent] == [2, 7]


def test_key_that_its_serde_refuses_is_a_failure_of_the_node() -> None:
    node = Node(Aggregate(COUNT, "s"), spec())
    node.send(5, "x")
    assert len(node.failures) == 1
    assert node.sent == []


def test_cached_count_forwards_the_last_one_when_it_is_flushed() -> None:
    node = Node(Aggregate(COUNT, "s"), spec(caching=True), cache_bytes=1 << 20)
    node.send("a", "x", 1)
    node.send("a", "y", 2)
    assert node.sent == []
    node.state.flush()
    assert node.sent == [Sent("a", (2, None, True), 2)]


def test_one_first_aggregate_for_all_keys_that_was_changed_fails_the_record() -> None:
    shared: list[str] = []

    def add(key: str, value: str, all: list[str]) -> list[str]:
        all.append(value)
        return all

    node = Node(Aggregate(aggregation(lambda: shared, add), "s"), spec(json(list[str])))
    node.send("a", "x")
    node.send("a", "y")
    node.send("b", "z")
    assert [sent.value[0] for sent in node.sent if sent.key == "b"] == []
    assert [
        "the initialiser returns one and the same list for all keys" in str(error) for error in node.failures
    ] == [True]


def test_one_first_aggregate_for_all_keys_is_fine_while_nobody_changes_it() -> None:
    shared: list[str] = []
    aggregate = Aggregate(aggregation(lambda: shared, lambda key, value, all: [*all, value]), "s")
    node = Node(aggregate, spec(json(list[str])))
    node.send("a", "x")
    node.send("b", "z")
    assert [sent.value[0] for sent in node.sent] == [["x"], ["z"]]
