"""The control plane's own connections: blocking requests from any thread, tried again until their time is over."""

import logging
import threading
import time
from collections.abc import Collection, Mapping

from headrace.base.errors import LogError, LogUnavailableError
from headrace.kafka.control.errors import ControlRemedy, ControlRequest, advice, remedy
from headrace.kafka.error_codes import ErrorCode
from headrace.kafka.metadata import Address, TopicMetadata, metadata_request, read_brokers, read_topics
from headrace.kafka.net.network import ApiMessage, Network, NetworkError
from headrace.kafka.net.waiting import ANY_NODE, Waiting
from headrace.kafka.options import ConnectionSettings

__all__ = ["Admin", "Attempts"]

_log = logging.getLogger("headrace.brokers")

#: Whoever has tried for so long in vain says so.
_TOLD_AFTER_S = 5.0

_ASKING = "asking"


class Attempts:
    """One operation's tries. `again` waits for the next one, longer each time."""

    def __init__(
        self,
        attempt: str,
        settings: ConnectionSettings,
        closing: threading.Event,
        waiting: Waiting,
        seconds: float,
    ) -> None:
        """`attempt` reads like 'find the end of topic x' behind 'cannot'."""
        self.attempt = attempt
        self._settings = settings
        self._closing = closing
        self._waiting = waiting
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._told_below_s = seconds - _TOLD_AFTER_S
        self._is_told = False
        self._wait_s = settings.retry_backoff_ms / 1000

    @property
    def left_ms(self) -> int:
        """What is left of the operation's time."""
        return max(1, int(1000 * (self._deadline - time.monotonic())))

    def again(self, reason: str, *, is_told: bool = False) -> None:
        """Wait before the next try. Warns once of what takes long, unless somebody else does.

        Raises:
            LogUnavailableError: the time is over.
            LogError: the log is closed.
        """
        now = time.monotonic()
        deadline = self._waiting.deadline(self._deadline)
        if now + self._wait_s >= deadline:
            tried = f"tried for {self._seconds:g} s"
            if 1000 * self._seconds == self._settings.default_api_timeout_ms:
                tried += ", default.api.timeout.ms"
            if deadline < self._deadline:
                tried = "given up, since the application stops"
            raise LogUnavailableError(f"cannot {self.attempt}: {reason} ({tried})")
        if not (is_told or self._is_told) and self._deadline - now < self._told_below_s:
            self._is_told = True
            _log.warning("cannot %s yet: %s; trying again", self.attempt, reason)
        if self._closing.wait(self._wait_s):
            raise self.error("the log is closed")
        self._wait_s = min(2 * self._wait_s, self._settings.retry_backoff_max_ms / 1000)

    def error(self, reason: str) -> LogError:
        """Make the error that ends the operation."""
        return LogError(f"cannot {self.attempt}: {reason}")

    def judge(
        self, request: ControlRequest, code: int, said: str | None = None, *, about: str = ""
    ) -> ControlRemedy:
        """Return what to do about a code; `about` names what it concerns, where that is not the whole operation.

        Raises:
            LogError: there is nothing to do about it.
        """
        found = ErrorCode(code)
        todo = remedy(request, found)
        if todo is ControlRemedy.FAIL:
            raise self.error(
                f"{about}: {advice(request, found, said)}" if about else advice(request, found, said)
            )
        return todo

    def reason(self, request: ControlRequest, code: int, about: str = "") -> str:
        """Say why a try was in vain."""
        said = advice(request, ErrorCode(code))
        return f"{about}: {said}" if about else said


class Admin:
    """One network behind a lock, driven by whoever asks. Connects with the first request.

    The lock is held for one request, not for an operation: who waits between tries holds up nobody.
    """

    def __init__(self, settings: ConnectionSettings, waiting: Waiting, *, purpose: str = "admin") -> None:
        """Raise a ConfigError where the connections' properties do not fit together."""
        self._settings = settings
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._waiting = waiting
        self._network = Network(settings, purpose=purpose, waiting=waiting)
        self._is_connected = False

    def begin(self, attempt: str, seconds: float | None = None) -> Attempts:
        """Start the clock of an operation, which has `default.api.timeout.ms` unless it is told otherwise."""
        if seconds is None:
            seconds = self._settings.default_api_timeout_ms / 1000
        return Attempts(attempt, self._settings, self._closing, self._waiting, seconds)

    def ask(
        self,
        attempts: Attempts,
        request: ApiMessage,
        *,
        node_id: int | None = None,
        timeout_ms: int | None = None,
    ) -> ApiMessage | None:
        """Send a request, to any broker where no node is given. None after a try in vain and the wait for the next.

        The answer may take `request.timeout.ms`, or the time that is given.

        Raises:
            LogError: the time is over, the cluster cannot be reached, or the login or TLS are wrong.
        """
        try:
            with self._lock:
                network = self._connected()
                wait_ms = min(timeout_ms or self._settings.request_timeout_ms, attempts.left_ms)
                answer = network.call(request, node_id=node_id, timeout_ms=wait_ms)
        except NetworkError as error:
            if error.is_fatal:
                raise attempts.error(str(error)) from error
            self._waiting.goes_on(_ASKING, ANY_NODE if node_id is None else node_id, str(error))
            attempts.again(str(error), is_told=True)
            return None
        self._waiting.is_over(_ASKING, ANY_NODE if node_id is None else node_id)
        return answer

    def version(self, attempts: Attempts, request: type[ApiMessage], *, newest: int) -> int:
        """Return the version to use of a request, at most `newest`.

        Raises:
            LogError: the brokers do not have the request.
        """
        with self._lock:
            version = self._connected().version(request)
        if version is None:
            raise attempts.error("the brokers do not have what it needs; headrace needs Kafka 2.5 or later")
        return min(version, newest)

    def has(self, request: ApiMessage) -> bool:
        """Whether the brokers have a request in a version that we know."""
        with self._lock:
            return self._connected().version(request) is not None

    def metadata(
        self, attempts: Attempts, names: Collection[str] | None, *, node_id: int | None = None
    ) -> Mapping[str, TopicMetadata]:
        """Ask for these topics, or all; return those that exist.

        Raises:
            LogError: a topic may not be described, or nobody answers in time.
        """
        while True:
            answer = self.ask(attempts, metadata_request(names), node_id=node_id)
            if answer is None:
                continue
            if ErrorCode(getattr(answer, "error_code", 0) or 0) is not ErrorCode.NONE:
                # KIP-1102: the broker belongs to another cluster by now.
                with self._lock:
                    self._network.forget_brokers()
                attempts.again("the cluster has moved")
                continue
            with self._lock:
                self._network.learn(read_brokers(answer))
            found: dict[str, TopicMetadata] = {}
            unsettled = ""
            for name, topic in read_topics(answer).items():
                todo = attempts.judge(ControlRequest.METADATA, topic.error, about=f"topic {name!r}")
                if todo is ControlRemedy.RETRY:
                    unsettled = attempts.reason(ControlRequest.METADATA, topic.error, f"topic {name!r}")
                elif todo is ControlRemedy.TAKE:
                    found[name] = topic
            if not unsettled:
                return found
            attempts.again(unsettled)

    def features(self) -> Mapping[str, int]:
        """Return the features that the brokers have settled on, with their levels."""
        with self._lock:
            return self._connected().features()

    def learn_broker(self, node_id: int, address: Address) -> None:
        """Take over one broker's address, from whoever names it."""
        with self._lock:
            self._network.learn_one(node_id, address)

    def brokers(self) -> list[int]:
        """Return the ids of the brokers known."""
        with self._lock:
            return list(self._connected().brokers)

    def _connected(self) -> Network:
        if not self._is_connected:
            self._network.connect()
            self._is_connected = True
        return self._network

    def close(self) -> None:
        """Close the connections; waits for a request that is under way. Twice is fine."""
        self._closing.set()
        with self._lock:
            self._network.close()
