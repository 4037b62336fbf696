"""`headrace topology`: what a topology is made of, and what becomes of the state when it changes."""

from pathlib import Path
from typing import Any

import click
import msgspec

from headrace.cli.blueprint_file import (
    EXIT_CODES,
    blueprint,
    changes_in_words,
    default_file,
    read_file,
    write_file,
)
from headrace.cli.opening import Subject
from headrace.cli.settings import property_options, settings_of
from headrace.cli.target import load
from headrace.log.port import Log
from headrace.plan.upgrade import changes_on_log, upgrade_changes
from headrace.plan.verdicts import Change, told_once, worst
from headrace.streams.options import APPLICATION_ID
from headrace.topology.topology import Topology

__all__ = ["command"]


@click.group("topology")
def command() -> None:
    """Show what a topology is made of, and what becomes of the state when it changes."""


@command.command("show")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--mermaid", "form", flag_value="mermaid", help="A Mermaid diagram.")
@click.option("--json", "form", flag_value="json", help="One JSON document.")
def show(target: str, form: str | None) -> None:
    """Print the topology at MODULE:NAME, as Kafka Streams describes it."""
    topology = load(target).topology
    if form == "mermaid":
        click.echo(topology.to_mermaid().rstrip("\n"))
    elif form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(topology.to_dict()), indent=2).decode())
    else:
        click.echo(topology.describe().rstrip("\n"))


@command.command("lock")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--file", "path", metavar="FILE", help="Where; by default APPLICATION-ID.topology.lock.")
@property_options
def lock(target: str, path: str | None, **options: Any) -> None:
    """Write down what outlives a deployment: stores with kinds and serdes, topics, partitions, generated names.

    Keep the file beside the program, under version control, and write it anew when a change is meant. Partitions are
    those on the log that is named, else those that topics declare; they are compared with the same.
    """
    subject, topology = _subject(target, options)
    log = _log(subject)
    try:
        found = blueprint(topology, _id(subject), log)
    finally:
        if log is not None:
            log.close()
    file = Path(path) if path else default_file(found.application_id)
    is_new = write_file(file, found)
    stores = "1 store" if len(found.stores) == 1 else f"{len(found.stores)} stores"
    click.echo(f"{'wrote' if is_new else 'nothing has changed in'} {file}: {stores}", err=True)
    if found.generated:
        click.echo(
            f"names that nobody has chosen, which change with the number of operators: {', '.join(found.generated)}",
            err=True,
        )


@command.command("diff")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--against", metavar="FILE", help="A lock file; by default APPLICATION-ID.topology.lock.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@property_options
def diff(target: str, against: str | None, as_json: bool, **options: Any) -> None:
    """Say of each change of the topology since it was locked what it costs the state.

    A log that is named is looked at too: its topics tell which stores and partitions there are, and no serdes; alone
    where there is no lock file. Ends with 0 where all is safe, 3 where a store is rebuilt or a topic orphaned, and 4
    where the application needs a new id.
    """
    subject, topology = _subject(target, options)
    log = _log(subject)
    file = Path(against) if against else default_file(_id(subject))
    changes: list[Change] = []
    is_streams = False
    try:
        after = blueprint(topology, _id(subject), log)
        if against or log is None or file.exists():
            locked = read_file(file)
            changes += upgrade_changes(locked, blueprint(topology, _id(subject), log, locked=locked))
        if log is not None:
            changes = told_once(changes, changes_on_log(after, log.topics()))
            group = log.groups.describe(after.application_id)
            is_streams = group is not None and group.kind == "streams"
    finally:
        if log is not None:
            log.close()
    if as_json:
        for each in changes:
            row = {"verdict": each.verdict.name.lower(), "subject": each.subject, "text": each.text}
            click.echo(msgspec.json.encode(row).decode())
    else:
        for line in changes_in_words(changes):
            click.echo(line)
        if changes and is_streams:
            click.echo("its group is a streams group: `headrace upgrade-topology` lets another topology in")
    click.get_current_context().exit(EXIT_CODES[worst(changes)])


def _subject(target: str, options: dict[str, Any]) -> tuple[Subject, Topology]:
    found = load(target)
    config = settings_of(options).config(found.module)
    return Subject(found, config.get_or_none(APPLICATION_ID.name), config), found.topology


def _id(subject: Subject) -> str:
    return subject.config.get(APPLICATION_ID)


def _log(subject: Subject) -> Log | None:
    """Open the log, if one is named: comparing needs none."""
    is_named = any(subject.config.is_set(name) for name in ("embedded.path", "bootstrap.servers"))
    return subject.open() if is_named else None
