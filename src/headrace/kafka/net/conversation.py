"""What is said on one connection: who is greeted, who is answered, who has to wait, and when it is over. No IO."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from headrace.kafka.net.errors import Ending, NetworkError
from headrace.kafka.net.frames import FrameStream
from headrace.kafka.net.handshake import Dialogue, Session, greet, log_in
from headrace.kafka.net.messages import ApiMessage, BrokerVersions, Request
from headrace.kafka.net.security.logins import Login

__all__ = ["Conversation", "Phase"]

# A login that ends (KIP-368) is renewed at some point in this share of its life, so that not all clients come at once.
_RENEWED = (0.85, 0.95)

_NEVER = float("inf")


class Phase(Enum):
    """Where a conversation stands."""

    GREETING = auto()
    """Versions and login are under way: requests wait."""
    OPEN = auto()
    """Requests go out as they come, unless the broker throttles."""
    DRAINING = auto()
    """The login is about to be renewed: requests wait, what is under way is answered first."""
    RENEWING = auto()
    """The login is being renewed: requests wait."""
    ENDED = auto()
    """Nothing is said any more."""


@dataclass(slots=True)
class _Asked:
    """What is under way; `request` is None for what the handshake asks."""

    correlation_id: int
    answer_type: Any
    deadline: float
    request: Request | None


class Conversation:
    """One side of a connection: requests and frames go in with the time (monotonic seconds), bytes come out.

    A broker answers in the order in which it was asked. Whatever raises a NetworkError has found the connection of no
    more use; who has called closes it, and tells so by `end`.
    """

    def __init__(
        self, client_id: str, login: Login | None, *, request_timeout_s: float, settle_by: float
    ) -> None:
        """`settle_by` is until when the handshake may take; renewing a login may take `request_timeout_s`."""
        self._client_id = client_id
        self._login = login
        self._request_timeout_s = request_timeout_s
        self._settle_by = settle_by
        self._dialogue: Dialogue[Any] = greet(login)
        self._settled: Callable[[Any, float], None] = self._greeted
        self._correlation_id = 0
        self._waiting: deque[Request] = deque()
        self._under_way: deque[_Asked] = deque()
        self._outgoing: list[bytes] = []
        self._throttled_until = 0.0
        self._renew_at = _NEVER
        self.phase = Phase.GREETING
        self.versions: BrokerVersions | None = None

    @property
    def under_way(self) -> int:
        """How many requests wait for their answers."""
        return len(self._under_way)

    def takes_requests(self, now: float) -> bool:
        """Whether a request would go out at once."""
        return self.phase is Phase.OPEN and now >= self._throttled_until

    def begin(self, now: float) -> None:
        """Say the first word, once there is somebody to hear it."""
        self._go_on(None, now)

    def ask(self, request: Request, now: float) -> None:
        """Send a request, now or as soon as one may be sent."""
        if self.takes_requests(now) and not self._waiting:
            self._send(request)
        else:
            self._waiting.append(request)

    def hear(self, frame: memoryview, now: float) -> None:
        """Take an answer.

        Raises:
            NetworkError: it is none of what was asked, cannot be read, or ends the handshake.
        """
        if not self._under_way:
            raise NetworkError("it answered what was not asked")
        asked = self._under_way.popleft()
        answer = _decoded(frame, asked)
        throttle_ms = getattr(answer, "throttle_time_ms", 0) or 0
        if throttle_ms > 0:
            # Since 2.0 the broker answers at once, and leaves it to the client to wait.
            self._throttled_until = max(self._throttled_until, now + throttle_ms / 1000)
        if asked.request is None:
            self._go_on(answer, now)
        else:
            asked.request.answered(answer)

    def look(self, now: float) -> None:
        """Do what is due by now. All that has come is heard first: who was stopped for long finds its answers waiting.

        Raises:
            NetworkError: an answer, or the handshake, has taken too long.
        """
        if now >= self._settle_by or any(now >= asked.deadline for asked in self._under_way):
            raise NetworkError(
                "it did not answer in time (request.timeout.ms, socket.connection.setup.timeout.ms)",
                ending=Ending.SILENT,
            )
        if self.phase is Phase.OPEN and now >= self._renew_at:
            self.phase = Phase.DRAINING
        if self.phase is Phase.DRAINING and not self._under_way:
            self._renew(now)
        for request in [request for request in self._waiting if now >= request.deadline]:
            self._waiting.remove(request)
            request.fail(self._why_late(now))
        while self._waiting and self.takes_requests(now):
            self._send(self._waiting.popleft())

    def _why_late(self, now: float) -> NetworkError:
        if now < self._throttled_until:
            return NetworkError("it throttles us for too long")
        return NetworkError(
            "it was not ready for a request in time (request.timeout.ms)", ending=Ending.SILENT
        )

    def next_time(self) -> float:
        """When to look again, if nothing is heard until then."""
        times = [self._settle_by]
        times += [asked.deadline for asked in self._under_way]
        times += [request.deadline for request in self._waiting]
        if self.phase is Phase.OPEN:
            times.append(self._renew_at)
            if self._waiting:
                times.append(self._throttled_until)
        return min(times)

    def outgoing(self) -> list[bytes]:
        """Take what is to be written."""
        taken, self._outgoing = self._outgoing, []
        return taken

    def end(self, error: NetworkError) -> None:
        """Fail all that has no answer yet."""
        self.phase = Phase.ENDED
        self._dialogue.close()
        self._outgoing = []
        requests = [asked.request for asked in self._under_way if asked.request is not None]
        requests += self._waiting
        self._under_way.clear()
        self._waiting.clear()
        for request in requests:
            request.fail(error)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, request: Request) -> None:
        message = request.message
        if message.API_VERSION is None:
            assert self.versions is not None
            try:
                message.API_VERSION = self.versions.choose(message, request.newest)
            except NetworkError as error:
                request.fail(error)
                return
        self._write(message, request.deadline, request)
        request.was_sent = True

    def _write(self, message: ApiMessage, deadline: float, request: Request | None) -> None:
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        message.with_header(correlation_id=self._correlation_id, client_id=self._client_id)
        self._outgoing.append(message.encode(framed=True, header=True))
        answer_type = message.header.get_response_class()
        self._under_way.append(_Asked(self._correlation_id, answer_type, deadline, request))

    # ── handshake ────────────────────────────────────────────────────────────────────────────────────────────────

    def _go_on(self, answer: ApiMessage | None, now: float) -> None:
        try:
            message = self._dialogue.send(answer)
        except StopIteration as over:
            self._settled(over.value, now)
        except NetworkError:
            raise
        except Exception as error:
            raise _unreadable(error) from error
        else:
            self._write(message, self._settle_by, None)

    def _greeted(self, session: Session, now: float) -> None:
        self.versions = session.versions
        self._is_open(session.lifetime_ms, now)

    def _renew(self, now: float) -> None:
        assert self._login is not None
        assert self.versions is not None
        self.phase = Phase.RENEWING
        self._settle_by = now + self._request_timeout_s
        self._dialogue, self._settled = log_in(self._login, self.versions), self._is_open
        self._go_on(None, now)

    def _is_open(self, lifetime_ms: int, now: float) -> None:
        self.phase = Phase.OPEN
        self._settle_by = _NEVER
        self._renew_at = now + lifetime_ms / 1000 * random.uniform(*_RENEWED) if lifetime_ms > 0 else _NEVER


def _decoded(frame: memoryview, asked: _Asked) -> ApiMessage:
    stream = FrameStream(frame)
    try:
        header = asked.answer_type.parse_header(stream)
        if header.correlation_id == asked.correlation_id:
            return asked.answer_type.decode(stream)
    except Exception as error:
        # Whatever a malformed answer does to the decoder.
        raise _unreadable(error) from error
    raise NetworkError(
        f"it answered another request (number {header.correlation_id} instead of {asked.correlation_id})"
    )


def _unreadable(error: Exception) -> NetworkError:
    return NetworkError(f"its answer cannot be read ({type(error).__name__}: {error})")
