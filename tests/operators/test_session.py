"""Sessions record by record."""

from typing import Any

import pytest

from headrace.base.ids import Location
from headrace.base.records import Window, Windowed
from headrace.operators.fold import COUNT, Fold, aggregation, reduction
from headrace.operators.session import SessionAggregate, SessionShape
from headrace.serde.primitives import int64, string
from headrace.state.spec import StoreSpec
from tests.operators.nodes import Node, Sent

SHAPE = SessionShape(10, 0)
CACHE_BYTES = 1 << 20


def spec(*, caching: bool = False) -> StoreSpec:
    return StoreSpec(
        name="s",
        kind="session",
        timestamped=False,
        key=string,
        value=int64,
        engine="memory",
        caching=caching,
        logging=False,
        where=Location("test.py", 1),
        retention_ms=100_000,
    )


def node_of(
    fold: Fold = COUNT, *, shape: SessionShape = SHAPE, send_old: bool = False, cache_bytes: int = 0
) -> Node:
    operator = SessionAggregate(shape, fold, "s")
    operator.send_old = send_old
    return Node(operator, spec(caching=cache_bytes > 0), cache_bytes=cache_bytes)


def session(start: int, end: int) -> Windowed[str]:
    return Windowed("a", Window(start, end))


def test_first_record_of_a_key_is_a_session_of_no_length() -> None:
    node = node_of()
    node.send("a", "x", 5)
    assert node.sent == [Sent(session(5, 5), (1, None, True), 5)]


def test_record_within_the_gap_deletes_the_session_and_makes_a_longer_one() -> None:
    node = node_of()
    node.send("a", "x", 5)
    node.send("a", "x", 15)
    assert node.sent[1:] == [
        Sent(session(5, 5), (None, None, True), 5),
        Sent(session(5, 15), (2, None, True), 15),
    ]


def test_record_after_the_gap_begins_another_session() -> None:
    node = node_of()
    node.send("a", "x", 5)
    node.send("a", "x", 16)
    assert [sent.key for sent in node.sent] == [session(5, 5), session(16, 16)]


def test_record_between_two_sessions_makes_one_of_them_in_the_order_of_their_ends() -> None:
    fold = reduction(lambda aggregate, value: 10 * aggregate + value)
    node = node_of(fold, shape=SessionShape(10, 100), send_old=True)
    node.send("a", 3, 20)
    node.send("a", 1, 0)
    node.send("a", 2, 10)
    assert node.sent[2:] == [
        Sent(session(0, 0), (None, 1, True), 0),
        Sent(session(20, 20), (None, 3, True), 20),
        Sent(session(0, 20), (132, None, True), 20),
    ]


def test_record_of_the_same_time_updates_the_session_and_deletes_nothing() -> None:
    node = node_of(send_old=True)
    node.send("a", "x", 5)
    node.send("a", "x", 5)
    assert node.sent[1:] == [Sent(session(5, 5), (2, None, True), 5)]


def test_sessions_of_other_keys_are_left_alone() -> None:
    node = node_of()
    node.send("a", "x", 5)
    node.send("b", "x", 6)
    assert node.sent[1].key == Windowed("b", Window(6, 6))


@pytest.mark.parametrize(("stream_time", "late"), [(22, False), (23, True)])
def test_record_is_late_once_its_session_ends_before_stream_time_minus_grace_and_gap(
    stream_time: int, late: bool
) -> None:
    node = node_of(shape=SessionShape(10, 3))
    node.send("b", "x", stream_time)
    node.send("a", "x", 9)
    assert node.drops == (["expired session"] if late else [])


def test_record_that_would_be_late_alone_is_taken_by_a_session_that_is_open() -> None:
    node = node_of()
    node.send("a", "x", 12)
    node.send("b", "x", 20)
    node.send("a", "x", 5)
    assert node.drops == []
    assert node.sent[-1] == Sent(session(5, 12), (2, None, True), 12)


def test_null_key_is_dropped_and_null_value_counts() -> None:
    node = node_of()
    node.send(None, "x", 1)
    node.send("a", None, 1)
    assert node.drops == ["null key"]
    assert [sent.value[0] for sent in node.sent] == [1]


def test_aggregates_are_merged_into_the_first_one_before_the_record_is_added() -> None:
    calls: list[Any] = []

    def merge(key: str, one: int, other: int) -> int:
        calls.append((key, one, other))
        return one + other

    node = node_of(aggregation(lambda: 100, lambda key, value, sum: sum + value, merge=merge))
    node.send("a", 1, 0)
    node.send("a", 2, 5)
    assert calls == [("a", 100, 101)]
    assert node.sent[-1].value == (203, None, True)


def test_aggregate_of_none_deletes_the_session() -> None:
    node = node_of(aggregation(int, lambda key, value, sum: value, merge=lambda key, one, other: other))
    node.send("a", 3, 1)
    node.send("a", None, 1)
    node.send("a", 4, 2)
    assert [(sent.key, sent.value[0]) for sent in node.sent] == [
        (session(1, 1), 3),
        (session(1, 1), None),
        (session(2, 2), 4),
    ]


@pytest.mark.parametrize("cache_bytes", [0, CACHE_BYTES], ids=["uncached", "cached"])
def test_update_that_the_store_refuses_leaves_the_sessions_as_they_were(cache_bytes: int) -> None:
    add: Any = lambda aggregate, value: "no number" if value == 2 else aggregate + value  # noqa: E731
    node = node_of(reduction(add), cache_bytes=cache_bytes)
    node.send("a", 1, 0)
    node.send("a", 2, 5)
    node.send("a", 3, 9)
    node.state.flush()
    assert len(node.failures) == 1
    assert node.sent[-1] == Sent(session(0, 9), (4, None, True), 9)


def test_cached_session_forwards_what_it_has_become_when_it_is_flushed() -> None:
    node = node_of(cache_bytes=CACHE_BYTES, send_old=True)
    node.send("a", "x", 1)
    node.state.flush()
    node.send("a", "x", 4)
    node.send("a", "x", 8)
    node.state.flush()
    assert node.sent == [
        Sent(session(1, 1), (1, None, True), 1),
        Sent(session(1, 1), (None, 1, True), 1),
        Sent(session(1, 8), (3, None, True), 8),
    ]


def test_session_that_grows_takes_the_room_of_one_in_the_cache() -> None:
    node = node_of(cache_bytes=CACHE_BYTES)
    node.send("a", "x", 0)
    used_bytes = node.cache.used_bytes
    for timestamp in range(1, 1_000):
        node.send("a", "x", timestamp)
    assert node.cache.used_bytes == used_bytes
    node.state.flush()
    assert node.sent == [Sent(session(0, 999), (1_000, None, True), 999)]
