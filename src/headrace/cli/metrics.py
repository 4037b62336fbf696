"""`headrace metrics`: what is measured, and what shows it and watches over it."""

from importlib.resources import files

import click
import msgspec

from headrace.cli.wording import table
from headrace.metrics.catalogue import CATALOGUE
from headrace.metrics.declaration import Level
from headrace.metrics.naming import is_exported, prometheus_name

__all__ = ["command"]


@click.group("metrics")
def command() -> None:
    """Show what is measured, and print a dashboard and alert rules for it."""


@command.command("list")
@click.option(
    "--level",
    type=click.Choice([each.name for each in Level], case_sensitive=False),
    default=Level.TRACE.name,
    help="Those of this level, and of the levels before it.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
def list_metrics(level: str, as_json: bool) -> None:
    """List all metrics, with their level and what they are called in Prometheus."""
    found = [each for each in CATALOGUE if each.level <= Level[level.upper()]]
    if not as_json:
        rows = [
            (
                each.group,
                each.name,
                each.level.name,
                prometheus_name(each) if is_exported(each) else "-",
                each.text,
            )
            for each in found
        ]
        click.echo(table(("group", "name", "level", "in Prometheus", "meaning"), rows))
        return
    for each in found:
        row = {
            "group": each.group,
            "name": each.name,
            "tags": each.tags,
            "level": each.level.name,
            "kind": each.kind,
            "unit": each.unit,
            "prometheus": prometheus_name(each) if is_exported(each) else None,
            "own": each.is_own,
            "meaning": each.text,
        }
        click.echo(msgspec.json.encode(row).decode())


@command.command("dashboard")
def dashboard() -> None:
    """Print a dashboard, to be imported into Grafana."""
    click.echo(_file("dashboard.json"), nl=False)


@command.command("alerts")
def alerts() -> None:
    """Print alert rules, a file for `rule_files` of Prometheus."""
    click.echo(_file("alerts.yml"), nl=False)


def _file(name: str) -> str:
    return files("headrace.metrics").joinpath("files", name).read_text(encoding="utf-8")
