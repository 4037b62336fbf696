"""The states of an application and the moves between them: events from the worker and the caller in, listeners out."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from headrace.base.callables import misfit
from headrace.base.errors import StateError
from headrace.base.interrupts import is_interrupt
from headrace.base.last_words import log_safely

__all__ = ["FINAL", "NEXT", "Lifecycle", "State", "StateListener", "before_a_query", "in_words", "not_again"]

_log = logging.getLogger("headrace.streams")

State: TypeAlias = Literal[
    "created", "rebalancing", "running", "pending_shutdown", "pending_error", "error", "not_running"
]

#: Called with (new state, old state), in the thread that moves, or in one that still tells of the moves before.
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

    Listeners are told of one move after the other, in the order in which they were made. One thread tells at a time,
    and holds no lock meanwhile; what others move then, or the listeners themselves, it tells afterwards. If each told
    of its own move, two that move at once would be heard in any order; if each waited for its turn, a listener that
    waits for what another thread does would stop both.

    Source: `KafkaStreams.setState` of 4.3: a move that comes too late is ignored, an impossible one is an error.
    """

    def __init__(self) -> None:
        self._state: State = "created"
        self._changed = threading.Condition()
        self._listeners: tuple[StateListener, ...] = ()
        self._untold: deque[tuple[State, State, tuple[StateListener, ...]]] = (
            deque()
        )  # new, old, who was there
        self._is_telling = False

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
        with self._changed:
            self._listeners = (*self._listeners, listener)

    def move(self, new: State) -> bool:
        """Go to `new`, tell the listeners, and return whether there was a move.

        Raises:
            StateError: there is no way from here to there.
        """
        moved = self.change(new)
        if moved:
            self.tell()
        return moved

    def change(self, new: State) -> bool:
        """Go to `new`, and return whether there was a move: of that, `tell` is still to tell.

        Raises:
            StateError: there is no way from here to there.
        """
        with self._changed:
            old = self._state
            if new not in NEXT[old]:
                if new in _LATE_MOVES.get(old, frozenset()):
                    return False
                raise StateError(f"cannot go from {old} to {new}")
            self._state = new
            self._untold.append((new, old, self._listeners))
            self._changed.notify_all()
        return True

    def tell(self) -> None:
        """Tell the listeners of all moves they have not heard of, unless a thread is at it, which tells these as well.

        What one raises is logged: Kafka Streams lets it kill the thread that moves, which may then never reach the end.
        Ctrl-C is raised when all have heard.
        """
        interrupt: BaseException | None = None
        while (move := self._next_to_tell()) is not None:
            new, old, listeners = move
            try:
                for listener in listeners:
                    interrupt = _call(listener, new, old) or interrupt
            finally:
                with self._changed:
                    self._is_telling = False
        if interrupt is not None:
            raise interrupt

    def _next_to_tell(self) -> tuple[State, State, tuple[StateListener, ...]] | None:
        with self._changed:
            if self._is_telling or not self._untold:
                return None
            self._is_telling = True
            return self._untold.popleft()

    def wait_for(self, wanted: frozenset[State], timeout_s: float | None) -> bool:
        """Block until the state is one of `wanted`; False when `timeout_s` passed before."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state in wanted, timeout_s)


def _call(listener: StateListener, new: State, old: State) -> BaseException | None:
    """Tell one listener; return what interrupted it."""
    try:
        listener(new, old)
    except BaseException as error:
        if is_interrupt(error):
            return error
        log_safely(
            _log, logging.ERROR, "a listener failed on the change from %s to %s", old, new, exc_info=error
        )
    return None


def in_words(state: str) -> str:
    """Return what people read of a state: its name, but of one that says little to who has not read Kafka Streams.

    >>> in_words("running"), in_words("pending_error")
    ('running', 'ending, since it has failed')
    """
    return "ending, since it has failed" if state == "pending_error" else state


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
