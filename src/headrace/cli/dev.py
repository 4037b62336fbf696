"""`headrace dev`: runs an application while it is written; a change of the user's files starts it anew."""

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from headrace.base.errors import AlreadyRunningError, ConfigError
from headrace.cli.http_server import Serving, serve_options, serving_of
from headrace.cli.log_output import LogOutput, log_options, log_output_of
from headrace.cli.serving import serve
from headrace.cli.settings import Settings, dev_log, make_dev_directory, property_options, settings_of
from headrace.cli.status import StatusLine
from headrace.cli.target import FoundTopology, TargetError, load, make_file_importable, source_file
from headrace.cli.watch import FileWatch, files_of_traceback, user_files
from headrace.streams.options import APPLICATION_ID, EMBEDDED_PATH, STATE_DIR
from headrace.streams.signals import StopSignals
from headrace.streams.streams import Streams

__all__ = ["command"]

_COMMIT_INTERVAL_MS = 100

# Tells the process that takes over that it is not the first: then even a missing module is waited for.
_AGAIN = "--again"


@click.command("dev")
@click.argument("target", metavar="MODULE:NAME")
@property_options
@serve_options
@log_options
@click.option(_AGAIN, is_flag=True, hidden=True)
def command(target: str, again: bool, **options: Any) -> None:
    """Run MODULE:NAME on a log of its own, and again whenever its files change.

    The embedded log is .headrace/APPLICATION_ID.db unless --embedded names another; commits come every 100 ms.
    """
    log_output = log_output_of(options)
    with log_output.ending():
        _run(target, settings_of(options), serving_of(options), log_output, is_again=again)


def _run(target: str, settings: Settings, serving: Serving, log_output: LogOutput, *, is_again: bool) -> None:
    # Python takes a compiled file for fresh if source time (in seconds) and size agree: a quick edit would be missed.
    sys.dont_write_bytecode = True
    watch = FileWatch()
    file = source_file(target)
    if file is not None:
        watch.add([file])
    make_file_importable(target)
    try:
        settings.config(None)  # may import a handler's module, which is as broken as any
        found = load(target)
        log_output.begin()
        watch.add(user_files())
        streams, path = _streams(found, settings, serving)
        log_output.begin(streams.application_id)
        server = serving.server(streams)
        count = len(user_files())
        started = (
            f"headrace: application {streams.application_id!r} on {path}, "
            f"watching {count} file{'' if count == 1 else 's'}"
        )
        line = StatusLine(log_output=log_output)
        if serve(streams, line, started=started, interrupted=lambda: _has_changed(watch), server=server):
            _start_anew(watch.changed(), log_output)
    except (AlreadyRunningError, ConfigError):
        raise
    except TargetError:
        if not is_again:
            raise
        _wait_and_start_anew(watch, sys.exc_info()[1], log_output)
    except Exception as error:
        _wait_and_start_anew(watch, error, log_output)


def _streams(found: FoundTopology, settings: Settings, serving: Serving) -> tuple[Streams, str]:
    config = settings.config(found.module, **{"commit.interval.ms": _COMMIT_INTERVAL_MS})
    if settings.bootstrap_servers is not None:
        raise ConfigError(
            "`headrace dev` runs on an embedded log of its own: leave out --bootstrap-servers, or use `headrace run`"
        )
    config = serving.config(
        config.without("bootstrap.servers")
    )  # of a file or the environment: those of production
    path = config.get(EMBEDDED_PATH)
    if path is not None:
        return Streams(found.topology, config), path
    log = dev_log(config.get(STATE_DIR), config.get(APPLICATION_ID))
    make_dev_directory(log)
    # Its stores follow its own log: in the place of those of `headrace run` each would rebuild what the other left.
    state_dir = str(Path(config.get(STATE_DIR), "dev"))
    return Streams(found.topology, config, embedded_path=str(log), state_dir=state_dir), str(log)


def _has_changed(watch: FileWatch) -> bool:
    watch.add(user_files())
    return bool(watch.changed())


def _wait_and_start_anew(watch: FileWatch, error: BaseException | None, log_output: LogOutput) -> None:
    """Show what went wrong, and wait for a file to change; return when a signal comes instead."""
    watch.add(user_files() | files_of_traceback(error))
    log_output.begin()
    if error is not None:
        log_output.fail(error)
    log_output.say("headrace: waiting for a change")
    with StopSignals() as signals:
        changed = watch.wait(signals.wait)
        stopped = signals.wait(0)
    if changed and not stopped:
        _start_anew(changed, log_output)


def _start_anew(changed: list[Path], log_output: LogOutput) -> NoReturn:
    """Become a new process with the same command line: nothing of the old modules, threads and files remains.

    A child process would do too, but then signals must be passed on, and a killed parent leaves its child behind.
    """
    names = ", ".join(_shown(file) for file in changed)
    log_output.say(f"headrace: {names} changed, starting anew")
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = [each for each in sys.orig_argv[1:] if each != _AGAIN]
    # A signal that comes from here on waits for the new process, which lets it in when it can end quietly (`entry`):
    # Python's own start would answer it with a traceback.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        os.execv(sys.executable, [sys.executable, *arguments, _AGAIN])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if Path.cwd() in file.parents else str(file)
