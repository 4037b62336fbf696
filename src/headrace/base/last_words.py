"""Logging where nothing may go wrong any more: while an application ends, or while somebody waits for it.

A filter or a handler of the user's may raise whatever it likes; elsewhere that is a failure like any other.
"""

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress

from headrace.base.interrupts import is_interrupt
from headrace.base.wording import wording

__all__ = ["log_safely"]


def log_safely(
    logger: logging.Logger,
    level: int,
    message: str,
    *arguments: object,
    exc_info: BaseException | None = None,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Log a message; where the user's logging raises, say both on the error stream instead, and go on."""
    try:
        logger.log(level, message, *arguments, exc_info=exc_info, extra=extra)
    except BaseException as failure:
        if is_interrupt(failure):
            raise
        with suppress(Exception):
            cause = "" if exc_info is None else f": {wording(exc_info)}"
            print(
                f"{logger.name}: {message % arguments}{cause} (logging this failed: {wording(failure)})",
                file=sys.stderr,
            )
