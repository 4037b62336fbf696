"""Runs an application in the foreground for `headrace run`, `dev` and `demo`: signals, status line, end."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from headrace.base.errors import ApplicationStoppedError, HeadraceError
from headrace.base.wording import wording
from headrace.cli.failure import UserCodeError
from headrace.cli.status import StatusLine
from headrace.cli.worker_reports import ReportLine
from headrace.streams.runnable import Runnable
from headrace.streams.signals import StopSignals
from headrace.streams.states import FINAL

if TYPE_CHECKING:
    from headrace.server import Server

__all__ = ["serve"]

_REFRESH_SECONDS = 0.25


def serve(
    application: Runnable,
    line: StatusLine | ReportLine,
    *,
    started: str,
    interrupted: Callable[[], bool] = lambda: False,
    server: "Server | None" = None,
) -> bool:
    """Run until a signal, the application's own end, or `interrupted` (asked a few times a second); then close.

    `started` is said once it has its lock and its log; nothing is said before, so that a refusal stands alone. A
    `server` answers from the beginning to the end, and its own failure ends nothing.

    Returns whether `interrupted` alone ended it: after a signal nothing is to be started any more. The application
    commits and leaves in each of the cases.

    Raises:
        ApplicationStoppedError: all instances of the application are to end.
        HeadraceError: what else killed the application; UserCodeError where that is an error of the user's own.
    """
    was_interrupted = False
    with StopSignals(farewell=line.farewell) as signals, line, server or nullcontext():
        application.on_state_change(lambda new, old: signals.wake())
        if not signals.wait(0):
            application.start()
            line.say(started)
            if server is not None:
                line.say(f"headrace: answers at {server.url}")
        while application.state not in ("created", *FINAL):
            line.show(application.state, application.status(), application.trouble)
            if signals.wait(_REFRESH_SECONDS):
                break
            if interrupted():
                was_interrupted = True
                break
        if application.state not in ("created", *FINAL):
            line.show("stopping", application.status(), application.trouble)
        # Without a limit: the second signal is the limit.
        application.close(timeout=None)
        was_interrupted = was_interrupted and not signals.wait(0)
    try:
        application.wait()
    except ApplicationStoppedError:
        raise
    except Exception as error:
        if application.shuts_down_application:
            raise ApplicationStoppedError(
                f"application {application.application_id!r} stops, all instances of it: {wording(error)}"
            ) from error
        if isinstance(error, HeadraceError):
            raise
        raise UserCodeError(f"application {application.application_id!r} stops: {wording(error)}") from error
    return was_interrupted
