"""`headrace stores`: looks into stores through their changelogs, also beside the running application."""

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import click
import msgspec
from typing_extensions import TypeVar

from headrace.base.errors import ConfigError, HeadraceError, SerializationError
from headrace.base.murmur2 import partition_for
from headrace.base.wording import shortened
from headrace.cli.completion import store_names
from headrace.cli.opening import Subject, look_options, subject_of
from headrace.cli.serdes import format_options
from headrace.cli.store_source import StoreSource, open_store
from headrace.query.changelog import changelog_of, partitions_of
from headrace.query.formats import Format

__all__ = ["command"]

C = TypeVar("C", bound=Callable[..., Any])

_encode = msgspec.json.Encoder().encode

# Lines that go out in one piece: 100,000 small writes cost a second.
_LINES = 2_000


def _source_options(command: C) -> C:
    """Say which application and which log."""
    return format_options(look_options(command))


def _source(store: str, options: dict[str, Any]) -> StoreSource:
    subject = subject_of(options)
    application_id = _application(subject)
    log = subject.open()
    topology = subject.target.topology if subject.target else None
    try:
        return open_store(
            log, store, application_id, topology, options["key_format"], options["value_format"]
        )
    except BaseException:
        log.close()
        raise


def _application(subject: Subject) -> str:
    if subject.application_id is None:
        raise ConfigError("no application is named: give --app MODULE:NAME or --application-id ID")
    return subject.application_id


@click.group("stores")
def command() -> None:
    """Look into the stores of an application, as of its last commit; it may be running."""


@command.command("list")
@look_options
def list_stores(**options: Any) -> None:
    """List stores with kind, partitions and the topic they are rebuilt from."""
    subject = subject_of(options)
    target, app_id = subject.target, _application(subject)
    log = subject.open()
    try:
        rows = [("store", "kind", "partitions", "topic")]
        topics = log.topics()
        if target is not None:
            for name, spec in sorted(target.topology.stores.items()):
                try:
                    source = spec.global_topic or changelog_of(spec, app_id)
                    topic = target.topology.decorate(source, app_id)
                    count = str(len(partitions_of(log, topic)))
                except HeadraceError:
                    topic, count = "-", "-"
                rows.append((name, spec.kind, count, topic))
        else:
            prefix, suffix = f"{app_id}-", "-changelog"
            for topic in sorted(topics):
                if topic.startswith(prefix) and topic.endswith(suffix):
                    rows.append(
                        (topic[len(prefix) : -len(suffix)], "?", str(topics[topic].partitions), topic)
                    )
    finally:
        log.close()
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]))


@command.command("get")
@click.argument("store", shell_complete=store_names)
@click.argument("key")
@click.option("--start", type=int, metavar="MS", help="Only the window or session that starts then.")
@_source_options
def get(store: str, key: str, start: int | None, **options: Any) -> None:
    """Print the row of KEY, or its windows or sessions, as JSON lines; KEY is text, or JSON where keys are not text.

    Exit code 1 when there is none.
    """
    source = _source(store, options)
    try:
        wanted = key_bytes(source.key, key)
        count = len(source.partitions)
        # The partitioner may be the user's own, so the other partitions come after the likely one.
        likely = partition_for(wanted, count)
        for partition in sorted(source.partitions, key=lambda each: each.partition != likely):
            lines = list(source.lines(partition, first=wanted, last=wanted, start=start))
            if lines:
                _print(iter(lines))
                return
    finally:
        source.close()
    window = "" if start is None else f" in a window that starts at {start}"
    click.echo(f"headrace: store {store!r} has no key {key!r}{window}", err=True)
    raise click.exceptions.Exit(1)


@command.command("scan")
@click.argument("store", shell_complete=store_names)
@click.option("--from", "first", metavar="KEY", help="Smallest key.")
@click.option("--to", "last", metavar="KEY", help="Largest key, included.")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Most rows.")
@_source_options
def scan(store: str, first: str | None, last: str | None, limit: int, **options: Any) -> None:
    """Print rows from one key to another as JSON lines, partition by partition, sorted by the bytes of their keys."""
    source = _source(store, options)
    try:
        low = None if first is None else key_bytes(source.key, first)
        high = None if last is None else key_bytes(source.key, last)
        found = (line for each in source.partitions for line in source.lines(each, first=low, last=high))
        _print(islice(found, limit))
    finally:
        source.close()


@command.command("dump")
@click.argument("store", shell_complete=store_names)
@_source_options
def dump(store: str, **options: Any) -> None:
    """Print all rows as JSON lines: key, value and timestamp; of windows and sessions key, start, end and value.

    Where the store keeps headers, they follow.
    """
    source = _source(store, options)
    try:
        _print(line for each in source.partitions for line in source.lines(each))
    finally:
        source.close()


def key_bytes(format: Format, text: str) -> bytes:
    """Return the bytes of a key as people type it: text where keys are text, else JSON.

    Raises:
        ConfigError: it is no key of this store.
    """
    try:
        return format.read(text)
    except (SerializationError, ValueError) as error:  # bytes that are no text make a ValueError
        try:
            return format.read(msgspec.json.decode(text.encode()))
        except (SerializationError, ValueError, RecursionError):
            raise ConfigError(f"{shortened(text)} is no key of this store: {error}") from None


def _print(lines: Iterator[dict[str, object]]) -> None:
    out = sys.stdout.buffer
    while batch := list(islice(lines, _LINES)):
        out.write(b"\n".join([*map(_encode, batch), b""]))
    out.flush()
