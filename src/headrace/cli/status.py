"""The line that `headrace run` and `dev` keep on the terminal: records a second, lag, tasks, progress of a restore."""

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from headrace.cli.log_output import LogOutput
from headrace.engine.status import WorkerStatus
from headrace.streams.status_text import status_text

__all__ = ["StatusLine"]

# Without a terminal lines add up, so there are few.
_PLAIN_SECONDS = 10.0


class StatusLine:
    """Shows the line on the error stream: kept in place on a terminal, else written now and then.

    The output stream stays the application's own (`print` in a topology). A line that cannot be shown (a full disk, a
    terminal that has gone) is left out: it must not end the application.
    """

    def __init__(self, *, is_quiet: bool = False, log_output: LogOutput | None = None) -> None:
        self._is_quiet = is_quiet
        self._log_output = log_output or LogOutput()
        self._live: Any = None
        self._shown = ""
        self._shown_kind = ("", False)
        self._next_plain = 0.0

    @property
    def farewell(self) -> bytes:
        """What has to be written where the process ends without leaving the `with`: the cursor comes back."""
        return b"\x1b[?25h\n" if self._is_in_place() else b""

    def _is_in_place(self) -> bool:
        return not self._is_quiet and not self._log_output.is_json and sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self._is_in_place():
            # rich takes 60 ms to import; only a terminal has use for it.
            from rich.console import Console
            from rich.live import Live

            # rich would also print what goes to a redirected output stream, to the terminal.
            self._live = Live(
                "", console=Console(stderr=True), auto_refresh=False, redirect_stdout=sys.stdout.isatty()
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError):
                live.stop()

    def say(self, text: str) -> None:
        """Write a line of its own, above the one that stays."""
        if self._is_quiet:
            return
        with suppress(OSError):
            if self._live is not None:
                self._live.console.print(text, markup=False, highlight=False)
            else:
                self._log_output.say(text)

    def show(self, state: str, status: WorkerStatus | None, trouble: str | None = None) -> None:
        """Show how the application is now, or what it waits for."""
        if self._is_quiet:
            return
        text = status_text(state, status, trouble=trouble)
        if self._live is not None:
            if text == self._shown:
                return
            self._shown = text
            from rich.text import Text

            color = "green" if state == "running" and trouble is None else "yellow"
            with suppress(OSError):
                self._live.update(Text.assemble(("● ", color), text), refresh=True)
            return
        now = time.monotonic()
        kind = (state, trouble is not None)
        if text != self._shown and (kind != self._shown_kind or now >= self._next_plain):
            self._shown, self._shown_kind, self._next_plain = text, kind, now + _PLAIN_SECONDS
            with suppress(OSError):
                self._log_output.say(text)
