"""`headrace upgrade-topology`: lets an application with another topology into its streams group, with its offsets.

Brokers keep the topology of a streams group (KIP-1071), and let nobody with another one in, even when it is empty
(4.3, 4.4). It goes with the group, and so do the offsets, which therefore are in a file from before the deletion until
they are committed again. What happens where the command is killed:

| killed | the group | the next run |
| --- | --- | --- |
| before the file is written | as it was | begins |
| before the group is deleted | as it was; somebody may have run it on since | takes the offsets that it has now |
| before the offsets are committed | is gone, or has some of them | commits those of the file |
| before the file is removed | has all offsets | removes the file |

Whoever joins between the deletion and the commit has the inputs anew, and the commit is refused. Which offsets hold is
for people to say then; nothing is given up before.
"""

from collections.abc import Mapping
from typing import Any

import click

from headrace.base.errors import HeadraceError, LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.cli.group_change import ChangedApplication, Tell, commit_offsets, emptied_group
from headrace.cli.settings import property_options, settings_of
from headrace.cli.target import load
from headrace.log.groups import CommittedOffset, DescribedGroup
from headrace.log.port import Log
from headrace.streams.unfinished import Unfinished

__all__ = ["command", "upgrade"]

_COMMAND = "upgrade-topology"
_KEPT, _COMMITTED = "kept", "committed"

Offsets = Mapping[TopicPartition, CommittedOffset]


@click.command(_COMMAND)
@click.argument("target", metavar="[MODULE:NAME]", required=False)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Take members out of the group, who must be dead.")
@click.option(
    "--offsets", "chosen", type=click.Choice([_KEPT, _COMMITTED]),
    help="Which hold, where somebody has run in the middle of it: those that were kept, or what was committed since.",
)  # fmt: skip
@property_options
def command(target: str | None, dry_run: bool, force: bool, chosen: str | None, **options: Any) -> None:
    """Make the brokers forget the topology of an application's streams group, which is stopped; keep its offsets.

    Brokers let nobody with a changed topology into a group with group.protocol=streams. The group is deleted, and its
    offsets are committed again; until then they are in a file beside the local state. Killed at any point, it can be
    run again. State and topics stay as they are.
    """
    found = load(target) if target else None
    application = ChangedApplication.of(settings_of(options), found.module if found else None)
    log = application.open()
    try:
        if dry_run:
            upgrade(application, log, click.echo, by_force=force, chosen=chosen, is_real=False)
            return
        lock = application.lock()
        lock.acquire()
        try:
            upgrade(application, log, click.echo, by_force=force, chosen=chosen)
        finally:
            lock.release()
    finally:
        log.close()


def upgrade(
    application: ChangedApplication,
    log: Log,
    tell: Tell,
    *,
    by_force: bool = False,
    chosen: str | None = None,
    is_real: bool = True,
) -> None:
    """Delete the group and commit its offsets again; the application's lock is held.

    Raises:
        LogError: somebody is in the group, or the log does not answer. What is left to do is in the file.
        StateError: the file cannot be written, or nobody has said which offsets hold.
    """
    file, begun = application.unfinished, application.begun(_COMMAND)
    group = emptied_group(log, application.id, tell, by_force=by_force, is_real=is_real)
    has_topology = group is not None and group.kind == "streams"
    if begun is None and not has_topology:
        tell(f"group {application.id} has no topology at the brokers: an application may join with any")
        return
    current = log.groups.committed(application.id)
    offsets = (
        current if begun is None else _holding(log, application, group, begun.committed(), current, chosen)
    )
    if begun is not None:
        tell(f"going on with what was begun before, with the offsets in {file.path}")
    if not is_real:
        tell(f"the offsets of {len(offsets)} partitions would be kept in {file.path}")
        tell(f"group {application.id} would be deleted, and its topology with it")
        tell(f"the offsets of {len(offsets)} partitions would be committed again")
        return
    try:
        if has_topology:
            file.write(Unfinished.of(_COMMAND, asked="", log=str(application.address), offsets=offsets))
            tell(f"kept the offsets of {len(offsets)} partitions in {file.path}")
            # What cannot be committed again must not be deleted: the brokers may not allow it.
            commit_offsets(log, application.id, offsets)
            log.groups.delete(application.id)
            tell(f"deleted group {application.id}, and its topology with it")
        commit_offsets(log, application.id, offsets)
        tell(f"committed the offsets of {len(offsets)} partitions again")
        file.remove()
    except HeadraceError as error:
        if not file.path.exists():
            raise
        raise LogError(
            f"{error}. It is not finished: the offsets are in {file.path}; run the command again"
        ) from error
    tell(f"removed {file.path}: the application can start")


def _holding(
    log: Log,
    application: ChangedApplication,
    group: DescribedGroup | None,
    kept: Offsets,
    current: Offsets,
    chosen: str | None,
) -> Offsets:
    """Return the offsets that hold, where there are some from before, and what is committed now.

    Raises:
        StateError: members have committed in between, and less than was kept; nobody has said which hold.
    """
    counts = log.partition_counts(sorted({place.topic for place in kept}))
    there = {place: each for place, each in kept.items() if place.partition < counts.get(place.topic, 0)}
    behind = {
        place: each
        for place, each in there.items()
        if place not in current or current[place].offset < each.offset
    }
    if group is not None and group.was_joined and behind:
        # Not what this command has left, which is all, nothing, or what it has committed itself.
        if chosen is None:
            place, each = next(iter(sorted(behind.items())))
            now = f"offset {current[place].offset}" if place in current else "nothing"
            raise StateError(
                f"somebody has run application {application.id!r} before its offsets were committed again: of {place}, "
                f"{now} is committed, and {each.offset} was kept in {application.unfinished.path}; give "
                f"--offsets kept to go on where it was before, or --offsets committed to go on where it is now"
            )
        return {**current, **there} if chosen == _KEPT else current
    return {**current, **behind}
