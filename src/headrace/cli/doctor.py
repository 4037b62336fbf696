"""`headrace doctor`: what is wrong with an application, its log and this machine, and what to do about it."""

from typing import Any

import click
import msgspec

from headrace.cli.settings import looked_at, property_options, settings_of
from headrace.cli.target import load
from headrace.outside.doctor.examination import examine
from headrace.outside.doctor.finding import Finding, Severity

__all__ = ["command"]

_PATIENCE_MS = 10_000

#: How the command ends where something is wrong: 1 and 2 are failures and mistakes, as everywhere.
_WRONG = 3

_MARKS = {Severity.FINE: "✓", Severity.NOTE: "·", Severity.WARNING: "!", Severity.WRONG: "✗"}


@click.command("doctor")
@click.argument("target", metavar="MODULE:NAME")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@click.option("--strict", is_flag=True, help="End with 3 for warnings, too.")
@property_options
def command(target: str, as_json: bool, strict: bool, **options: Any) -> None:
    """Look at what the application at MODULE:NAME needs: topics, rights, time-outs, replicas, disks, transactions.

    Changes nothing. Ends with 3 where something is wrong, with 0 otherwise.
    """
    found = load(target)
    config = settings_of(options).config(found.module, **{"default.api.timeout.ms": _PATIENCE_MS})
    worst = Severity.FINE
    order = list(Severity)
    for each in examine(found.topology, looked_at(config)):
        worst = max(worst, each.severity, key=order.index)
        click.echo(_row(each) if as_json else _text(each))
    limit = Severity.WARNING if strict else Severity.WRONG
    click.get_current_context().exit(_WRONG if order.index(worst) >= order.index(limit) else 0)


def _row(found: Finding) -> str:
    row = {
        "severity": found.severity.value,
        "subject": found.subject,
        "text": found.text,
        "advice": found.advice or None,
    }
    return msgspec.json.encode(row).decode()


def _text(found: Finding) -> str:
    line = f"{_MARKS[found.severity]} {found.subject}: {found.text}"
    return f"{line}\n    {found.advice}" if found.advice else line
