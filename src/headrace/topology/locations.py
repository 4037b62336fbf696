"""Where in the user's source a call was made: the first frame outside of this package."""

import sys
from collections.abc import Callable
from typing import Any

from headrace.base.ids import Location

__all__ = ["UNKNOWN", "caller", "location_of"]

#: For what no line of the user's source declares.
UNKNOWN = Location("<unknown>", 0)

_PACKAGE = __name__.partition(".")[0] + "."

#: An application like any other, though it comes with the package.
_DEMO = _PACKAGE + "demo."


def caller() -> Location:
    """Return the location of the user's call that led here; takes about 1 us."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(_PACKAGE) or module.startswith(_DEMO):
            return Location(frame.f_code.co_filename, frame.f_lineno)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return UNKNOWN


def location_of(function: Callable[..., Any]) -> Location | None:
    """Return where a function was written; None for classes, builtins and other callables without source."""
    code = getattr(function, "__code__", None)
    return None if code is None else Location(code.co_filename, code.co_firstlineno)
