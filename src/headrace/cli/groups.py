"""`headrace groups`: who runs which application, how far it is, and ending what a dead member has left."""

from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

from headrace.base.errors import ConfigError, LogError
from headrace.base.ids import TaskId
from headrace.cli.opening import Subject, look_options, subject_of
from headrace.cli.wording import table
from headrace.engine.commit_metadata import NOTHING_COMMITTED, decode_metadata
from headrace.group.members import Roles
from headrace.log.groups import DescribedGroup, DescribedMember, Groups, ListedGroup
from headrace.outside.lag import PartitionLag, lag_of_group, no_group

__all__ = ["command", "group_named", "shown_lag"]

#: What members of classic groups agree on: headrace's, and Kafka Streams' own.
_OF_APPLICATIONS = frozenset({"headrace-tasks", "stream"})


@click.group("groups")
def command() -> None:
    """Show the groups of applications and their members, and take dead members out."""


@command.command("list")
@click.option(
    "--all", "with_others", is_flag=True, help="Also groups that are no application's, or may not be."
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@look_options
def list_groups(with_others: bool, as_json: bool, **options: Any) -> None:
    """List the groups of applications with their protocol, state and number of members.

    A classic group that is empty is known as an application's by what it has committed.
    """
    log = subject_of(options).open()
    try:
        groups = log.groups
        rows = []
        for listed in groups.list():
            found = _application(groups, listed)
            if found is not None or with_others:
                members = None if found is None else len(found.members)
                rows.append((listed.name, listed.kind, listed.state, members))
    finally:
        log.close()
    if as_json:
        for name, kind, state, members in rows:
            row = {"group": name, "protocol": kind, "state": state, "members": members}
            click.echo(msgspec.json.encode(row).decode())
        return
    shown = [
        (name, kind or "-", state, "-" if members is None else members) for name, kind, state, members in rows
    ]
    click.echo(table(("group", "protocol", "state", "members"), shown))


def _application(groups: Groups, listed: ListedGroup) -> DescribedGroup | None:
    """Return the group if it is an application's, described."""
    if listed.kind == "classic" and listed.protocol_type not in {"", "consumer"}:
        return None
    if listed.kind not in {"", "classic", "streams"}:
        return None
    found = groups.describe(listed.name)
    if found is None or found.kind != "classic" or found.protocol in _OF_APPLICATIONS:
        return found
    if found.members:
        return None
    committed = groups.committed(listed.name, waits=False).values()
    return found if any(decode_metadata(each.metadata) != NOTHING_COMMITTED for each in committed) else None


@command.command("describe")
@click.argument("group", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@look_options
def describe(group: str | None, as_json: bool, **options: Any) -> None:
    """Show the members of GROUP with their tasks, and what it has committed in each partition that it reads.

    Without GROUP it is that of --app or --application-id. The lag is the number of records that are left, as
    `headrace lag` counts them. A streams group tells which task reads a partition; of a classic group
    --app does, or else what its members have.
    """
    subject = subject_of(options)
    name = group_named(group, subject)
    log = subject.open()
    try:
        found, lags = lag_of_group(log, name, None if subject.target is None else subject.target.topology)
    finally:
        log.close()
    if as_json:
        click.echo(msgspec.json.encode(_document(found, lags)).decode())
    else:
        click.echo("\n\n".join(_text(found, lags)))


def group_named(group: str | None, subject: Subject) -> str:
    """Return the group that is meant: the one that is named, or the application's.

    Raises:
        ConfigError: none is.
    """
    name = group or subject.application_id
    if name is None:
        raise ConfigError("no group is named: give GROUP, --app MODULE:NAME or --application-id ID")
    return name


def _described(groups: Groups, name: str) -> DescribedGroup:
    found = groups.describe(name)
    if found is None:
        raise no_group(name)
    return found


@command.command("remove")
@click.argument("group")
@click.argument("member")
@look_options
def remove(group: str, member: str, **options: Any) -> None:
    """End the membership of MEMBER, which is dead: others have its tasks at once, and need not wait for its session.

    MEMBER is an id that `describe` shows, or a group.instance.id. One that is alive loses its tasks, and comes back.
    """
    log = subject_of(options).open()
    try:
        found = _described(log.groups, group)
        chosen = [each for each in found.members if member in {each.member_id, each.instance_id}]
        if not chosen:
            there = ", ".join(str(each) for each in found.members) or "nobody"
            raise LogError(f"group {group!r} has no member {member!r}; in it is {there}")
        for each in chosen:
            log.groups.end_membership(group, each.member_id, each.instance_id)
    finally:
        log.close()
    click.echo(f"ended the membership of {chosen[0]} in group {group}", err=True)


# ── as text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(group: DescribedGroup, lags: Sequence[PartitionLag]) -> Iterable[str]:
    epoch = "" if group.epoch is None else f", epoch {group.epoch}"
    if group.assignment_epoch not in {None, group.epoch}:
        epoch += f" (assignment of epoch {group.assignment_epoch})"
    kind = f"{group.kind}, " if group.kind else ""
    yield f"group {group.name}: {kind}{group.state}{epoch}, {_count(group.members)}"
    numbers = {member.member_id: str(number) for number, member in enumerate(group.members, start=1)}
    for member in group.members:
        yield f"member {numbers[member.member_id]}: {_member(member)}"
    if lags:
        rows = [
            (
                each.task or "-",
                each.partition,
                "-" if each.committed is None else each.committed,
                each.end,
                shown_lag(each),
                numbers.get(each.member or "", "-"),
            )
            for each in lags
        ]
        yield table(("task", "partition", "committed", "end", "lag", "member"), rows)
    if any(each.task is None for each in lags):
        yield "which task reads a partition is told by --app MODULE:NAME, where it is not shown"


def shown_lag(lag: PartitionLag) -> int | str:
    """Return a lag for people: a number, or what it is at most, where not all could be counted."""
    if lag.lag is None:
        return "-"
    return lag.lag if lag.is_exact else f"≤ {lag.lag}"


def _count(members: Sequence[DescribedMember]) -> str:
    return "1 member" if len(members) == 1 else f"{len(members)} members"


def _member(member: DescribedMember) -> str:
    facts = [f"client {member.client_id} at {member.host}"]
    facts += [f"instance {member.instance_id}"] if member.instance_id else []
    facts += [f"process {member.process_id}"] if member.process_id else []
    facts += [f"rack {member.rack}"] if member.rack else []
    facts += [f"endpoint {member.endpoint[0]}:{member.endpoint[1]}"] if member.endpoint else []
    facts += [] if member.epoch is None else [f"epoch {member.epoch}"]
    return f"{member.member_id}\n  {', '.join(facts)}\n  {_work(member)}"


def _work(member: DescribedMember) -> str:
    if member.roles is None:
        return f"reads {', '.join(map(str, member.partitions)) or 'nothing'}"
    roles = [f"{name} {', '.join(tasks)}" for name, tasks in _roles(member.roles).items() if tasks]
    return "; ".join(roles) or "no tasks"


def _roles(roles: Roles) -> dict[str, list[str]]:
    named = {"active": roles.active, "standby": roles.standby, "warmup": roles.warmup}
    return {name: [str(task) for task in sorted(tasks)] for name, tasks in named.items()}


# ── as JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _document(group: DescribedGroup, lags: Sequence[PartitionLag]) -> dict[str, object]:
    return {
        "group": group.name,
        "protocol": group.kind,
        "state": group.state,
        "epoch": group.epoch,
        "assignment_epoch": group.assignment_epoch,
        "members": [_plain_member(member) for member in group.members],
        "tasks": _tasks(group, lags),
        "partitions": [
            {
                "topic": each.partition.topic,
                "partition": each.partition.partition,
                "task": None if each.task is None else str(each.task),
                "committed": each.committed,
                "end": each.end,
                "lag": each.lag,
                "is_exact": each.is_exact,
                "oldest": each.oldest,
                "member": each.member,
            }
            for each in lags
        ],
    }


def _plain_member(member: DescribedMember) -> dict[str, object]:
    return {
        "member": member.member_id,
        "instance": member.instance_id,
        "client": member.client_id,
        "host": member.host,
        "rack": member.rack,
        "process": member.process_id or None,
        "endpoint": None if member.endpoint is None else f"{member.endpoint[0]}:{member.endpoint[1]}",
        "epoch": member.epoch,
        **(
            _roles(member.roles)
            if member.roles is not None
            else dict.fromkeys(("active", "standby", "warmup"))
        ),
        "partitions": [str(partition) for partition in member.partitions],
    }


def _tasks(group: DescribedGroup, lags: Sequence[PartitionLag]) -> list[dict[str, object]]:
    """Who runs and follows each task, and what is left for it."""
    roles = [(member.member_id, member.roles) for member in group.members if member.roles is not None]
    known = {task for _, each in roles for task in (*each.active, *each.standby, *each.warmup)}
    known |= {each.task for each in lags if each.task is not None}

    def having(task: TaskId, role: str) -> list[str]:
        return [name for name, each in roles if task in getattr(each, role)]

    return [
        {
            "task": str(task),
            "active": having(task, "active"),
            "standby": having(task, "standby"),
            "warmup": having(task, "warmup"),
            "lag": sum(each.lag or 0 for each in lags if each.task == task),
        }
        for task in sorted(known)
    ]
