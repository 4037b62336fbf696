"""The page in a real browser: Debian's Chromium, or the one that CHROMIUM names. Without one these tests are skipped.

Playwright is imported when the first of them begins: the others need not wait for that.
"""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import Served
from tests.server.page.looking import Look

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: It talks to the page alone, and to none of its maker's services.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def found_chromium() -> str | None:
    """Return the path of a browser; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for each in _NAMES if (path := shutil.which(each))), None)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """One browser for the tests of a module, with a profile that is new and goes with it.

    It does not stay longer: while it is there, this thread has an event loop that runs, and no test can run another.
    """
    path = found_chromium()
    if path is None:
        pytest.skip(
            f"no browser is installed: none of {', '.join(_NAMES)} is on the path, and CHROMIUM names none"
        )
    pytest.importorskip("playwright", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(_FLAGS), headless=True)
        yield found
        found.close()


@pytest.fixture
def look(browser: "Browser", shop: Served) -> Iterator[Look]:
    """The page of the shop, in a window of its own."""
    with Look.at(browser, shop.url) as found:
        yield found
