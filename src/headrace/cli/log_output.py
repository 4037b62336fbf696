"""What commands that run for long say on the error stream: their log, as text or as JSON lines."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import ProcessingError
from headrace.base.log_fields import FIELDS, LogFields
from headrace.cli.failure import exit_code, show, told

__all__ = ["LogOutput", "log_options", "log_output_of"]

C = TypeVar("C", bound=Callable[..., Any])

_LEVELS = ("debug", "info", "warning", "error", "critical")

#: Logs of which people want more than warnings: what was restored, topics made, outages over, how the application is.
_TOLD = ("headrace.brokers", "headrace.cli", "headrace.restore", "headrace.topics")

_log = logging.getLogger("headrace.cli")
_encode = msgspec.json.Encoder().encode


def log_options(command: C) -> C:
    """Give a command `--log-level` and `--log-format`."""
    level = click.option(
        "--log-level",
        type=click.Choice(_LEVELS, case_sensitive=False),
        help="Least severe messages to show; by default warnings, and what was restored, made, or lost and found.",
    )
    shape = click.option(
        "--log-format",
        type=click.Choice(["text", "json"], case_sensitive=False),
        help="What the error stream has: lines of text, or JSON objects, one a line.",
    )
    return level(shape(command))


def log_output_of(options: dict[str, Any]) -> "LogOutput":
    """Take what `log_options` gave out of a command's keyword arguments."""
    return LogOutput(options.pop("log_level"), options.pop("log_format"))


@dataclass(frozen=True, slots=True)
class LogOutput:
    """How a command speaks. What is None was not asked for: then logging that the user's code has set up stands."""

    level: str | None = None
    format: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether every line is to be a JSON object."""
        return self.format == "json"

    def begin(self, application: str | None = None) -> None:
        """Set up logging, once more after the user's module was loaded, and its application is known. Twice is once.

        A format that was asked for takes the place of all that is there, as flags win over code.
        """
        root = logging.getLogger()
        others = [each for each in root.handlers if not isinstance(each, _ErrorStream)]
        if self.format is None and others:
            if self.level is not None:
                root.setLevel(self.level.upper())
        else:
            handler = _ErrorStream()
            handler.setFormatter(_JsonLines() if self.is_json else _text_lines())
            handler.addFilter(LogFields(application))
            # Not basicConfig: it would close handlers that others may still hold.
            root.handlers[:] = [handler]
            root.setLevel((self.level or "warning").upper())
        for name in _TOLD:
            logging.getLogger(name).setLevel(logging.INFO if self.level is None else logging.NOTSET)
        # The end of the application is told by the command, with the user's own frames only.
        logging.getLogger("headrace.streams").setLevel(logging.CRITICAL)
        logging.getLogger("headrace.failures").addFilter(_is_no_end)

    def say(self, text: str) -> None:
        """Say a line that is no warning."""
        if self.is_json:
            _log.info(text.removeprefix("headrace: "))
        else:
            click.echo(text, err=True)

    def fail(self, error: BaseException) -> None:
        """Say what went wrong: the user's own part of the traceback, and a line."""
        if self.is_json:
            message, trace = told(error)
            _log.error(message, extra={"traceback": trace, **_fields_of(error)})
        else:
            show(error)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Let what ends the command be in the log, too, where that has JSON lines."""
        if self.is_json:
            self.begin()
        try:
            yield
        except Exception as error:
            if not self.is_json or isinstance(error, click.exceptions.Exit | click.ClickException):
                raise
            self.fail(error)
            raise click.exceptions.Exit(exit_code(error)) from None


class _ErrorStream(logging.Handler):
    """Writes to the error stream that there is then: on a terminal the status line puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def _text_lines() -> logging.Formatter:
    if sys.stderr.isatty():
        return logging.Formatter("%(levelname)s %(name)s: %(message)s")
    lines = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    lines.converter = time.gmtime
    return lines


class _JsonLines(logging.Formatter):
    """An object a line: time (UTC), level, logger, message, thread, fields, and exception where there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "thread": record.threadName,
        }
        row |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        exception = getattr(record, "traceback", None)
        if record.exc_info:
            exception = self.formatException(record.exc_info)
        if exception:
            row["exception"] = exception
        return _encode({name: _encodable(value) for name, value in row.items()}).decode()


def _fields_of(error: BaseException) -> dict[str, object]:
    """Return what an error knows of the record that it is about."""
    if not isinstance(error, ProcessingError):
        return {}
    found: dict[str, object] = {"task": error.task_id or None, "node": error.node.rpartition(" (")[0] or None}
    if error.topic is not None:
        found |= {"topic": error.topic, "partition": error.partition, "offset": error.offset}
    return found


def _encodable(value: object) -> object:
    # A file name may hold half a surrogate pair, which is nothing that can be written.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _is_no_end(record: logging.LogRecord) -> bool:
    """Leave out the record that ends the application; warnings about records that were dropped stay."""
    return record.levelno < logging.ERROR
