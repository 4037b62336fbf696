"""The states of an application and the moves between them: events from the worker and the caller in, listeners out."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from headrace.base.callables import misfit
from headrace.base.errors import StateError
from headrace.base.interrupts import is_interrupt
from headrace.base.last_words import log_safely

__all__ = ["FINAL", "NEXT", "Lifecycle", "State", "StateListener", "before_a_query", "not_again"]

_log = logging.getLogger("headrace.streams")

State: TypeAlias = Literal[
    "created", "rebalancing", "running", "pending_shutdown", "pending_error", "error", "not_running"
]

#: Called with (new state, old state), in the thread that moves.
StateListener: TypeAlias = Callable[[str, str], object]

#: Legal moves. Source: `KafkaStreams.State` of 4.3.
NEXT: Mapping[State, frozenset[State]] = {
    "created": frozenset({"rebalancing", "pending_shutdown"}),
    "rebalancing": frozenset({"running", "pending_shutdown", "pending_error"}),
    "running": frozenset({"rebalancing", "running", "pending_shutdown", "pending_error"}),
    "pending_shutdown": frozenset({"not_running"}),
    "pending_error": frozenset({"error"}),
    "error": frozenset(),
    "not_running": frozenset(),
}

FINAL: frozenset[State] = frozenset({"error", "not_running"})

# A worker does not know yet that somebody closes: what it reports then is late, not wrong.
_LATE_MOVES: Mapping[State, frozenset[State]] = {
    "rebalancing": frozenset({"rebalancing"}),
    "pending_shutdown": frozenset({"pending_shutdown", "rebalancing", "running", "pending_error"}),
    "pending_error": frozenset({"pending_shutdown", "rebalancing", "running", "pending_error"}),
    "error": frozenset({"pending_shutdown", "rebalancing", "running", "pending_error"}),
    "not_running": frozenset({"pending_shutdown", "rebalancing", "running", "pending_error"}),
}


class Lifecycle:
    """The present state, and those who wait for another. Safe to use from several threads.

    Source: `KafkaStreams.setState` of 4.3: a move that comes too late is ignored, an impossible one is an error.
    """

    def __init__(self) -> None:
        self._state: State = "created"
        self._changed = threading.Condition()
        self._listeners: list[StateListener] = []

    @property
    def state(self) -> State:
        """Where the application is now."""
        return self._state

    def listen(self, listener: StateListener) -> None:
        """Call `listener` at every move from now on.

        Raises:
            TypeError: it cannot be called with two states, or is async.
        """
        problem = misfit(listener, ("new", "old"))
        if problem is not None:
            raise TypeError(f"the listener {problem}")
        self._listeners.append(listener)

    def move(self, new: State) -> bool:
        """Go to `new`, tell the listeners, and return whether there was a move.

        Raises:
            StateError: there is no way from here to there.
        """
        old = self.change(new)
        if old is None:
            return False
        self.tell(new, old)
        return True

    def change(self, new: State) -> State | None:
        """Go to `new` without telling the listeners; return where it was, None where there was no move.

        Raises:
            StateError: there is no way from here to there.
        """
        with self._changed:
            old = self._state
            if new not in NEXT[old]:
                if new in _LATE_MOVES.get(old, frozenset()):
                    return None
                raise StateError(f"cannot go from {old} to {new}")
            self._state = new
            self._changed.notify_all()
        return old

    def tell(self, new: State, old: State) -> None:
        """Tell the listeners of a move, in the calling thread, without the lock, so that they may ask and close.

        What one raises is logged: Kafka Streams lets it kill the thread that moves, which may then never reach the end.
        """
        for listener in tuple(self._listeners):
            try:
                listener(new, old)
            except BaseException as error:
                if is_interrupt(error):
                    raise
                log_safely(
                    _log,
                    logging.ERROR,
                    "a listener failed on the change from %s to %s",
                    old,
                    new,
                    exc_info=error,
                )

    def wait_for(self, wanted: frozenset[State], timeout_s: float | None) -> bool:
        """Block until the state is one of `wanted`; False when `timeout_s` passed before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state in wanted, timeout_s)


def not_again(state: State) -> str:
    """Say what to do for who starts an application that was started before."""
    if state in FINAL:
        return "make a new Streams to run it again"
    return "it has been started, which `with` does as well"


def before_a_query(state: State) -> str:
    """Say what to do for who asks a store in a state in which none can be asked."""
    if state == "created":
        return "start it, and wait_running()"
    return "wait_running() first" if state == "rebalancing" else "query it while it runs"
