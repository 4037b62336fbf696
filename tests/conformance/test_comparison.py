"""The comparison itself notices what it is there to notice."""

from typing import Any

from tests.conformance.comparison import differences, parse_description

_TEXT = """Topologies:
   Sub-topology: 0
    Source: a (topics: [in, more])
      --> b, c
    Processor: b (stores: [s])
      --> none
      <-- a
    Sink: c (topic: out)
      <-- a

"""


def _record(value: str) -> dict[str, Any]:
    return {"step": 0, "key": "k", "value": value, "ts": 1}


def test_equal_runs_do_not_differ() -> None:
    run = {"describe": _TEXT, "outputs": {"out": [_record("a")]}, "internal": {}, "stores": {}}
    assert differences(run, run) == []


def test_order_within_a_description_means_nothing() -> None:
    other = _TEXT.replace("in, more", "more, in").replace("b, c", "c, b").replace("--> none", "-->")
    assert differences({"describe": _TEXT}, {"describe": other}) == []


def test_description_is_read_as_nodes_and_links() -> None:
    assert parse_description(_TEXT)["a"] == {
        "sub-topology": "0",
        "kind": "Source",
        "topics": frozenset({"in", "more"}),
        "to": frozenset({"b", "c"}),
    }


def test_another_store_of_a_node_is_a_difference() -> None:
    lines = differences({"describe": _TEXT}, {"describe": _TEXT.replace("[s]", "[t]")})
    assert lines == ["describe: b: stores: expected [s], found [t]"]


def test_records_in_another_order_are_differences() -> None:
    expected = {"outputs": {"out": [_record("a"), _record("b")]}}
    assert len(differences(expected, {"outputs": {"out": [_record("b"), _record("a")]}})) == 2


def test_records_of_one_step_have_no_order_where_a_topic_had_several_partitions() -> None:
    expected = {"outputs": {"out": [_record("a"), _record("b")]}}
    other = {"outputs": {"out": [_record("b"), _record("a")]}, "is_ordered": False}
    assert differences(expected, other) == []
    later = {"outputs": {"out": [{**_record("b"), "step": 1}, _record("a")]}, "is_ordered": False}
    assert differences(expected, later) != []


def test_a_missing_internal_topic_is_a_difference() -> None:
    lines = differences({"internal": {"x-changelog": [_record("00")]}}, {"internal": {}})
    assert lines == ["internal topic x-changelog: expected 1 records, found 0"]


def test_rows_of_stores_are_compared_in_any_order_and_counted() -> None:
    one, two = {"key": "a", "value": "1"}, {"key": "b", "value": "2"}
    assert differences({"stores": {"s": [one, two]}}, {"stores": {"s": [two, one]}}) == []
    assert differences({"stores": {"s": [one]}}, {"stores": {"s": [one, one]}}) != []


def test_an_error_that_did_not_come_is_a_difference() -> None:
    lines = differences({"error": "IllegalStateException", "error_step": 3}, {})
    assert lines == ["error: expected IllegalStateException at step 3, found None at step None"]
