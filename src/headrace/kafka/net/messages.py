"""Requests on their way to a broker: kafka-python's messages, in a version that the broker has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from headrace.kafka.net.errors import NetworkError

__all__ = ["ApiMessage", "Bounded", "BrokerVersions", "Request"]

#: A request or an answer of kafka-python, which has no types, or what has the same methods (`FetchMessage`).
ApiMessage: TypeAlias = Any


class Bounded(NamedTuple):
    """A message that is sent in no newer version than this, if any is named, whatever the broker has."""

    message: ApiMessage
    newest: int | None


@dataclass(slots=True)
class Request:
    """A message, who hears of its outcome, and until when (monotonic seconds) there may be one.

    Attributes:
        was_sent: it is, or may be, on the wire.
    """

    message: ApiMessage
    answered: Callable[[ApiMessage], None]
    failed: Callable[[NetworkError, bool], None]
    deadline: float
    newest: int | None = None
    was_sent: bool = False

    def fail(self, error: NetworkError) -> None:
        """Tell that there is no answer; the outcome is unknown if it was sent."""
        self.failed(error, self.was_sent)


@dataclass(frozen=True, slots=True)
class BrokerVersions:
    """The oldest and newest version of each request that a broker has, by API key, and its finalized features."""

    ranges: Mapping[int, tuple[int, int]]
    features: Mapping[str, int]

    def newest(self, message: ApiMessage, newest: int | None = None) -> int | None:
        """Return the newest version of a message (class or instance), up to `newest`, that both sides have."""
        known = self.ranges.get(message.API_KEY)
        if known is None:
            return None
        least, most = known
        version: int = min(most, message.max_version if newest is None else min(newest, message.max_version))
        return version if version >= least else None

    def choose(self, message: ApiMessage, newest: int | None) -> int:
        """Return the version in which to send a message, up to `newest`.

        Raises:
            NetworkError: the broker does not have it.
        """
        version = self.newest(message, newest)
        if version is None:
            raise NetworkError(
                f"the broker does not have {message.name} in a version that we know", is_fatal=True
            )
        return version
