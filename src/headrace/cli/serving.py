"""Runs an application in the foreground for `headrace run`, `dev` and `demo`: signals, status line, end."""

import logging
import sys
from collections.abc import Callable

from headrace.cli.status import StatusLine
from headrace.streams.signals import StopSignals
from headrace.streams.states import FINAL
from headrace.streams.streams import Streams

__all__ = ["quiet_end", "serve"]

_REFRESH_SECONDS = 0.25


def serve(
    streams: Streams, line: StatusLine, *, started: str, interrupted: Callable[[], bool] = lambda: False
) -> bool:
    """Run until a signal, the application's own end, or `interrupted` (asked a few times a second); then close.

    `started` is said once it has its lock and its log; nothing is said before, so that a refusal stands alone.

    Returns whether `interrupted` alone ended it: after a signal nothing is to be started any more. The application
    commits and leaves in each of the cases.

    Raises:
        Exception: what killed the application.
    """
    was_interrupted = False
    with StopSignals(farewell=line.farewell) as signals, line:
        streams.on_state_change(lambda new, old: signals.wake())
        if not signals.wait(0):
            streams.start()
            line.say(started)
        while streams.state not in ("created", *FINAL):
            line.show(streams.state, streams.status(), streams.trouble)
            if signals.wait(_REFRESH_SECONDS):
                break
            if interrupted():
                was_interrupted = True
                break
        if streams.state not in ("created", *FINAL):
            line.show("stopping", streams.status(), streams.trouble)
        # Without a limit: the second signal is the limit.
        streams.close(timeout=None)
        was_interrupted = was_interrupted and not signals.wait(0)
    streams.wait()
    return was_interrupted


class _ErrorStream(logging.Handler):
    """Writes to the error stream that there is then: on a terminal the status line puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except Exception:
            self.handleError(record)


def quiet_end() -> None:
    """Set up the log of a command: warnings on the error stream, and what was restored, topics made, outages over.

    The end of the application is told by the command.
    """
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", handlers=[_ErrorStream()]
    )
    for told in ("headrace.brokers", "headrace.restore", "headrace.topics"):
        logging.getLogger(told).setLevel(logging.INFO)
    logging.getLogger("headrace.streams").setLevel(logging.CRITICAL)
    # The record that ends the application is shown by the command, with the user's own frames only; the warnings of
    # this log, about records that were dropped, stay.
    logging.getLogger("headrace.failures").addFilter(lambda record: record.levelno < logging.ERROR)
