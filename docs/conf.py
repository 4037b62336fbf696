"""How Sphinx makes the site of these pages: `make docs`, into docs/_build/html."""

import logging
import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sphinx.addnodes import pending_xref, pending_xref_condition

from docs.made import write_pages
from docs.made.api import found

project = "headrace"
author = "headrace's authors"
project_copyright = "headrace's authors"
release = version = version_of("headrace")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "made"]
root_doc = "index"

# A link that leads nowhere, to a page, a heading or a name, is an error: `make docs` has -W.
nitpicky = True
# What is typed has two dashes: --app.
smartquotes = False

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]

html_theme = "pydata_sphinx_theme"
html_title = f"headrace {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# Pages that stand alone have no list of pages beside them.
_ALONE = ("index", "start", "concepts", "failures", "questions", "when-not", "examples", "page", "design")
html_sidebars: dict[str, list[str]] = {page: [] for page in _ALONE}
html_theme_options = {
    "logo": {"text": "headrace"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "use_edit_page_button": False,
}

# Docstrings are Markdown as far as they are anything: a single backtick is code.
default_role = "code"
toc_object_entries = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]
napoleon_use_ivar = True
# Types in signatures are linked where they are public. What authors link to has to be there.
suppress_warnings = ["ref.python"]  # an attribute that several classes have, named in a docstring
nitpick_ignore_regex = [(r"py:(class|exc|data|meth|attr)", r".*")]

_WORDS_OF_CODE = re.compile(r"(?<![`:])`([^`\n]+)`(?![`_])")


def _as_restructured_text(
    app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    lines[:] = [
        _WORDS_OF_CODE.sub(r"``\1``", line).replace("**", "\\*\\*").replace("HEADRACE_", "HEADRACE\\_")
        for line in lines
    ]


def _link_to_public_name(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Types in signatures are named where they are defined; pages have them by their public names."""
    last = str(node.get("reftarget", "")).rsplit(".", 1)[-1]
    for name in (last, f"stores.{last}", f"testing.{last}"):
        if node.get("refdomain") == "py" and node.get("reftype") == "class" and found(name):
            domain, document = env.get_domain("py"), node.get("refdoc")
            return domain.resolve_xref(
                env, document, app.builder, "class", f"headrace.{name}", node, contnode
            )
    return None


def _unlink_words(app: Any, doctree: Any) -> None:
    """Leave words such as `type` and `key` alone in signatures: Sphinx finds an attribute of some class for each."""
    for node in doctree.findall(pending_xref):
        if (
            node.get("refdomain") == "py"
            and str(node.get("reftarget")).islower()
            and "." not in node["reftarget"]
        ):
            ways = [each for each in node.children if isinstance(each, pending_xref_condition)]
            shown = [each for each in ways if each["condition"] == "resolved"]
            node.replace_self(shown[0].children if shown else node.children)


def setup(app: Any) -> None:
    """Make the pages that the code has the content of, and read docstrings as they are written."""
    logging.getLogger("headrace").setLevel(
        logging.ERROR
    )  # whether the codec is there is not asked of the site
    write_pages(Path(__file__).parent / "reference")
    app.connect("autodoc-process-docstring", _as_restructured_text)
    app.connect("doctree-read", _unlink_words)
    app.connect("missing-reference", _link_to_public_name)
