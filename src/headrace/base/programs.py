"""Makes a function of a program that was written for one node, where a call for each record is what it saves.

A function that was made of one expression says so, `Inlinable`: a program that would call it has that in its place.
"""

import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from textwrap import indent
from types import CodeType
from typing import Any

__all__ = ["Inlinable", "inlinable", "made_by"]


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


@dataclass(frozen=True, slots=True)
class Inlinable:
    """What a function consists of, if that is one expression of Python.

    Attributes:
        write: makes its source, of the function's own arguments by their names, and what it finds by other names, all
            of which begin with the prefix that it is given.
        told: what the user wrote, for messages and pages.
    """

    write: Callable[[str], tuple[str, Mapping[str, Any]]]
    told: str


def inlinable(fn: object) -> Inlinable | None:
    """Return what a function consists of; None of one that has to be called."""
    found = getattr(fn, "inlinable", None)
    return found if isinstance(found, Inlinable) else None
