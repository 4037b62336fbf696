"""What a command has begun to change in an application's group: offsets that are in no log meanwhile are in a file.

The group of an application cannot be changed in one step: its offsets are deleted with it, and are committed again
after that. A command that is killed in between has written here, before, all that it takes to go on; and no application
with this state directory starts until it has: it would begin its inputs anew.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from headrace.base.errors import StateError
from headrace.base.file_advice import file_advice
from headrace.base.ids import TopicPartition
from headrace.log.groups import CommittedOffset

__all__ = ["Unfinished", "UnfinishedFile"]


@dataclass(frozen=True, slots=True)
class _KeptOffset:
    topic: str
    partition: int
    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was begun.

    Attributes:
        command: of `headrace`, which finishes it.
        asked: what it was asked for, in words.
        log: which log it changes, in words.
        offsets: what the group has committed when it is finished.
        topics: those that are gone then.
    """

    command: str
    asked: str
    log: str
    offsets: tuple[_KeptOffset, ...]
    topics: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        command: str,
        *,
        asked: str,
        log: str,
        offsets: Mapping[TopicPartition, CommittedOffset],
        topics: tuple[str, ...] = (),
    ) -> "Unfinished":
        """Make one of offsets by their partitions."""
        kept = (_KeptOffset(*place, each.offset, each.metadata) for place, each in sorted(offsets.items()))
        return cls(command, asked, log, tuple(kept), topics)

    def committed(self) -> dict[TopicPartition, CommittedOffset]:
        """Return the offsets by their partitions."""
        return {
            TopicPartition(each.topic, each.partition): CommittedOffset(each.offset, each.metadata)
            for each in self.offsets
        }


class UnfinishedFile:
    """Beside the application's state, which may be deleted alone. Whoever writes it holds the application's lock."""

    def __init__(self, state_dir: Path, application_id: str) -> None:
        self.path = state_dir / f"{application_id}.unfinished"
        self._application_id = application_id

    def read(self) -> Unfinished | None:
        """Return what was begun; None where nothing was.

        Raises:
            StateError: the file cannot be read, or is damaged.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Unfinished)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._cannot("read", error) from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise StateError(
                f"cannot read {self.path}: it is damaged ({error}). It has the offsets that group "
                f"{self._application_id!r} is to have: commit them by hand, then delete it"
            ) from None

    def write(self, unfinished: Unfinished) -> None:
        """Write what is begun; when this returns it survives a loss of power.

        Raises:
            StateError: it cannot be written: nothing may be begun then.
        """
        draft = self.path.with_suffix(".unfinished-new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(draft, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(unfinished), indent=1))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            self._sync_directory()
        except OSError as error:
            raise self._cannot("write", error) from None

    def remove(self) -> None:
        """Delete it: what was begun is finished.

        Raises:
            StateError: it cannot be deleted.
        """
        try:
            self.path.unlink(missing_ok=True)
            self._sync_directory()
        except OSError as error:
            raise self._cannot("delete", error) from None

    def _sync_directory(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def refuse_start(self) -> None:
        """Accept that the application starts, where nothing is unfinished.

        Raises:
            StateError: its offsets are here, and not in the log.
        """
        found = self.read()
        if found is not None:
            raise StateError(
                f"cannot start application {self._application_id!r}: `headrace {found.command}` was begun and has not "
                f"ended, and offsets of the group may be in {self.path} alone; run it again, to the end"
            )

    def _cannot(self, attempt: str, error: OSError) -> StateError:
        advice = file_advice(error, "make its directory writable, with some room")
        return StateError(f"cannot {attempt} {self.path}: {error.strerror or error}; {advice}")
