"""Where in the user's source a call was made: the first frame outside of this package."""

import sys
from types import FrameType

from headrace.base.ids import Location

__all__ = ["UNKNOWN", "caller", "is_raised_by_user"]

#: For what no line of the user's source declares.
UNKNOWN = Location("<unknown>", 0)

_PACKAGE = __name__.partition(".")[0] + "."

#: An application like any other, though it comes with the package.
_DEMO = _PACKAGE + "demo."


def caller() -> Location:
    """Return the location of the user's call that led here; takes about 1 us."""
    frame = sys._getframe(1)
    while frame is not None:
        if _is_users(frame):
            return Location(frame.f_code.co_filename, frame.f_lineno)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return UNKNOWN


def is_raised_by_user(error: BaseException) -> bool:
    """Whether an exception was raised by a line outside of this package, and not by ours that such a line called."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and _is_users(at.tb_frame)


def _is_users(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "")
    return not module.startswith(_PACKAGE) or module.startswith(_DEMO)
