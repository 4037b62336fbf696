"""What the command line shows when the user's own code fails: their traceback, and the record it failed on."""

import importlib
import traceback
from contextlib import suppress
from pathlib import Path

import click

import headrace
from headrace.base.errors import (
    ApplicationStoppedError,
    ConfigError,
    HeadraceError,
    ProcessingError,
    ProductionError,
    SerializationError,
    TopologyError,
)
from headrace.base.wording import wording

__all__ = ["MISTAKE", "SHUT_DOWN", "UserCodeError", "exit_code", "one_line", "show", "told"]

#: Exit codes after which no supervisor should start the application again: of a mistake in what was asked for, and of
#: an application that a handler of uncaught exceptions has shut down, all instances of it.
MISTAKE, SHUT_DOWN = 2, 3

_PACKAGE = str(Path(headrace.__file__).parent)
_IMPORTS = ("<frozen importlib", str(Path(importlib.__file__).parent))


class UserCodeError(HeadraceError):
    """The user's module or function failed while it was loaded. `__cause__` is its own exception."""


def one_line(message: str) -> str:
    """Return a message without its line breaks."""
    return " ".join(message.split())


def exit_code(error: BaseException) -> int:
    """Return 2 for a mistake in what was asked for, 3 where all instances are to end, 1 for another failure."""
    if isinstance(error, ApplicationStoppedError):
        return SHUT_DOWN
    return MISTAKE if isinstance(error, ConfigError | TopologyError) else 1


def told(error: BaseException) -> tuple[str, str]:
    """Return the line that says what went wrong, and the user's part of the traceback, empty where there is none.

    Of what the user's code raised, its own traceback; of an error of ours, which says all in its message, none; of any
    other, which should not happen, everything.
    """
    if isinstance(error, UserCodeError | ProcessingError | ApplicationStoppedError):
        trace = "" if error.__cause__ is None else user_traceback(error.__cause__)
        return one_line(str(error)), trace
    if isinstance(error, HeadraceError | TimeoutError):
        return one_line(str(error)), ""
    return one_line(wording(error)), user_traceback(error)


def show(error: BaseException) -> None:
    """Print what `told` says, the traceback first."""
    line, trace = told(error)
    with suppress(OSError):  # an error stream that is full or closed: the exit code remains
        click.echo(f"{trace}headrace: {line}", err=True)


def user_traceback(error: BaseException) -> str:
    """Return a traceback without the frames of headrace and of imports that lie above the user's own.

    Those below stay: an error that comes out of headrace itself needs them. A syntax error names its own place, and
    bytes that a serde of headrace refuses, or a record that the log does not take, are no fault of any code: nothing is
    left of those but the message.
    """
    if isinstance(error, ProductionError | SerializationError) and not _has_users_frames(error):
        return ""
    shown = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = shown
    while link is not None:
        last = max(
            (index for index, frame in enumerate(link.stack) if not _is_ours(frame.filename)), default=-1
        )
        frames = [frame for frame in link.stack[: last + 1] if not _is_ours(frame.filename)]
        below = [] if _is_syntax_error(link) else link.stack[last + 1 :]
        link.stack = traceback.StackSummary.from_list([*frames, *below])
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "".join(shown.format())


def _is_syntax_error(link: traceback.TracebackException) -> bool:
    # It alone has the place in the text. (`exc_type` is deprecated since Python 3.13.)
    return hasattr(link, "offset")


def _has_users_frames(error: BaseException | None) -> bool:
    while error is not None:
        if any(not _is_ours(frame.filename) for frame in traceback.extract_tb(error.__traceback__)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_ours(filename: str) -> bool:
    # headrace.demo is an application like any other.
    if filename.startswith(_IMPORTS):
        return True
    return filename.startswith(_PACKAGE) and not filename.startswith(str(Path(_PACKAGE, "demo")))
