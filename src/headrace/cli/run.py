"""`headrace run`: runs an application until it is told to stop."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

from headrace.base.errors import ConfigError
from headrace.cli.blueprint_file import ensure_safe
from headrace.cli.http_server import Serving, serve_options, serving_of
from headrace.cli.log_output import LogOutput, log_options, log_output_of
from headrace.cli.serving import serve
from headrace.cli.settings import Settings, property_options, settings_of
from headrace.cli.status import StatusLine
from headrace.cli.target import FoundSink, load_runnable, make_file_importable
from headrace.cli.worker_reports import ReportLine
from headrace.cli.workers import run_workers
from headrace.streams.logs import LogAddress, address_of
from headrace.streams.options import APPLICATION_ID
from headrace.streams.runnable import Runnable
from headrace.streams.streams import Streams

__all__ = ["command", "worker_arguments"]

_WORKERS = "--workers"


@click.command("run")
@click.argument("target", metavar="MODULE:NAME")
@property_options
@serve_options
@log_options
@click.option("--quiet", is_flag=True, help="No status line.")
@click.option(
    _WORKERS, type=click.IntRange(min=1), metavar="N", help="Run as N processes that share the state."
)
@click.option(
    "--locked", is_flag=True, help="Refuse a topology that cannot go on with the state of the locked one."
)
@click.option("--report-to", type=int, hidden=True)
def command(
    target: str, quiet: bool, workers: int | None, locked: bool, report_to: int | None, **options: Any
) -> None:
    """Run the topology at MODULE:NAME, or file.py:NAME, on Kafka at --bootstrap-servers, or a file at --embedded.

    NAME is a Topology, a StreamsBuilder, or a function that returns one; without it, `topology` and `build` are tried.
    It may also be a sink, hr.sql.Sink: what is said here wins over what its code says.
    SIGTERM and Ctrl-C commit and leave; a second one abandons, and the next start does the rest again.
    """
    log_output = log_output_of(options)
    line = StatusLine(is_quiet=quiet, log_output=log_output) if report_to is None else ReportLine(report_to)
    with log_output.ending():
        _run(target, settings_of(options), serving_of(options), log_output, line, workers, is_locked=locked)
        if not quiet and report_to is None:
            with suppress(OSError):
                log_output.say("headrace: stopped")


def _run(
    target: str,
    settings: Settings,
    serving: Serving,
    log_output: LogOutput,
    line: StatusLine | ReportLine,
    workers: int | None,
    *,
    is_locked: bool,
) -> None:
    # What was asked for is checked before anybody's code runs.
    make_file_importable(target)
    config = serving.config(settings.config(None))
    address = address_of(config)
    if address.path is not None and not address.path.absolute().parent.is_dir():
        raise ConfigError(
            f"there is no directory {str(address.path.parent)!r} for the embedded log: make it, or name another path"
        )
    if address.path is not None and workers is not None:
        raise ConfigError(
            f"{_WORKERS} is for Kafka: the embedded log {str(address.path)!r} belongs to one process; leave it out, or "
            "give --bootstrap-servers"
        )
    found = load_runnable(target)
    if isinstance(found, FoundSink):
        if workers is not None or is_locked:
            raise ConfigError(
                f"{_WORKERS if workers is not None else '--locked'} is for topologies, and {target} is a sink: leave "
                "it out. Start a sink several times, with a state.dir each, to share its partitions"
            )
        config = serving.config(settings.config(found.module))
        _serve(found.sink.with_config(config), address, serving, log_output, line)
        return
    if is_locked:
        ensure_safe(found.topology, settings.config(found.module).get(APPLICATION_ID))
    if workers is not None and isinstance(line, StatusLine):
        config = serving.config(settings.config(found.module))
        Streams(found.topology, config)  # refuses what none of them could run
        log_output.begin(config.get(APPLICATION_ID))
        started = (
            f"headrace: {workers} worker{'' if workers == 1 else 's'} of application {config.get(APPLICATION_ID)!r} "
            f"on {address}"
        )
        run_workers(workers, worker_arguments(sys.orig_argv[1:]), config, line, started=started)
        return
    _serve(
        Streams(found.topology, serving.config(settings.config(found.module))),
        address,
        serving,
        log_output,
        line,
    )


def _serve(
    application: Runnable,
    address: LogAddress,
    serving: Serving,
    log_output: LogOutput,
    line: StatusLine | ReportLine,
) -> None:
    server = serving.server(application)
    log_output.begin(application.application_id)
    started = f"headrace: application {application.application_id!r} on {address}"
    serve(application, line, started=started, server=server)


def worker_arguments(given: Sequence[str]) -> Sequence[str]:
    """Return the arguments of this process for one that is a worker."""
    left = []
    words = iter(given)
    for word in words:
        if word == _WORKERS:
            next(words, None)
        elif not word.startswith(f"{_WORKERS}="):
            left.append(word)
    return left
