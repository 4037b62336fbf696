"""What to do about a file that the system does not let us use, by the reason that it gives: for whoever says so."""

import errno

__all__ = ["file_advice"]

_IN_THE_WAY = "a file is where a directory is wanted: move it, or name another directory"
_ADVICE = {
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EACCES: "make it writable for this user",
    errno.EPERM: "make it writable for this user",
    errno.EROFS: "use a directory that can be written",
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room within the quota",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close files: the whole machine has too many open",
}


def file_advice(error: OSError, otherwise: str) -> str:
    """Say what to do; `otherwise` is what helps where the reason is none that we know.

    >>> file_advice(OSError(errno.ENOSPC, "No space left on device"), "check the path")
    'make room on its disk'
    """
    return otherwise if error.errno is None else _ADVICE.get(error.errno, otherwise)
