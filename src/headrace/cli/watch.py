"""Notices changes in the user's own modules, for `headrace dev`, by looking at the times and sizes of files."""

import site
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

import headrace

__all__ = ["FileWatch", "files_of_traceback", "user_files"]

_POLL_SECONDS = 0.25


def user_files() -> set[Path]:
    """Return the source files of all imported modules that are nobody's library: not installed, not headrace's."""
    libraries = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    libraries |= {*site.getsitepackages(), site.getusersitepackages(), str(Path(headrace.__file__).parent)}
    found = set()
    # A copy: another thread may import while we look.
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and file.endswith(".py") and not any(file.startswith(library) for library in libraries):
            found.add(Path(file))
    return found


def files_of_traceback(error: BaseException | None) -> set[Path]:
    """Return the files that an exception went through, where they exist: a module that fails is not imported."""
    found: set[Path] = set()
    while error is not None:
        found |= {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
        if isinstance(error, SyntaxError) and error.filename:
            found.add(Path(error.filename))
        error = error.__cause__ or error.__context__
    package = Path(headrace.__file__).parent
    return {file for file in found if file.is_file() and package not in file.parents}


class FileWatch:
    """Remembers how files were, and tells which are different."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[int, int] | None] = {}

    def add(self, files: Iterable[Path]) -> None:
        """Watch more files, from how they are now; those watched already keep what was remembered."""
        for file in files:
            if file not in self._seen:
                self._seen[file] = _stamp(file)

    def changed(self) -> list[Path]:
        """Return the files that are not as they were when they were added, sorted."""
        # A file that is gone may be in the middle of a save; it counts when it is there again.
        return sorted(
            file for file, seen in self._seen.items() if (now := _stamp(file)) != seen and now is not None
        )

    def wait(self, stopped: Callable[[float], bool]) -> list[Path]:
        """Block until files change; nothing when `stopped(seconds)`, which does the waiting, says so before."""
        while not (changed := self.changed()):
            if stopped(_POLL_SECONDS):
                return []
        return changed


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
