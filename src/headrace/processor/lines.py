"""Where `print()` writes: standard output, or a file of the user's."""

import sys
from typing import TextIO

__all__ = ["LineFile", "write_line"]


def write_line(line: str) -> None:
    """Write a line to what standard output is at this moment."""
    sys.stdout.write(line + "\n")


class LineFile:
    """Appends lines to a text file, opened by the first one. Each task has its own; lines do not mix."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIO | None = None

    def write(self, line: str) -> None:
        """Append a line and hand it to the operating system."""
        if self._file is None:
            self._file = open(self._path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed by `close`
        self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file; a line after that opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
