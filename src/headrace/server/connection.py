"""One connection to a client: uvicorn's, with limits to how long it may take to ask, and to take its answer.

uvicorn waits for ever for the first request of a connection, for the rest of one that has begun, and for who does not
read: a few clients that send a byte a minute, or never read, would take all the connections there are.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol", "protocol_of"]

#: From the connection, or the answer before, to the end of a request's head.
_HEAD_SECONDS = 10.0

#: How long a client may take nothing of an answer. Who reads slowly reads on.
_READING_SECONDS = 10.0

_log = logging.getLogger("headrace.server.http")


def protocol_of(quick: Callable[[bytes], bytes | None], *, connections_max: int) -> type["PatientProtocol"]:
    """Return the protocol of one server, whose questions `quick` answers straight; None sends them the long way."""
    return type(
        "ServedProtocol",
        (PatientProtocol,),
        {"quick": staticmethod(quick), "connections_max": connections_max},
    )


class PatientProtocol(H11Protocol):
    """Cuts off who keeps a connection for nothing. Inherits from uvicorn's, which has no place to hook into.

    What is no request is told of at DEBUG: whoever sends it would fill the log else.
    """

    quick: Callable[[bytes], bytes | None] = staticmethod(lambda data: None)
    connections_max: int = 0
    _asking: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _Lowered(_log.name)

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        # asyncio does it for sockets that were made with IPPROTO_TCP alone. Head and body are two packets, of which the
        # second would wait for the client's delayed acknowledgement (40 ms).
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_a_request()
        if len(self.connections) > self.connections_max:
            self._make_room()

    def _make_room(self) -> None:
        """Cut off who has asked for nothing for the longest; where all wait for answers, uvicorn refuses this one."""
        waiting = [
            (each._asking.when(), each)
            for each in self.connections
            if isinstance(each, PatientProtocol) and each is not self and each._asking is not None
        ]
        if waiting:
            _, longest = min(waiting, key=lambda pair: pair[0])
            longest._stop_waiting()
            self.connections.discard(longest)
            longest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`: the client does not take what is there for it."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _watch_reading(self) -> None:
        self._reading = self.loop.call_later(
            _READING_SECONDS, self._look_at_reading, self.transport.get_write_buffer_size()
        )

    def _look_at_reading(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._watch_reading()
        else:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`. A question of another instance that comes whole is answered on the spot."""
        if self._is_between_requests and not self.flow.write_paused:
            answer = self.quick(data)
            if answer is not None:
                self._unset_keepalive_if_required()
                self.transport.write(answer)
                self._wait_for_a_request()
                return
        super().data_received(data)

    @property
    def _is_between_requests(self) -> bool:
        """Whether what comes now begins a request: after a refusal, the rest of a body may still come."""
        return (
            self.conn.their_state is h11.IDLE
            and not self.conn.trailing_data[0]
            and (self.cycle is None or self.cycle.response_complete)
        )

    def handle_events(self) -> None:
        """See `H11Protocol`: called with each part that comes."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """See `H11Protocol`."""
        super().on_response_complete()
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_a_request()

    def _wait_for_a_request(self) -> None:
        self._stop_waiting()
        self._asking = self.loop.call_later(
            _HEAD_SECONDS, self._look_at_asking, self.transport.get_write_buffer_size()
        )

    def _look_at_asking(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if 0 < left < before:
            self._wait_for_a_request()  # it still reads the answer before
        else:
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None


class _Lowered(logging.Logger):
    """Logs all that uvicorn says of one connection at DEBUG, but for failures of ours."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.parent = _log

    def warning(self, msg: object, *args: object, **named: Any) -> None:
        _log.debug(msg, *args, **named)
