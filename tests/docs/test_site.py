"""The site is made without a warning: each link leads somewhere, and each page is in the navigation."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS

pytestmark = pytest.mark.process


def test_every_link_leads_somewhere_and_every_page_is_in_the_navigation(tmp_path: Path) -> None:
    options = ["--quiet", "--nitpicky", "--fail-on-warning", "-d", str(tmp_path / "doctrees")]
    made = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.stderr == ""
    assert made.returncode == 0
    pages = "".join(page.read_text() for page in (tmp_path / "html").rglob("*.html"))
    assert '<script src="http' not in pages
    assert '<link rel="stylesheet" type="text/css" href="http' not in pages
