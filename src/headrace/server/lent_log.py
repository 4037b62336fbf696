"""The log of an application, for routes that look at it, also when the application has stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

from headrace.log.port import Log
from headrace.server.answers import Problem
from headrace.streams.config import Layer
from headrace.streams.logs import address_of, open_log
from headrace.streams.runnable import Runnable

__all__ = ["lent_log"]

#: Somebody sits in front of it: an application waits for brokers ten times as long.
_PATIENCE_MS = 6_000


@contextmanager
def lent_log(application: Runnable) -> Iterator[Log | None]:
    """Lend the application's own log while it runs, or one that is opened for the while; None where there is none.

    Raises:
        Problem: the application has stopped meanwhile.
        LogError: the log cannot be opened.
    """
    log = application.log
    if log is not None:
        try:
            yield log
        except Exception:
            if application.log is log:
                raise
            raise Problem(503, "the application has just stopped: ask again") from None
        return
    path = address_of(application.config).path
    if path is not None and not path.exists():
        yield None
        return
    values = {"default.api.timeout.ms": _PATIENCE_MS}
    log = open_log(application.config.with_values(values, Layer.DEFAULT))
    try:
        yield log
    finally:
        log.close()
