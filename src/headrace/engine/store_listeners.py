"""Tells the program's listeners how its stores are restored and followed."""

import inspect
import logging
from collections.abc import Mapping, Sequence

from headrace.base.callables import misfit
from headrace.base.interrupts import is_interrupt
from headrace.base.last_words import log_safely
from headrace.processor.listeners import RestoreListener, StandbyUpdateListener

__all__ = ["StoreListeners"]

_log = logging.getLogger("headrace.restore")


class StoreListeners:
    """Those of one application. Set from any thread; each is called in the stream thread that restores or follows.

    What one raises is logged and changes nothing; in Kafka Streams it kills the thread.
    """

    def __init__(self) -> None:
        self._restores: tuple[object, ...] = ()
        self._standbys: tuple[object, ...] = ()

    def hear_restores(self, listener: object) -> None:
        """Let an object with methods of `RestoreListener` hear from now on.

        Raises:
            TypeError: it has none of the methods, or one that cannot be called so.
        """
        _ensure_fits(listener, RestoreListener)
        self._restores = (*self._restores, listener)

    def hear_standbys(self, listener: object) -> None:
        """Let an object with methods of `StandbyUpdateListener` hear from now on.

        Raises:
            TypeError: it has none of the methods, or one that cannot be called so.
        """
        _ensure_fits(listener, StandbyUpdateListener)
        self._standbys = (*self._standbys, listener)

    def of_restores(self, method: str, *told: object) -> None:
        """Call a method of those that hear of restores."""
        _tell(self._restores, method, told)

    def of_standbys(self, method: str, *told: object) -> None:
        """Call a method of those that hear of standbys."""
        _tell(self._standbys, method, told)


def _tell(listeners: Sequence[object], method: str, told: Sequence[object]) -> None:
    for listener in listeners:
        try:
            # Looked up each time: a class without it does not want to hear of that.
            call = getattr(listener, method, None)
            if call is not None:
                call(*told)
        except BaseException as error:
            if is_interrupt(error):
                raise
            name = f"{type(listener).__qualname__}.{method}"
            log_safely(_log, logging.ERROR, "listener %s failed on %s", name, told, exc_info=error)


def _ensure_fits(listener: object, kind: type) -> None:
    wanted = _methods(kind)
    if isinstance(listener, type):
        raise TypeError(
            f"a listener is an object, found the class {listener.__qualname__}: write {listener.__qualname__}()"
        )
    found = {name: getattr(listener, name) for name in wanted if hasattr(listener, name)}
    if not found:
        raise TypeError(
            f"a listener has methods of hr.{kind.__name__}, some of {', '.join(wanted)}; found {listener!r}"
        )
    for name, method in found.items():
        problem = misfit(method, wanted[name])
        if problem is not None:
            raise TypeError(f"{name} of the listener: {problem}")


def _methods(kind: type) -> Mapping[str, Sequence[str]]:
    """The methods of a kind of listener, each with its arguments."""
    return {
        name: tuple(inspect.signature(method).parameters)[1:]
        for name, method in vars(kind).items()
        if name.startswith("on_")
    }
