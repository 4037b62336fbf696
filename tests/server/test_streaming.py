"""Server-sent events of one watch, as they go out."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from headrace.base.columns import Chunk
from headrace.base.ids import TopicPartition
from headrace.query.changes import Change, Changes
from headrace.server.answers import Problem
from headrace.server.streaming import Streaming


def watch(value: Any) -> Changes:
    """Return a watch to which one change has come."""
    changes = Changes(
        {TopicPartition("changelog", 0): 0},
        lambda key, data, timestamp, headers: Change("a", value, timestamp),
        lambda changes: None,
    )
    changes.take(Chunk("changelog", 0, range(1), [5], [b"a"], [b"1"], None, 10))
    return changes


def sent(changes: Changes, *, method: str = "GET") -> bytes:
    """Return what goes out to a client that stays."""
    found = b""

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal found
        found += message.get("body", b"")

    response = Streaming().events(lambda: changes)
    asyncio.run(asyncio.wait_for(response({"type": "http", "method": method}, receive, send), 10))
    return found


def test_value_that_json_cannot_hold_ends_the_stream_with_a_reason() -> None:
    assert b'event: error\ndata: {"error":"the change cannot be written as JSON: ' in sent(watch({(1, 2): 3}))


def test_what_came_before_the_end_is_sent_with_the_reason() -> None:
    changes = watch(1)
    changes.end("too much")
    assert sent(changes).endswith(
        b'event: change\ndata: {"key":"a","value":1,"timestamp":5}\n\n'
        b'event: error\ndata: {"error":"too much"}\n\n'
    )


def test_head_is_answered_without_a_stream() -> None:
    changes = watch(1)
    assert sent(changes, method="HEAD") == b""
    assert changes.is_over


def test_server_that_closes_says_so() -> None:
    streaming = Streaming()
    streaming.close()
    with pytest.raises(Problem, match="the server is closing"):
        streaming.events(lambda: watch(1))
