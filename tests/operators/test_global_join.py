"""What a join with a global table does to one record."""

from collections.abc import Callable
from typing import Any

import pytest

from headrace.operators.getters import Get, StoreGetter
from headrace.operators.global_join import GlobalTableJoin, JoinerKeys
from headrace.topology.wiring import Wiring
from tests.operators.nodes import Node


class Rows(StoreGetter):
    """A table that does not change."""

    def __init__(self, rows: dict[str, str]) -> None:
        super().__init__("rows")
        self.rows = rows
        self.asked: list[str] = []

    def compile(self, wiring: Wiring) -> Get:
        def look_up(key: Any) -> tuple[Any, int] | None:
            self.asked.append(key)
            return (self.rows[key], 0) if key in self.rows else None

        return look_up


def node(
    *,
    left: bool = False,
    keys: JoinerKeys = JoinerKeys.NONE,
    joiner: Callable[..., Any] = lambda *parts: "+".join(map(str, parts)),
    selector: Callable[[Any, Any], Any] = lambda key, value: value[0] if value != "none" else None,
) -> Node:
    return Node(GlobalTableJoin(Rows({"a": "A"}), selector, joiner, keys=keys, left=left))


def test_inner_join_needs_a_match() -> None:
    one = node()
    for value in ("ab", "bc"):
        one.send("k", value, 5)
    assert [(sent.key, sent.value, sent.timestamp) for sent in one.sent] == [("k", "ab+A", 5)]
    assert one.drops == []


def test_left_join_joins_with_none() -> None:
    one = node(left=True)
    for value in ("ab", "bc"):
        one.send("k", value)
    assert [sent.value for sent in one.sent] == ["ab+A", "bc+None"]


def test_record_without_a_key_of_its_own_is_joined() -> None:
    one = node()
    one.send(None, "ab")
    assert [(sent.key, sent.value) for sent in one.sent] == [(None, "ab+A")]


@pytest.mark.parametrize(("left", "sent", "drops"), [(False, [], 1), (True, ["none+None"], 0)])
def test_record_that_selects_no_key(left: bool, sent: list[str], drops: int) -> None:
    one = node(left=left)
    one.send("k", "none")
    assert [each.value for each in one.sent] == sent
    assert len(one.drops) == drops


@pytest.mark.parametrize("left", [False, True])
def test_null_value_is_dropped_and_selects_nothing(left: bool) -> None:
    one = node(left=left)
    one.send("k", None)
    assert one.sent == []
    assert one.drops == ["null value"]
    assert one.failures == []


def test_joiner_may_take_the_record_s_key() -> None:
    one = node(keys=JoinerKeys.STREAM)
    one.send("k", "ab")
    assert [sent.value for sent in one.sent] == ["k+ab+A"]


def test_joiner_may_take_both_keys() -> None:
    one = node(keys=JoinerKeys.BOTH, left=True)
    one.send("k", "ab")
    one.send("k", "none")
    assert [sent.value for sent in one.sent] == ["k+a+ab+A", "k+None+none+None"]


def test_failure_of_selector_or_joiner_goes_to_the_handler() -> None:
    one = node(selector=lambda key, value: value.missing)
    one.send("k", "ab")
    other = node(joiner=lambda value, row: value / row)
    other.send("k", "ab")
    assert [type(error) for error in (*one.failures, *other.failures)] == [AttributeError, TypeError]
