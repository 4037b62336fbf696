"""Foreign-key joins, update by update: who is subscribed where, what is answered, and which answers still count."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.columns import Stretch
from headrace.base.ids import Location
from headrace.base.murmur3 import murmur3_128
from headrace.operators.foreign_key_join import (
    AnswerSubscription,
    AnswerSubscriptions,
    ForeignKeyJoining,
    JoinResponse,
    KeepSubscription,
    SendSubscription,
    TableSerdes,
)
from headrace.operators.getters import FilterGetter, StoreGetter
from headrace.serde.foreign_keys import (
    Instruction,
    Subscription,
    foreign_key_prefix,
    subscriber,
    subscription,
)
from headrace.serde.primitives import int64, raw, string
from headrace.state.spec import StoreSpec
from tests.operators.nodes import Node, Sent

INNER = ForeignKeyJoining(
    extractor=lambda value: value.partition("/")[0] or None,
    with_key=False,
    joiner=lambda this, other: f"{this}+{other}",
    keeps_this=False,
    this=TableSerdes(string, string),
    other=TableSerdes(string, int64),
    topic="J",
)
LEFT = replace(INNER, keeps_this=True)
A1, A2, B = murmur3_128(b"a/1"), murmur3_128(b"a/2"), murmur3_128(b"b/1")
FORGET, FORGET_AND_ANSWER, KEEP_AND_ANSWER, KEEP = Instruction


def spec(name: str, value: Any, *, key: Any = string) -> StoreSpec:
    return StoreSpec(name, "key_value", True, key, value, "memory", False, False, Location("test.py", 1))


SUBSCRIPTIONS = spec("subscriptions", subscription, key=raw)


def asked(
    joining: ForeignKeyJoining, new: str | None, old: str | None
) -> list[tuple[str | None, Instruction, bytes | None]]:
    """Foreign key, instruction and hash of what an update of the row "k" subscribes to."""
    node = Node(SendSubscription(joining))
    node.send("k", (new, old, True))
    assert all(sent.value == subscriber(0)(sent.value[0], sent.value[1], b"k") for sent in node.sent)
    return [(sent.key, Instruction(sent.value[0]), sent.value[1]) for sent in node.sent]


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("a/1", None, [("a", KEEP, A1)]),
        ("a/2", "a/1", [("a", KEEP, A2)]),
        ("b/1", "a/1", [("a", FORGET, B), ("b", KEEP_AND_ANSWER, B)]),
        ("a/1", "/1", [("a", KEEP, A1)]),
        ("/1", "a/1", [("a", FORGET_AND_ANSWER, murmur3_128(b"/1"))]),
        (None, "a/1", [("a", FORGET_AND_ANSWER, None)]),
        ("/1", None, []),
        (None, "/1", []),
        (None, None, []),
    ],
)
def test_inner_join_asks_for_what_can_have_a_result(
    new: str | None, old: str | None, expected: list[Any]
) -> None:
    assert asked(INNER, new, old) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("a/1", None, [("a", KEEP_AND_ANSWER, A1)]),
        ("a/2", "a/1", [("a", KEEP_AND_ANSWER, A2)]),
        ("b/1", "a/1", [("a", FORGET, B), ("b", KEEP_AND_ANSWER, B)]),
        ("/1", "a/1", [("a", FORGET, murmur3_128(b"/1")), (None, KEEP_AND_ANSWER, murmur3_128(b"/1"))]),
        (None, "a/1", [("a", FORGET, None), (None, KEEP_AND_ANSWER, None)]),
        ("/1", None, [(None, KEEP_AND_ANSWER, murmur3_128(b"/1"))]),
        (None, "/1", [(None, KEEP_AND_ANSWER, None)]),
        (None, None, []),
    ],
)
def test_left_join_asks_for_every_row(new: str | None, old: str | None, expected: list[Any]) -> None:
    assert asked(LEFT, new, old) == expected


def test_extractor_may_be_given_the_key() -> None:
    keyed = replace(INNER, extractor=lambda key, value: key + value, with_key=True)
    assert asked(keyed, "1", None) == [("k1", KEEP, murmur3_128(b"1"))]


def test_null_foreign_key_of_an_inner_join_is_told_as_dropped() -> None:
    node = Node(SendSubscription(INNER))
    node.send("k", ("/1", None, True))
    assert node.drops == ["null foreign key"]


def test_update_that_is_not_the_latest_is_dropped_on_both_sides() -> None:
    sending = Node(SendSubscription(INNER))
    answering = Node(AnswerSubscriptions(INNER, "subscriptions"), SUBSCRIPTIONS)
    for node in (sending, answering):
        node.send("a", (None, None, False))
        assert node.drops == ["older than the version that is joined"]


@pytest.mark.parametrize(
    "broken",
    [
        replace(INNER, extractor=lambda value: 1 / 0),
        replace(INNER, this=TableSerdes(string, int64)),
        replace(INNER, this=TableSerdes(int64, string)),
        replace(INNER, extractor=lambda value: 1),
    ],
)
def test_failure_of_the_users_is_for_the_handler(broken: ForeignKeyJoining) -> None:
    node = Node(SendSubscription(broken))
    node.send("k", ("a/2", "a/1", True))
    assert len(node.failures) == 1
    assert node.sent == []


def asking(
    instruction: Instruction, hash: bytes | None, primary: bytes = b"k", partition: int = 3
) -> Subscription:
    return subscriber(partition)(instruction, hash, primary)


def kept(node: Node) -> list[bytes]:
    return [key for key, _, _ in node.store("subscriptions").range(None, None)]


def test_subscription_is_kept_under_both_keys_and_passed_on() -> None:
    node = Node(KeepSubscription("subscriptions"), SUBSCRIPTIONS)
    one, two = asking(KEEP, A1), asking(KEEP_AND_ANSWER, B)
    node.send(b"a", one, 5)
    node.send(b"b", two, 6)
    assert kept(node) == [foreign_key_prefix(b"a") + b"k", foreign_key_prefix(b"b") + b"k"]
    assert node.sent == [Sent(b"a", one, 5), Sent(b"b", two, 6)]


@pytest.mark.parametrize("instruction", [FORGET, FORGET_AND_ANSWER])
def test_subscription_is_forgotten_and_passed_on(instruction: Instruction) -> None:
    node = Node(KeepSubscription("subscriptions"), SUBSCRIPTIONS)
    node.send(b"a", asking(KEEP, A1))
    node.send(b"a", asking(instruction, None))
    assert kept(node) == []
    assert len(node.sent) == 2


def test_subscription_without_a_foreign_key_is_passed_on_only_where_it_is_to_be_answered() -> None:
    node = Node(KeepSubscription("subscriptions"), SUBSCRIPTIONS)
    for instruction in Instruction:
        node.send(None, asking(instruction, A1))
    assert [sent.value[0] for sent in node.sent] == [KEEP_AND_ANSWER]
    assert node.drops == ["null foreign key"] * 3
    assert kept(node) == []


def test_null_in_place_of_a_subscription_is_a_failure() -> None:
    node = Node(KeepSubscription("subscriptions"), SUBSCRIPTIONS)
    node.send(b"a", None)
    assert [type(error) for error in node.failures] == [TypeError]


FOREIGN_KEYS = st.sampled_from([b"a", b"b", b"c", None])
SUBSCRIBED = st.builds(
    asking,
    st.sampled_from(Instruction),
    st.sampled_from([A1, None]),
    st.sampled_from([b"k", b"l"]),
    st.integers(0, 1),
)


def stretch_of(asked: list[tuple[bytes | None, Any]]) -> Stretch:
    count = len(asked)
    keys, values = [key for key, _ in asked], [value for _, value in asked]
    return Stretch(keys, values, list(range(count)), [()] * count, list(range(100, 100 + count)))


@given(st.lists(st.tuples(FOREIGN_KEYS, st.none() | SUBSCRIBED), min_size=1, max_size=8))
def test_subscriptions_of_a_stretch_are_kept_as_one_after_the_other(asked: list[Any]) -> None:
    alone = Node(KeepSubscription("subscriptions"), SUBSCRIPTIONS)
    together = Node(KeepSubscription("subscriptions"), SUBSCRIPTIONS)
    for node in (alone, together):
        node.send(b"a", asking(KEEP, A2), 0)
    for index, (key, value) in enumerate(asked):
        alone.send(key, value, index)
    together.run_together(stretch_of(asked))
    rows = [list(node.store("subscriptions").range(None, None)) for node in (alone, together)]
    assert rows[0] == rows[1]
    assert alone.sent == together.sent
    assert alone.drops == together.drops
    assert [type(error) for error in alone.failures] == [type(error) for error in together.failures]
    assert alone.state.buffered_bytes == together.state.buffered_bytes


@given(st.lists(st.tuples(FOREIGN_KEYS, SUBSCRIBED), min_size=1, max_size=8), st.sampled_from([0, 1 << 20]))
def test_subscriptions_of_a_stretch_are_answered_as_one_after_the_other(
    asked: list[Any], cache_bytes: int
) -> None:
    sent = []
    for is_together in (False, True):
        other = replace(spec("s", int64), caching=True)
        node = Node(AnswerSubscription(INNER, StoreGetter("s")), other, cache_bytes=cache_bytes)
        node.store("s").put(b"a", 7, 10, ())
        node.store("s").put(b"b", 7, -1, ())
        if is_together:
            node.run_together(stretch_of(asked))
        else:
            for index, (key, value) in enumerate(asked):
                node.send(key, value, index)
        sent.append((node.sent, [type(error) for error in node.failures]))
    assert sent[0] == sent[1]


SEVEN = (7).to_bytes(8, "big")


def answered(instruction: Instruction, foreign: bytes | None, getter: Any = None) -> list[Sent]:
    """What is answered at 5, where the other table has the value 7 of the key "a" and the time 10."""
    node = Node(AnswerSubscription(INNER, getter or StoreGetter("s")), spec("s", int64))
    node.store("s").put(b"a", 7, 10, ())
    node.send(foreign, asking(instruction, A1), 5)
    assert node.failures == []
    return node.sent


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (FORGET, []),
        (FORGET_AND_ANSWER, [Sent(b"k", (A1, None, 3), 10)]),
        (KEEP_AND_ANSWER, [Sent(b"k", (A1, SEVEN, 3), 10)]),
        (KEEP, [Sent(b"k", (A1, SEVEN, 3), 10)]),
    ],
)
def test_subscription_to_a_row_is_answered(instruction: Instruction, expected: list[Sent]) -> None:
    assert answered(instruction, b"a") == expected


@pytest.mark.parametrize("foreign", [b"b", None])
@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (FORGET, []),
        (FORGET_AND_ANSWER, [Sent(b"k", (A1, None, 3), 5)]),
        (KEEP_AND_ANSWER, [Sent(b"k", (A1, None, 3), 5)]),
        (KEEP, []),
    ],
)
def test_subscription_without_a_match_is_answered(
    instruction: Instruction, expected: list[Sent], foreign: bytes | None
) -> None:
    assert answered(instruction, foreign) == expected


@pytest.mark.parametrize(("least", "value"), [(7, SEVEN), (8, None)])
def test_table_that_keeps_nothing_itself_is_looked_up_through_what_it_is_made_of(
    least: int, value: bytes | None
) -> None:
    getter = FilterGetter(StoreGetter("s"), lambda key, value: key == "a" and value >= least, negate=False)
    assert [sent.value[1] for sent in answered(KEEP_AND_ANSWER, b"a", getter)] == [value]


def test_update_of_the_other_row_answers_all_who_subscribed_to_it_and_no_others() -> None:
    node = Node(AnswerSubscriptions(INNER, "subscriptions"), SUBSCRIPTIONS)
    put = node.store("subscriptions").put
    put(foreign_key_prefix(b"a") + b"k2", asking(KEEP, A2, b"k2", 4), 0, ())
    put(foreign_key_prefix(b"a") + b"k1", asking(KEEP, A1, b"k1"), 9, ())
    put(foreign_key_prefix(b"ab") + b"k1", asking(KEEP, B, b"k1"), 0, ())
    node.send("a", (7, None, True), 5)
    node.send("a", (None, 7, True), 6)
    node.send("unknown", (7, None, True), 7)
    assert node.sent == [
        Sent(b"k1", (A1, SEVEN, 3), 5),
        Sent(b"k2", (A2, SEVEN, 4), 5),
        Sent(b"k1", (A1, None, 3), 6),
        Sent(b"k2", (A2, None, 4), 6),
    ]


def test_value_of_the_other_table_that_cannot_be_written_is_for_the_handler() -> None:
    node = Node(AnswerSubscriptions(INNER, "subscriptions"), SUBSCRIPTIONS)
    node.send("a", ("seven", None, True))
    assert len(node.failures) == 1


def joined(joining: ForeignKeyJoining, response: Any, getter: Any = None) -> list[Sent]:
    """What becomes of an answer at 5, where this table has the row a/1 of the key "k" and the time 10."""
    node = Node(JoinResponse(joining, getter or StoreGetter("s")), spec("s", string))
    node.store("s").put(b"k", "a/1", 10, ())
    node.send("k", response, 5)
    assert node.failures == []
    return node.sent


def test_answer_is_joined_with_the_row_that_asked() -> None:
    assert joined(INNER, (A1, 7, None)) == [Sent("k", "a/1+7", 5)]
    assert joined(LEFT, (A1, 7, None)) == [Sent("k", "a/1+7", 5)]


def test_answer_without_a_match_deletes_the_result_or_is_joined_with_none() -> None:
    assert joined(INNER, (A1, None, None)) == [Sent("k", None, 5)]
    assert joined(LEFT, (A1, None, None)) == [Sent("k", "a/1+None", 5)]


@pytest.mark.parametrize("hash", [A2, None])
@pytest.mark.parametrize("joining", [INNER, LEFT])
def test_answer_about_the_row_as_it_was_before_is_let_go(
    joining: ForeignKeyJoining, hash: bytes | None
) -> None:
    assert joined(joining, (hash, 7, None)) == []


@pytest.mark.parametrize("joining", [INNER, LEFT])
def test_answer_about_a_deleted_row_deletes_the_result(joining: ForeignKeyJoining) -> None:
    node = Node(JoinResponse(joining, StoreGetter("s")), spec("s", string))
    node.send("k", (None, None, None), 5)
    node.send("k", (A1, 7, None), 6)
    assert node.sent == [Sent("k", None, 5)]


def test_row_of_a_table_that_keeps_nothing_itself_is_hashed_as_it_was_sent() -> None:
    getter = FilterGetter(StoreGetter("s"), lambda key, value: True, negate=False)
    assert joined(INNER, (A1, 7, None), getter) == [Sent("k", "a/1+7", 5)]


def test_failure_of_the_joiner_is_for_the_handler() -> None:
    failing = replace(INNER, joiner=lambda this, other: this + other)
    node = Node(JoinResponse(failing, StoreGetter("s")), spec("s", string))
    node.store("s").put(b"k", "a/1", 10, ())
    node.send("k", (A1, 7, None))
    assert [type(error) for error in node.failures] == [TypeError]
