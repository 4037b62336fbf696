"""Lets the records that reach a node move the time of its stores whose rows expire, before the node has them."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from headrace.base.records import Headers
from headrace.state.spec import StoreSpec
from headrace.topology.wiring import Forward

__all__ = ["Expiring", "advancing", "expiring"]


class Expiring(Protocol):
    """A store whose rows expire."""

    @property
    def spec(self) -> StoreSpec:
        """What was declared."""

    def resume(self) -> None:
        """Take over the stream time that is committed with the offsets."""

    def advance(self, timestamp: int) -> None:
        """Take notice of a record's time; let go of what has expired by it."""


def expiring(states: Iterable[Any]) -> list[Expiring]:
    """Return the stores whose rows expire."""
    return [state for state in states if state.spec.ttl_ms is not None]


def advancing(run: Forward, stores: Sequence[Expiring]) -> Forward:
    """Make the closure of a node that has such stores."""
    for store in stores:
        store.resume()
    advances = [store.advance for store in stores]

    def advance_and_run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for advance in advances:
            advance(timestamp)
        run(key, value, timestamp, headers)

    return advance_and_run
