"""One connection to a broker: the conversation with it, over a socket that a selector watches."""

import logging
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from socket import socket
from ssl import SSLContext

from headrace.kafka.metadata import Address
from headrace.kafka.net.conversation import Conversation
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.messages import Request
from headrace.kafka.net.stream import Dial, Stream

__all__ = ["Connection"]

_log = logging.getLogger(__name__)

_AT_ONCE = 0.0


class Connection:
    """Dials, shakes hands, talks. Belongs to the thread of its network, which tells it what the selector has seen.

    Attributes:
        conversation: what is said on it.
        last_activity: when (monotonic seconds) something was last sent or received.
        is_closed: it is of no more use.
    """

    def __init__(
        self,
        selector: BaseSelector,
        conversation: Conversation,
        address: Address,
        tls: SSLContext | None,
        *,
        setup_until: float,
        closed: Callable[[NetworkError | None], None],
    ) -> None:
        """Make it without doing anything: `start` does. `closed` hears of the end, and of the error if it was one."""
        self._selector = selector
        self._address = address
        self._tls = tls
        self._setup_until = setup_until
        self._tell_closed = closed
        self._dial: Dial | None = None
        self._stream: Stream | None = None
        self._is_talking = False
        self._watched: tuple[socket, int] | None = None
        self._broken: NetworkError | None = None
        self.conversation = conversation
        self.last_activity = 0.0
        self.is_closed = False

    def start(self, now: float) -> None:
        """Look the host's name up, blocking, and begin to connect."""
        self.last_activity = now
        try:
            self._dial = Dial(self._address, now, self._setup_until)
            self._watch()
        except Exception as error:
            self.close(_told(error))

    def ask(self, request: Request, now: float) -> None:
        """Send a request, now or as soon as the other side may be asked."""
        self.conversation.ask(request, now)
        self._write(now)

    def ready(self, events: int, now: float) -> None:
        """Go on with what the selector has seen."""
        try:
            if self._dial is not None:
                if self._dial.look(now, is_ready=bool(events & EVENT_WRITE)):
                    self._connected()
                self._watch()
            if self._stream is not None and not self._is_talking:
                self._shake_hands(now)
            if self._is_talking:
                if events & EVENT_READ:
                    self._read(now)
                self._write(now)
        except Exception as error:
            self.close(_told(error))

    def look(self, now: float) -> None:
        """Do what is due by now; called after `ready`."""
        if self.is_closed:
            return
        try:
            if self._broken is not None:
                # It could not be written to. What it said before is read first: why a login failed, perhaps.
                self._read(now)
                raise self._broken
            if self._dial is not None:
                self._dial.look(now, is_ready=False)
                self._watch()
            elif not self._is_talking and now >= self._setup_until:
                raise NetworkError(
                    "it did not answer the TLS handshake in time; does this port speak TLS (security.protocol)?"
                )
            self.conversation.look(now)
            self._write(now)
        except Exception as error:
            self.close(_told(error))

    def next_time(self) -> float:
        """When to look again, if nothing is seen until then."""
        if self._broken is not None:
            return _AT_ONCE
        if self._is_talking:
            return self.conversation.next_time()
        setup_until = self._setup_until if self._dial is None else self._dial.until
        return min(setup_until, self.conversation.next_time())

    def close(self, error: NetworkError | None = None) -> None:
        """Close it; what has no answer yet fails with the error."""
        if self.is_closed:
            return
        self.is_closed = True
        self._unwatch()
        if self._stream is not None:
            self._stream.close()
        elif self._dial is not None:
            self._dial.sock.close()
        self._tell_closed(error)
        self.conversation.end(error or NetworkError("the connection was closed"))

    def _connected(self) -> None:
        assert self._dial is not None
        self._unwatch()
        dial, self._dial = self._dial, None
        self._stream = Stream(dial.sock, self._address.host, self._tls)

    def _shake_hands(self, now: float) -> None:
        assert self._stream is not None
        if self._stream.shake_hands():
            self._is_talking = True
            self.conversation.begin(now)
        self._watch()

    def _read(self, now: float) -> None:
        assert self._stream is not None
        self.last_activity = now
        frames, broken = self._stream.receive()
        for frame in frames:
            self.conversation.hear(frame, now)
        if broken is not None:
            raise broken

    def _write(self, now: float) -> None:
        if self._stream is None or self.is_closed:
            return
        parts = self.conversation.outgoing()
        try:
            if parts:
                self.last_activity = now
                self._stream.send(parts)
            elif self._stream.wants_write and self._is_talking:
                self._stream.flush()
        except NetworkError as error:
            self._broken = error
        self._watch()

    def _watch(self) -> None:
        """Let the selector look for what is waited for."""
        if self._dial is not None:
            sock, events = self._dial.sock, EVENT_WRITE
        elif self._stream is not None:
            sock, events = self._stream.sock, EVENT_READ | (EVENT_WRITE if self._stream.wants_write else 0)
        else:
            return
        wanted = (sock, events)
        if wanted == self._watched:
            return
        if self._watched is not None and self._watched[0] is sock:
            self._selector.modify(sock, events, self)
        else:
            self._unwatch()
            self._selector.register(sock, events, self)
        self._watched = wanted

    def _unwatch(self) -> None:
        if self._watched is not None:
            self._selector.unregister(self._watched[0])
            self._watched = None


def _told(error: Exception) -> NetworkError:
    if isinstance(error, NetworkError):
        return error
    _log.debug("a connection ends", exc_info=error)
    return NetworkError(str(error) or type(error).__name__)
