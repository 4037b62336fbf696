"""Where in the user's source a call was made: the first frame outside of this package."""

import sys

from headrace.base.ids import Location

__all__ = ["UNKNOWN", "caller"]

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
