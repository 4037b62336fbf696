"""Tables' nodes and joins with them, update by update."""

from headrace.operators.getters import FilterGetter, MapGetter, StoreGetter
from headrace.operators.stream_table_join import StreamTableJoin
from headrace.operators.table import TableFilter, TableMapValues, TableSource, ToStream
from tests.operators.nodes import Node, Sent
from tests.operators.test_aggregate import spec


def test_source_without_store_sends_no_old_values() -> None:
    node = Node(TableSource())
    node.send("a", 1, 5)
    node.send("a", None, 6)
    assert node.sent == [Sent("a", (1, None, True), 5), Sent("a", (None, None, True), 6)]


def test_source_drops_null_keys() -> None:
    node = Node(TableSource())
    node.send(None, 1)
    assert node.drops == ["null key"]


def test_source_with_store_sends_old_values_and_takes_older_updates_too() -> None:
    operator = TableSource("s")
    operator.send_old = True
    node = Node(operator, spec())
    node.send("a", 1, 5)
    node.send("a", 2, 3)
    assert node.sent == [Sent("a", (1, None, True), 5), Sent("a", (2, 1, True), 3)]


def test_filter_without_old_values_sends_a_deletion_for_what_was_never_there() -> None:
    node = Node(TableFilter(lambda key, value: value > 5))
    node.send("a", (1, None, True))
    assert node.sent == [Sent("a", (None, None, True), 0)]


def test_filter_with_old_values_sends_nothing_for_what_was_never_there() -> None:
    operator = TableFilter(lambda key, value: value > 5)
    operator.send_old = True
    node = Node(operator)
    node.send("a", (1, None, True))
    node.send("a", (7, 1, True))
    node.send("a", (2, 7, True))
    assert [sent.value for sent in node.sent] == [(7, None, True), (None, 7, True)]


def test_filter_not_keeps_the_others() -> None:
    node = Node(TableFilter(lambda key, value: value > 5, negate=True))
    node.send("a", (1, None, True))
    node.send("a", (7, None, True))
    assert [sent.value[0] for sent in node.sent] == [1, None]


def test_filter_is_not_asked_about_deletions() -> None:
    node = Node(TableFilter(lambda key, value: value > 5))
    node.send("a", (None, None, True))
    assert node.failures == []


def test_filter_with_a_store_takes_its_old_values_from_there() -> None:
    operator = TableFilter(lambda key, value: value > 5, store="s")
    operator.send_old = True
    node = Node(operator, spec())
    node.send("a", (7, None, True))
    node.send("a", (1, None, True))
    assert [sent.value for sent in node.sent] == [(7, None, True), (None, 7, True)]


def test_mapping_applies_to_old_values_too() -> None:
    operator = TableMapValues(lambda key, value: f"{key}{value}", with_key=True)
    operator.send_old = True
    node = Node(operator)
    node.send("a", (2, 1, True))
    node.send("a", (None, 2, True))
    assert [sent.value for sent in node.sent] == [("a2", "a1", True), (None, "a2", True)]


def test_to_stream_takes_new_values() -> None:
    node = Node(ToStream())
    node.send("a", (2, 1, True), 4)
    assert node.sent == [Sent("a", 2, 4)]


def joined(*, left: bool = False) -> Node:
    node = Node(StreamTableJoin(StoreGetter("s"), lambda one, other: (one, other), left=left), spec())
    node.store("s").put(b"a", 1, 0, ())
    return node


def test_inner_join_has_no_result_without_a_match() -> None:
    node = joined()
    for key in ("a", "b"):
        node.send(key, "x", 9)
    assert node.sent == [Sent("a", ("x", 1), 9)]
    assert node.drops == []


def test_inner_join_drops_null_keys_and_values() -> None:
    node = joined()
    node.send(None, "x")
    node.send("a", None)
    assert node.drops == ["null join key or value", "null join key or value"]


def test_left_join_has_none_for_what_is_missing_and_keeps_null_keys() -> None:
    node = joined(left=True)
    node.send("b", "x")
    node.send(None, "y")
    node.send("a", None)
    assert [sent.value for sent in node.sent] == [("x", None), ("y", None)]
    assert node.drops == ["null join key or value"]


def test_getters_go_through_filters_and_mappings_to_the_store_above() -> None:
    kept = FilterGetter(StoreGetter("s"), lambda key, value: value > 5, negate=False)
    getter = MapGetter(kept, lambda value: value * 10, with_key=False)
    node = Node(StreamTableJoin(getter, lambda one, other: other, left=True), spec())
    node.store("s").put(b"a", 7, 0, ())
    node.store("s").put(b"b", 3, 0, ())
    for key in ("a", "b", "c"):
        node.send(key, "x")
    assert getter.stores == ("s",)
    assert [sent.value for sent in node.sent] == [70, None, None]
