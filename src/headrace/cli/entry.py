"""Where the process of `headrace` begins and ends: Ctrl-C is quiet there, too, while nothing is held.

Imports nothing of ours at the top: loading the commands takes a tenth of a second, and Ctrl-C may come then.
"""

import gc
import os
import signal
import sys
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130

#: How many objects come, and collections of the younger ones, before Python looks for cycles that nobody reaches.
#: Caches and records that wait are a million objects and make no cycles: with Python's own (700, 10, 10), looking
#: through them was a sixth of the demo's time. What a function leaves in cycles waits a little longer.
_CYCLES = (100_000, 50, 100)


def main() -> None:
    """Run the command line in this process, and end it.

    Where Ctrl-C does what Python lets it do, it ends the process at once while the commands are imported and while the
    interpreter is taken down: a traceback from there says nothing to anybody. Where it is ignored, it stays so.
    """
    _open_streams()
    gc.set_threshold(*_CYCLES)
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, _leave)
    # `headrace dev` blocks it for the process that takes over, which would be in the middle of Python's own start.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    from headrace.cli.main import main as run

    try:
        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            # Everything is closed by now. Taken down by Python, the process was seen to die of the signal instead.
            os._exit(_INTERRUPTED)
        raise
    finally:
        if is_heard:
            signal.signal(signal.SIGINT, _leave)


def _open_streams() -> None:
    """Open what is closed of input, output and error stream.

    The next file that is opened, a store's or the log's, would get its number, and what prints there would damage it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)
