#!/usr/bin/env bash
# sphinx 9.0.4: autodoc links a type in a signature that is not documented, such as the builtin `type[int]`, to whatever
# attribute of some documented class has that name (`Serde.type`), and is silent, with -n (nitpicky) and -W too. A signature then
# leads its readers to something else, and a check of links says that all is well.
# Guessed: a type links to a class of that name or to nothing, and -n tells what leads nowhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sphinx==9.0.4
mkdir "$folder/docs"
cat > "$folder/docs/conf.py" <<'PYTHON'
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["sphinx.ext.autodoc"]
PYTHON
cat > "$folder/docs/shop.py" <<'PYTHON'
class Serde:
    """Turns values into bytes."""

    #: What it is for.
    type: str = ""


def made(of: type[Serde]) -> None:
    """Make one."""
PYTHON
cat > "$folder/docs/index.rst" <<'REST'
Shop
====

.. autoclass:: shop.Serde
   :members:

.. autofunction:: shop.made
REST
"$folder/venv/bin/sphinx-build" --quiet -n -W -b html "$folder/docs" "$folder/html"
echo "built with -n -W, without a warning; the signature of made():"
grep -o '<a class="reference internal" href="#shop.Serde.type".*</a>' "$folder/html/index.html" | cut -c 1-100 | head -1
