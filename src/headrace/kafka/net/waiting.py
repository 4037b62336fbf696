"""Waiting for brokers: how long it may last, and who hears of it. One for a log, its readers and its writers."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ANY_NODE", "Waiting"]

_log = logging.getLogger("headrace.brokers")

#: Stands for a broker in requests that any broker can answer.
ANY_NODE = -1

#: An outage is told when it has lasted so long that it is none of the blips that every cluster has; then as often as
#: this while it goes on.
_TOLD_AFTER_S = 1.0
_TOLD_EVERY_S = 30.0

#: Tries follow each other within a second or so; where none has failed for this long, nobody tries any more.
_FORGOTTEN_S = 15.0


@dataclass(slots=True)
class _Outage:
    reason: str
    since: float
    seen: float
    heard: float
    told: float | None = None


class Waiting:
    """What all connections of a log have in common while brokers do not answer. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until = float("inf")
        self._outages: dict[tuple[str, int], _Outage] = {}
        self._heard: dict[str, float] = {}

    def hurry(self, seconds: float) -> None:
        """Let everything that blocks, now or later, give up within so many seconds. The last call counts."""
        self._until = self._clock() + seconds

    def deadline(self, wanted: float) -> float:
        """Return until when to go on (seconds of the clock), where one would like to until `wanted`."""
        return min(wanted, self._until)

    def given_up(self, limit: str) -> str:
        """Say for how long nobody answered: 'within' a limit, or until the hurry was over; and what is known of why."""
        text = f"within {limit}" if self._clock() < self._until else "in the time that a stop leaves"
        reason = self.reason
        return f"{text} ({reason})" if reason else text

    def goes_on(self, what: str, node_id: int, reason: str, *, after_s: float = _TOLD_AFTER_S) -> None:
        """Note that a try has failed, and warn of it now and then: for the first time when it has lasted `after_s`.

        `what` is a gerund, such as 'reading'. Where no broker in particular is meant, this belongs to the outage that
        is known already: who has lost a partition's leader asks anybody for the next one.
        """
        now = self._clock()
        with self._lock:
            found = self._find(what, node_id, now)
            if found is None:
                found = self._outages[what, node_id] = _Outage(reason, now, now, self._heard.get(what, now))
            found.reason, found.seen = reason, now
            lasted = now - found.since
            if lasted < after_s or (found.told is not None and now - found.told < _TOLD_EVERY_S):
                return
            found.told = now
        if lasted < 2 * _TOLD_AFTER_S:
            _log.warning("%s waits: %s; trying again", what, reason)
        else:
            _log.warning("%s has waited for %d s: %s; trying again", what, lasted, reason)

    def _find(self, what: str, node_id: int, now: float) -> _Outage | None:
        outages = self._outages
        for key in [key for key, each in outages.items() if now - each.seen > _FORGOTTEN_S]:
            del outages[key]
        found = outages.get((what, node_id))
        if found is None and node_id == ANY_NODE:
            found = next((each for key, each in outages.items() if key[0] == what), None)
        return found

    def is_over(self, what: str, node_id: int) -> None:
        """Note that a broker has answered."""
        self._heard[what] = self._clock()
        if not self._outages:
            return  # the usual case, once an answer
        with self._lock:
            found = self._outages.pop((what, node_id), None)
        if found is not None and found.told is not None:
            _log.info("%s goes on, after %d s", what, self._clock() - found.since)

    @property
    def reason(self) -> str | None:
        """Say what is waited for, where that was worth a warning; None where nothing is."""
        return max(current, key=lambda each: each.seen).reason if (current := self._current()) else None

    @property
    def silence_s(self) -> float | None:
        """How long ago was heard of what `reason` tells, or was first missed; None where nothing is waited for.

        A broker that falls silent is missed when a request has waited for as long as it may, and that counts too.
        """
        current = self._current()
        return self._clock() - min(each.heard for each in current) if current else None

    def _current(self) -> list[_Outage]:
        now = self._clock()
        with self._lock:
            return [
                each
                for each in self._outages.values()
                if each.told is not None and now - each.seen <= _FORGOTTEN_S
            ]
