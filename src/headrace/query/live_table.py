"""What a notebook shows and keeps up to date: HTML that a thread makes anew."""

import threading
from collections.abc import Callable

from headrace.base.errors import StateError
from headrace.query.frames import package
from headrace.query.table_html import html_note

__all__ = ["LiveTable"]


class LiveTable:
    """HTML below a notebook's cell, sent again when it has changed, until `stop()` or the end of the application.

    `render` makes it, once in so many seconds; `is_over` says whether the application has ended.
    """

    def __init__(
        self, render: Callable[[], str], seconds: float, is_over: Callable[[], bool], *, name: str
    ) -> None:
        self._ipython = package("IPython", "live()")
        if self._ipython.get_ipython() is None:
            raise StateError(
                "live() shows itself in a notebook, and this is none: print it, or use to_pandas()"
            )
        self._render = render
        self._seconds = seconds
        self._is_over = is_over
        self._stopped = threading.Event()
        self._shown = render()
        display = self._ipython.display
        self._handle = display.display(display.HTML(self._shown), display_id=True)
        self._thread = threading.Thread(target=self._follow, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Show it no more anew; what was shown stays. Twice is fine."""
        self._stopped.set()
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether it is kept up to date."""
        return self._thread.is_alive()

    def _follow(self) -> None:
        while not self._stopped.wait(self._seconds):
            html = self._render()
            if self._is_over():  # nobody can be asked any more
                self._show(self._shown + html_note("the application has ended: this is what was seen last"))
                return
            if html != self._shown:
                self._shown = html
                self._show(html)

    def _show(self, html: str) -> None:
        self._handle.update(self._ipython.display.HTML(html))
