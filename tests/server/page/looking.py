"""A reader of the page: a browser's window that notes what it fetched, and what went wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from tests.streams.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Look:
    """One window.

    Attributes:
        page: as playwright has it.
        url: of the server.
        requests: the addresses of all that was asked for.
        problems: errors of the console, and exceptions.
    """

    def __init__(self, page: "Page", url: str) -> None:
        self.page = page
        self.url = url
        self.requests: list[str] = []
        self.problems: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.problems.append(message.text) if message.type in ("error", "warning") else None
            ),
        )

    @staticmethod
    @contextmanager
    def at(
        browser: "Browser", url: str, *, width: int = 1280, height: int = 800, dark: bool = False
    ) -> "Iterator[Look]":
        """Open a window on a server, and close it again."""
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            timezone_id="UTC",
            locale="en-GB",
        )
        context.set_default_timeout(20_000)
        try:
            yield Look(context.new_page(), url)
        finally:
            context.close()

    def open(self, view: str) -> "Page":
        """Open a view, and wait until it shows an answer."""
        self.page.goto(f"{self.url}/#/{view}")
        self.page.wait_for_selector(f"#view[data-view='{view}']")
        return self.page

    def again(self, times: int = 1) -> None:
        """Wait until the page shows another answer; the second one from now on was asked for after this."""
        before = self._shown
        until(lambda: self._shown >= before + times)

    @property
    def _shown(self) -> int:
        return int(self.page.locator("#view").get_attribute("data-shown") or "0")

    def ask(self, target: str, token: str | None = None) -> Any:
        """Ask the server as a program would."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        with urlopen(Request(f"{self.url}/{target}", headers=headers), timeout=20) as answer:
            return json.loads(answer.read())

    def check(self, name: str) -> list[str]:
        """Let the browser look for what is wrong, by the function in a file."""
        found: list[str] = self.page.evaluate(Path(__file__).with_name(f"{name}.js").read_text())
        return found

    def cells(self, row: str) -> list[str]:
        """Return the texts of a row."""
        return [text.strip() for text in self.page.locator(f"{row} > th, {row} > td").all_inner_texts()]
