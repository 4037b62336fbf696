"""How the workers of `headrace run --workers` tell the process that looks after them how they are: JSON lines."""

import os
import signal
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import msgspec

from headrace.engine.status import WorkerStatus

__all__ = ["Report", "ReportLine", "read_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker shows in the place of a status line. `state` is its application's."""

    state: str
    status: WorkerStatus | None
    trouble: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Report).decode


def read_report(line: bytes) -> Report | None:
    """Return what a line says; None where it was cut off."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class ReportLine:
    """Stands where `StatusLine` stands, in a worker: writes to the pipe of who looks after it.

    Where nobody reads any more it lets the worker commit and leave: its number is to be free for the next one.
    """

    farewell = b""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_alone = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def say(self, text: str) -> None:
        """Leave it to who looks after it."""

    def show(self, state: str, status: WorkerStatus | None, trouble: str | None = None) -> None:
        """Tell how the application is now."""
        if self._is_alone:
            return
        try:
            os.write(self._descriptor, _encode(Report(state, _told(status), trouble)) + b"\n")
        except OSError:
            self._is_alone = True
            os.kill(os.getpid(), signal.SIGTERM)


def _told(status: WorkerStatus | None) -> WorkerStatus | None:
    """Leave out what the status line does not show, and JSON has no keys for: the inputs of each task."""
    if status is None:
        return None
    return replace(status, tasks=tuple(replace(task, inputs={}) for task in status.tasks))
