"""Suppression, node by node: what is held back, when it goes on, in which order and as which record."""

import pytest

from headrace.base.errors import ProcessingError
from headrace.base.records import Window, Windowed
from headrace.operators.suppress import Holding, Suppress
from headrace.serde.primitives import string
from headrace.serde.windowed import TimeWindowedSerde
from tests.operators.nodes import Node, Sent
from tests.state.stores import store_spec


def node(
    wait_ms: int = 100,
    *,
    until_windows_close: bool = False,
    records_max: int | None = None,
    bytes_max: int | None = None,
    emits_early: bool = True,
    send_old: bool = False,
) -> Node:
    holding = Holding(wait_ms, until_windows_close, records_max, bytes_max, emits_early)
    operator = Suppress(holding, "held")
    operator.send_old = send_old
    key = TimeWindowedSerde(string, 10) if until_windows_close else string
    made = Node(operator, store_spec("held", "suppress", key=key))
    made.context.topic, made.context.offset = "in", 0
    return made


def window(key: str, start: int) -> Windowed[str]:
    return Windowed(key, Window(start, start + 10))


def test_last_update_goes_on_when_the_first_is_old_enough() -> None:
    suppress = node()
    suppress.send("a", (1, None, True), 10)
    suppress.send("a", (2, 1, True), 60)
    assert suppress.sent == []
    suppress.send("b", (1, None, True), 110)
    assert suppress.sent == [Sent("a", (2, None, True), 60)]


def test_updates_go_on_by_their_keys_first_times_and_then_by_key() -> None:
    suppress = node()
    for key, time in (("c", 5), ("b", 3), ("a", 5), ("c", 1)):
        suppress.send(key, (1, None, True), time)
    suppress.send("d", (1, None, True), 200)
    assert [sent.key for sent in suppress.sent] == ["b", "a", "c"]


def test_late_update_of_a_new_key_goes_on_at_once() -> None:
    suppress = node()
    suppress.send("a", (1, None, True), 200)
    suppress.send("b", (7, None, True), 50)
    assert suppress.sent == [Sent("b", (7, None, True), 50)]


def test_deletion_goes_on_after_its_time() -> None:
    suppress = node(wait_ms=0)
    suppress.send("a", (None, 1, True), 10)
    assert suppress.sent == [Sent("a", (None, None, True), 10)]


def test_old_value_is_what_the_last_update_has_replaced() -> None:
    suppress = node(wait_ms=10, send_old=True)
    suppress.send("a", (1, None, True), 0)
    suppress.send("a", (2, 1, True), 10)
    assert suppress.sent == [Sent("a", (2, 1, True), 10)]


def test_window_goes_on_when_stream_time_is_at_its_end_and_grace() -> None:
    suppress = node(wait_ms=5, until_windows_close=True)
    suppress.send(window("a", 0), (1, None, True), 3)
    suppress.send(window("a", 10), (1, None, True), 14)
    assert suppress.sent == []
    suppress.send(window("a", 10), (2, 1, True), 15)
    assert [(str(sent.key), sent.value[0]) for sent in suppress.sent] == [("[a@0/10]", 1)]


def test_window_that_was_deleted_sends_nothing() -> None:
    suppress = node(wait_ms=0, until_windows_close=True)
    suppress.send(window("a", 0), (1, None, True), 3)
    suppress.send(window("a", 0), (None, 1, True), 4)
    suppress.send(window("b", 10), (1, None, True), 15)
    assert suppress.sent == []


def test_oldest_go_on_early_where_there_are_too_many_keys() -> None:
    suppress = node(records_max=1)
    suppress.send("a", (1, None, True), 10)
    suppress.send("b", (2, None, True), 5)
    assert suppress.sent == [Sent("b", (2, None, True), 5)]


def test_oldest_go_on_early_where_there_are_too_many_bytes() -> None:
    # 8 and 20 beside key, value and topic: 39 bytes each.
    suppress = node(bytes_max=78)
    for key in ("a", "b"):
        suppress.send(key, (1, None, True), 10)
    assert suppress.sent == []
    suppress.send("c", (1, None, True), 10)
    assert [sent.key for sent in suppress.sent] == ["a"]


def test_buffer_of_no_keys_lets_every_update_go() -> None:
    suppress = node(records_max=0)
    suppress.send("a", (1, None, True), 10)
    assert suppress.sent == [Sent("a", (1, None, True), 10)]


def test_full_buffer_stops_the_application_without_asking_a_handler() -> None:
    suppress = node(records_max=1, bytes_max=500, emits_early=False)
    suppress.send("a", (1, None, True), 10)
    with pytest.raises(
        ProcessingError, match="holds back 2 keys of at most 1 and 78 bytes of at most 500"
    ) as raised:
        suppress.send("b", (1, None, True), 10)
    assert 'write when_full="emit"' in str(raised.value)
    assert (raised.value.topic, raised.value.offset) == ("in", 0)
    assert suppress.failures == []


def test_full_buffer_of_windows_is_not_told_to_emit_early() -> None:
    suppress = node(until_windows_close=True, records_max=0, emits_early=False)
    with pytest.raises(ProcessingError, match=r"1 keys of at most 0") as raised:
        suppress.send(window("a", 0), (1, None, True), 3)
    assert "when_full" not in str(raised.value)


def test_value_that_cannot_be_written_is_told_to_the_handler_and_not_held() -> None:
    suppress = node()
    suppress.send("a", ("no number", None, True), 10)
    suppress.send("b", (1, None, True), 200)
    assert [type(error).__name__ for error in suppress.failures] == ["SerializationError"]
    assert suppress.sent == []


def test_update_goes_on_as_the_record_that_caused_it() -> None:
    suppress = node(wait_ms=10)
    seen = []

    def note(*record: object) -> None:
        context = suppress.context
        seen.append((context.metadata, context.source_timestamp, context.source_headers, record[3]))

    suppress.forward = note
    again = Suppress(Holding(10, False, None, None, True), "held")
    suppress.run = again.compile(suppress)
    suppress.context.offset = 41
    suppress.send("a", (1, None, True), 0, (("h", b"1"),))
    suppress.context.topic, suppress.context.offset = "other", 5
    suppress.send("b", (1, None, True), 10)
    assert seen == [(("in", 0, 41), 0, (("h", b"1"),), (("h", b"1"),))]
    assert suppress.context.metadata == ("other", 0, 5)
