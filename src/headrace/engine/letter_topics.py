"""Remembers to which topics an application has written dead letters: any handler may name one, and no topology tells.

Whoever shows them finds the names in the state directory, also when the application has stopped or has been started
again. Nothing else depends on it.
"""

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from headrace.base.topic_names import topic_name_problem

__all__ = ["LetterTopics", "remembered_letter_topics"]

_log = logging.getLogger("headrace.failures")

_NAME = "dead-letter-topics"

#: A handler names a few. One that makes names of what it is given is not followed any further.
_TOPICS_MAX = 100


class LetterTopics:
    """Of one state directory, or of a worker of several that share it: each has a file. From any thread."""

    def __init__(self, directory: Path, worker: int | None = None) -> None:
        self._file = directory / (_NAME if worker is None else f"{_NAME}-{worker}")
        self._lock = threading.Lock()
        self._known = set(_read(self._file))
        self._is_full = False

    def note(self, topic: str) -> None:
        """Remember a topic that gets a dead letter; a file is written for one that is new."""
        if topic in self._known or self._is_full:
            return
        with self._lock:
            if len(self._known) >= _TOPICS_MAX:
                self._is_full = True
                _log.warning(
                    "handlers have named more than %d topics of dead letters: others than %s and so on are not shown "
                    "by the page and `headrace dlq`, unless they are named there",
                    _TOPICS_MAX,
                    ", ".join(sorted(self._known)[:3]),
                )
                return
            self._known.add(topic)
            draft = self._file.with_name(f"{self._file.name}.new")
            try:
                draft.write_text("".join(f"{each}\n" for each in sorted(self._known)))
                os.replace(draft, self._file)
            except OSError as error:  # a full disk, say: whoever needs its room for more will tell
                _log.warning("cannot remember that topic '%s' has dead letters: %s", topic, error)


def remembered_letter_topics(directory: Path) -> Sequence[str]:
    """Return the topics that are remembered in a state directory, by all who share it, sorted."""
    files = {*directory.glob(_NAME), *directory.glob(f"{_NAME}-*[0-9]")}
    return sorted({topic for file in files for topic in _read(file)})


def _read(file: Path) -> Sequence[str]:
    with suppress(OSError, UnicodeDecodeError):
        return [each for each in file.read_text().splitlines() if topic_name_problem(each) is None]
    return ()
