"""Runs one broker of `LocalKafka` as its child, and kills it when the process that started this one is gone.

Started as a script, without the package: python guard.py COMMAND... It writes the broker's pid to its
standard output. Its standard input is a pipe whose other end the parent holds and never writes to: the end of file
comes when the parent ends, by kill -9 too, and in whichever thread the broker was started.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def _die_with_guard() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with(broker: "subprocess.Popen[bytes]") -> None:
    code = broker.wait()
    os._exit(code if code >= 0 else 128 - code)


def _main() -> None:
    broker = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        # This process has one thread as yet, so that nothing can be locked in the child.
        preexec_fn=_die_with_guard,  # noqa: PLW1509
    )
    print(broker.pid, flush=True)
    threading.Thread(target=_end_with, args=(broker,), daemon=True).start()
    while os.read(0, 4096):
        pass
    broker.kill()
    broker.wait()


if __name__ == "__main__":
    _main()
