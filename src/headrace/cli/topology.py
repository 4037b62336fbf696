"""`headrace topology`: what a topology is made of, without running it."""

import click
import msgspec

from headrace.cli.target import load

__all__ = ["command"]


@click.group("topology")
def command() -> None:
    """Show what a topology is made of."""


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
