"""The reference of the command line, from the commands' own declarations."""

import inspect
from collections.abc import Iterator

import click

from headrace.cli.main import headrace

__all__ = ["commands", "page"]

_INTRODUCTION = """\
# Command line

`MODULE:NAME` is a topology, a builder, or a function that makes one. `topics` and `stores` take the same options as `run` to say
which log is meant; without any they look at the one that `headrace dev` keeps. Results go to the output, everything else to the
error stream. Exit codes: 0 for a clean end, 1 for a failure, 2 for a mistake in what was asked for, 130 after Ctrl-C; those that
a command has beside these stand below.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it, in order; groups before what is in them."""
    return _below("headrace", headrace, click.Context(headrace, info_name="headrace"))


def _below(words: str, command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            if not child.hidden:
                yield from _below(
                    f"{words} {name}", child, click.Context(child, info_name=name, parent=context)
                )


def page() -> str:
    """Return the page, in Markdown."""
    return _INTRODUCTION + "".join(_section(words, command) for words, command in commands())


def _section(words: str, command: click.Command) -> str:
    context = click.Context(command, info_name=words)
    usage = command.get_usage(context).removeprefix("Usage: ")
    depth = "##" if words.count(" ") < 2 else "###"
    parts = [f"\n{depth} {words}\n\n```text\n{usage}\n```\n\n{_text(command)}\n"]
    rows = [
        record
        for each in command.get_params(context)
        if isinstance(each, click.Option) and (record := each.get_help_record(context))
    ]
    rows = [row for row in rows if "--help" not in row[0]]
    if rows:
        parts.append("\n| option | |\n| --- | --- |\n")
        parts += [f"| `{_cell(name)}` | {_cell(text)} |\n" for name, text in rows]
    return "".join(parts)


def _text(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("\b\n", "").replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
