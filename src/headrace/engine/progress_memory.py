"""Remembers how far the state in a directory is, also while it is closed: it is told before it is opened.

A group places tasks where their state is. To open all of it only to say so would take as long as to start; so a file
tells what was there a few seconds before the process ended. Nothing depends on its truth but where tasks are placed:
whoever opens the state looks for itself. Source: Kafka Streams keeps a file of offsets in each directory for this.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from headrace.base.ids import TaskId
from headrace.group.user_data import TaskProgress

__all__ = ["ProgressMemory"]

_log = logging.getLogger("headrace.state")

_NAME = "progress"

#: Time between two writes of the file, which a process that is killed is behind by.
_WRITE_SECONDS = 5.0


class ProgressMemory:
    """Of one state directory, or of a worker of several that share it. From any thread."""

    def __init__(self, directory: Path, seconds: Callable[[], float], worker: int | None = None) -> None:
        """Read what is known, by all who share the directory: state may lie there that another one had last."""
        self._directory = directory
        self._seconds = seconds
        self._lock = threading.Lock()
        self._file = directory / (_NAME if worker is None else f"{_NAME}-{worker}")
        self._known: dict[TaskId, TaskProgress] = {}
        for file in sorted({*directory.glob(_NAME), *directory.glob(f"{_NAME}-*[0-9]")}):
            for task, at in _read(file).items():
                if task not in self._known or at.offset > self._known[task].offset:
                    self._known[task] = at
        self._written = dict(self._known)
        self._next_write = seconds()

    def known(self) -> Mapping[TaskId, TaskProgress]:
        """Return what is known of tasks whose state is there."""
        with self._lock:
            return self._present()

    def learn(self, found: Mapping[TaskId, TaskProgress]) -> Mapping[TaskId, TaskProgress]:
        """Take notice of the state that is open, and return what is known of all; write it now and then."""
        with self._lock:
            self._known = {**self._present(), **found}
            if self._seconds() >= self._next_write:
                self._write()
            return dict(self._known)

    def close(self) -> None:
        """Write what is known."""
        with self._lock:
            self._write()

    def _present(self) -> dict[TaskId, TaskProgress]:
        return {task: at for task, at in self._known.items() if (self._directory / str(task)).is_dir()}

    def _write(self) -> None:
        self._next_write = self._seconds() + _WRITE_SECONDS
        present = self._present()
        if present == self._written:
            return
        text = json.dumps({str(task): [at.offset, at.end] for task, at in sorted(present.items())})
        draft = self._file.with_name(f"{self._file.name}.new")
        try:
            draft.write_text(text)
            os.replace(draft, self._file)
        except OSError as error:  # a full disk, say: whoever needs its room for more will tell
            _log.warning("cannot remember how far the state in %s is: %s", self._directory, error)
            return
        self._written = present


def _read(file: Path) -> Mapping[TaskId, TaskProgress]:
    """Return what a file says, as far as it can be read: nothing depends on it but where tasks are placed."""
    try:
        told = json.loads(file.read_text())
        return {
            TaskId(*map(int, task.split("_"))): TaskProgress(int(offset), max(int(offset), int(end)))
            for task, (offset, end) in told.items()
        }
    except FileNotFoundError:  # another one has just replaced it
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        _log.warning("cannot read how far the state was that lies beside %s: %s", file, error)
        return {}
