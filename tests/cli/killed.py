"""Runs a command of `headrace` that is killed as soon as it has said so many lines: `killed.py LINES COMMAND…`."""

import io
import os
import signal
import sys

from headrace.cli.main import main


class Deadly(io.TextIOBase):
    """An output whose process is killed, as by `kill -9`, by the line after the last one."""

    def __init__(self, lines: int) -> None:
        self._left = lines

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for _ in range(text.count("\n")):
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
        sys.__stdout__.write(text)  # type: ignore[union-attr]  # it is there
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return len(text)


if __name__ == "__main__":
    sys.stdout = Deadly(int(sys.argv[1]))
    main(sys.argv[2:])
