"""`headrace topics orphans`: internal topics that earlier topologies of an application have left behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from headrace.base.ids import TopicPartition
from headrace.cli.group_change import ChangedApplication, emptied_group
from headrace.cli.settings import property_options, settings_of
from headrace.cli.target import load
from headrace.cli.wording import table
from headrace.log.port import Log
from headrace.outside.application_topics import namesakes, topics_of_topology
from headrace.plan.change import is_own_internal
from headrace.topology.topology import Topology

__all__ = ["Orphan", "orphans", "orphans_of"]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A topic that nobody reads any more.

    Attributes:
        offsets: how many there are from its beginning to its end.
        unread: of a repartition topic, how many lie behind what was committed: records that nobody has processed.
    """

    topic: str
    partitions: int
    offsets: int
    unread: int


def orphans_of(log: Log, application_id: str, topology: Topology) -> tuple[list[Orphan], dict[str, str]]:
    """Return the internal topics of an application that a topology has not; and those that may be another's, with it.

    Raises:
        LogError: the log does not answer.
    """
    counts = log.partition_counts()
    known = topics_of_topology(topology, application_id, counts).internal
    doubtful = [
        topic for topic in sorted(counts) if is_own_internal(topic, application_id) and topic not in known
    ]
    others = dict(namesakes(application_id, doubtful, log.groups))
    committed = log.groups.committed(application_id, waits=False)
    found = []
    for topic in doubtful:
        if topic in others:
            continue
        places = [TopicPartition(topic, number) for number in range(counts[topic])]
        begins, ends = log.beginning_offsets(places), log.end_offsets(places)
        read = {
            place: max(committed[place].offset, begins[place]) if place in committed else ends[place]
            for place in places
        }
        unread = sum(ends[place] - read[place] for place in places)
        found.append(Orphan(topic, counts[topic], sum(ends[each] - begins[each] for each in places), unread))
    return found, others


@click.command("orphans")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--delete", is_flag=True, help="Delete them, after a question.")
@click.option("--yes", is_flag=True, help="Delete them without a question.")
@click.option("--force", is_flag=True, help="Take members out of the group, who must be dead.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@property_options
def orphans(target: str, delete: bool, yes: bool, force: bool, as_json: bool, **options: Any) -> None:
    """List the internal topics of an application that its topology does not have; delete them where that is asked for.

    Stores and operators that were renamed or removed leave them. They are deleted only where nobody runs the
    application, since an instance with the topology before may still use them.
    """
    found = load(target)
    application = ChangedApplication.of(settings_of(options), found.module)
    log = application.open()
    try:
        left, others = orphans_of(log, application.id, found.topology)
        _show(left, others, as_json=as_json)
        if not left or not (delete or yes):
            return
        lock = application.lock()
        lock.acquire()
        try:
            emptied_group(
                log, application.id, lambda line: click.echo(line, err=True), by_force=force, is_real=True
            )
            names = [each.topic for each in left]
            if not yes:
                click.confirm(f"delete {len(names)} topics with all that is in them?", abort=True, err=True)
            log.delete_topics(names)
        finally:
            lock.release()
        click.echo(f"deleted {', '.join(names)}", err=True)
    finally:
        log.close()


def _show(left: Sequence[Orphan], others: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        for each in left:
            click.echo(msgspec.json.encode(each).decode())
    elif left:
        rows = [(each.topic, each.partitions, each.offsets, each.unread) for each in left]
        click.echo(table(("topic", "partitions", "offsets", "not processed"), rows))
    else:
        click.echo("there are none")
    for topic, other in others.items():
        click.echo(f"left as it is: {topic}, which is named after application {other!r}", err=True)
