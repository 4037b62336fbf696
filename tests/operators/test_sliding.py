"""Aggregations over sliding windows record by record: which windows there are, and what is in them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base.records import Window, Windowed
from headrace.operators.fold import aggregation, reduction
from headrace.operators.sliding import SlidingAggregate, SlidingShape
from headrace.serde.primitives import string
from headrace.serde.serde import Serde
from headrace.serde.structured import json
from headrace.state.spec import StoreSpec
from tests.operators.nodes import Node
from tests.state.stores import store_spec

WINDOWS = SlidingShape(10, 1000)
STRICT = SlidingShape(10, 0)
JOINED = reduction(lambda aggregate, value: aggregate + value)

#: Start, result, time of a result.
Result = tuple[int, object, int]


def spec(value: Serde[Any] = string, *, caching: bool = False) -> StoreSpec:
    return store_spec("s", "window", value=value, caching=caching, logging=False, retention_ms=10_000)


def joining(*records: tuple[str, int], shape: SlidingShape = WINDOWS) -> Node:
    node = Node(SlidingAggregate(shape, JOINED, "s"), spec())
    for value, timestamp in records:
        node.send("k", value, timestamp)
    return node


def results(node: Node) -> list[Result]:
    return [(sent.key.window.start, sent.value[0], sent.timestamp) for sent in node.sent]


def windows(node: Node, key: bytes = b"k") -> dict[int, Any]:
    store: Any = node.state.state("s")
    return {start: value for _, start, value, _ in store.range(key, None, None)}


def test_a_record_has_the_window_that_ends_with_it() -> None:
    node = joining(("a", 100))
    assert [(sent.key, sent.timestamp) for sent in node.sent] == [(Windowed("k", Window(90, 100)), 100)]


def test_both_ends_of_a_window_are_in_it() -> None:
    assert windows(joining(("a", 100), ("b", 110))) == {90: "a", 100: "ab", 101: "b"}
    assert windows(joining(("a", 100), ("b", 111))) == {90: "a", 101: "b"}


def test_the_next_record_makes_the_window_after_the_one_before_it_and_its_own() -> None:
    node = joining(("a", 100), ("b", 105))
    assert results(node)[1:] == [(101, "b", 105), (95, "ab", 105)]


def test_a_record_joins_all_windows_that_hold_it_the_latest_first() -> None:
    node = joining(("a", 100), ("b", 104), ("c", 106))
    assert results(node)[3:] == [(101, "bc", 106), (105, "c", 106), (96, "abc", 106)]


def test_records_of_one_time_share_their_windows() -> None:
    node = joining(("a", 100), ("b", 100))
    assert results(node) == [(90, "a", 100), (90, "ab", 100)]


def test_a_record_that_comes_late_makes_a_window_of_what_came_after_it() -> None:
    node = joining(("b", 105), ("a", 100))
    assert results(node)[1:] == [(95, "ba", 105), (90, "a", 100), (101, "b", 105)]
    assert windows(node) == {90: "a", 95: "ba", 101: "b"}


def test_the_copy_of_a_window_is_of_before_the_record_even_where_the_function_changes_its_aggregate() -> None:
    def add(key: str, value: str, aggregate: list[str]) -> list[str]:
        aggregate.append(value)
        return aggregate

    node = Node(SlidingAggregate(WINDOWS, aggregation(list, add), "s"), spec(json(list[str])))
    for value, timestamp in (("b", 105), ("a", 100), ("y", 1004), ("x", 1003)):
        node.send("k", value, timestamp)
    assert windows(node) == {
        90: ["a"], 95: ["b", "a"], 101: ["b"], 993: ["x"], 994: ["y", "x"], 1004: ["y"],
    }  # fmt: skip


def test_records_before_the_difference_share_the_window_from_0_on() -> None:
    node = joining(("a", 3), ("b", 7))
    assert results(node) == [(0, "a", 3), (4, "b", 7), (0, "ab", 7)]


def test_an_early_record_that_comes_late_makes_a_window_of_what_came_after_it() -> None:
    node = joining(("b", 7), ("a", 3))
    assert results(node)[1:] == [(4, "b", 7), (0, "ba", 7)]


def test_the_first_record_that_is_not_early_may_share_the_window_from_0_on() -> None:
    node = joining(("a", 3), ("b", 10))
    assert windows(node) == {0: "ab", 4: "b"}


def test_keys_have_windows_of_their_own() -> None:
    node = joining(("a", 100))
    node.send("kk", "b", 105)
    assert windows(node, b"kk") == {95: "b"}


@pytest.mark.parametrize(("stream_time", "found"), [(110, "ba"), (111, "b")])
def test_a_record_is_late_when_all_windows_that_may_hold_it_have_closed(stream_time: int, found: str) -> None:
    node = joining(("b", 110), shape=STRICT)
    node.send("other", "x", stream_time)
    node.send("k", "a", 100)
    assert windows(node)[100] == found
    assert node.drops == ["expired window"]


def test_a_late_record_stays_out_of_the_windows_that_have_closed() -> None:
    node = joining(("a", 100), ("c", 110), shape=STRICT)
    node.send("k", "b", 105)
    assert node.drops == ["expired window"]  # [95, 105]
    assert windows(node) == {90: "a", 100: "acb", 101: "cb", 106: "c"}


@pytest.mark.parametrize(("key", "value"), [(None, "a"), ("k", None)])
def test_null_keys_and_null_values_are_dropped_and_do_not_move_stream_time(
    key: str | None, value: str | None
) -> None:
    node = Node(SlidingAggregate(STRICT, JOINED, "s"), spec())
    node.send(key, value, 1000)
    node.send("k", "a", 5)
    assert node.drops == ["null key or value"]
    assert len(node.sent) == 1


def test_a_result_of_none_deletes_the_window_and_the_next_record_makes_it_anew() -> None:
    fold = reduction(lambda aggregate, value: None if value == "-" else aggregate + value)
    node = Node(SlidingAggregate(WINDOWS, fold, "s"), spec())
    for value, timestamp in (("a", 100), ("-", 100), ("b", 100)):
        node.send("k", value, timestamp)
    assert results(node) == [(90, "a", 100), (90, None, 100), (90, "b", 100)]


def test_a_failure_leaves_all_windows_as_they_were() -> None:
    def fails_on_two(aggregate: str, value: str) -> str:
        if len(aggregate) == 2:
            raise ValueError(value)
        return aggregate + value

    node = Node(SlidingAggregate(WINDOWS, reduction(fails_on_two), "s"), spec())
    for value, timestamp in (("a", 100), ("b", 104), ("c", 106)):
        node.send("k", value, timestamp)
    assert [str(error) for error in node.failures] == ["c"]
    assert windows(node) == {90: "a", 94: "ab", 101: "b"}


def test_old_values_are_those_of_the_window_or_of_the_one_that_it_begins_as() -> None:
    operator = SlidingAggregate(WINDOWS, JOINED, "s")
    operator.send_old = True
    node = Node(operator, spec())
    for value, timestamp in (("a", 100), ("b", 105)):
        node.send("k", value, timestamp)
    assert [sent.value for sent in node.sent] == [("a", None, True), ("b", None, True), ("ab", "a", True)]


def test_a_cached_store_forwards_the_last_result_of_each_window_when_it_is_flushed() -> None:
    node = Node(SlidingAggregate(WINDOWS, JOINED, "s"), spec(caching=True), cache_bytes=1 << 20)
    for value, timestamp in (("a", 100), ("b", 105), ("c", 105)):
        node.send("k", value, timestamp)
    assert node.sent == []
    node.state.flush()
    assert results(node) == [(90, "a", 100), (101, "bc", 105), (95, "abc", 105)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=12))
def test_whatever_the_order_each_set_of_records_that_lie_together_has_its_window(times: list[int]) -> None:
    fold = aggregation(tuple, lambda key, value, aggregate: (*aggregate, value))
    node = Node(SlidingAggregate(WINDOWS, fold, "s"), spec(json(tuple[int, ...])))
    for timestamp in times:
        node.send("k", timestamp, timestamp)
    found = {start: sorted(value) for start, value in windows(node).items()}
    starts = {max(0, time - 10) for time in times} | {time + 1 for time in times}
    expected = {start: sorted(time for time in times if start <= time <= start + 10) for start in starts}
    assert found == {start: content for start, content in expected.items() if content}
