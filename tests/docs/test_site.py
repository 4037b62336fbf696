"""The site is made without a warning, with all that is public in its reference."""

import posixpath
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile

import headrace
from docs.made import api, command_line, configuration, errors
from headrace.streams.catalogue import OPTIONS
from tests.docs.blocks import DOCS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site. Making it fails where a link leads nowhere, or a page is not in the navigation."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--nitpicky", "--fail-on-warning", "-d", str(folder / "doctrees")]
    made = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.stderr == ""
    assert made.returncode == 0
    return folder / "html"


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    pages = "".join(page.read_text() for page in site.rglob("*.html"))
    assert '<script src="http' not in pages
    assert '<link rel="stylesheet" type="text/css" href="http' not in pages


def test_every_public_class_method_and_property_is_in_the_reference(site: Path) -> None:
    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", posixpath.join)
    told = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    names = sorted(api.public_names())
    assert len(names) > 130
    wanted = [*names, *(f"{name}.{member}" for name in names for member in sorted(api.members(name)))]
    assert [name for name in wanted if f"headrace.{name}" not in told] == []
    assert [
        each.__name__ for each in errors.classes() if not any(n.endswith(f".{each.__name__}") for n in told)
    ] == []


def test_every_name_of_the_package_is_on_one_page() -> None:
    pages = [name for page in api.all_pages().values() for name in page.names]
    assert len(pages) == len(set(pages))
    errors_of_the_package = {name for name in headrace.__all__ if name.endswith("Error")}
    assert api.public_names() - set(pages) == errors_of_the_package


def test_every_property_and_every_command_is_in_the_reference() -> None:
    assert [name for name in OPTIONS if f"| `{name}` |" not in configuration.page()] == []
    told = command_line.page()
    words = [words for words, _ in command_line.commands()]
    assert "headrace topics write" in words
    assert [each for each in words if f"# {each}\n" not in told] == []
