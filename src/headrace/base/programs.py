"""Makes a function of a program that was written for one node, where a call for each record is what it saves."""

import linecache
from collections.abc import Mapping
from functools import lru_cache
from textwrap import indent
from types import CodeType
from typing import Any

__all__ = ["made_by"]


def made_by(program: str, name: str, known: Mapping[str, Any]) -> Any:
    """Return the function `run` that a program defines; `known` is what it finds by name, and may assign as nonlocal.

    Tracebacks show its lines, under the name given.
    """
    # As a function's own, names are found faster than a module's.
    source = f"def make({', '.join(sorted(known))}):\n{indent(program, '    ')}    return run\n"
    file = f"<{name}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    made: dict[str, Any] = {}
    exec(_compiled(source, file), made)
    return made["make"](**known)


# A node's program is the same in each of its tasks, of which there may be thousands.
@lru_cache(maxsize=256)
def _compiled(source: str, file: str) -> CodeType:
    return compile(source, file, "exec")
