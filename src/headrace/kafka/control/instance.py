"""The name by which the coordinator knows an instance again: it stands for a state directory."""

import uuid
from pathlib import Path

from headrace.base.errors import StateError
from headrace.base.file_advice import file_advice

__all__ = ["instance_id"]

_FILE = "instance"


def instance_id(state_directory: Path) -> str:
    """Return the id of the directory, made where it has none. Called while its lock is held.

    The file says its own number (inode) beside the id: in a copy of the directory, which is another place, it is wrong.

    Raises:
        StateError: the file cannot be read or written.

    Source: StateDirectory.initializeProcessId.
    """
    file = state_directory / _FILE
    try:
        state_directory.mkdir(parents=True, exist_ok=True)
        file.touch()
        number = str(file.stat().st_ino)
        found = file.read_text(errors="replace").split()
        if len(found) == 2 and found[1] == number:
            return found[0]
        made = str(uuid.uuid4())
        file.write_text(f"{made} {number}\n")
    except OSError as error:
        raise StateError(
            f"cannot keep the instance's id in {file}: {error.strerror or error}; "
            f"{file_advice(error, 'make its directory writable, with some room')}"
        ) from None
    return made
