"""How many files the process may have open: every task has some, and the usual soft limit is for a shell's programs."""

import logging
import sys

__all__ = ["raise_limit_of_open_files"]

_log = logging.getLogger("headrace.streams")

#: macOS says that there is no limit, and refuses more than this (OPEN_MAX).
_MACOS_MAX = 10_240


def raise_limit_of_open_files() -> None:
    """Raise the soft limit to the hard one, which is what the JVM does when it starts. It is never lowered.

    Windows has no such limit. Where the system refuses, it stays as it is: who runs out of files is told so.
    """
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard
    if sys.platform == "darwin":
        wanted = _MACOS_MAX if hard == resource.RLIM_INFINITY else min(hard, _MACOS_MAX)
    if soft == resource.RLIM_INFINITY or (wanted != resource.RLIM_INFINITY and soft >= wanted):
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        _log.debug("the limit of open files stays at %d: %s", soft, error)
