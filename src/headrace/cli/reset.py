"""`headrace reset`: lets a stopped application begin anew, in Kafka or on the embedded log.

The group is deleted first: brokers refuse that while somebody lives in it, and a streams group's topology goes with it.
Then go the internal topics, and then offsets are committed for every partition of the inputs. Local state goes last.

Offsets that are to be committed are decided before anything is done, and kept in a file until it is done: a reset that
was killed is finished by the next one, and no application starts in between (`streams.unfinished`).
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from headrace.base.errors import HeadraceError, LogError
from headrace.cli.group_change import ChangedApplication, Tell, commit_offsets, emptied_group
from headrace.cli.reset_plan import NamedTopics, ResetPlan, made_plan
from headrace.cli.reset_target import target_of
from headrace.cli.settings import property_options, settings_of
from headrace.cli.target import load
from headrace.log.port import Log
from headrace.streams.lock import clear_state
from headrace.streams.unfinished import Unfinished

__all__ = ["command"]

_COMMAND = "reset"
_TARGETS = ("to_earliest", "to_latest", "to_offset", "shift_by", "to_datetime", "by_duration", "from_file")


@click.command(_COMMAND)
@click.argument("target", metavar="[MODULE:NAME]", required=False)
@click.option("--input-topics", multiple=True, metavar="TOPIC,…", help="Only these inputs are reset.")
@click.option(
    "--intermediate-topics",
    multiple=True,
    metavar="TOPIC,…",
    help="Topics that are set behind their last record.",
)
@click.option(
    "--internal-topics", multiple=True, metavar="TOPIC,…", help="Only these internal topics are deleted."
)
@click.option("--to-earliest", is_flag=True, help="To the first record that is still there (default).")
@click.option("--to-latest", is_flag=True, help="Behind the last record.")
@click.option("--to-offset", type=int, metavar="N", help="To this offset.")
@click.option("--shift-by", type=int, metavar="N", help="N offsets on from what is committed, or back.")
@click.option(
    "--to-datetime", metavar="TIME", help="To the first record from 2013-01-01T00:00:00.000 on, say; UTC."
)
@click.option("--by-duration", metavar="SPAN", help="To the first record of the last 1h30m, say, or PT1H30M.")
@click.option(
    "--from-file", metavar="FILE", help="To the offsets in a file with lines TOPIC,PARTITION,OFFSET."
)
@click.option("--force", is_flag=True, help="Take members out of the group, who must be dead.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@property_options
def command(target: str | None, force: bool, dry_run: bool, **options: Any) -> None:
    """Let an application that is stopped begin anew: offsets, internal topics, and local state on this machine.

    With MODULE:NAME it knows the inputs and internal topics of the topology. With --application-id alone, inputs are
    those that the group knows, and internal topics those that are named after it, as by Kafka's own tool. Topics that
    it writes for others stay. Killed at any point, it can be run again.
    """
    now_ms = time.time_ns() // 1_000_000
    place, asked = target_of({name: options.pop(name) for name in _TARGETS}, now_ms)
    named = NamedTopics(
        *(_split(options.pop(f"{kind}_topics")) for kind in ("input", "intermediate", "internal"))
    )
    found = load(target) if target else None
    application = ChangedApplication.of(settings_of(options), found.module if found else None)
    asked = " ".join([asked, *named.inputs, *named.intermediate, *named.internal])
    lock = application.lock()
    log = application.open()
    try:
        if not dry_run:
            lock.acquire()
        begun = application.begun(_COMMAND)
        group = emptied_group(log, application.id, click.echo, by_force=force, is_real=not dry_run)
        if begun is None:
            plan = made_plan(log, application.id, place, named, found.topology if found else None, group)
            _show(application, log, plan)
            address = str(application.address)
            wanted = Unfinished.of(
                _COMMAND, asked=asked, log=address, offsets=plan.offsets(), topics=plan.topics
            )
        else:
            click.echo(
                f"going on with what {application.unfinished.path} says: a reset was begun ({begun.asked})"
            )
            click.echo(f"left to do: {'; '.join(_left(application, log, begun)) or 'nothing'}")
            wanted = begun
        if dry_run:
            click.echo("nothing was done: it was a dry run")
            return
        _reset(application, log, wanted, click.echo)
    finally:
        lock.release()
        log.close()
    if wanted.asked != asked:
        raise LogError(
            f"the reset that was begun before ({wanted.asked}) is done, and what was asked for now ({asked}) is not: "
            f"run the command again"
        )


def _split(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for text in given for name in text.split(",") if name.strip())


def _show(application: ChangedApplication, log: Log, plan: ResetPlan) -> None:
    click.echo(f"reset of application {application.id} on {application.address}")
    for line in plan.lines():
        click.echo(line)
    state = application.state_directory
    click.echo(f"deleted: local state in {state}" if _has_state(state) else f"no local state in {state}")
    if properties := log.groups.config(application.id):
        shown = ", ".join(f"{name}={value}" for name, value in properties.items())
        click.echo(f"properties of the group, which stay: {shown}")


def _has_state(directory: Path) -> bool:
    return directory.exists() and any(entry.is_dir() for entry in directory.iterdir())


def _left(application: ChangedApplication, log: Log, begun: Unfinished) -> Iterable[str]:
    """Say what is not as it is to be."""
    topics = log.partition_counts(begun.topics)
    if topics:
        yield f"delete internal topics {', '.join(sorted(topics))}"
    committed = log.groups.committed(application.id)
    if others := [place for place, each in begun.committed().items() if committed.get(place) != each]:
        yield f"commit the offsets of {len(others)} of {len(begun.offsets)} partitions"
    if _has_state(application.state_directory):
        yield f"delete local state in {application.state_directory}"


def _reset(application: ChangedApplication, log: Log, begun: Unfinished, tell: Tell) -> None:
    """Do what is written to the file first; each step may have been done before. The application's lock is held.

    Raises:
        LogError: somebody has joined, or the log does not answer. What is left to do is in the file.
        StateError: local state cannot be deleted.
    """
    application.unfinished.write(begun)
    tell(f"wrote what is to be done to {application.unfinished.path}")
    try:
        log.groups.delete(application.id)
        tell(f"deleted group {application.id}")
        log.delete_topics(begun.topics)
        tell(f"deleted {len(begun.topics)} internal topics")
        commit_offsets(log, application.id, begun.committed())
        tell(f"committed the offsets of {len(begun.offsets)} partitions")
        clear_state(application.state_directory)
        tell(f"deleted local state in {application.state_directory}")
        application.unfinished.remove()
    except HeadraceError as error:
        raise LogError(
            f"{error}. The reset is not finished: what is left of it is in {application.unfinished.path}; run the "
            f"command again"
        ) from error
    tell("done; where instances run on other machines, local state has to be deleted there, too")
