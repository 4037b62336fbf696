"""`headrace topics`: lists, creates, writes and reads topics, also beside a running application."""

import difflib
import re
import select
import sys
from collections.abc import Iterable
from io import BufferedReader
from typing import Any, cast

import click
import msgspec

from headrace.base.errors import ConfigError, LogError, UnknownTopicError
from headrace.base.ids import TopicPartition
from headrace.cli.completion import topic_names
from headrace.cli.lines import LineError
from headrace.cli.opening import look_options, subject_of
from headrace.cli.orphans import orphans
from headrace.cli.read_start import ReadStart, read_start_of
from headrace.cli.reading import read_topic
from headrace.cli.serdes import format_options, topic_formats
from headrace.cli.writing import LineWriter
from headrace.log.port import TopicSpec
from headrace.topology.topology import Topology

__all__ = ["command"]

# As on Kafka, where more would be refused.
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")

#: More than a whole cluster should have: a number with digits too many is no wish.
_PARTITIONS_MAX = 100_000


def _sources(topology: Topology) -> frozenset[str]:
    """Names of the user topics that a topology reads."""
    read = {topic for subtopology in topology.subtopologies for topic in subtopology.source_topics}
    return frozenset(read - set(topology.repartition_topics))


def _written(topology: Topology) -> frozenset[str]:
    """Names of the user topics that a topology writes, other than those that a function chooses."""
    sinks = {sink.topic for subtopology in topology.subtopologies for sink in subtopology.sinks}
    return frozenset({topic for topic in sinks if isinstance(topic, str)} - set(topology.repartition_topics))


@click.group("topics")
def command() -> None:
    """List, create, write and read topics, and remove what nobody has any more."""


command.add_command(orphans)


@command.command("list")
@look_options
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
def list_topics(as_json: bool, **options: Any) -> None:
    """List topics with their partitions and records; on Kafka offsets, of which markers of transactions have some."""
    subject = subject_of(options)
    log = subject.open()
    # On an embedded log each offset is a record.
    noun = "offsets" if subject.config.is_set("bootstrap.servers") else "records"
    try:
        rows = []
        for name, topic in sorted(log.topics().items()):
            partitions = [TopicPartition(name, number) for number in range(topic.partitions)]
            begin, end = log.beginning_offsets(partitions), log.end_offsets(partitions)
            rows.append(
                (name, topic.partitions, sum(end[each] - begin[each] for each in partitions), topic.config)
            )
    finally:
        log.close()
    if as_json:
        for name, count, records, config in rows:
            row = {"topic": name, "partitions": count, "records": records, "config": dict(config)}
            click.echo(msgspec.json.encode(row).decode())
        return
    width = max([len("topic"), *(len(row[0]) for row in rows)])
    click.echo(f"{'topic':<{width}}  partitions  {noun}")
    for name, count, records, _ in rows:
        click.echo(f"{name:<{width}}  {count:>10}  {records:>7}")


@command.command("create")
@click.argument("name")
@click.option("--partitions", type=click.IntRange(1, _PARTITIONS_MAX), default=1, show_default=True)
@click.option(
    "--topic-config", "config", metavar="K=V", multiple=True, help="A property of the topic; may be repeated."
)
@look_options
def create(
    name: str,
    partitions: int,
    config: tuple[str, ...],
    **options: Any,
) -> None:
    """Create a topic, and the log's file if it is not there."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"cannot create topic {name!r}: use letters, digits, '.', '_' and '-', at most 249 of them"
        )
    properties = {}
    for text in config:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(
                f"--topic-config {text!r} has no '=': write --topic-config cleanup.policy=compact"
            )
        properties[key.strip()] = value.strip()
    log = subject_of(options).open_or_make()
    try:
        if name in log.topics([name]):
            raise LogError(f"cannot create topic {name!r}: it exists")
        log.create_topics([TopicSpec(name, partitions, properties)])
    finally:
        log.close()
    click.echo(f"created {name} with {partitions} partition{'' if partitions == 1 else 's'}", err=True)


@command.command("write")
@click.argument("name", metavar="TOPIC", shell_complete=topic_names)
@format_options
@look_options
def write(
    name: str,
    key_format: str | None,
    value_format: str | None,
    **options: Any,
) -> None:
    """Write JSON lines from the input: {"key": …, "value": …, "timestamp": …, "headers": {…}, "partition": …}.

    Only what there is must be given: the timestamp is now, and the key decides the partition as Kafka does. A timestamp
    is in epoch milliseconds, or a time such as "2013-01-01T00:00:00Z". A line that is no record ends it with an error;
    all lines before it are written, none after it.
    """
    subject = subject_of(options)
    found, app_id = subject.target, subject.application_id
    # What the application would make when it starts, it may be given before: its log, and the topics that it reads.
    is_source = found is not None and name in _sources(found.topology)
    log = subject.open_or_make() if is_source else subject.open()
    try:
        topics = log.topics()
        if name not in topics and found is not None and is_source and log.makes_user_topics:
            log.create_topics([TopicSpec(name, found.topology.declared_partitions.get(name, 1))])
            topics = log.topics()
        if name not in topics:
            sources = _sources(found.topology) if found is not None else frozenset[str]()
            near = _near(name, sources | topics.keys()) or ":"
            or_else = (
                "" if found is not None else ", or name the application that reads it with --app MODULE:NAME"
            )
            raise UnknownTopicError(
                f"there is no topic {name!r}{near} make it with `headrace topics create {name}`{or_else}"
            )
        key, value = topic_formats(name, app_id, found.topology if found else None, key_format, value_format)
        writer = LineWriter(log.writer("headrace-topics-write"), topics[name], key, value)
        try:
            # Typed as any binary stream, but standard input is always a buffered one.
            _copy(cast("BufferedReader", sys.stdin.buffer), writer)
        except LineError as error:
            _commit(writer)
            raise LogError(
                f"line {writer.lines} cannot be written: {error}; {_records(writer.written)} of the lines before it "
                f"{'is' if writer.written == 1 else 'are'} written, nothing from it on"
            ) from None
        finally:
            writer.close()
    finally:
        log.close()
    click.echo(f"wrote {_records(writer.written)} to {name}", err=True)


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _copy(stream: BufferedReader, writer: LineWriter) -> None:
    """Write whole lines as they come, and commit whenever there is nothing more to read at once."""
    begun: list[bytes] = []  # of a line whose end is not there yet; a long one comes in thousands of parts
    while block := _block(stream):
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            writer.add(b"".join(begun))
            *lines, rest = others
            for line in lines:
                writer.add(line)
            begun = [rest]
        if not _has_more(stream):
            _commit(writer)
    last = b"".join(begun)
    if last:
        writer.add(last)
    _commit(writer)


def _block(stream: BufferedReader) -> bytes:
    try:
        return stream.read1(1 << 16)
    except OSError as error:  # a directory, a terminal that has gone
        raise LogError(f"cannot read the lines to write: {error.strerror or error}") from None


def _commit(writer: LineWriter) -> None:
    try:
        writer.commit()
    except LogError as error:
        raise LogError(
            f"{error}; {_records(writer.written)} {'was' if writer.written == 1 else 'were'} written before that"
        ) from error


def _has_more(stream: BufferedReader) -> bool:
    try:
        return bool(select.select([stream], [], [], 0)[0])
    except (OSError, ValueError):
        return True  # not a file of the system: all of it is there


@command.command("read")
@click.argument("name", metavar="TOPIC", shell_complete=topic_names)
@click.option(
    "--from", "start", default="beginning", show_default=True, metavar="PLACE",
    help="beginning, end, an offset, or a time such as 2013-01-01T00:00:00Z.",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "--partition", "partitions", type=click.IntRange(min=0), multiple=True, help="Only this one; repeatable."
)
@click.option("--limit", type=click.IntRange(min=0), help="Most records.")
@format_options
@look_options
def read(
    name: str,
    start: str,
    follow: bool,
    partitions: tuple[int, ...],
    limit: int | None,
    key_format: str | None,
    value_format: str | None,
    **options: Any,
) -> None:
    """Print records as JSON lines with topic, partition, offset, timestamp, key, value and headers.

    Without --follow it ends where the topic ended when it began. Bytes that are neither text nor JSON are shown as
    {"base64": …}. Records of one partition come in order.
    """
    first: ReadStart = read_start_of(start)
    subject = subject_of(options)
    found, app_id = subject.target, subject.application_id
    log = subject.open()
    try:
        topics = log.topics()
        if name not in topics:
            near = _near(name, topics) or "; `headrace topics list` has those there are"
            if found is not None and log.makes_user_topics and name in _written(found.topology):
                near = " yet: the application makes it when it starts"
            raise UnknownTopicError(f"there is no topic {name!r}{near}")
        count = topics[name].partitions
        wanted = sorted(set(partitions)) or list(range(count))
        if wanted[-1] >= count:
            raise ConfigError(f"topic {name!r} has no partition {wanted[-1]}: it has 0 to {count - 1}")
        formats = topic_formats(name, app_id, found.topology if found else None, key_format, value_format)
        read_topic(
            log, [TopicPartition(name, each) for each in wanted], first, formats, follow=follow, limit=limit
        )
    finally:
        log.close()
    sys.stdout.flush()
