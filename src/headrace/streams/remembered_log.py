"""What local state remembers of the log it was made from: one that is lost is not begun anew beside its state."""

from pathlib import Path

from headrace.base.errors import LogError, StateError
from headrace.base.file_advice import file_advice

__all__ = ["RememberedLog"]


class RememberedLog:
    """A file in the application's state directory with the path of the embedded log. Goes with the state."""

    def __init__(self, state_directory: Path) -> None:
        self._directory = state_directory
        self._file = state_directory / "embedded.path"

    def check(self, log: Path) -> None:
        """Accept a log that is there, or that the state is not made from: another path is another log.

        Raises:
            LogError: the log is not there although the application has run on it.
        """
        try:
            is_made_from = self._file.read_text(encoding="utf-8") == str(log.resolve())
        except (OSError, UnicodeDecodeError):
            return
        if is_made_from and not log.exists():
            raise LogError(
                f"cannot open the embedded log {log}: the file is not there, but the application has run on it: its "
                f"state is in {self._directory}. Put the file back (is its disk mounted?), or restore it from a "
                f"backup; to begin with an empty log, delete that directory and {log}-* too"
            )

    def write(self, log: Path) -> None:
        """Remember a log that is open.

        Raises:
            StateError: the file cannot be written.
        """
        text = str(log.resolve())
        try:
            if self._file.exists() and self._file.read_text(encoding="utf-8", errors="replace") == text:
                return
            draft = self._file.with_suffix(".new")
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            raise StateError(
                f"cannot write {self._file}: {error.strerror or error}; "
                f"{file_advice(error, 'make its directory writable')}"
            ) from error
