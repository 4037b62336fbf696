"""Late records: which of them go to the topic of `late_to=`, and what their headers say."""

from typing import Any

import pytest

from headrace.base.records import Headers
from headrace.operators.fold import COUNT
from headrace.operators.session import SessionAggregate, SessionShape
from headrace.operators.sliding import SlidingAggregate, SlidingShape
from headrace.operators.stream_stream_join import StreamJoinWindow
from headrace.operators.unlimited import UnlimitedAggregate
from headrace.operators.windowed import WindowAggregate, WindowShape
from headrace.serde.primitives import int64, string
from headrace.state.spec import StoreSpec
from tests.operators.nodes import Node, Sent
from tests.state.stores import store_spec


def spec(kind: Any = "window", *, retention_ms: int = 100_000, **more: Any) -> StoreSpec:
    return store_spec("s", kind, value=int64, caching=False, logging=False, retention_ms=retention_ms, **more)


def said(headers: Headers) -> dict[str, str | None]:
    """What the headers of a late record say beside its own, without the prefix that they share."""
    return {
        name.removeprefix("__headrace.late."): None if value is None else value.decode()
        for name, value in headers
    }


def test_a_record_that_its_window_takes_is_not_late() -> None:
    node = Node(WindowAggregate(WindowShape(10, 10, 5), COUNT, "s"), spec(), tells_late=True)
    node.send("a", "x", 24)
    node.send("a", "x", 10)
    assert node.came_late == []


def test_a_late_record_goes_as_it_came_with_headers_that_say_why() -> None:
    node = Node(WindowAggregate(WindowShape(10, 10, 5), COUNT, "s"), spec(), tells_late=True)
    node.context.topic, node.context.offset = "in", 7
    node.send("b", "x", 31)
    node.send("a", "y", 12, (("own", b"1"),))
    ((record, headers),) = node.came_late
    assert record == Sent("a", "y", 12)
    assert headers[0] == ("own", b"1")
    assert said(headers[1:]) == {
        "node": "node (test.py:1)",
        "stream.time": "31",
        "closed.at": "25",
        "topic": "in",
        "partition": "0",
        "offset": "7",
    }
    assert node.drops == ["expired window"]


def test_in_a_punctuation_there_is_no_topic_to_tell() -> None:
    node = Node(WindowAggregate(WindowShape(10, 10, 5), COUNT, "s"), spec(), tells_late=True)
    node.send("b", "x", 31)
    node.send("a", "y", 12)
    told = said(node.came_late[0][1])
    assert (told["topic"], told["offset"]) == (None, "-1")


def test_without_a_topic_a_late_record_is_dropped_as_ever() -> None:
    node = Node(WindowAggregate(WindowShape(10, 10, 0), COUNT, "s"), spec())
    node.send("b", "x", 31)
    node.send("a", "y", 12)
    assert (node.came_late, node.drops, len(node.sent)) == ([], ["expired window"], 1)


@pytest.mark.parametrize(
    ("stream_time", "drops", "closed_at"), [(19, 0, None), (20, 1, None), (24, 1, None), (25, 2, "25")]
)
def test_a_record_of_several_windows_is_late_once_none_takes_it(
    stream_time: int, drops: int, closed_at: str | None
) -> None:
    # At 12, its windows are [5, 15) and [10, 20), open for 5 ms longer.
    node = Node(WindowAggregate(WindowShape(10, 5, 5), COUNT, "s"), spec(), tells_late=True)
    node.send("b", "x", stream_time)
    node.send("a", "y", 12)
    assert len(node.drops) == drops
    assert [said(headers)["closed.at"] for _, headers in node.came_late] == ([closed_at] if closed_at else [])


@pytest.mark.parametrize(("stream_time", "closed_at"), [(19, []), (20, ["20"]), (27, ["20"]), (28, ["28"])])
def test_a_record_is_late_for_sliding_windows_once_none_takes_it(
    stream_time: int, closed_at: list[str]
) -> None:
    # From 28 on, not even a window that began with it would take it.
    node = Node(SlidingAggregate(SlidingShape(10, 5), COUNT, "s"), spec(), tells_late=True)
    node.send(
        "a", "x", 14
    )  # makes the window [4, 14] and, with the next one, [15, 25], which does not hold 12
    node.send("b", "x", stream_time)
    node.send("a", "y", 12)
    assert [said(headers)["closed.at"] for _, headers in node.came_late] == closed_at


def test_a_record_that_only_closed_sliding_windows_hold_is_late_before_that() -> None:
    node = Node(SlidingAggregate(SlidingShape(10, 0), COUNT, "s"), spec(), tells_late=True)
    node.send("b", "x", 21)
    node.send("a", "y", 12)  # has [2, 12] alone, which closed at 13
    assert node.sent[1:] == []
    assert [said(headers)["closed.at"] for _, headers in node.came_late] == ["13"]


def test_a_record_that_one_sliding_window_still_takes_is_not_late() -> None:
    node = Node(SlidingAggregate(SlidingShape(10, 0), COUNT, "s"), spec(), tells_late=True)
    node.send("a", "x", 18)  # [8, 18]
    node.send("b", "x", 18)
    node.send("a", "y", 12)  # [2, 12] has closed, [8, 18] takes it
    assert (node.came_late, node.drops) == ([], ["expired window"])


@pytest.mark.parametrize(("stream_time", "is_late"), [(25, False), (26, True)])
def test_a_record_is_late_once_its_session_would_have_closed(stream_time: int, is_late: bool) -> None:
    node = Node(SessionAggregate(SessionShape(10, 5), COUNT, "s"), spec("session"), tells_late=True)
    node.send("b", "x", stream_time)
    node.send("a", "y", 10)
    assert [record for record, _ in node.came_late] == ([Sent("a", "y", 10)] if is_late else [])
    assert all(said(headers)["closed.at"] == "26" for _, headers in node.came_late)


def test_a_record_before_a_window_without_end_goes_to_the_late_ones() -> None:
    node = Node(UnlimitedAggregate(100, COUNT, "s"), spec(retention_ms=2**63 - 1), tells_late=True)
    node.send("a", "x", 99)
    node.send("a", "y", 100)
    assert [(record, said(headers)["closed.at"]) for record, headers in node.came_late] == [
        (Sent("a", "x", 99), "100")
    ]
    assert node.drops == []  # nothing is counted, as in Kafka Streams


def test_a_null_key_is_not_late() -> None:
    node = Node(WindowAggregate(WindowShape(10, 10, 0), COUNT, "s"), spec(), tells_late=True)
    node.send("b", "x", 31)
    node.send(None, "y", 12)
    assert (node.came_late, node.drops) == ([], ["null key"])


@pytest.mark.parametrize(("stream_time", "is_late"), [(61, False), (62, True)])
def test_a_record_that_the_store_of_a_join_keeps_no_more_is_late_behind_its_results(
    stream_time: int, is_late: bool
) -> None:
    kept = store_spec(
        "s", "window", value=string, caching=False, logging=False, retention_ms=50, retain_duplicates=True
    )
    node = Node(StreamJoinWindow("s"), kept, tells_late=True)
    node.send("b", "x", stream_time)
    node.send("a", "y", 12)
    assert node.sent[1] == Sent("a", "y", 12)
    assert [(record, said(headers)["closed.at"]) for record, headers in node.came_late] == (
        [(Sent("a", "y", 12), "62")] if is_late else []
    )
