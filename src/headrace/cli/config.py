"""`headrace config`: which properties there are, what they are set to, and by whom."""

from typing import Any

import click
import msgspec

from headrace.cli.settings import property_options, settings_of

__all__ = ["command"]


@click.group("config")
def command() -> None:
    """Explain properties."""


@command.command("explain")
@property_options
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
def explain(as_json: bool, **options: Any) -> None:
    """Print every property with its value, where that comes from, and what it means.

    Flags win over the environment (HEADRACE_COMMIT_INTERVAL_MS), that over --config FILE, and that over code.
    """
    config = settings_of(options).config(None)
    if not as_json:
        click.echo(config.explain())
        return
    for name, value, origin, meaning in config.rows():
        row = {"property": name, "value": value, "origin": origin, "meaning": meaning}
        click.echo(msgspec.json.encode(row).decode())
