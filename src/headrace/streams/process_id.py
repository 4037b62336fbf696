"""By what a group knows a process again: ids that lie in its state directory, which one process has at a time."""

import uuid
from pathlib import Path

from headrace.base.errors import StateError
from headrace.base.file_advice import file_advice

__all__ = ["ProcessIds"]

_PROCESS, _MEMBER = "process", "member-{}"


class ProcessIds:
    """Of one state directory, whose lock is held. Files are read when they are asked for.

    Source: StateDirectory.initializeProcessId. Kafka Streams forgets the member id.
    """

    def __init__(self, state_directory: Path) -> None:
        self._directory = state_directory

    def process_id(self) -> str:
        """Return the id of the directory, made where it has none.

        The file says its own number (inode) beside the id: in a copy of the directory, which is another place, it is
        wrong, and another id is made.

        Raises:
            StateError: the file cannot be read or written.
        """
        file = self._directory / _PROCESS
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            file.touch()
            number = str(file.stat().st_ino)
            found = file.read_text(errors="replace").split()
            if len(found) == 2 and found[1] == number:
                return found[0]
            made = str(uuid.uuid4())
            file.write_text(f"{made} {number}\n")
            # A member id that came with a copy is somebody else's.
            for kept in self._directory.glob(_MEMBER.format("*")):
                kept.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(file, error) from None
        return made

    def member_id(self, thread: int) -> str:
        """Return what a stream thread was called as a member of the group, empty if nobody knows.

        Raises:
            StateError: the file cannot be read.
        """
        file = self._member_file(thread)
        try:
            return file.read_text(errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise _cannot(file, error) from None

    def keep_member_id(self, thread: int, member_id: str) -> None:
        """Keep the member id of a stream thread for the process after this one; with an empty one, forget it.

        Raises:
            StateError: the file cannot be written.
        """
        file = self._member_file(thread)
        if member_id == self.member_id(thread):
            return
        try:
            if member_id:
                file.write_text(f"{member_id}\n")
            else:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(file, error) from None

    def _member_file(self, thread: int) -> Path:
        return self._directory / _MEMBER.format(thread)


def _cannot(file: Path, error: OSError) -> StateError:
    advice = file_advice(error, "make its directory writable, with some room")
    return StateError(f"cannot keep an id of the process in {file}: {error.strerror or error}; {advice}")
