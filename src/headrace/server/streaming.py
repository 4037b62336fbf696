"""Server-sent events of what is watched: one answer that goes on until the client leaves, or the application or its
server ends.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headrace.base.errors import HeadraceError
from headrace.base.records import Windowed
from headrace.query.changes import Change, Changes
from headrace.query.formats import plain
from headrace.server.answers import UNWRITABLE, Problem

__all__ = ["Streaming"]

#: Each costs a connection and some memory, and none of them a thread.
_STREAMS_MAX = 100

#: Between signs of life, without which proxies take a stream for dead.
_ALIVE_SECONDS = 15.0

_encode = msgspec.json.Encoder(enc_hook=plain).encode


class Streaming:
    """All streams of one server. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[Changes] = set()
        self._is_closed = False

    def events(self, watch: Callable[[], Changes]) -> Response:
        """Begin to watch, and return the answer that tells of it.

        Raises:
            Problem: there are as many as there may be, or the server is closing.
        """
        with self._lock:
            if self._is_closed:
                raise Problem(503, "the server is closing: ask again when it is back")
            if len(self._open) >= _STREAMS_MAX:
                raise Problem(
                    503, f"there are {len(self._open)} streams already: end some, or try again later"
                )
        changes = watch()
        with self._lock:
            self._open.add(changes)
        self._end_if_closed(changes)
        return _Events(changes, self._ended)

    def _end_if_closed(self, changes: Changes) -> None:
        if self._is_closed:
            changes.close()

    def _ended(self, changes: Changes) -> None:
        with self._lock:
            self._open.discard(changes)

    @property
    def is_closed(self) -> bool:
        """Whether the server is closing."""
        return self._is_closed

    def close(self) -> None:
        """End all of them; uvicorn would wait for their clients."""
        with self._lock:
            self._is_closed = True
            found = list(self._open)
        for each in found:
            each.close()


class _Events(Response):
    media_type = "text/event-stream"

    def __init__(self, changes: Changes, ended: Callable[[Changes], None]) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._changes = changes
        self._tell_ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events. Not a generator: nobody closes one when the client leaves."""
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await self._send_all(leaving, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            self._changes.close()
            self._tell_ended(self._changes)

    async def _send_all(self, leaving: "asyncio.Future[None]", send: Send) -> None:
        changes, loop, ready = self._changes, asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ready.set)

        changes.when_ready(wake)
        await _send(send, b": changes from now on\n\n")
        while not leaving.done():
            ready.clear()
            is_over = changes.is_over  # asked before: what came until then is still sent, and why it is over
            try:
                while (change := changes.taken()) is not None:
                    await _send(send, _event(change))
                    if leaving.done():
                        return
            except HeadraceError as error:
                await _send(send, b"event: error\ndata: " + _encode({"error": str(error)}) + b"\n\n")
                return
            except UNWRITABLE as error:
                text = f"the change cannot be written as JSON: {error}"
                await _send(send, b"event: error\ndata: " + _encode({"error": text}) + b"\n\n")
                return
            if is_over:
                return
            waiting = asyncio.ensure_future(ready.wait())
            try:
                await asyncio.wait(
                    (waiting, leaving), timeout=_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                waiting.cancel()
            if not ready.is_set() and not leaving.done():
                await _send(send, b": alive\n\n")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def _event(change: Change) -> bytes:
    key = change.key
    told: dict[str, object] = {"key": plain(key)}
    if isinstance(key, Windowed):
        told = {"key": plain(key.key), "start": key.window.start, "end": key.window.end}
    told |= {"value": plain(change.value), "timestamp": change.timestamp}
    return b"event: change\ndata: " + _encode(told) + b"\n\n"
