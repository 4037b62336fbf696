"""How Sphinx makes the site of these pages: `make docs`, into docs/_build/html."""

from importlib.metadata import version as version_of

project = "headrace"
author = "headrace's authors"
project_copyright = "headrace's authors"
release = version = version_of("headrace")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
root_doc = "index"

# A link that leads nowhere, to a page, a heading or a name, is an error: `make docs` has -W.
nitpicky = True

myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
# Drawings in design.md are read as they stand; nothing is loaded from another host.
myst_fence_as_directive = []

html_theme = "pydata_sphinx_theme"
html_title = f"headrace {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "headrace"},
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "use_edit_page_button": False,
}
