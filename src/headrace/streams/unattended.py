"""Tells of an application that its own program leaves alone: it was started, and the main thread has ended."""

import atexit
import logging

from headrace.base.last_words import log_safely
from headrace.streams.home_process import HomeProcess
from headrace.streams.states import FINAL, Lifecycle

__all__ = ["tell_if_unattended"]

_log = logging.getLogger("headrace.streams")


def tell_if_unattended(application_id: str, life: Lifecycle, home: HomeProcess) -> None:
    """Warn when the interpreter ends while the application runs that has just started, and nobody has closed it."""

    def tell() -> None:
        if life.state in ("rebalancing", "running") and not home.is_elsewhere:
            log_safely(
                _log,
                logging.WARNING,
                "application %r ends with its program, which it does not keep alive; what it has not committed, the "
                "next start does again. To let it run, write streams.run() in place of streams.start(), or end the "
                "program with streams.wait()",
                application_id,
            )

    def forget(new: str, old: str) -> None:
        if new in FINAL:
            atexit.unregister(tell)

    life.listen(forget)
    atexit.register(tell)
