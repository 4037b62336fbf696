"""What the command line shows when the user's own code fails: their traceback, and the record it failed on."""

import importlib
import traceback
from pathlib import Path

import click

import headrace
from headrace.base.errors import HeadraceError, ProcessingError, ProductionError, SerializationError

__all__ = ["UserCodeError", "one_line", "show_processing_error", "show_user_error"]

_PACKAGE = str(Path(headrace.__file__).parent)
_IMPORTS = ("<frozen importlib", str(Path(importlib.__file__).parent))


class UserCodeError(HeadraceError):
    """The user's module or function failed while it was loaded. `__cause__` is its own exception."""


def one_line(message: str) -> str:
    """Return a message without its line breaks."""
    return " ".join(message.split())


def show_user_error(error: UserCodeError) -> None:
    """Print the user's traceback, then what was being done."""
    if error.__cause__ is not None:
        click.echo(user_traceback(error.__cause__), err=True, nl=False)
    click.echo(f"headrace: {one_line(str(error))}", err=True)


def show_processing_error(error: ProcessingError) -> None:
    """Print the traceback of the function that failed, then node, topic, partition and offset of the record."""
    if error.__cause__ is not None:
        click.echo(user_traceback(error.__cause__), err=True, nl=False)
    click.echo(f"headrace: {one_line(str(error))}", err=True)


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
    return link.exc_type is not None and issubclass(link.exc_type, SyntaxError)


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
