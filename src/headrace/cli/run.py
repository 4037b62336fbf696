"""`headrace run`: runs an application until it is told to stop."""

from contextlib import suppress
from typing import Any

import click

from headrace.base.errors import ConfigError
from headrace.cli.log_output import LogOutput, log_options, log_output_of
from headrace.cli.serving import serve
from headrace.cli.settings import Settings, property_options, settings_of
from headrace.cli.status import StatusLine
from headrace.cli.target import load, make_file_importable
from headrace.streams.logs import address_of
from headrace.streams.streams import Streams

__all__ = ["command"]


@click.command("run")
@click.argument("target", metavar="MODULE:NAME")
@property_options
@log_options
@click.option("--quiet", is_flag=True, help="No status line.")
def command(target: str, quiet: bool, **options: Any) -> None:
    """Run the topology at MODULE:NAME, or file.py:NAME, on Kafka at --bootstrap-servers, or a file at --embedded.

    NAME is a Topology, a StreamsBuilder, or a function that returns one; without it, `topology` and `build` are tried.
    SIGTERM and Ctrl-C commit and leave; a second one abandons, and the next start does the rest again.
    """
    log_output = log_output_of(options)
    with log_output.ending():
        _run(target, settings_of(options), log_output, is_quiet=quiet)


def _run(target: str, settings: Settings, log_output: LogOutput, *, is_quiet: bool) -> None:
    # What was asked for is checked before anybody's code runs.
    make_file_importable(target)
    config = settings.config(None)
    address = address_of(config)
    if address.path is not None and not address.path.absolute().parent.is_dir():
        raise ConfigError(
            f"there is no directory {str(address.path.parent)!r} for the embedded log: make it, or name another path"
        )
    found = load(target)
    streams = Streams(found.topology, settings.config(found.module))
    log_output.begin()
    started = f"headrace: application {streams.application_id!r} on {address}"
    serve(streams, StatusLine(is_quiet=is_quiet, log_output=log_output), started=started)
    if not is_quiet:
        with suppress(OSError):
            log_output.say("headrace: stopped")
