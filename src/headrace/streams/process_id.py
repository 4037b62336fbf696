"""By what a group knows a process again: ids that lie in its state directory, which one process has at a time."""

import fcntl
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from headrace.base.errors import StateError
from headrace.base.file_advice import file_advice

__all__ = ["ProcessIds", "kept_member_ids"]

_PROCESS, _MEMBER = "process", "member-{}"


class ProcessIds:
    """Of one state directory, whose lock is held. Files are read when they are asked for.

    A thread is known by a name that no other thread of the directory has, also where several workers share it.

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
            with file.open("a+", errors="replace") as opened:
                fcntl.flock(opened, fcntl.LOCK_EX)  # another worker may be making it now
                return self._found_or_made(opened)
        except OSError as error:
            raise _cannot(file, error) from None

    def _found_or_made(self, file: TextIO) -> str:
        number = str(os.fstat(file.fileno()).st_ino)
        file.seek(0)
        found = file.read().split()
        if len(found) == 2 and found[1] == number:
            return found[0]
        made = str(uuid.uuid4())
        file.truncate(0)
        file.write(f"{made} {number}\n")
        file.flush()
        # A member id that came with a copy is somebody else's.
        for kept in self._directory.glob(_MEMBER.format("*")):
            kept.unlink(missing_ok=True)
        return made

    def member_id(self, thread: str) -> str:
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

    def keep_member_id(self, thread: str, member_id: str) -> None:
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

    def _member_file(self, thread: str) -> Path:
        return self._directory / _MEMBER.format(thread)


def kept_member_ids(state_directory: Path, worker: int) -> list[str]:
    """Return what the threads of a worker were called when it last lived; those that cannot be read are left out."""
    found = []
    for file in sorted(state_directory.glob(_MEMBER.format(f"{worker}-*"))):
        with suppress(OSError):
            found.append(file.read_text(errors="replace").strip())
    return [each for each in found if each]


def _cannot(file: Path, error: OSError) -> StateError:
    advice = file_advice(error, "make its directory writable, with some room")
    return StateError(f"cannot keep an id of the process in {file}: {error.strerror or error}; {advice}")
