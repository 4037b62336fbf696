"""What commands that change an application's group have in common: nobody may be in it, and what follows is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.base.errors import ConfigError, LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.cli.settings import Settings
from headrace.log.groups import CommittedOffset, DescribedGroup
from headrace.log.port import Log
from headrace.streams.config import Config
from headrace.streams.lock import ApplicationLock, application_lock
from headrace.streams.logs import LogAddress, address_of, open_log
from headrace.streams.options import APPLICATION_ID, STATE_DIR
from headrace.streams.unfinished import Unfinished, UnfinishedFile

__all__ = ["ChangedApplication", "Tell", "commit_offsets", "emptied_group"]

#: Hears what is about to be done, or was done, a line at a time.
Tell = Callable[[str], None]

# A member that lives comes back when it is taken out: it has to be stopped.
_REMOVALS = 3


@dataclass(frozen=True, slots=True)
class ChangedApplication:
    """An application that is stopped, and where it has its state and its log."""

    id: str
    config: Config
    address: LogAddress

    @classmethod
    def of(cls, settings: Settings, module: str | None) -> "ChangedApplication":
        """Take it from the command line.

        Raises:
            ConfigError: no application or no log is named, or the log's file is not there.
        """
        config = settings.config(module)
        application_id = config.get_or_none(APPLICATION_ID.name)
        if application_id is None:
            raise ConfigError("no application is named: give MODULE:NAME or --application-id ID")
        address = address_of(config)
        if address.path is not None and not address.path.exists():
            raise ConfigError(f"there is no embedded log {str(address.path)!r}")
        return cls(application_id, config, address)

    @property
    def state_directory(self) -> Path:
        """Where its local state is."""
        return Path(self.config.get(STATE_DIR), self.id)

    @property
    def unfinished(self) -> UnfinishedFile:
        """Where what was begun is kept."""
        return UnfinishedFile(Path(self.config.get(STATE_DIR)), self.id)

    def lock(self) -> ApplicationLock:
        """Return the lock that it holds while it runs."""
        return application_lock(self.id, self.state_directory, self.address.path)

    def open(self) -> Log:
        """Open its log.

        Raises:
            LogError: it cannot be opened.
        """
        return open_log(self.config)

    def begun(self, command: str) -> Unfinished | None:
        """Return what this command has begun on this log, and has not finished.

        Raises:
            StateError: it was begun by another command, or on another log.
        """
        found = self.unfinished.read()
        if found is None or (found.command, found.log) == (command, str(self.address)):
            return found
        raise StateError(
            f"cannot change group {self.id!r}: `headrace {found.command}` was begun on {found.log} and has not ended; "
            f"run it again first, to the end"
        )


def emptied_group(
    log: Log, application_id: str, tell: Tell, *, by_force: bool, is_real: bool
) -> DescribedGroup | None:
    """Return the group of an application, in which nobody is; None where there is none.

    `by_force` takes out whoever is in it, in their name; only says so where it is not real.

    Raises:
        LogError: somebody is in it, or has come back.
    """
    group = log.groups.describe(application_id)
    for _ in range(_REMOVALS):
        if group is None or not group.members:
            return group
        there = "; ".join(str(member) for member in group.members)
        if not by_force:
            raise LogError(
                f"group {application_id!r} has members: {there}. Stop them first; --force takes out at once who is dead"
            )
        for member in group.members:
            tell(f"member {member} is taken out")
            if is_real:
                log.groups.end_membership(application_id, member.member_id, member.instance_id)
        if not is_real:
            return group
        group = log.groups.describe(application_id)
    if group is not None and group.members:
        raise LogError(
            f"group {application_id!r} has members again, who are alive: "
            f"{'; '.join(str(member) for member in group.members)}. Stop them"
        )
    return group


def commit_offsets(log: Log, application_id: str, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
    """Commit offsets for a group that has no members, and look whether they are there.

    Raises:
        LogError: they are not: somebody has joined, say.
    """
    log.groups.commit(application_id, offsets)
    found = log.groups.committed(application_id)
    missing = sorted(place for place, offset in offsets.items() if found.get(place) != offset)
    if missing:
        raise LogError(
            f"group {application_id!r} has not the offsets that were committed for it, of {missing[0]} among others: "
            f"somebody else commits to it"
        )
