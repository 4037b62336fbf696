"""The entry of `headrace`: the tree of commands, and the one place where errors become lines and exit codes.

Exit codes: 0 for a clean end, 1 for a failure, 2 for a mistake in what was asked for, 130 after Ctrl-C.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import click

from headrace import __version__
from headrace.base.errors import HeadraceError
from headrace.cli.failure import exit_code, one_line, show

__all__ = ["headrace", "main"]

# Commands are imported when they are asked for, so that `headrace --help` answers at once.
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "completion": ("headrace.cli.completion", "Print what lets a shell complete commands."),
    "config": ("headrace.cli.config", "Explain properties."),
    "demo": ("headrace.cli.demo", "Run the year of flights."),
    "dev": ("headrace.cli.dev", "Run an application while you write it: reloads on change."),
    "dlq": ("headrace.cli.dlq", "Look at dead letters, replay or drop them."),
    "doctor": ("headrace.cli.doctor", "Say what is wrong, and what to do about it."),
    "groups": ("headrace.cli.groups", "Show who runs which application, and how far it is."),
    "kafka": ("headrace.cli.kafka", "Run a real Kafka on this machine."),
    "lag": ("headrace.cli.lag", "Count what an application has not processed yet."),
    "metrics": ("headrace.cli.metrics", "Show what is measured; print a dashboard and alert rules."),
    "new": ("headrace.cli.new", "Make a project that runs, with its tests."),
    "reset": ("headrace.cli.reset", "Let an application begin anew."),
    "run": ("headrace.cli.run", "Run an application."),
    "stores": ("headrace.cli.stores", "Look into the stores of an application."),
    "top": ("headrace.cli.top", "Show an application that is served, in the terminal."),
    "topics": ("headrace.cli.topics", "List, create, write and read topics."),
    "topology": ("headrace.cli.topology", "Show what a topology is made of."),
    "upgrade-topology": ("headrace.cli.topology_upgrade", "Let a changed topology into a streams group."),
}


class _OutputUnwanted(Exception):  # noqa: N818 - nothing is wrong
    """Whoever reads our output (`| head`) has enough."""


class _Commands(click.Group):
    """A group whose commands live in modules of their own."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # click would exit with 1.
            raise _OutputUnwanted from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _show_version(ctx: click.Context, option: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        click.echo(f"headrace {__version__}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def headrace() -> None:
    """Kafka Streams for Python, from the command line."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code. A mistake is one line on the error stream, never a traceback."""
    try:
        code = headrace.main(arguments, prog_name="headrace", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        code = 2
    except click.ClickException as error:
        # Three lines of usage around a missing option hide the one that says what is wrong.
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "headrace"
        code = _mistake(f"{one_line(error.format_message())} (see `{where} --help`)", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except (_OutputUnwanted, BrokenPipeError):
        _drop_output()
        code = 0
    except (HeadraceError, TimeoutError) as error:
        show(error)
        code = exit_code(error)
    except OSError as error:
        code = _mistake(_of_the_system(error), 1)
    sys.exit(code)


def _of_the_system(error: OSError) -> str:
    """Say what the system refused: with a file, or else the output, which is all that commands write themselves."""
    said = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {said}"
    _drop_output()
    return f"cannot write the output: {said}"


def _drop_output() -> None:
    """Let what is left of the output go nowhere: Python would complain again when it flushes at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _mistake(message: str, code: int) -> int:
    with suppress(OSError):  # an error stream that is full or closed: the code remains
        click.echo(f"headrace: {one_line(message)}", err=True)
    return code
